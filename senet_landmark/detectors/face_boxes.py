"""The box of a face from what BlazeFace says of it: its own box, and six points of the face.

BlazeFace's box is a square about the middle of the face. With the points, which show where the face
ends and how it is turned, the box of the landmarks is predicted more closely, so that fewer faces
need a second forward pass of the landmark model. The map is a polynomial of second degree, fitted
to annotated faces by `export/conversion/face_boxes.py`.
"""

import functools
from pathlib import Path

import numpy as np

from senet_landmark.face.roll import beyond_upright
from senet_landmark.io.files import read_json

WEIGHTS = Path(__file__).parent / "assets" / "blazeface_boxes.json"
"""The fitted maps: name of a network -> weights [91][4]."""

LARGEST_SHIFT, HALVES = 0.3, (0.3, 0.8)
"""How far the centre of a face's box may be from that of the network's, and half of its width and
height, in sides of the network's box. Points that are no face's would lead the map anywhere."""

_PAIRS = np.triu_indices(12)
"""Indices of the coordinates in each product of two."""


@functools.cache
def weights_of(network: str) -> np.ndarray:
    """The fitted map of a network, `blazeface_short` or `blazeface_full`: float64 [91, 4]."""
    return np.array(read_json(WEIGHTS)[network], np.float64)


def with_face_boxes(corners: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Faces with the canonical box in place of the network's.

    A face that leans, so that it is cropped upright, keeps its box in its own upright axes about
    the same centre.

    Args:
      corners: float64 [N, 8, 2], left top and right bottom of the network's box, then the points.
      weights: float64 [91, 4], of `fitted`.

    Returns:
      `corners`, the first two replaced; the points are the same.
    """
    if not len(corners):
        return corners
    rolls = np.array([beyond_upright(roll) for roll in roll_of(corners[:, 2:]).tolist()])
    middle, side = _frame(corners)
    # Points in rows: times a turn is turned back, times its transpose is turned.
    turns = _turns(rolls)
    points = ((corners[:, 2:] - middle) / side) @ turns
    low_high = (_terms(points) @ weights).reshape(-1, 2, 2)
    shift = low_high.mean(axis=1, keepdims=True).clip(-LARGEST_SHIFT, LARGEST_SHIFT)
    centre = shift @ turns.transpose(0, 2, 1)
    half = ((low_high[:, 1:] - low_high[:, :1]) / 2).clip(*HALVES)
    boxes = np.concatenate([centre - half, centre + half], axis=1) * side + middle
    return np.concatenate([boxes, corners[:, 2:]], axis=1)


def fitted(corners: np.ndarray, canonical: np.ndarray, ridge: float = 1.0) -> np.ndarray:
    """The map from detections to canonical boxes with the smallest errors, float64 [91, 4].

    It is the same for a mirrored photo. Sums of absolute errors, not of squares, are made small
    (by reweighting), so that a wrong annotation has little weight.

    Args:
      corners: float64 [N, 8, 2], upright faces, as in `with_face_boxes`.
      canonical: float64 [N, 4], the boxes of their landmarks.
      ridge: weight of the squares of the map's numbers, which keeps it tame for faces that were not
        among these.
    """
    corners = np.concatenate([corners, _mirrored(corners)])
    boxes = canonical.reshape(-1, 2, 2)
    flipped = np.stack([-boxes[:, ::-1, 0], boxes[:, :, 1]], axis=2)
    middle, side = _frame(corners)
    terms = _terms((corners[:, 2:] - middle) / side)
    wanted = ((np.concatenate([boxes, flipped]) - middle) / side).reshape(-1, 4)
    share = np.ones((len(terms), 1))
    for _ in range(5):
        normal = (terms * share).T @ terms + ridge * np.eye(terms.shape[1])
        weights = np.linalg.solve(normal, (terms * share).T @ wanted)
        share = 1 / np.maximum(np.abs(terms @ weights - wanted).max(axis=1, keepdims=True), 0.03)
    return np.asarray(weights)


def roll_of(points: np.ndarray) -> np.ndarray:
    """The roll of faces with BlazeFace's points [N, 6, 2] in pixels, degrees in [-180, 180).

    It is the direction from the right eye to the left one, together with that from the eyes to the
    mouth, turned by a quarter: in profile the eyes coincide.
    """
    across = points[:, 1] - points[:, 0]
    down = points[:, 3] - (points[:, 0] + points[:, 1]) / 2
    direction = across + np.stack([down[:, 1], -down[:, 0]], axis=1)
    angle = np.degrees(np.arctan2(direction[:, 1], direction[:, 0]))
    return np.asarray((angle + 180) % 360 - 180)


def _frame(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middle [N, 1, 2] and longer side [N, 1, 1] of the networks' boxes."""
    middle = corners[:, :2].mean(axis=1, keepdims=True)
    side = (corners[:, 1] - corners[:, 0]).max(axis=1)
    return middle, side[:, None, None]


def _terms(points: np.ndarray) -> np.ndarray:
    """One, the twelve coordinates, and their products: [N, 6, 2] -> [N, 91]."""
    flat = points.reshape(len(points), -1)
    first, second = _PAIRS
    return np.concatenate([np.ones((len(flat), 1)), flat, flat[:, first] * flat[:, second]], 1)


def _turns(degrees: np.ndarray) -> np.ndarray:
    """Rotations [N, 2, 2] of columns (x, y), clockwise in a photo."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.stack([np.stack([cos, -sin], axis=1), np.stack([sin, cos], axis=1)], axis=1)


def _mirrored(corners: np.ndarray) -> np.ndarray:
    """The faces [N, 8, 2] in mirrored photos, about the vertical through the origin."""
    swapped = corners[:, [0, 1, 3, 2, 4, 5, 7, 6]] * [-1, 1]
    swapped[:, :2, 0] = -corners[:, [1, 0], 0]
    return swapped
