"""Makes a photo of a face a surface that can be turned out of plane ("face profiling").

Source: Zhu et al., "Face Alignment Across Large Poses", CVPR 2016, section 5. There a 3D morphable
model gives the depth. Here it comes from the mean 3D landmarks, and from depths set by hand between
and around them (ears, skull, neck).

One mesh serves all photos: the landmarks, lines from the jaw inwards (on which the visible contour
of a turned face lies), a grid over the head, and rings from the head's outline to the photo's
border. It is fitted to a photo so that in x and y every landmark lies on its annotation; its depth
follows from the fitted pose. Turning moves the head; the rings stretch the background with it, so
that no hole opens and the border does not move.

Two coordinate systems: photo pixels, and the face frame of `senet_landmark.face.pose` (x right, y
down, z away from the camera; origin between the outer eye corners, whose distance is 1).
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.interpolate import RBFInterpolator
from scipy.spatial import Delaunay

from senet_landmark.data_tools.synthesis.piecewise import draw_labels, far_to_near, photo_maps
from senet_landmark.errors import InputError
from senet_landmark.face.pose import (
    MEAN_FACE_3D,
    STABLE_POINTS,
    pose_from_landmarks,
    rotation_matrix,
)
from senet_landmark.face.schemes import get_scheme

Pose = tuple[float, float, float]
"""(yaw, pitch, roll) in degrees."""

PIVOT = np.array([0.0, 0.4, 0.5])
"""The point (face frame) around which a head turns: it does not move in the photo."""

# Depth of parts without landmarks: x (for both sides), y, z in the face frame, set by hand: cheeks,
# chin and forehead from the proportions of a MediaPipe face mesh, the skull as an ellipsoid, the
# rest by eye.
_DEPTHS = np.array(
    [
        # beside the nose, cheeks
        [0.16, 0.06, -0.15], [0.15, 0.22, -0.21], [0.22, 0.19, -0.14], [0.22, 0.40, -0.16],
        [0.28, 0.48, -0.13], [0.35, 0.57, -0.09], [0.45, 0.30, -0.06], [0.42, 0.50, -0.05],
        [0.50, 0.45, 0.02], [0.60, 0.27, 0.11], [0.59, 0.41, 0.14], [0.68, 0.13, 0.29],
        [0.69, 0.30, 0.33], [0.53, 0.72, 0.13], [0.62, 0.74, 0.33], [0.45, 0.85, 0.06],
        [0.56, 0.86, 0.30], [0.33, 0.92, -0.03], [0.40, 1.01, 0.05], [0.30, 1.05, -0.03],
        # chin, below it
        [0.00, 0.98, -0.17], [0.00, 1.10, -0.16], [0.00, 1.20, -0.15], [0.20, 1.00, -0.10],
        [0.21, 1.14, -0.07], [0.00, 1.42, 0.30], [0.25, 1.38, 0.32], [0.45, 1.29, 0.42],
        # forehead
        [0.00, -0.20, -0.28], [0.00, -0.36, -0.27], [0.00, -0.52, -0.23], [0.29, -0.36, -0.22],
        [0.43, -0.35, -0.13], [0.34, -0.50, -0.15], [0.53, -0.30, -0.02], [0.48, -0.46, -0.03],
        [0.60, -0.40, 0.10], [0.68, -0.31, 0.24], [0.72, -0.18, 0.36], [0.67, -0.02, 0.20],
        # ears, hair
        [0.88, 0.30, 0.86], [0.92, 0.05, 0.90], [0.86, -0.25, 0.76], [0.00, -0.78, -0.07],
        [0.35, -0.75, 0.03], [0.65, -0.70, 0.36], [0.80, -0.55, 0.66], [0.00, -1.06, 0.22],
        [0.45, -1.02, 0.46], [0.62, -0.95, 0.76], [0.00, -1.22, 0.45],
        # neck
        [0.00, 1.60, 0.45], [0.35, 1.55, 0.52], [0.66, 1.25, 0.72], [0.80, 0.95, 0.82],
    ]
)  # fmt: skip
# The head's outline, from the top of the hair to the neck; convex.
_OUTLINE = np.array(
    [
        [0.00, -1.40, 0.70], [0.45, -1.30, 0.85], [0.85, -1.00, 1.10], [1.10, -0.50, 1.35],
        [1.18, 0.00, 1.40], [1.13, 0.50, 1.30], [1.02, 1.00, 1.10], [0.90, 1.40, 0.90],
        [0.70, 1.80, 0.75], [0.35, 1.97, 0.65], [0.00, 2.00, 0.60],
    ]
)  # fmt: skip
_BODY_Y = (1.36, 2.0)
"""Range of y over which the turn of the head fades out; the shoulders below keep still."""
_SPACING = 0.08
_PROBES = 9
_RINGS = 4
_JUMP = 6
"""Two neighbouring pixels whose positions in the photo differ by more pixels are an edge."""


@dataclass(frozen=True)
class Template:
    """The mean head: V vertices; each photo adds _RINGS * L ring vertices of its own.

    Vertices 0-67 are the landmarks. The mesh is symmetric.
    """

    points: np.ndarray  # [V, 3] face frame
    triangles: np.ndarray  # [T, 3] vertex indices
    background: np.ndarray  # [T] bool: between the head's outline and the border
    outline: np.ndarray  # [L] vertices around the head, in order
    probes: np.ndarray  # [17, _PROBES + 1]: vertices on the line from each jaw point inwards
    still: np.ndarray  # [V] 0 (turns with the head) to 1 (keeps still)


@dataclass(frozen=True)
class FittedFace:
    """The mesh fitted to a photo."""

    source: np.ndarray  # [N, 2] pixels of the photo, ring vertices included
    depth: np.ndarray  # [V] pixels away from the camera, 0 at the face frame's origin
    pose: Pose
    scale: float  # pixels a unit of the face frame
    origin: np.ndarray  # [2] pixels, position of the face frame's origin
    size: tuple[int, int]  # width, height of the photo
    misfit: float  # RMS distance of the landmarks from the mean face's, units of the face frame


@functools.cache
def load_template() -> Template:
    """Builds the mesh; cached, so once a process."""
    landmarks = MEAN_FACE_3D.astype(np.float64)
    jaw = landmarks[:17]
    between = np.concatenate([jaw[:-1] + t * np.diff(jaw, axis=0) for t in (0.33, 0.67)])
    mirror = np.array([-1.0, 1.0, 1.0])
    anchors = np.concatenate(
        [landmarks, between, *(a[a[:, 0] >= 0] for a in (_DEPTHS, _OUTLINE)),
         *(a[a[:, 0] > 0] * mirror for a in (_DEPTHS, _OUTLINE))]
    )  # fmt: skip
    depth = RBFInterpolator(anchors[:, :2], anchors[:, 2], kernel="linear")

    # Only the half with x > 0 is made and then mirrored, so that mirrored photos turn equally.
    steps = np.linspace(0, 1, _PROBES + 1)[1:, None]
    lines = []
    for i in range(10, 17):
        # Towards the nose; at the height of the eyes only up to their corners.
        end = np.array([landmarks[i, 0] * (0.72 if i == 16 else 0.5), landmarks[i, 1]])
        lines.append(landmarks[i, :2] + steps * (end - landmarks[i, :2]))
    t = np.linspace(0, 1, 4)[:-1, None]
    rim = np.concatenate([a + t * (b - a) for a, b in itertools.pairwise(_OUTLINE)])
    fixed = np.concatenate([*lines, between[between[:, 0] > 0, :2], rim[1:, :2]])
    middle = np.concatenate([rim[:1, :2], _OUTLINE[-1:, :2]])
    grid = _grid(np.concatenate([landmarks[:, :2], fixed, middle]))
    side, middle = (
        np.concatenate([fixed, grid[grid[:, 0] > 0]]),
        np.concatenate([middle, grid[grid[:, 0] == 0]]),
    )
    flat = np.concatenate([landmarks[:, :2], side, side * mirror[:2], middle])
    z = depth(flat)
    z[:68] = landmarks[:, 2]

    right, left = 68 + np.arange(len(side)), 68 + len(side) + np.arange(len(side))
    twin = np.arange(len(flat))
    twin[:68], twin[right], twin[left] = get_scheme("300w_68").mirror_index, left, right
    half = np.flatnonzero(flat[:, 0] >= 0)
    triangles = half[Delaunay(flat[half]).simplices]
    triangles = np.concatenate([triangles, twin[triangles]])

    probes = np.tile(np.arange(17)[:, None], (1, _PROBES + 1))
    for number, i in enumerate(range(10, 17)):
        probes[i, 1:] = right[number * _PROBES : (number + 1) * _PROBES]
        probes[16 - i] = twin[probes[i]]
    first = len(fixed) - len(rim) + 1
    around = right[first : first + len(rim) - 1]
    top, bottom = 68 + 2 * len(side), 68 + 2 * len(side) + 1
    outline = np.concatenate([[top], around, [bottom], twin[around][::-1]])

    rings = [outline, *(len(flat) + np.arange(_RINGS * len(outline)).reshape(_RINGS, -1))]
    strips = []
    for inner, outer in itertools.pairwise(rings):
        here, there = np.arange(len(outline)), np.roll(np.arange(len(outline)), -1)
        strips += [
            np.stack([inner[here], outer[here], inner[there]], axis=1),
            np.stack([inner[there], outer[here], outer[there]], axis=1),
        ]
    t = np.clip((flat[:, 1] - _BODY_Y[0]) / (_BODY_Y[1] - _BODY_Y[0]), 0, 1)
    strip = np.concatenate(strips)
    return Template(
        points=np.column_stack([flat, z]),
        triangles=np.concatenate([triangles, strip]),
        background=np.repeat([False, True], [len(triangles), len(strip)]),
        outline=outline,
        probes=probes,
        still=t * t * (3 - 2 * t),
    )


def _grid(fixed: np.ndarray) -> np.ndarray:
    """Grid points with x >= 0 inside the outline, at a distance from `fixed` points."""
    x, y = np.arange(0, 1.2, _SPACING), np.arange(-1.4, 2.0, _SPACING)
    points = np.stack(np.meshgrid(x, y), -1)
    points[1::2, 1:, 0] -= _SPACING / 2
    points = points.reshape(-1, 2)
    polygon = _OUTLINE[:, :2].astype(np.float32)
    polygon = np.concatenate([polygon, polygon[::-1] * np.array([-1, 1], np.float32)])
    inside = [cv2.pointPolygonTest(polygon, p, True) > 0.04 for p in points]
    distance = np.linalg.norm(points[:, None] - fixed[None], axis=2).min(axis=1)
    return points[(distance > 0.045) & inside]


def fit_face(landmarks: np.ndarray, size: tuple[int, int]) -> FittedFace:
    """Fits the mesh to a photo.

    Args:
      landmarks: [68, 2] pixels; the jaw follows the visible contour.
      size: (width, height) of the photo in pixels.

    Raises:
      InputError: a landmark is not finite, or no pose can be fitted.
    """
    mesh, points = load_template(), np.asarray(landmarks, np.float64)
    if points.shape != (68, 2):
        raise InputError(f"Landmarks must be [68, 2], not {points.shape}.")
    if not np.isfinite(points).all():
        raise InputError("Landmarks hold NaN or infinity.")
    try:
        pose = pose_from_landmarks(points)
    except (ValueError, np.linalg.LinAlgError) as error:
        raise InputError(f"No pose can be fitted to the landmarks: {error}.") from error
    rotation = rotation_matrix(*pose)
    head = mesh.points @ rotation.T
    stable, flat = points[STABLE_POINTS], head[STABLE_POINTS, :2]
    centred = flat - flat.mean(axis=0)
    scale = float((centred * (stable - stable.mean(axis=0))).sum() / (centred**2).sum())
    origin = stable.mean(axis=0) - scale * flat.mean(axis=0)
    if not scale > 1:
        raise InputError("Landmarks do not look like a face: the mean face fits at no size.")

    # Thin-plate splines over the mean face: residuals at the landmarks, zero at the outline.
    controls = np.concatenate([_contour_vertices(mesh, pose), np.arange(17, 68), mesh.outline[::3]])
    residual = np.zeros((len(controls), 2))
    residual[:68] = points - (scale * head[controls[:68], :2] + origin)
    flat = mesh.points[:, :2]
    bend = RBFInterpolator(flat[controls], residual, kernel="thin_plate_spline")
    source = scale * head[:, :2] + origin + bend(flat)
    source = np.concatenate([source, _rings(source[mesh.outline], scale, size)])
    # Rounded, because the last bits depend on the number of threads of a matrix product.
    return FittedFace(
        source=source.round(4),
        depth=(scale * head[:, 2]).round(4),
        pose=pose,
        scale=scale,
        origin=origin,
        size=size,
        misfit=float(np.sqrt((residual[:68] ** 2).sum(axis=1).mean()) / scale),
    )


def turn_face(face: FittedFace, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
    """Turns the face to `pose`; returns positions [N, 2] in pixels and depths [N] of vertices."""
    mesh = load_template()
    count = len(mesh.points)
    before, after = rotation_matrix(*face.pose), rotation_matrix(*pose)
    pivot = face.scale * before @ PIVOT
    shape = np.column_stack([face.source[:count] - face.origin, face.depth])
    turned = (shape - pivot) @ (after @ before.T).T + pivot
    turned += mesh.still[:, None] * (shape - turned)
    moved = (turned - shape)[mesh.outline, :2]
    # Each ring follows the outline less than the one before; the last one does not move.
    share = 1 - np.arange(1, _RINGS + 1) / _RINGS
    rings = face.source[count:] + (share[:, None, None] * moved).reshape(-1, 2)
    points = np.concatenate([turned[:, :2] + face.origin, rings])
    depth = np.concatenate([turned[:, 2], np.full(len(rings), turned[:, 2].max())])
    return points.round(4), depth.round(4)


def origin_of(face: FittedFace, pose: Pose) -> np.ndarray:
    """Position [2] in pixels of the face frame's origin when the face is turned to `pose`."""
    pivot = face.scale * (rotation_matrix(*face.pose) @ PIVOT)
    shift = pivot - face.scale * (rotation_matrix(*pose) @ PIVOT)
    return face.origin + shift[:2]


def landmarks_of(points: np.ndarray, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks [68, 2] of a turned mesh: the jaw on the visible contour, and the true jaw.

    Args:
      points: [N, 2] pixels, from `turn_face`.
      pose: the pose that the face was turned to.
    """
    contour = points[:68].copy()
    contour[:17] = points[_contour_vertices(load_template(), pose)]
    return contour, points[:68].copy()


def draw_face(
    photo: np.ndarray, face: FittedFace, points: np.ndarray, depth: np.ndarray
) -> np.ndarray:
    """Draws the photo with the mesh moved to `points`; RGB uint8 [height, width, 3].

    Args:
      photo: RGB uint8 [height, width, 3].
      face: the mesh fitted to the photo.
      points, depth: positions [N, 2] and depths [N] of the vertices, from `turn_face`.
    """
    mesh = load_template()
    corners = points[mesh.triangles]
    behind = depth[mesh.triangles].mean(axis=1)
    behind[mesh.background] += 2 * np.ptp(depth) + 1
    order = far_to_near(corners, behind, face.size)
    labels = draw_labels(corners, order, face.size)
    same = np.array([[1, 0], [0, 1], [0, 0]])
    maps = photo_maps(labels, corners, face.source[mesh.triangles], order, same)
    picture = cv2.remap(photo, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return _soften_edges(picture, maps[0])


def _soften_edges(picture: np.ndarray, photo_pixels: np.ndarray) -> np.ndarray:
    """Blurs, in place, the edges where one part hides another; they are drawn in whole pixels.

    Such sharp edges occur in no photo, and would show a network where the contour is.

    Args:
      picture: uint8 [height, width, 3].
      photo_pixels: int16 [height, width, 2], position in the photo of each pixel.
    """
    smooth = np.full(photo_pixels.shape[:2], 255, np.uint8)
    limits = (-_JUMP, -_JUMP), (_JUMP, _JUMP)
    smooth[1:] &= cv2.inRange(cv2.subtract(photo_pixels[1:], photo_pixels[:-1]), *limits)
    smooth[:, 1:] &= cv2.inRange(cv2.subtract(photo_pixels[:, 1:], photo_pixels[:, :-1]), *limits)
    # Each jump is marked at the pixel after it; the pixel before it belongs to the edge too.
    smooth = cv2.erode(smooth, np.ones((2, 2), np.uint8), anchor=(0, 0))
    cv2.copyTo(cv2.GaussianBlur(picture, (3, 3), 0.8), cv2.bitwise_not(smooth), picture)
    return picture


def _contour_vertices(mesh: Template, pose: Pose) -> np.ndarray:
    """The vertices [17] that form the visible jaw contour of the mean face in a pose.

    Landmark marching: the outermost point of a line of constant height (Zhu et al., "High-Fidelity
    Pose and Expression Normalization for Face Recognition in the Wild", CVPR 2015).
    """
    projection = rotation_matrix(*pose)[:2]
    down = projection[:, 1] / np.linalg.norm(projection[:, 1])
    across = mesh.points[mesh.probes] @ (down[1] * projection[0] - down[0] * projection[1])
    across[8:] *= -1
    return mesh.probes[np.arange(17), across.argmin(axis=1)]


def _rings(outline: np.ndarray, scale: float, size: tuple[int, int]) -> np.ndarray:
    """Ring vertices [_RINGS * L, 2] on rays from the head's outline [L, 2] to the photo's border.

    If the border is far away the rings end before it; if it cuts the head they go beyond it.
    """
    centre = outline.mean(axis=0)
    rays = outline - centre
    limits = np.where(rays > 0, np.array(size) - 0.5 - centre, centre + 0.5)
    share = (np.maximum(limits, 0) / np.maximum(np.abs(rays), 1e-9)).min(axis=1)
    share = np.clip(share, 1 + 0.15 * scale / np.linalg.norm(rays, axis=1), 3)[:, None]
    steps = (np.arange(1, _RINGS + 1) / _RINGS)[:, None, None]
    return (centre + rays * (1 + steps * (share - 1))).reshape(-1, 2)
