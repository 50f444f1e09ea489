"""WFLW's layout for faces that are made: 98 points from the 68, six attributes, the lists.

    ROOT/WFLW_images/SUBSET/NAME.jpg
    ROOT/WFLW_annotations/list_98pt_rect_attr_train_test/list_98pt_rect_attr_{train,test}.txt
    ROOT/WFLW_annotations/list_98pt_test/list_98pt_test_{largepose,…}.txt

Wu et al., "Look at Boundary: A Boundary-Aware Face Alignment Algorithm", CVPR 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from scipy.interpolate import CubicSpline

from senet_landmark.data_tools.datasets.wflw import ATTRIBUTES
from senet_landmark.face.schemes import SCHEMES
from senet_landmark.io.files import write_bytes

LARGE_POSE = 20.0
"""Yaw in degrees from which a made face counts as a large pose; none is beyond 35."""
OPEN_MOUTH = 0.25
"""Height of the open mouth, as a share of its width, from which it counts as an expression."""
SHARE = 0.15
"""Share of the faces that get each of the other attributes."""

_FILE_NAMES = {"large_pose": "largepose", "make_up": "makeup"}
"""Attribute -> its name in a file's name, where that is another."""

_LOWER_BROW = np.array([(0.302, 0.142), (0.290, 0.067), (0.269, -0.003), (0.247, -0.065)])
"""Lower edge of a brow from its inner end outwards. Each point is a step from a point of the upper
edge: shares of the way to the eye's centre, and of the brow from its outer to its inner end. These
are least squares over WFLW's list of large poses, to about 1% of the face's diagonal."""


def points_98(points: np.ndarray) -> np.ndarray:
    """The 98 points of WFLW on the curves through the 68 of 300W.

    The 68 stay as they are: `scheme_conversion.convert` gives them back. New are: the points midway
    between those of the jaw and of the eyelids, on a cubic spline through the contour; the lower
    edge of the brows, which the 68 do not have, at the thickness that brows have in WFLW (see
    `_LOWER_BROW`); and the pupils, at the centre of the eye's outline, so that the eyes look ahead.

    Args:
      points: [68, 2] in any unit.

    Returns:
      [98, 2], float64, in the same unit.
    """
    p = np.asarray(points, np.float64)
    left, right = (p[list(eye)].mean(axis=0) for eye in SCHEMES["300w_68"].eyes)
    # Inwards along the upper edge; without its outer end, which has no point below.
    lower_left = _lower_brow(p[17:22], left)
    lower_right = _lower_brow(p[26:21:-1], right)
    return np.concatenate(
        [
            _between(p[0:17], range(16)),
            *(p[17:22], lower_left, p[22:27], lower_right[::-1]),
            *(p[27:31], p[31:36]),
            *(_eye(p[36:42]), _eye(p[42:48])),
            *(p[48:60], p[60:68]),
            *([left], [right]),
        ]
    )


def _lower_brow(upper: np.ndarray, eye: np.ndarray) -> np.ndarray:
    """Four points below those of a brow [5, 2], from its inner end; `upper` begins outside."""
    starts = upper[:0:-1]
    down, along = _LOWER_BROW.T[:, :, None]
    return starts + down * (eye - starts) + along * (upper[-1] - upper[0])


def _eye(outline: np.ndarray) -> np.ndarray:
    """An eye of 6 points with one more in the middle of each lid: 8 points."""
    upper = _between(outline[:4], [1])
    lower = _between(outline[[3, 4, 5, 0]], [1])
    return np.concatenate([upper, lower[1:-1]])


def _between(curve: np.ndarray, gaps: Sequence[int]) -> np.ndarray:
    """A curve [N, 2] with a point more in the middle of these gaps; gap i follows point i."""
    steps = np.linalg.norm(np.diff(curve, axis=0), axis=1)
    # Points that coincide, as on a closed eye, are a little apart for the spline.
    at = np.concatenate([[0], np.cumsum(np.maximum(steps, 1e-6 * max(steps.sum(), 1.0)))])
    middles = [(at[gap] + at[gap + 1]) / 2 for gap in gaps]
    order = np.argsort([*at, *middles], kind="stable")
    return np.concatenate([curve, CubicSpline(at, curve)(middles)])[order]


def with_attributes(
    picture: np.ndarray, points: np.ndarray, yaw: float, rng: np.random.Generator
) -> tuple[np.ndarray, dict[str, int]]:
    """Gives a made face WFLW's attributes: dims, paints, covers or blurs a share of the faces.

    Args:
      picture: RGB uint8 [H, W, 3].
      points: the 98 points in its pixels.
      yaw: degrees.
      rng: decides which of the faces.

    Returns:
      The changed picture, and the six attributes, 0 or 1 each, which are true of it.
    """
    illumination, make_up, occlusion, blur = (rng.random(4) < SHARE).tolist()
    low, extent = points.min(axis=0), np.ptp(points, axis=0)
    picture = picture.copy()
    if make_up:
        _paint_lips(picture, points, rng.uniform([150, 0, 20], [230, 40, 110]))
    if occlusion:
        # A quarter to a third of the face, at any of its sides.
        size = extent * rng.uniform(0.5, 0.6, 2)
        corner = low + rng.integers(0, 2, 2) * (extent - size)
        first, last = np.rint([corner, corner + size]).astype(int).tolist()
        cv2.rectangle(picture, first, last, rng.uniform(0, 255, 3).tolist(), -1)
    if illumination:
        picture = np.rint(picture * np.float32(rng.uniform(0.3, 0.4))).astype(np.uint8)
    if blur:
        picture = cv2.GaussianBlur(picture, (0, 0), float(extent.mean() * rng.uniform(0.02, 0.04)))
    mouth_width = np.linalg.norm(points[82] - points[76])
    values = {
        "large_pose": abs(yaw) >= LARGE_POSE,
        "expression": np.linalg.norm(points[94] - points[90]) > OPEN_MOUTH * mouth_width,
        "illumination": illumination,
        "make_up": make_up,
        "occlusion": occlusion,
        "blur": blur,
    }
    return picture, {name: int(values[name]) for name in ATTRIBUTES}


def _paint_lips(picture: np.ndarray, points: np.ndarray, colour: np.ndarray) -> None:
    mask = np.zeros(picture.shape[:2], np.uint8)
    lips = [np.rint(points[part]).astype(np.int32) for part in (slice(76, 88), slice(88, 96))]
    cv2.fillPoly(mask, lips, 255)
    share = cv2.GaussianBlur(mask, (0, 0), 1).astype(np.float32)[..., None] / 255 * 0.75
    picture[:] = np.rint(picture + share * (colour - picture)).astype(np.uint8)


def line_of(points: np.ndarray, attributes: dict[str, int], photo: str) -> str:
    """A line of the `rect_attr` lists: 196 numbers, the points' box, six attributes, the photo."""
    numbers = [f"{value:.6f}" for value in points.ravel()]
    box = np.rint([*points.min(axis=0), *points.max(axis=0)]).astype(int)
    return " ".join([*numbers, *map(str, box), *(str(attributes[n]) for n in ATTRIBUTES), photo])


def write_lists(root: Path, lines: Sequence[str], test: int) -> None:
    """Writes the lists of a tree.

    Args:
      root: the tree.
      lines: one of `line_of` for each face.
      test: how many of the last ones are for testing.
    """
    folder = root / "WFLW_annotations"
    train_lines, test_lines = lines[: len(lines) - test], lines[len(lines) - test :]
    for split, part in (("train", train_lines), ("test", test_lines)):
        name = f"list_98pt_rect_attr_{split}.txt"
        _write(folder / "list_98pt_rect_attr_train_test" / name, part)
    _write(folder / "list_98pt_test" / "list_98pt_test.txt", map(_short, test_lines))
    for column, attribute in enumerate(ATTRIBUTES, 200):
        name = f"list_98pt_test_{_FILE_NAMES.get(attribute, attribute)}.txt"
        chosen = [_short(line) for line in test_lines if line.split(" ", 206)[column] == "1"]
        _write(folder / "list_98pt_test" / name, chosen)


def _short(line: str) -> str:
    """The points and the photo alone."""
    fields = line.split(" ", 206)
    return " ".join([*fields[:196], fields[206]])


def _write(path: Path, lines: Sequence[str] | map[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, "".join(f"{line}\n" for line in lines).encode())
