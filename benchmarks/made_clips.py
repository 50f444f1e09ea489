"""Clips of moving faces made from photos: frames whose landmarks and identities are known exactly.

For measuring a tracker. A head is cut out of an annotated photo and moved, turned, scaled and faded
over a background; what moves its pixels moves its landmarks. Nearer heads hide farther ones, and
how much of each face is seen is known too. The frames are made one by one, so that a clip of any
length takes no memory; the same arguments give the same frames.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from senet_landmark.data_tools.synthesis import turned_mesh
from senet_landmark.face import geometry

HEAD_SIDE = 288
"""Side of a cut-out head in pixels; its face takes about half of it."""

REACH = 0.55
"""How far a cut-out reaches beyond the face's box on every side, as a share of the box's size."""

FEATHER = 0.03
"""Width of a cut-out's soft edge, as a share of its side."""


@dataclass(frozen=True)
class Head:
    """A head cut out of a photo.

    Attributes:
      picture: uint8 [S, S, 4], RGB and opacity.
      landmarks: float64 [68, 2], pixels of the picture.
    """

    picture: np.ndarray
    landmarks: np.ndarray


@dataclass(frozen=True)
class Place:
    """Where a head is in a frame.

    Attributes:
      centre: of its landmarks' box, pixels of the frame.
      size: root of the area of that box before any turn, pixels.
      roll: turn in the picture's plane, degrees, clockwise as it is seen.
      yaw: further turn out of it, degrees, as in `senet_landmark.face.pose`; takes 10 ms a face.
      opacity: 0 (not there) to 1.
    """

    centre: tuple[float, float]
    size: float
    roll: float = 0.0
    yaw: float = 0.0
    opacity: float = 1.0


@dataclass(frozen=True)
class Actor:
    """A head and its way through a clip: time in seconds -> its place."""

    head: Head
    way: Callable[[float], Place]


@dataclass(frozen=True)
class Truth:
    """A face of a frame.

    Attributes:
      actor: its number among the clip's actors: who it is.
      landmarks: float64 [68, 2], pixels of the frame.
      seen: the share of the area within its landmarks that is seen, times its opacity, 0 to 1.
    """

    actor: int
    landmarks: np.ndarray
    seen: float


def cut_head(photo: np.ndarray, landmarks: np.ndarray) -> Head:
    """Cuts an upright square about a face out of a photo, and gives it a soft oval outline.

    Args:
      photo: RGB uint8 [H, W, 3].
      landmarks: [68, 2], 0-based pixels of the photo.
    """
    box = geometry.box_from_landmarks(landmarks)
    middle = (box[:2] + box[2:]) / 2
    # Landmarks end at the brows: the head's middle is higher than theirs.
    middle[1] -= 0.12 * (box[3] - box[1])
    half = (0.5 + REACH) * float((box[2:] - box[:2]).max())
    region = np.concatenate([middle - half, middle + half])
    transform = geometry.to_crop(region)
    size = (HEAD_SIDE, HEAD_SIDE)
    picture = geometry.warp(photo, transform, size)
    points = geometry.apply(
        geometry.compose(geometry.to_pixels(size), transform), np.asarray(landmarks, np.float64)
    )
    # An oval within the square, and not beyond the photo's border.
    oval = np.zeros((HEAD_SIDE, HEAD_SIDE), np.uint8)
    rim = 1 - 4 * FEATHER
    axes = (round(0.42 * HEAD_SIDE * rim), round(0.5 * HEAD_SIDE * rim))
    cv2.ellipse(oval, (HEAD_SIDE // 2, HEAD_SIDE // 2), axes, 0, 0, 360, 255, -1)
    inside = geometry.warp(np.full_like(photo, 255), transform, size)[..., 0]
    reach = 2 * round(FEATHER * HEAD_SIDE) + 1
    inside = cv2.erode(inside, np.ones((reach, reach), np.uint8))
    soft = cv2.GaussianBlur(cv2.min(oval, inside), (0, 0), FEATHER * HEAD_SIDE / 2)
    return Head(np.dstack([picture, soft]), points)


def draw_frame(
    actors: Sequence[Actor], background: np.ndarray, time: float
) -> tuple[np.ndarray, list[Truth]]:
    """One frame.

    Args:
      actors: the farthest first.
      background: RGB uint8 [H, W, 3].
      time: in seconds.

    Returns:
      RGB uint8 [H, W, 3], and the faces that are not wholly faded out, in the actors' order.
    """
    frame = background.copy()
    drawn: list[tuple[int, np.ndarray]] = []
    shares: list[np.ndarray] = []  # of each face in each pixel that it is in
    for number, actor in enumerate(actors):
        place = actor.way(time)
        if place.opacity <= 0:
            continue
        points, region, cover = _draw_head(frame, actor.head, place)
        for share in shares:
            share[region] *= 1 - cover
        share = np.zeros(frame.shape[:2], np.float32)
        hull = cv2.convexHull(points.astype(np.float32)).astype(np.int32)
        cv2.fillConvexPoly(share, hull, place.opacity)
        drawn.append((number, points))
        shares.append(share)
    truths = []
    for (number, points), share in zip(drawn, shares, strict=True):
        whole = cv2.contourArea(cv2.convexHull(points.astype(np.float32)))
        truths.append(Truth(number, points, min(1.0, float(share.sum()) / max(whole, 1.0))))
    return frame, truths


def _draw_head(
    frame: np.ndarray, head: Head, place: Place
) -> tuple[np.ndarray, tuple[slice, slice], np.ndarray]:
    """Draws a head, in place; returns its landmarks there, and what it covers of which region."""
    matrix = _to_frame(head, place)
    if place.yaw:
        head = turn_head(head, place.yaw)
    points = geometry.apply(matrix, head.landmarks)
    side = head.picture.shape[0]
    corners = geometry.apply(matrix, np.array([[0, 0], [side, 0], [0, side], [side, side]]) - 0.5)
    limits = np.array(frame.shape[1::-1])
    first = np.clip(np.floor(corners.min(0)).astype(int), 0, limits - 1)
    last = np.clip(np.ceil(corners.max(0)).astype(int) + 1, first + 1, limits)
    size = (int(last[0] - first[0]), int(last[1] - first[1]))
    inside = geometry.to_crop(np.concatenate([first, last]) - 0.5)
    drawn = geometry.warp(head.picture, geometry.compose(inside, matrix), size)
    cover = drawn[..., 3].astype(np.float32) * (place.opacity / 255)
    region = (slice(first[1], last[1]), slice(first[0], last[0]))
    under = frame[region].astype(np.float32)
    frame[region] = np.rint(under + cover[..., None] * (drawn[..., :3] - under))
    return points, region, cover


def clip_frames(
    actors: Sequence[Actor], background: np.ndarray, fps: float, count: int, noise: float = 0.0
) -> Iterator[tuple[float, np.ndarray, list[Truth]]]:
    """(time in seconds, frame, its faces) of `count` frames.

    Args:
      actors, background: as in `draw_frame`.
      fps: frames a second.
      count: of frames.
      noise: standard deviation of the sensor's noise, in grey levels (of 255).
    """
    generator = np.random.default_rng(0)
    for index in range(count):
        frame, truths = draw_frame(actors, background, index / fps)
        if noise:
            grain = generator.normal(0, noise, frame.shape).astype(np.float32)
            frame = np.clip(np.rint(frame + grain), 0, 255).astype(np.uint8)
        yield index / fps, frame, truths


def _to_frame(head: Head, place: Place) -> np.ndarray:
    """The affine [2, 3] from a head's pixels to the frame's."""
    box = geometry.box_from_landmarks(head.landmarks)
    zoom = place.size / float(np.sqrt((box[2:] - box[:2]).prod()))
    angle = np.radians(place.roll)
    linear = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.column_stack([linear, place.centre - linear @ ((box[:2] + box[2:]) / 2)])


def turn_head(head: Head, yaw: float) -> Head:
    """The head turned by so many degrees of yaw further, as `turned_mesh` turns photos."""
    face = _fitted(head.landmarks.tobytes())
    pose = (face.pose[0] + yaw, face.pose[1], face.pose[2])
    points, depth = turned_mesh.turn_face(face, pose)
    drawn = turned_mesh.render(np.ascontiguousarray(head.picture[..., :3]), face, points, depth)
    contour, _ = turned_mesh.landmarks_of(points, pose)
    return Head(np.dstack([drawn, head.picture[..., 3]]), contour)


@functools.lru_cache(maxsize=16)
def _fitted(landmarks: bytes) -> turned_mesh.Face:
    return turned_mesh.fit_face(np.frombuffer(landmarks).reshape(68, 2), (HEAD_SIDE, HEAD_SIDE))


def made_background(width: int, height: int, seed: int = 0) -> np.ndarray:
    """A soft, coloured room without a face, RGB uint8 [height, width, 3]."""
    generator = np.random.default_rng(seed)
    ground = np.zeros((height, width, 3), np.float32)
    for cells, strength in ((3, 60), (9, 25), (40, 12)):
        # Mostly grey: each channel adds a little of its own.
        rough = generator.normal(0, strength, (cells, cells, 1))
        rough = (rough + generator.normal(0, strength / 3, (cells, cells, 3))).astype(np.float32)
        ground += cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(np.rint(120 + ground), 0, 255).astype(np.uint8)


def crossing_actors(
    heads: Sequence[Head], width: int, height: int, yaw: float = 0.0
) -> list[Actor]:
    """Actors that come and go on ways of their own, cross each other, turn and fade.

    Each moves from side to side, in periods of 7 to 12 s, at two heights that overlap; turns by up
    to 20 degrees, comes nearer and goes away again; and fades out for about 2 s, one after another.
    Two that move at the same height hide each other when they cross.
    """
    unit = min(width / 6.4, height / 4.8)  # a face's usual size

    def actor(number: int) -> Actor:
        phase, period = 2.4 * number, 7.0 + 1.7 * number
        fade_period = 11.0 + 1.5 * number

        def way(time: float) -> Place:
            x = width / 2 + 0.36 * width * np.sin(2 * np.pi * time / period + phase)
            lane = 0.36 if number % 2 else 0.66
            y = height * (lane + 0.05 * np.sin(2 * np.pi * time / 5 + phase))
            since = (time + 2.5 * number) % fade_period
            # It is there, then goes within a second, stays away for 1.5 s and comes within one.
            there = fade_period - 3.5
            opacity = float(np.clip(max(there + 1 - since, since - there - 2.5), 0, 1))
            return Place(
                centre=(float(x), float(y)),
                size=unit * (1 + 0.15 * float(np.sin(2 * np.pi * time / 6.5 + number))),
                roll=20 * float(np.sin(2 * np.pi * time / 4.5 + phase)),
                yaw=yaw * float(np.sin(2 * np.pi * time / 5.5 + number)),
                opacity=opacity,
            )

        return Actor(heads[number], way)

    return [actor(number) for number in range(len(heads))]


def swaying_actor(
    head: Head, width: int, height: int, *, size: float, reach: float, period: float
) -> Actor:
    """A face that sways from side to side, `reach` face sizes to each, in `period` seconds."""

    def way(time: float) -> Place:
        shift = reach * size * float(np.sin(2 * np.pi * time / period)) if reach else 0.0
        return Place(centre=(width / 2 + shift, height * 0.55), size=size)

    return Actor(head, way)
