"""Reads MATLAB files through SciPy, with errors that name the file; writes those of 300W-LP.

SciPy is imported inside the functions: the registry of data sets must load without it.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np

from senet_landmark.errors import InputError
from senet_landmark.face.pose import rotation_matrix

# Distance of the outer eye corners, and origin, in the units of the Basel Face Model, in which
# Pose_Para gives scale and translation: means over the fits of 8 AFLW2000-3D photos (spread: 1 %).
_BFM_UNIT = 86_600.0
_BFM_ORIGIN = np.array([0.0, 0.295, 1.006])


def load_mat(path: Path) -> dict[str, Any]:
    """The variables of a `.mat` file. Raises InputError if the file cannot be read."""
    import scipy.io

    try:
        return scipy.io.loadmat(str(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except Exception as error:  # SciPy raises many types of errors for a damaged file
        raise InputError(f"{path}: is not a whole MATLAB file ({error}).") from error


def points_of(values: dict[str, Any], key: str, path: Path) -> np.ndarray:
    """Landmarks as float32 [K, 2], from [2, K] or [K, 2].

    Raises:
      InputError: the file has no such variable, or the variable does not hold two coordinates a
        point.
    """
    if key not in values:
        names = ", ".join(sorted(k for k in values if not k.startswith("__"))) or "nothing"
        raise InputError(f"{path}: has no {key!r} (it has: {names}).")
    points = np.asarray(values[key])
    if points.ndim != 2 or 2 not in points.shape or points.dtype.kind not in "fiu":
        raise InputError(f"{path}: {key!r} is {points.shape} {points.dtype}, not (2, K) or (K, 2).")
    if points.shape[1] != 2 or points.shape[0] == 2 < points.shape[1]:
        points = points.T
    return points.astype(np.float32)


def mat_bytes(**arrays: np.ndarray) -> bytes:
    """A MATLAB 5 file with a constant header; SciPy's header holds the time of writing."""
    import scipy.io

    stream = io.BytesIO()
    scipy.io.savemat(stream, arrays)
    header = b"MATLAB 5.0 MAT-file, synthetic 300W-LP".ljust(116)
    return header + stream.getvalue()[116:]


def pose_para(
    pose: tuple[float, float, float], scale: float, centre: np.ndarray, height: int
) -> np.ndarray:
    """The `Pose_Para` of a face: it maps a point X of the Basel Face Model to scale R X + t, y up.

    Args:
      pose: yaw, pitch, roll in degrees, as in `senet_landmark.face.pose`.
      scale: pixels a unit of `MEAN_FACE_3D` (the distance of the outer eye corners).
      centre: [2] pixels, position of the origin of `MEAN_FACE_3D` in the photo.
      height: height of the photo in pixels.

    Returns:
      [1, 7] float32: pitch, yaw, roll in radians, translation x, y, z, scale.
    """
    yaw, pitch, roll = np.radians(pose)
    origin = centre + scale * (rotation_matrix(*pose) @ _BFM_ORIGIN)[:2]
    depth = -scale * (rotation_matrix(*pose) @ _BFM_ORIGIN)[2]
    x, y = origin[0], height + 1 - origin[1]
    return np.array([[pitch, yaw, roll, x, y, depth, scale / _BFM_UNIT]], np.float32)


def view_files(
    root: Path,
    subset: str,
    name: str,
    contour: np.ndarray,
    jaw: np.ndarray,
    para: np.ndarray,
    roi: np.ndarray,
) -> dict[Path, bytes]:
    """The annotation of one view in 300W-LP's format: path -> content of two MATLAB files.

    Args:
      root: folder of the tree.
      subset: folder of the photo.
      name: the photo's name without suffix.
      contour: [68, 2] pixels, 0-based; the jaw follows the visible contour.
      jaw: [68, 2] pixels, 0-based; the jaw is the true jaw.
      para: `Pose_Para`, [1, 7] float32.
      roi: [1, 4] int16, the region of the original photo: left, top, right, bottom.
    """
    return {
        root / subset / f"{name}.mat": mat_bytes(
            pt2d=contour.T.astype(np.float64), Pose_Para=para, roi=roi
        ),
        root / "landmarks" / subset / f"{name}_pts.mat": mat_bytes(
            pts_2d=contour.astype(np.float32), pts_3d=jaw.astype(np.float32)
        ),
    }
