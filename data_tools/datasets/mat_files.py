"""MATLAB files, through SciPy, with errors that name the file."""

from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from senet_landmark.errors import InputError


def load_mat(path: Path) -> dict[str, Any]:
    """The variables of a `.mat` file. Raises InputError when it is not one."""
    try:
        return scipy.io.loadmat(str(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except Exception as error:  # SciPy raises many kinds for a file that is no MATLAB file
        raise InputError(f"{path}: is not a whole MATLAB file ({error}).") from error


def points_of(values: dict[str, Any], key: str, path: Path) -> np.ndarray:
    """Landmarks as float32 [K, 2], from (2, K) or (K, 2).

    Raises:
      InputError: the file has no such variable, or it is not two coordinates a point.
    """
    if key not in values:
        have = ", ".join(sorted(k for k in values if not k.startswith("__"))) or "nothing"
        raise InputError(f"{path}: has no {key!r} (it has: {have}).")
    points = np.asarray(values[key])
    if points.ndim != 2 or 2 not in points.shape or points.dtype.kind not in "fiu":
        raise InputError(f"{path}: {key!r} is {points.shape} {points.dtype}, not (2, K) or (K, 2).")
    if points.shape[1] != 2 or points.shape[0] == 2 < points.shape[1]:
        points = points.T
    return points.astype(np.float32)
