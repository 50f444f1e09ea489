"""Draws the mesh of `mesh.py`, reshaped and turned, with one dense map a picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from senet_landmark.data_tools.synthesis.mesh import Mesh, doubled_area
from senet_landmark.data_tools.synthesis.piecewise import draw_labels, far_to_near, photo_maps
from senet_landmark.face.depth import centred
from senet_landmark.face.pose import rotation_matrix

_BODY_Y = (1.36, 2.1)
"""Range of y over which the turn of the head fades out; the shoulders below keep still."""
_NECK = np.array([0.0, 1.6, 0.75])
"""The point (face frame) that head and body have in common."""
_NOWHERE = np.array([[0, 0], [0, 0], [-1000, -1000]])
"""Affine map for pixels without a triangle: to a point outside the portrait."""


@dataclass(frozen=True)
class Drawing:
    """A drawing of a turned face, `size` x `size` pixels."""

    image: np.ndarray  # [size, size, 3] uint8 RGB; undefined outside the person
    regions: np.ndarray  # [size, size, 4] uint8: skin, hair, clothes, person
    mouth_gap: np.ndarray  # [size, size] bool
    mouth: np.ndarray  # [size, size] bool
    normals: np.ndarray  # [size / 5, size / 5, 3] float32, unit, towards the camera (z < 0)
    contour_points: np.ndarray  # [68, 2] pixels, jaw on the visible contour
    jaw_points: np.ndarray  # [68, 2] pixels, true jaw
    jaw_depth: np.ndarray  # [68] pixels, depth of `jaw_points` (`senet_landmark.face.depth`)


def draw(
    mesh: Mesh,
    face: np.ndarray,
    pose: tuple[float, float, float],
    scale: float,
    centre: np.ndarray,
    size: int,
) -> Drawing:
    """Draws the mesh, seen by a scaled-orthographic camera.

    Args:
      mesh: the mesh of the portrait.
      face: [V, 3], positions of the vertices in the face frame.
      pose: yaw, pitch, roll in degrees, as in `senet_landmark.face.pose`.
      scale: pixels a unit of the face frame (the distance of the outer eye corners).
      centre: [2] pixels, position of the face frame's origin in the drawing.
      size: width and height of the drawing in pixels.
    """
    turned = _turn(mesh, face, pose) * scale
    points = turned[:, :2] + centre
    corners = points[mesh.triangles]
    # The inside of the mouth lies behind the lips, and the gap behind the teeth.
    behind = turned[mesh.triangles, 2].mean(axis=1) + scale * (0.3 * mesh.mouth)
    behind += scale * 0.05 * mesh.mouth_gap
    order = far_to_near(corners, behind, (size, size))
    # Where the lower lip covers the teeth there is no gap: its triangles are turned over.
    turned_over = mesh.mouth_gap & (doubled_area(corners) * mesh.turning <= 0)
    order = order[~turned_over[order]]
    labels = draw_labels(corners, order, (size, size))
    source = mesh.source[mesh.triangles]
    fixed, fraction = photo_maps(labels, corners, source, order, _NOWHERE)
    edge = cv2.BORDER_REPLICATE
    image = cv2.remap(mesh.image, fixed, fraction, cv2.INTER_LINEAR, borderMode=edge)
    regions = cv2.remap(mesh.regions, fixed, fraction, cv2.INTER_LINEAR, borderMode=edge)
    regions[labels < 0] = 0

    sides = np.diff(turned[mesh.triangles], axis=1)
    normals = np.cross(sides[:, 0], sides[:, 1])
    normals *= -np.sign(normals[:, 2:] + 1e-12)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
    flat = np.append(normals, [[0, 0, -1]], axis=0).astype(np.float32)
    clear = np.zeros(1, bool)
    return Drawing(
        image=image,
        regions=regions,
        mouth_gap=np.append(mesh.mouth_gap, clear).take(labels),
        mouth=np.append(mesh.mouth, clear).take(labels),
        normals=flat[labels[::5, ::5]],
        contour_points=_visible_contour(mesh, points, pose),
        jaw_points=points[:68].copy(),
        jaw_depth=centred(turned[:68, 2]),
    )


def project_landmarks(
    mesh: Mesh, face: np.ndarray, pose: tuple[float, float, float], scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks of `draw` with `centre` (0, 0): on the visible contour, and on the true jaw."""
    points = (_turn(mesh, face, pose) * scale)[:, :2]
    return _visible_contour(mesh, points, pose), points[:68].copy()


def _turn(mesh: Mesh, face: np.ndarray, pose: tuple[float, float, float]) -> np.ndarray:
    """Turns the head by `pose`; the shoulders follow part of the roll and a little of the yaw."""
    yaw, pitch, roll = pose
    head, body = rotation_matrix(yaw, pitch, roll), rotation_matrix(0.2 * yaw, 0, 0.7 * roll)
    t = np.clip((mesh.face[:, 1:2] - _BODY_Y[0]) / (_BODY_Y[1] - _BODY_Y[0]), 0, 1)
    weight = t * t * (3 - 2 * t)
    below = (face - _NECK) @ body.T + head @ _NECK
    return (1 - weight) * (face @ head.T) + weight * below


def _visible_contour(
    mesh: Mesh, points: np.ndarray, pose: tuple[float, float, float]
) -> np.ndarray:
    """The 68 points, with the jaw moved to the visible contour (landmark marching).

    Source: Zhu et al., "High-Fidelity Pose and Expression Normalization for Face Recognition in
    the Wild", CVPR 2015: the contour point of a line of constant height is its outermost point.
    """
    result = points[:68].copy()
    outwards = np.array([np.cos(np.radians(pose[2])), np.sin(np.radians(pose[2]))])
    for side, jaw in ((-1, range(0, 8)), (1, range(9, 17))):
        for i in jaw:
            line = points[mesh.probes[i]]
            result[i] = line[np.argmax(side * (line @ outwards))]
    return result
