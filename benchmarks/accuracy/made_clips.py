"""Clips of moving faces made from photos: frames with exact landmarks and identities.

For measuring a tracker. A head is cropped from an annotated photo and moved, turned, scaled and
faded over a background; the same transform moves its pixels and its landmarks. Nearer heads hide
farther ones, and the visible share of each face is known too. The frames are made one by one, so
that a long clip takes no more memory than a short one. The same arguments give the same frames.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.interpolate import RBFInterpolator

from senet_landmark.data_tools.synthesis import turned_mesh
from senet_landmark.face import geometry

HEAD_SIDE = 288
"""Side of a cropped head in pixels; its face covers about half of it."""

REACH = 0.55
"""Margin of a cropped head around the face box, as a share of the box's size."""

FEATHER = 0.03
"""Width of a cropped head's soft edge, as a share of its side."""

LIDS = ((37, 41), (38, 40), (43, 47), (44, 46))
"""Landmarks of an upper lid and of the lower lid below it."""

LID_MEETING = 0.8
"""Where lids meet: this share of the way from the upper to the lower one."""

MOUTH_OPENING = {
    **dict.fromkeys((49, 50, 51, 52, 53, 61, 62, 63), -0.1),
    **dict.fromkeys((48, 54, 60, 64), 0.25),
    **dict.fromkeys((55, 56, 57, 58, 59, 65, 66, 67), 0.9),
    **{3: 0.1, 4: 0.3, 5: 0.5, 6: 0.7, 7: 0.8, 8: 0.8, 9: 0.8, 10: 0.7, 11: 0.5, 12: 0.3, 13: 0.1},
}
"""Landmark -> how far it moves down while the inner lips part by 1."""

INSIDE_OF_MOUTH = np.array([55, 20, 20])
"""Its colour, RGB."""


@dataclass(frozen=True)
class Head:
    """A head cropped from a photo.

    Attributes:
      picture: uint8 [S, S, 4], RGB and opacity (alpha).
      landmarks: float64 [68, 2], pixels of the picture.
    """

    picture: np.ndarray
    landmarks: np.ndarray


@dataclass(frozen=True)
class HeadPosition:
    """Position, size and pose of a head in a frame.

    Attributes:
      centre: centre of the landmarks' box, in pixels of the frame.
      size: square root of the area of that box before any turn, pixels.
      roll: turn in the image plane, degrees, clockwise for the viewer.
      yaw: additional turn out of the plane, degrees, as in `senet_landmark.face.pose`.
      opacity: 0 (invisible) to 1.
      eyes: opening of the eyes as a share of that in the photo, 0 (closed) to 1.
      mouth: how far the mouth is opened beyond the photo, in widths of its inner lips. Turns and
        expressions take 10 ms a face.
    """

    centre: tuple[float, float]
    size: float
    roll: float = 0.0
    yaw: float = 0.0
    opacity: float = 1.0
    eyes: float = 1.0
    mouth: float = 0.0


@dataclass(frozen=True)
class Actor:
    """A head and its path through a clip: time in seconds -> its position."""

    head: Head
    path: Callable[[float], HeadPosition]


@dataclass(frozen=True)
class Truth:
    """The ground truth of a face in a frame.

    Attributes:
      actor: number of the actor in the clip, its identity.
      landmarks: float64 [68, 2], pixels of the frame.
      seen: visible share of the area within the landmarks, times the opacity, 0 to 1.
    """

    actor: int
    landmarks: np.ndarray
    seen: float


def crop_head(photo: np.ndarray, landmarks: np.ndarray) -> Head:
    """Crops an upright square around a face from a photo, and gives it a soft oval outline.

    Args:
      photo: RGB uint8 [H, W, 3].
      landmarks: [68, 2], 0-based pixels of the photo.
    """
    box = geometry.box_from_landmarks(landmarks)
    middle = (box[:2] + box[2:]) / 2
    # Landmarks end at the brows: the middle of the head is higher than the middle of the landmarks.
    middle[1] -= 0.12 * (box[3] - box[1])
    half = (0.5 + REACH) * float((box[2:] - box[:2]).max())
    region = np.concatenate([middle - half, middle + half])
    transform = geometry.to_crop(region)
    size = (HEAD_SIDE, HEAD_SIDE)
    picture = geometry.warp(photo, transform, size)
    points = geometry.apply(
        geometry.compose(geometry.to_pixels(size), transform), np.asarray(landmarks, np.float64)
    )
    # An oval within the square that does not extend beyond the photo's border.
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
    """Draws one frame.

    Args:
      actors: the actors, the farthest first.
      background: RGB uint8 [H, W, 3].
      time: in seconds.

    Returns:
      RGB uint8 [H, W, 3], and the faces whose opacity is above 0, in the order of the actors.
    """
    frame = background.copy()
    drawn: list[tuple[int, np.ndarray]] = []
    shares: list[np.ndarray] = []  # of each face: its visible share in each pixel
    for number, actor in enumerate(actors):
        position = actor.path(time)
        if position.opacity <= 0:
            continue
        points, region, cover = _draw_head(frame, actor.head, position)
        for share in shares:
            share[region] *= 1 - cover
        share = np.zeros(frame.shape[:2], np.float32)
        hull = cv2.convexHull(points.astype(np.float32)).astype(np.int32)
        cv2.fillConvexPoly(share, hull, position.opacity)
        drawn.append((number, points))
        shares.append(share)
    truths = []
    for (number, points), share in zip(drawn, shares, strict=True):
        whole = cv2.contourArea(cv2.convexHull(points.astype(np.float32)))
        truths.append(Truth(number, points, min(1.0, float(share.sum()) / max(whole, 1.0))))
    return frame, truths


def _draw_head(
    frame: np.ndarray, head: Head, position: HeadPosition
) -> tuple[np.ndarray, tuple[slice, slice], np.ndarray]:
    """Draws a head into `frame`; returns its landmarks, its region, and its opacity there."""
    matrix = _to_frame(head, position)
    if position.yaw or position.eyes != 1 or position.mouth:
        head = change_head(head, position.yaw, position.eyes, position.mouth)
    points = geometry.apply(matrix, head.landmarks)
    side = head.picture.shape[0]
    corners = geometry.apply(matrix, np.array([[0, 0], [side, 0], [0, side], [side, side]]) - 0.5)
    limits = np.array(frame.shape[1::-1])
    first = np.clip(np.floor(corners.min(0)).astype(int), 0, limits - 1)
    last = np.clip(np.ceil(corners.max(0)).astype(int) + 1, first + 1, limits)
    size = (int(last[0] - first[0]), int(last[1] - first[1]))
    inside = geometry.to_crop(np.concatenate([first, last]) - 0.5)
    drawn = geometry.warp(head.picture, geometry.compose(inside, matrix), size)
    cover = drawn[..., 3].astype(np.float32) * (position.opacity / 255)
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


def _to_frame(head: Head, position: HeadPosition) -> np.ndarray:
    """The affine map [2, 3] from the pixels of a head to the pixels of the frame."""
    box = geometry.box_from_landmarks(head.landmarks)
    zoom = position.size / float(np.sqrt((box[2:] - box[:2]).prod()))
    angle = np.radians(position.roll)
    linear = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.column_stack([linear, position.centre - linear @ ((box[:2] + box[2:]) / 2)])


def change_head(head: Head, yaw: float = 0.0, eyes: float = 1.0, mouth: float = 0.0) -> Head:
    """The head turned further, with its eyes closed to a share, or its mouth opened.

    It is turned as `turned_mesh` turns photos. The lids of an eye meet near the lower one. The jaw
    drops with the lower lip, and what comes to light between the lips is dark.

    Args:
      head: the head.
      yaw, eyes, mouth: as in `HeadPosition`.
    """
    face = _fitted(head.landmarks.tobytes())
    moved = face.source.copy()
    moved[: len(_spread())] += _spread() @ _movement(head.landmarks, eyes, mouth)
    pose = (face.pose[0] + yaw, face.pose[1], face.pose[2])
    points, depth = turned_mesh.turn_face(replace(face, source=moved), pose)
    drawn = turned_mesh.draw_face(np.ascontiguousarray(head.picture[..., :3]), face, points, depth)
    contour, _ = turned_mesh.landmarks_of(points, pose)
    if mouth:
        inside = np.zeros(drawn.shape[:2], np.uint8)
        cv2.fillPoly(inside, [np.rint(contour[60:68] * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        inside = cv2.GaussianBlur(inside, (0, 0), 0.8)
        cover = (min(1.0, mouth / 0.2) / 255) * inside[..., None].astype(np.float32)
        drawn = np.rint(drawn + cover * (INSIDE_OF_MOUTH - drawn)).astype(np.uint8)
    return Head(np.dstack([drawn, head.picture[..., 3]]), contour)


def _movement(landmarks: np.ndarray, eyes: float, mouth: float) -> np.ndarray:
    """How an expression moves landmarks [68, 2] of a head, in its pixels."""
    move = np.zeros_like(landmarks)
    for upper, lower in LIDS:
        closed = landmarks[upper] + LID_MEETING * (landmarks[lower] - landmarks[upper])
        for lid in (upper, lower):
            move[lid] = (1 - eyes) * (closed - landmarks[lid])
    across = landmarks[45] - landmarks[36]
    down = np.array([-across[1], across[0]]) / np.linalg.norm(across)
    drop = mouth * np.linalg.norm(landmarks[64] - landmarks[60]) * down
    for landmark, share in MOUTH_OPENING.items():
        move[landmark] += share * drop
    return move


@functools.cache
def _spread() -> np.ndarray:
    """Maps movements of landmarks to all vertices of the head, [V, 68]; its outline is still."""
    mesh = turned_mesh.load_template()
    flat, still = mesh.points[:, :2], mesh.points[mesh.outline, :2]
    controls = np.concatenate([flat[:68], still])
    spread = RBFInterpolator(controls, np.eye(len(controls)), kernel="linear")(flat)[:, :68]
    spread[:68] = np.eye(68)
    return spread


@functools.lru_cache(maxsize=16)
def _fitted(landmarks: bytes) -> turned_mesh.FittedFace:
    return turned_mesh.fit_face(np.frombuffer(landmarks).reshape(68, 2), (HEAD_SIDE, HEAD_SIDE))


def made_background(width: int, height: int, seed: int = 0) -> np.ndarray:
    """A blurred, coloured background without a face, RGB uint8 [height, width, 3]."""
    generator = np.random.default_rng(seed)
    ground = np.zeros((height, width, 3), np.float32)
    for cells, strength in ((3, 60), (9, 25), (40, 12)):
        # Mostly grey noise, plus a little noise of each channel.
        rough = generator.normal(0, strength, (cells, cells, 1))
        rough = (rough + generator.normal(0, strength / 3, (cells, cells, 3))).astype(np.float32)
        ground += cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(np.rint(120 + ground), 0, 255).astype(np.uint8)


def crossing_actors(
    heads: Sequence[Head], width: int, height: int, yaw: float = 0.0
) -> list[Actor]:
    """Actors that move on different paths, cross each other, turn and fade.

    Each actor moves from side to side in periods of 7 to 12 s, at one of two heights that overlap.
    It turns by up to 20 degrees, comes nearer and moves away again, and fades out for about 2 s at
    a different time than the others. Two actors at the same height hide each other when they cross.
    """
    unit = min(width / 6.4, height / 4.8)  # usual size of a face in pixels

    def actor(number: int) -> Actor:
        phase, period = 2.4 * number, 7.0 + 1.7 * number
        fade_period = 11.0 + 1.5 * number

        def path(time: float) -> HeadPosition:
            x = width / 2 + 0.36 * width * np.sin(2 * np.pi * time / period + phase)
            lane = 0.36 if number % 2 else 0.66
            y = height * (lane + 0.05 * np.sin(2 * np.pi * time / 5 + phase))
            since = (time + 2.5 * number) % fade_period
            # Visible, then fades out in 1 s, invisible for 1.5 s, then fades in in 1 s.
            visible = fade_period - 3.5
            opacity = float(np.clip(max(visible + 1 - since, since - visible - 2.5), 0, 1))
            return HeadPosition(
                centre=(float(x), float(y)),
                size=unit * (1 + 0.15 * float(np.sin(2 * np.pi * time / 6.5 + number))),
                roll=20 * float(np.sin(2 * np.pi * time / 4.5 + phase)),
                yaw=yaw * float(np.sin(2 * np.pi * time / 5.5 + number)),
                opacity=opacity,
            )

        return Actor(heads[number], path)

    return [actor(number) for number in range(len(heads))]


def swaying_actor(
    head: Head, width: int, height: int, *, size: float, reach: float, period: float
) -> Actor:
    """A face that sways by `reach` face sizes to each side, in a period of `period` seconds."""

    def path(time: float) -> HeadPosition:
        shift = reach * size * float(np.sin(2 * np.pi * time / period)) if reach else 0.0
        return HeadPosition(centre=(width / 2 + shift, height * 0.55), size=size)

    return Actor(head, path)
