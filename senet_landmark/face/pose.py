"""Head pose: Euler angles from landmarks, or from a 300W-LP / AFLW2000-3D `Pose_Para`.

NumPy and OpenCV only.

Axes
    x right in the image, y down, z away from the camera (right-handed, OpenCV's camera axes).

Angles, in degrees, with the signs of `Pose_Para` (which are those of every model trained on
300W-LP, e.g. Hopenet):

    yaw    > 0  the face turns towards the left edge of the image (its own right); range +-90
    pitch  > 0  the face looks up; range +-180, in photos +-90
    roll   > 0  the head leans clockwise as seen in the image: the eye on the image's right is
                the lower one; range +-180

A head rotated by them is `rotation_matrix(yaw, pitch, roll) @ X` with
`R = Rx(-pitch) @ Ry(yaw) @ Rz(roll)` in right-handed elementary rotations about the axes above:
the roll is applied first, as in `RotationMatrix.m` of the 300W-LP code.

Source: Zhu et al., "Face Alignment Across Large Poses: A 3D Solution", CVPR 2016. Checked against
AFLW2000-3D: after the `pt3d_68` fits are rotated back by `Pose_Para`, they agree within 1 to 2
degrees.
"""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from senet_landmark.errors import InputError
from senet_landmark.face.scheme_conversion import can_convert, convert
from senet_landmark.face.schemes import TRUE_JAW, Scheme, get_scheme

__all__ = [
    "MEAN_FACE_3D",
    "STABLE_POINTS",
    "euler_angles",
    "fitted_camera",
    "fitted_mean_face",
    "known_pose",
    "likely_face",
    "mirror_pose",
    "points_to_fit",
    "pose_from_landmarks",
    "pose_from_para",
    "pose_of",
    "pose_of_3d",
    "rotation_matrix",
    "yaw_band",
]

Pose = tuple[float, float, float]
"""(yaw, pitch, roll) in degrees."""


def _load_mean_face() -> NDArray[np.float32]:
    path = Path(__file__).parent / "assets" / "mean_face_68_3d.csv"
    points = np.loadtxt(path, delimiter=",", dtype=np.float32)
    if points.shape != (68, 3):
        raise ValueError(f"{path}: expected 68 lines of x,y,z, got shape {points.shape}")
    points.setflags(write=False)
    return points


MEAN_FACE_3D: NDArray[np.float32] = _load_mean_face()
"""The mean frontal face in iBUG order, float32 [68, 3], read-only.

Axes as above (the nose tip has z < 0). The origin is midway between the outer eye corners 36 and
45; the unit is their distance. It is the mean of the `pt3d_68` fits of 8 AFLW2000-3D photos, each
rotated back by its `Pose_Para`, aligned by generalised Procrustes analysis, averaged and made
symmetric with the mirror permutation of the 68 points. The jaw is the true 3D jaw, not the visible
contour.
"""

FLAT = 0.2
"""Points of the mean face whose extent is less than this share of their length lie about on a line:
they say nothing about pitch."""

STABLE_POINTS: NDArray[np.intp] = np.r_[17:49, 51, 54]
"""Points that a pose is fitted to: brows, nose, eyes, mouth corners and middle of the upper lip.
The jaw is left out because its 2D annotation follows the visible contour; the lower lip is left
out because it moves in speech."""

PFLD_POINTS: NDArray[np.intp] = np.r_[8, 27, 30, 31, 35, 36, 39, 42, 45, 48, 54]
"""Eleven points that PFLD's angles are fitted to: chin, root, tip and sides of the nose, corners of
eyes and mouth (Guo et al., 2019, section 3.1, which gives the number but does not name them)."""

YAW_BANDS = ((0, 30), (30, 60), (60, 90))
"""Bands of |yaw| in degrees for which results are reported (Zhu et al., CVPR 2016, section 6)."""

_FITTED_SCHEMES = ("300w_68", "cofw_29", "aflw_19", "mtfl_5")
"""Schemes that the mean face can be converted to, the best for a fit first."""

MIN_DEPTH = 0.1
"""Smallest over largest singular value of the 3D points that `pose_of` fits. The 5 points of MTFL
have 0.49. A row of eyes or brows has less than this, and its depth is smaller than the noise."""


MOST_GROWTH = 10.0
"""Steps of a fit by which the logarithm of its scale changes by more lead nowhere."""


def rotation_matrix(yaw: float, pitch: float, roll: float) -> NDArray[np.float64]:
    """The rotation of a head by angles in degrees, float64 [3, 3]; see the module's docstring.

    Raises:
      ValueError: an angle is NaN or infinite.
    """
    angles = np.radians([-pitch, yaw, roll])
    if not np.isfinite(angles).all():
        raise ValueError(f"pose angles must be finite, got {(yaw, pitch, roll)}")
    about_x, about_y, about_z = (cv2.Rodrigues(vector)[0] for vector in np.diag(angles))
    return about_x @ about_y @ about_z


def euler_angles(rotation: ArrayLike) -> Pose:
    """(yaw, pitch, roll) in degrees of a rotation matrix [3, 3]; the inverse of `rotation_matrix`.

    Yaw is returned in [-90, 90]. At yaw = +-90 pitch and roll rotate about the same axis (gimbal
    lock); roll is then returned as 0. Raises ValueError when the matrix is not a rotation.
    """
    r = np.asarray(rotation, dtype=np.float64)
    if r.shape != (3, 3):
        raise ValueError(f"rotation must have shape (3, 3), got {r.shape}")
    if not (np.abs(r @ r.T - np.eye(3)).max() <= 1e-4 and np.linalg.det(r) > 0):
        raise ValueError("not a rotation matrix: expected orthonormal rows and determinant +1")
    (xx, xy, xz), (_, yy, yz), (_, zy, zz) = r.tolist()
    cos_yaw = math.hypot(xx, xy)
    yaw = math.atan2(xz, cos_yaw)
    if cos_yaw < 1e-6:
        pitch, roll = math.atan2(-zy, yy), 0.0
    else:
        pitch, roll = math.atan2(yz, zz), math.atan2(-xy, xx)
    return math.degrees(yaw), math.degrees(pitch), math.degrees(roll)


def pose_from_para(pose_para: ArrayLike) -> Pose:
    """(yaw, pitch, roll) in degrees from a 300W-LP `Pose_Para`.

    Args:
      pose_para: [7] or [1, 7]: pitch, yaw, roll in radians, translation x, y, z, scale. A shorter
        vector of at least the three angles is accepted.

    Raises:
      ValueError: fewer than three values, or an angle that is NaN or infinite.
    """
    values = np.asarray(pose_para, dtype=np.float64).ravel()
    if values.size not in range(3, 8):
        raise ValueError(f"Pose_Para must hold 3 to 7 values, got shape {np.shape(pose_para)}")
    if not np.isfinite(values[:3]).all():
        raise ValueError(f"Pose_Para holds an angle that is not finite: {values[:3]}")
    pitch, yaw, roll = np.degrees(values[:3])
    return float(yaw), float(pitch), float(roll)


def mirror_pose(pose: ArrayLike) -> Pose:
    """(yaw, pitch, roll) in degrees of a face after its photo was mirrored left to right."""
    values = np.asarray(pose, dtype=np.float64)
    if values.shape != (3,):
        raise ValueError(f"pose must be (yaw, pitch, roll), got shape {values.shape}")
    return -float(values[0]), float(values[1]), -float(values[2])


def pose_from_landmarks(points_68: ArrayLike) -> Pose:
    """(yaw, pitch, roll) in degrees of a face with 68 landmarks, fitted to `MEAN_FACE_3D`.

    The camera is scaled-orthographic, as in 300W-LP's own fit: the result does not depend on where
    the face is in the photo, nor on the unit of the points (which must be the same along x and y).

    Args:
      points_68: [68, 2] in pixels, y down; only `STABLE_POINTS` are read.

    Raises:
      ValueError: wrong shape, a NaN or infinity, or points that coincide.
    """
    points = np.asarray(points_68, dtype=np.float64)
    if points.shape != (68, 2):
        raise ValueError(f"landmarks must have shape (68, 2), got {points.shape}")
    points = points[STABLE_POINTS]
    if not np.isfinite(points).all():
        raise ValueError("landmarks hold a NaN or an infinity")
    model = MEAN_FACE_3D[STABLE_POINTS].astype(np.float64)
    return euler_angles(_fit_scaled_orthographic(points, model)[0])


def pose_of(
    points: ArrayLike, scheme: Scheme | str, fitted: NDArray[np.intp] = STABLE_POINTS
) -> Pose:
    """(yaw, pitch, roll) in degrees of a face with the landmarks of any scheme.

    A scheme that can be converted to 68 points is fitted as in `pose_from_landmarks`. The fit to
    29, 21 and 19 points uses all of them except the ears. The pose from 5 points is coarser, above
    all for open mouths and large yaws.

    Args:
      points: [K, 2] in pixels, y down; NaN where a point is unknown. Of the points that the fit
        reads (`fitted` of 68, or all), 5 that are not in one plane must be known.
      scheme: the points' scheme, or its name.
      fitted: which of 68 points the fit reads: `STABLE_POINTS`, or `PFLD_POINTS`.

    Raises:
      InputError (a ValueError): unknown scheme, or wrong shape.
      ValueError: an infinity, too few known points, or points that coincide.
    """
    landmarks, model = points_to_fit(points, scheme, least=5, fitted=fitted)
    shape = model - model.mean(axis=0)
    spread = np.linalg.eigvalsh(shape.T @ shape)  # squares of the points' singular values
    if spread[0] < MIN_DEPTH**2 * spread[2]:
        raise ValueError(
            "the known points lie close to one plane or line of the face: no pose can be fitted"
        )
    return euler_angles(_fit_scaled_orthographic(landmarks, model)[0])


def pose_of_3d(points: ArrayLike, scheme: Scheme | str) -> Pose:
    """(yaw, pitch, roll) in degrees of a face whose landmarks have a depth.

    The rotation of the mean face that is nearest to the points, at any place and size (orthogonal
    Procrustes; Umeyama, PAMI 1991).

    Args:
      points: [K, 3] in one unit, in the axes above; NaN where a point is unknown. Of the points
        that `pose_of` reads, 4 must be known.
      scheme: the points' scheme, or its name.

    Raises:
      InputError (a ValueError): unknown scheme, or wrong shape.
      ValueError: an infinity, too few known points, or points that coincide or lie on one line.
    """
    landmarks, model = points_to_fit(points, scheme, least=4, coordinates=3)
    shape, turned = model - model.mean(axis=0), landmarks - landmarks.mean(axis=0)
    u, singular, vt = np.linalg.svd(turned.T @ shape)
    if not singular[1] > 1e-6 * max(singular[0], 1e-9):
        raise ValueError("landmarks coincide or lie on one line: no pose can be fitted")
    u[:, 2] *= np.linalg.det(u @ vt)  # a rotation, not a mirror image
    return euler_angles(u @ vt)


def known_pose(
    pose: ArrayLike,
    points: ArrayLike,
    scheme: Scheme | str,
    fitted: NDArray[np.intp] = STABLE_POINTS,
) -> Pose | None:
    """`pose` (yaw, pitch, roll in degrees) if all angles are known, else `pose_of` the landmarks.

    None where neither is known. The other arguments are those of `pose_of`; its errors give None.
    """
    yaw, pitch, roll = np.asarray(pose, np.float64).tolist()
    if np.isfinite([yaw, pitch, roll]).all():
        return yaw, pitch, roll
    try:
        return pose_of(points, scheme, fitted)
    except ValueError:
        return None


def yaw_band(yaw: float | None) -> str:
    """`0-30`, `30-60` or `60-90` for the |yaw| of a face in degrees; `unknown` for None and NaN."""
    if yaw is None or not np.isfinite(yaw):
        return "unknown"
    low, high = next((b for b in YAW_BANDS if abs(yaw) < b[1]), YAW_BANDS[-1])
    return f"{low}-{high}"


def fitted_mean_face(points: ArrayLike, scheme: Scheme | str) -> NDArray[np.float64]:
    """The 68 points of `MEAN_FACE_3D` fitted to landmarks and projected, [68, 2] in pixels.

    Args and errors are those of `pose_of`, except that 4 known points suffice: unlike the angles,
    the position and size of the face do not depend on depth.
    """
    rotation, scale, translation = fitted_camera(points, scheme)
    return scale * (MEAN_FACE_3D.astype(np.float64) @ rotation.T)[:, :2] + translation


def fitted_camera(
    points: ArrayLike, scheme: Scheme | str, fitted: NDArray[np.intp] = STABLE_POINTS
) -> tuple[NDArray[np.float64], float, NDArray[np.float64]]:
    """How `MEAN_FACE_3D` is seen where it fits landmarks best.

    Args and errors are those of `pose_of`, except that 4 known points suffice.

    Returns:
      Rotation R [3, 3], scale s in pixels and translation t [2] in pixels: a point X of the mean
      face is seen at s (R X)_xy + t.
    """
    return _fit_scaled_orthographic(*points_to_fit(points, scheme, 4, fitted))


def likely_face(points: ArrayLike, scheme: Scheme | str) -> NDArray[np.float64]:
    """The 68 points that a face with a few known landmarks may have, [68, 2] in pixels.

    Those of `fitted_mean_face`; where fewer than 4 points are known, or they lie close to a line
    (eye corners alone), those of the mean face seen from the front, moved, scaled and rolled.

    Args:
      points, scheme: as in `pose_of`.

    Raises:
      ValueError: fewer than 2 of the points that a pose is fitted to are known, or all coincide.
    """
    landmarks, model = points_to_fit(points, scheme, least=2)
    place, shape = (p[:, :2] @ (1, 1j) for p in (landmarks, model))
    extent = np.linalg.svd(model[:, :2] - model[:, :2].mean(axis=0), compute_uv=False)
    if len(model) >= 4 and extent[1] > FLAT * extent[0]:
        return fitted_mean_face(points, scheme)
    if not np.ptp(landmarks, axis=0).any():
        raise ValueError("landmarks coincide: no face can be fitted")
    around = shape - shape.mean()
    turn = np.vdot(around, place - place.mean()) / np.vdot(around, around)
    face = turn * (MEAN_FACE_3D[:, :2] @ (1, 1j) - shape.mean()) + place.mean()
    return np.stack([face.real, face.imag], axis=1)


def points_to_fit(
    points: ArrayLike,
    scheme: Scheme | str,
    least: int,
    fitted: NDArray[np.intp] = STABLE_POINTS,
    coordinates: int = 2,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The known landmarks [M, 2 or 3], and the same points of the mean face [M, 3]."""
    name = get_scheme(scheme).name if isinstance(scheme, str) else scheme.name
    whole = ("300w_68", TRUE_JAW)  # the mean face has their points
    target: str | None = name if name in whole else None
    target = target or next((other for other in _FITTED_SCHEMES if can_convert(name, other)), None)
    if target is None:
        raise InputError(f"Scheme {name} has nothing in common with the mean face: no pose.")
    landmarks = np.asarray(points, dtype=np.float64)
    if landmarks.ndim != 2 or landmarks.shape[1] != coordinates:
        raise InputError(f"Landmarks must be [K, {coordinates}], not {landmarks.shape}.")
    fit_points = convert(landmarks, name, target)
    model = MEAN_FACE_3D.astype(np.float64)
    if target not in whole:
        model = convert(model, "300w_68", target)
    else:
        fit_points, model = fit_points[fitted], model[fitted]
    if np.isinf(fit_points).any():
        raise ValueError("landmarks hold an infinity")
    known = ~np.isnan(fit_points).any(axis=1)
    if known.sum() < least:
        raise ValueError(
            f"a pose needs {least} known points of the {len(known)} that it is fitted to, got "
            f"{known.sum()}: the others are NaN"
        )
    return fit_points[known], model[known]


def _fit_scaled_orthographic(
    points: NDArray[np.float64], model: NDArray[np.float64], iterations: int = 20
) -> tuple[NDArray[np.float64], float, NDArray[np.float64]]:
    """Rotation R [3, 3], scale s and translation t [2] that minimise |s (R X)_xy + t - x|^2.

    Starts from the affine fit, made orthonormal; then Gauss-Newton on rotation and scale. The
    points enter only by their second moments, so that a step takes a few numbers, not arrays.
    """
    centre_2d, centre_3d = points.mean(axis=0), model.mean(axis=0)
    x, shape = points - centre_2d, model - centre_3d
    moments, cross_moments = shape.T @ shape, x.T @ shape
    affine = np.linalg.lstsq(moments, cross_moments.T, rcond=None)[0].T
    u, singular, vt = np.linalg.svd(affine, full_matrices=False)
    if not singular[1] > 1e-4 * max(singular[0], 1e-9):
        raise ValueError("landmarks coincide or lie on one line: no pose can be fitted")
    (a, b, c), (d, e, f) = rows = u @ vt
    rotation = np.array([*rows, (b * f - c * e, c * d - a * f, a * e - b * d)])
    scale = float(singular.mean())
    for _ in range(iterations):
        # Sums over the points of products of the rotated shape with itself and with the landmarks.
        (xx, _, xz), (_, yy, yz), (_, _, zz) = (
            scale**2 * (rotation @ moments @ rotation.T)
        ).tolist()
        (ux, uy, uz), (vx, vy, vz) = (scale * (cross_moments @ rotation.T)).tolist()
        # The normal equations for small rotations about x, y, z and the logarithm of the scale:
        # [[zz I, M], [M', (xx + yy) I]] with M = [[-xz, -yz], [-yz, xz]], and M M' is diagonal too.
        first, second, third, fourth = yz - vz, uz - xz, vx - uy, ux + vy - xx - yy
        determinant = zz * (xx + yy) - xz**2 - yz**2
        if not determinant * zz > 0:
            raise ValueError("the known points lie in one plane that is seen from its edge")
        about_z = (zz * third + xz * first + yz * second) / determinant
        growth = (zz * fourth + yz * first - xz * second) / determinant
        if not abs(growth) < MOST_GROWTH:
            raise ValueError("landmarks fit no head: they are squeezed to a line")
        about_x = (first + xz * about_z + yz * growth) / zz
        about_y = (second + yz * about_z - xz * growth) / zz
        rotation = cv2.Rodrigues(np.array([about_x, about_y, about_z]))[0] @ rotation
        scale *= math.exp(growth)
        if max(abs(about_x), abs(about_y), abs(about_z), abs(growth)) < 1e-5:
            break  # a thousandth of a degree
    return rotation, scale, centre_2d - scale * (rotation @ centre_3d)[:2]
