"""The picture of a photo's faces: points, boxes, numbers, confidence, pose, view from the side.

Faces are drawn so large that their points can be told apart: a photo with small faces is enlarged.
Where that would make it too large, the small faces are shown again below it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from senet_landmark.face.geometry import to_crop, warp
from senet_landmark.face.pose import rotation_matrix
from senet_landmark.visualisation.drawing import GREEN, YELLOW, put_label, put_points

LEAST_FACE = 150
"""Side in pixels from which a face is drawn as large as it is."""

MOST_SIDE = 2400
"""Longer side in pixels up to which a photo is enlarged."""

MOST_ENLARGED = 8.0

SIDE = (255, 160, 60)
"""Colour of points that are seen from the side."""

SIDE_SCALE = (0.35, 0.6)
"""Size of the view from the side: the smallest, and that where there is room."""

MOST_AGAIN = 60
"""Faces that are shown again below a photo."""

AXES = ((240, 60, 60), (60, 220, 60), (80, 140, 255))
"""Colours of the head's axes: to the right in the image, up, and out of the face."""


@dataclass(frozen=True)
class DrawnFace:
    """What is drawn of a face.

    Attributes:
      points: [K, 2], landmarks in pixels of the photo; those that are not finite are not drawn.
      box: [4], left, top, right, bottom of the landmarks.
      confidence: 0 to 1; NaN: unknown.
      pose: [3], yaw, pitch and roll in degrees; None: unknown.
      depth: [K], depth of the points in pixels of the photo (`senet_landmark.face.depth`); None:
        unknown, and the points are not shown from the side.
    """

    points: np.ndarray
    box: np.ndarray
    confidence: float = math.nan
    pose: np.ndarray | None = None
    depth: np.ndarray | None = None

    @property
    def side(self) -> float:
        """The longer side of its box."""
        return float(max(self.box[2] - self.box[0], self.box[3] - self.box[1]))


def draw_face(photo: np.ndarray, face: DrawnFace) -> np.ndarray:
    """Draws one face on a copy of a photo, RGB uint8 [H, W, 3], which keeps its size.

    So further faces of the photo can be drawn on the result.
    """
    picture = np.ascontiguousarray(photo).copy()
    _put_face(picture, face, "")
    return picture


def draw_faces(
    photo: np.ndarray, faces: Sequence[DrawnFace], most_side: float = math.inf
) -> np.ndarray:
    """Draws the faces on a copy of a photo, RGB uint8 [H, W, 3], with their numbers from 1.

    Args:
      photo: the photo.
      faces: its faces.
      most_side: longer side in pixels to which a larger photo is reduced.

    Returns:
      RGB uint8; a multiple of the photo's size where faces are below `LEAST_FACE`, and higher where
      such faces are shown again below it.
    """
    height, width = photo.shape[:2]
    smallest = max(min((face.side for face in faces), default=LEAST_FACE), 1.0)
    scale = LEAST_FACE / smallest
    if not 1 < scale <= min(min(MOST_SIDE, most_side) / max(width, height), MOST_ENLARGED):
        scale = min(1.0, most_side / max(width, height))
    if scale == 1:
        picture = np.ascontiguousarray(photo).copy()
    else:
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        how = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
        picture = cv2.resize(photo, size, interpolation=how)
    small = [pair for pair in enumerate(faces, 1) if pair[1].side * scale < 0.9 * LEAST_FACE]
    below = dict(small[:MOST_AGAIN])
    for number, face in enumerate(faces, 1):
        drawn = _scaled(face, scale, (0.0, 0.0))
        if number in below and drawn.side < LEAST_FACE / 2:  # the points would be one blot
            drawn = replace(drawn, points=np.zeros((0, 2)), pose=None, depth=None)
        _put_face(picture, drawn, str(number))
    return _with_faces_below(picture, photo, below) if below else picture


def _scaled(face: DrawnFace, scale: float, origin: tuple[float, float]) -> DrawnFace:
    """A face in a picture that shows the photo from `origin`, enlarged."""
    corner = np.array(origin, np.float64)
    points, edges = (
        (np.asarray(values, np.float64).reshape(-1, 2) - corner + 0.5) * scale - 0.5
        for values in (face.points, face.box)
    )
    depth = None if face.depth is None else scale * np.asarray(face.depth, np.float64)
    return DrawnFace(points, edges.reshape(4), face.confidence, face.pose, depth)


def _put_face(picture: np.ndarray, face: DrawnFace, number: str) -> None:
    side = min(face.side, 5000.0)
    line = max(1, round(side / 250))
    left, top, right, bottom = (round(float(v)) for v in np.clip(face.box, -1e4, 1e5))
    cv2.rectangle(picture, (left, top), (right, bottom), YELLOW, line, cv2.LINE_AA)
    known = face.points[np.isfinite(face.points).all(axis=1)]
    put_points(picture, np.clip(known, -1e4, 1e5), GREEN, max(1.0, side / 130))
    if face.depth is not None and np.isfinite(face.depth).all():
        _put_side_view(picture, face, max(1.0, side / 130))
    letters = min(max(side / 12, 9), 40)
    if face.pose is not None and np.isfinite(face.pose).all():
        _put_axes(picture, face, line)
        angles = zip(("yaw", "pitch", "roll"), face.pose.tolist(), strict=True)
        text = " ".join(f"{name} {round(angle)}" for name, angle in angles)
        if side >= 0.9 * LEAST_FACE:
            _put_text(picture, text, (left, bottom + 1.1 * letters + 6), 0.7 * letters)
    sure = "" if math.isnan(face.confidence) else f"{100 * face.confidence:.0f}%"
    if title := "  ".join(filter(None, (number, sure))):
        _put_text(picture, title, (left, top), letters)


def _put_side_view(picture: np.ndarray, face: DrawnFace, radius: float) -> None:
    """The points as seen from the right of the photo, smaller, beside the box; camera at the left.

    The view is at the side of the box with more room, and as small as the room asks for.
    """
    assert face.depth is not None
    across = np.stack([face.depth, face.points[:, 1]], axis=1)
    gap = 0.05 * face.side
    extent = np.ptp(across, axis=0) + 2 * gap
    room = (float(face.box[0]), picture.shape[1] - float(face.box[2]))
    scale = float(np.clip((max(room) - gap) / extent[0], *SIDE_SCALE))
    width, height = scale * extent
    left = face.box[2] + gap if room[1] >= room[0] else face.box[0] - gap - width
    left = float(np.clip(left, 0, max(picture.shape[1] - width, 0)))
    bottom = float(np.clip(face.box[3], 0, picture.shape[0]))
    top = max(bottom - height, 0.0)
    if not width < 1e4:  # no face
        return
    panel = picture[round(top) : round(bottom), round(left) : round(left + width)]
    panel //= 3
    points = (left, top) + scale * (across - across.min(axis=0) + gap)
    put_points(picture, np.clip(points, -1e4, 1e5), SIDE, max(1.0, 0.8 * radius))


def _put_axes(picture: np.ndarray, face: DrawnFace, line: int) -> None:
    """The head's axes, from the middle of the box's upper edge, where they hide no landmark."""
    assert face.pose is not None
    rotation = rotation_matrix(*face.pose.tolist())
    origin = np.array([(face.box[0] + face.box[2]) / 2, face.box[1]])
    for column, direction, colour in zip(range(3), (1, -1, -1), AXES, strict=True):
        tip = origin + 0.3 * face.side * direction * rotation[:2, column]
        start, end = (
            tuple(round(float(v) * 16) for v in np.clip(p, -1e4, 1e5)) for p in (origin, tip)
        )
        cv2.line(picture, start, end, colour, line + 1, cv2.LINE_AA, shift=4)


def _put_text(picture: np.ndarray, text: str, corner: tuple[float, float], height: float) -> None:
    """A text just above `corner`, moved so far that it is inside of the picture."""
    scale = max(height, 8) / 22
    (width, letters), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 3)
    x = min(max(corner[0], 2), max(picture.shape[1] - width - 2, 2))
    y = min(max(corner[1], letters + 6), picture.shape[0] - below)
    put_label(picture, text, np.array([x, y]), height, YELLOW)


def _with_faces_below(
    picture: np.ndarray, photo: np.ndarray, faces: Mapping[int, DrawnFace]
) -> np.ndarray:
    """The picture, and below it the faces with their numbers, enlarged."""
    cell = 2 * LEAST_FACE
    columns = max(1, picture.shape[1] // cell)
    rows = -(-len(faces) // columns)
    sheet = np.full((rows * cell, max(picture.shape[1], cell), 3), 32, np.uint8)
    for place, (number, face) in enumerate(faces.items()):
        side = max(face.side, 1.0) * 1.6
        centre = (np.asarray(face.box[:2], np.float64) + face.box[2:]) / 2
        region = np.concatenate([centre - side / 2, centre + side / 2])
        tile = warp(photo, to_crop(region), (cell, cell))
        _put_face(tile, _scaled(face, cell / side, tuple(region[:2] + 0.5)), str(number))
        row, column = divmod(place, columns)
        sheet[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell] = tile
    if sheet.shape[1] > picture.shape[1]:
        room = sheet.shape[1] - picture.shape[1]
        picture = cv2.copyMakeBorder(picture, 0, 0, 0, room, cv2.BORDER_CONSTANT, value=(32,) * 3)
    return np.concatenate([picture, sheet])
