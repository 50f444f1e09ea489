"""Reads MATLAB files, with errors that name the file; writes those of 300W-LP.

SciPy is imported inside the functions: the registry of data sets must load without it.
"""

import io
import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from senet_landmark.errors import InputError
from senet_landmark.face.pose import rotation_matrix
from senet_landmark.io.images import read_file

# Distance of the outer eye corners, and origin, in the units of the Basel Face Model, in which
# Pose_Para gives scale and translation: means over the fits of 8 AFLW2000-3D photos (spread: 1 %).
_BFM_UNIT = 86_600.0
_BFM_ORIGIN = np.array([0.0, 0.295, 1.006])


DEPTH = "depth"
"""Variable with the depth of `pts_3d`, [K, 1], in the `_pts.mat` of made views."""

MAX_BYTES = 64_000_000
"""Largest annotation file that is read, decompressed: those of the published data sets have some
kilobytes. A small file may decompress to any size."""

_MATRIX, _COMPRESSED = 14, 15
_STORED = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"
}  # fmt: skip
"""Type of a data element -> NumPy's name."""
_CLASSES = {
    6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"
}  # fmt: skip
"""Class of an array of numbers -> NumPy's name."""


def load_mat(path: Path) -> dict[str, Any]:
    """The arrays of numbers in a `.mat` file of version 4 to 7; any other variable is None.

    Version 5 (to 7) is read here, because SciPy's reader ends the process on some damaged files.

    Raises:
      InputError: the file cannot be read, or is larger than `MAX_BYTES` when it is decompressed.
    """
    data = read_file(path)
    try:
        if data[126:128] in (b"IM", b"MI"):
            return dict(_variables(data))
        import scipy.io

        values: dict[str, Any] = scipy.io.loadmat(io.BytesIO(data))
        return values
    except Exception as error:  # SciPy raises many types of errors for a damaged file
        raise InputError(f"{path}: is not a whole MATLAB file ({error}).") from error


def _variables(data: bytes) -> Iterator[tuple[str, np.ndarray | None]]:
    """(name, value) of each variable of a file of version 5.

    The format: MathWorks, "MAT-File Format", chapter 1. Raises ValueError, or struct.error, for a
    damaged file.
    """
    order = "<" if data[126:128] == b"IM" else ">"
    start, room = 128, MAX_BYTES
    while start < len(data):
        kind, content, start = _element(data, start, order)
        if kind == _COMPRESSED:
            inflated = zlib.decompressobj().decompress(content, room)
            room -= len(inflated)
            if room <= 0:
                raise ValueError(f"decompressed, it has more than {MAX_BYTES / 1e6:.0f} MB")
            kind, content, _ = _element(inflated, 0, order)
        if kind == _MATRIX and content:
            yield _variable(content, order)


def _element(data: bytes, start: int, order: str) -> tuple[int, bytes, int]:
    """Type and content of the data element at byte `start`, and where the next one begins."""
    kind, size = struct.unpack_from(f"{order}II", data, start)
    if kind >> 16:  # a short element: its content is in the place of its size
        kind, size = kind & 0xFFFF, kind >> 16
        if size > 4:
            raise ValueError("an element has an impossible size")
        return kind, data[start + 4 : start + 4 + size], start + 8
    content = data[start + 8 : start + 8 + size]
    if len(content) < size:
        raise ValueError("it is cut off")
    padding = 0 if kind == _COMPRESSED else -size % 8
    return kind, content, start + 8 + size + padding


def _variable(content: bytes, order: str) -> tuple[str, np.ndarray | None]:
    _, flags, start = _element(content, 0, order)
    _, sizes, start = _element(content, start, order)
    _, name, start = _element(content, start, order)
    (flag,) = struct.unpack_from(f"{order}I", flags)
    text = name.decode("latin-1")
    if flag & 0xFF not in _CLASSES or flag & 0x800:  # a cell, a struct, text …; complex numbers
        return text, None
    kind, values, _ = _element(content, start, order)
    if kind not in _STORED:
        raise ValueError(f"{text!r} has numbers of the unknown type {kind}")
    array = np.frombuffer(values, f"{order}{_STORED[kind]}").astype(_CLASSES[flag & 0xFF])
    shape = np.frombuffer(sizes, f"{order}i4")
    if (shape < 0).any() or math.prod(shape.tolist()) != array.size:
        raise ValueError(f"{text!r} has {array.size} numbers for the shape {shape.tolist()}")
    return text, array.reshape(shape, order="F")


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
    with np.errstate(over="ignore"):  # then infinite, which `load_sample` reports
        return points.astype(np.float32)


def depth_of(values: dict[str, Any], count: int, path: Path) -> np.ndarray | None:
    """The depth of `count` landmarks, float64 [count]; None where the file has none.

    Raises:
      InputError: it is not one number for each landmark.
    """
    if DEPTH not in values:
        return None
    depth = np.asarray(values[DEPTH])
    if depth.size != count or depth.dtype.kind not in "fiu":
        raise InputError(f"{path}: {DEPTH!r} is {depth.shape} {depth.dtype}, not ({count}, 1).")
    return depth.ravel().astype(np.float64)


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
    depth: np.ndarray | None = None,
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
      depth: [68] pixels, the depth of `jaw` (`senet_landmark.face.depth`), where it is known.
    """
    points = {"pts_2d": contour.astype(np.float32), "pts_3d": jaw.astype(np.float32)}
    if depth is not None:
        points[DEPTH] = depth.astype(np.float32)[:, None]
    return {
        root / subset / f"{name}.mat": mat_bytes(
            pt2d=contour.T.astype(np.float64), Pose_Para=para, roi=roi
        ),
        root / "landmarks" / subset / f"{name}_pts.mat": mat_bytes(**points),
    }
