"""The portrait of `synthetic_tree.py`, annotated and made into a 3D mesh.

The vertices are the 68 landmarks, a few lip and teeth points set by hand, probe lines from the jaw
inwards, on which the visible contour of a turned face is searched, and a grid. The vertices move
the pixels, and the landmarks are vertices: so the annotation of a drawn face is exact.

Two coordinate systems: portrait pixels, and the face frame of `senet_landmark.face.pose` (x right,
y down, z away from the camera; origin between the outer eye corners, whose distance is 1).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from scipy.interpolate import RBFInterpolator
from scipy.spatial import Delaunay

from senet_landmark.face.pose import (
    MEAN_FACE_3D,
    STABLE_POINTS,
    pose_from_landmarks,
    rotation_matrix,
)
from senet_landmark.io.images import read_photo

_ASSETS = Path(__file__).parent / "assets"

# Inner border of the portrait's lips between landmarks 60-61, 63-64 (upper) and 60-67, 65-64
# (lower), in portrait pixels: the lips are curved there, and a straight edge would cut the teeth.
_UPPER_LIP = np.array([[209.5, 140.9], [236.5, 141.9]])
_LOWER_LIP = np.array(
    [[206.3, 142.7], [210.0, 145.9], [213.2, 147.4], [233.6, 147.3], [236.8, 146.0], [240.2, 144.0]]
)
# Lower edge of the upper teeth: it moves with the upper lip when the mouth opens.
_TEETH = np.array(
    [[206.9, 141.6], [210.5, 144.6], [213.4, 146.1], [216.4, 147.2], [222.7, 147.9],
     [229.5, 147.1], [233.2, 146.1], [236.3, 144.8], [239.7, 142.9]]
)  # fmt: skip

# Depth of parts without landmarks: x (for both sides), y, z in the face frame, set by eye.
_ANCHORS = np.array(
    [
        # cheeks, chin, forehead
        [0.40, 0.36, 0.00], [0.60, 0.28, 0.17], [0.55, 0.62, 0.18], [0.42, 0.88, 0.14],
        [0.00, 1.15, -0.10], [0.00, -0.45, -0.10], [0.30, -0.42, -0.04], [0.55, -0.33, 0.14],
        # ears, hair
        [0.86, 0.35, 0.85], [0.00, -0.75, 0.02], [0.40, -0.75, 0.12], [0.00, -1.30, 0.55],
        [0.50, -1.15, 0.60], [0.85, -0.80, 0.70], [1.10, -0.30, 0.95], [1.10, 0.05, 1.00],
        # neck, shoulders, backdrop
        [0.60, 1.20, 0.75], [0.00, 1.50, 0.55], [0.50, 1.70, 0.75], [1.60, 1.90, 0.90],
        [0.00, 2.40, 0.80], [3.00, 4.00, 0.90], [0.00, 5.00, 0.90], [0.00, -2.20, 1.20],
        [1.70, -1.80, 1.20], [2.20, 0.00, 1.20], [4.50, -3.00, 1.20], [6.00, 6.00, 1.20],
    ]
)  # fmt: skip
UPPER_LIP = np.array([60, 68, 61, 62, 63, 69, 64])
"""Vertices of the upper lip's inner border, corner to corner."""
LOWER_LIP = np.array([60, 70, 71, 72, 67, 66, 65, 73, 74, 75, 64])
"""Vertices of the lower lip's inner border, corner to corner."""
TEETH = np.arange(76, 85)
"""Vertices of the lower edge of the upper teeth."""
CONTROLS = 85
"""Number of control vertices, the first ones (landmarks, lips, teeth): their shift is chosen."""
_PROBES = 6


@dataclass(frozen=True)
class Mesh:
    """The portrait as a mesh of V vertices and T triangles.

    Vertices 0-67 are the landmarks; then come upper lip, lower lip, teeth, probe lines and grid.
    """

    image: np.ndarray  # [512, 512, 3] uint8 RGB
    regions: np.ndarray  # [512, 512, 4] uint8: skin, hair, clothes, whole person
    source: np.ndarray  # [V, 2] portrait pixels
    face: np.ndarray  # [V, 3] face frame
    triangles: np.ndarray  # [T, 3] vertex indices; without the empty backdrop
    mouth_gap: np.ndarray  # [T] bool: between the teeth and the lower lip
    mouth: np.ndarray  # [T] bool: between the lips
    turning: np.ndarray  # [T] +1 or -1: orientation of the triangles in the portrait
    spread: np.ndarray  # [V, CONTROLS]: maps shifts of the controls to all vertices
    probes: np.ndarray  # [17, N]: vertices on the line from each jaw point inwards


@functools.cache
def portrait() -> tuple[np.ndarray, np.ndarray]:
    """The portrait, RGB uint8 [512, 512, 3], and its points, float32 [68, 2], 0-based pixels.

    NASA's portrait of Eileen Collins (public domain), annotated by hand in the iBUG order. Both
    arrays are read-only.
    """
    image = read_photo(portrait_path())
    lines = portrait_path().with_suffix(".pts").read_text(encoding="ascii").splitlines()
    points = np.array([line.split() for line in lines[3:71]], dtype=np.float32) - 1
    image.setflags(write=False)
    points.setflags(write=False)
    return image, points


def portrait_path() -> Path:
    """Path of the portrait's JPEG; its annotation is the `.pts` (1-based) beside it."""
    return _ASSETS / "portrait.jpg"


@functools.cache
def load_mesh() -> Mesh:
    """Builds the mesh; cached, so once a process."""
    image, points = portrait()
    path = _ASSETS / "portrait_regions.png"
    regions = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if regions is None:
        raise ValueError(f"{path}: does not decode as a picture; install the package again")
    landmarks = points.astype(np.float64)
    rotation = rotation_matrix(*pose_from_landmarks(landmarks))
    eyes_3d = rotation @ (MEAN_FACE_3D[45] - MEAN_FACE_3D[36])
    scale = np.linalg.norm(landmarks[45] - landmarks[36]) / np.linalg.norm(eyes_3d[:2])
    origin = (landmarks[45] + landmarks[36]) / 2

    # Depth in portrait pixels: from the mean face at the landmarks, elsewhere from the anchors.
    sides = np.concatenate([_ANCHORS, _ANCHORS[_ANCHORS[:, 0] > 0] * [-1, 1, 1]])
    still = np.concatenate([_ANCHORS[8:], _ANCHORS[8:][_ANCHORS[8:, 0] > 0] * [-1, 1, 1]])
    anchors, still = sides @ rotation.T * scale, (still @ rotation.T * scale)[:, :2] + origin
    # Her eyes are wider apart than those of the mean face: depths use the scale of stable points.
    mean_face = MEAN_FACE_3D @ rotation.T
    photo_points, flat = (
        p[STABLE_POINTS] - p[STABLE_POINTS].mean(axis=0) for p in (landmarks, mean_face)
    )
    depth_scale = (photo_points * flat[:, :2]).sum() / (flat[:, :2] ** 2).sum()
    anchors[:, 2] *= depth_scale / scale
    landmark_z = mean_face[:, 2] * depth_scale
    # Extra points between those of the jaw keep its edge smooth when the head is turned.
    jaw_line = np.column_stack([landmarks, landmark_z])[:17]
    between = np.concatenate([jaw_line[:-1] + t * np.diff(jaw_line, axis=0) for t in (0.33, 0.67)])
    depth = RBFInterpolator(
        np.concatenate([landmarks, between[:, :2], anchors[:, :2] + origin]),
        np.concatenate([landmark_z, between[:, 2], anchors[:, 2]]),
        kernel="linear",
    )

    lips = np.concatenate([landmarks, _UPPER_LIP, _LOWER_LIP])
    lines: list[np.ndarray] = []
    probes = np.tile(np.arange(17)[:, None], (1, _PROBES + 1))
    for jaw in (*range(7), *range(10, 17)):
        # Towards the nose; at the height of the eyes only up to their corners.
        end = np.array([landmarks[30, 0], landmarks[jaw, 1]])
        reach = 0.24 if jaw in (0, 16) else 0.36
        steps = np.linspace(0, reach, _PROBES + 1)[1:, None]
        probes[jaw, 1:] = CONTROLS + _PROBES * len(lines) + np.arange(_PROBES)
        lines.append(landmarks[jaw] + steps * (end - landmarks[jaw]))
    fixed = np.concatenate([lips, _TEETH, *lines, between[:, :2]])
    source = np.concatenate([fixed, _grid(fixed, landmarks)])
    z = depth(source)
    z[TEETH] += 0.04 * scale
    face = np.column_stack([source - origin, z]) / scale @ rotation

    # Thin-plate splines bend smoothly from the landmarks to the points that keep still. The teeth
    # are left out: they are one pixel from the lower lip, but move differently.
    free = RBFInterpolator(np.concatenate([lips, still]), np.eye(len(lips) + len(still)))
    spread = np.zeros((len(source), CONTROLS))
    spread[:, : len(lips)] = free(source)[:, : len(lips)]
    spread[:CONTROLS] = np.eye(CONTROLS)

    triangles = Delaunay(source).simplices
    near_person = cv2.dilate(regions[..., 3], np.ones((15, 15), np.uint8)) > 0
    pixels = np.clip(np.round(source[triangles]), 0, 511).astype(int)
    triangles = triangles[near_person[pixels[..., 1], pixels[..., 0]].any(axis=1)]
    polygon = source[np.r_[UPPER_LIP, LOWER_LIP[-2:0:-1]]].astype(np.float32)
    mouth = np.array(
        [cv2.pointPolygonTest(polygon, c, False) > 0 for c in source[triangles].mean(axis=1)]
    )
    gap = mouth & np.isin(triangles, LOWER_LIP[1:-1]).any(1) & np.isin(triangles, TEETH).any(1)
    return Mesh(
        image=_bleed(image, regions[..., 3]),
        regions=regions,
        source=source,
        face=face,
        triangles=triangles,
        mouth_gap=gap,
        mouth=mouth,
        turning=np.sign(doubled_area(source[triangles])),
        spread=spread,
        probes=probes,
    )


def doubled_area(corners: np.ndarray) -> np.ndarray:
    """Twice the signed area [T] of triangles [T, 3, 2]."""
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 1]
    return first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]


def _bleed(image: np.ndarray, person: np.ndarray) -> np.ndarray:
    """Extends the person's colours over the backdrop, so that stretched edges show no rim."""
    inside = cv2.erode((person > 250).astype(np.uint8), np.ones((3, 3), np.uint8))
    _, nearest = cv2.distanceTransformWithLabels(
        1 - inside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    colours = np.zeros((nearest.max() + 1, 3), np.uint8)
    colours[nearest[inside > 0]] = image[inside > 0]
    return np.where(inside[..., None] > 0, image, cv2.GaussianBlur(colours[nearest], (0, 0), 0.7))


def _grid(fixed: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Grid points, fine over the head and coarse elsewhere, at a distance from `fixed` points."""
    fine = np.stack(np.meshgrid(np.arange(106, 346, 8.0), np.arange(2, 264, 8.0)), -1)
    coarse = np.stack(np.meshgrid(np.arange(-320, 900, 45.0), np.arange(-240, 900, 45.0)), -1)
    coarse = coarse.reshape(-1, 2)
    inside = ((coarse > [96, -8]) & (coarse < [352, 270])).all(axis=1)
    points = np.concatenate([fine.reshape(-1, 2), coarse[~inside]])
    distance = np.linalg.norm(points[:, None] - fixed[None], axis=2).min(axis=1)
    mouth = cv2.convexHull(landmarks[48:60].astype(np.float32))
    outside = np.array([cv2.pointPolygonTest(mouth, p, True) < -2 for p in points])
    return points[(distance > 4.5) & outside]
