"""Depth of landmarks: their distance from the camera, beside their position in the photo.

It is in the unit of x and y (the camera is scaled-orthographic, as in `pose.py`), grows away from
the camera, as z in the face frame, and is 0 at the mean of a face's points. NaN where unknown.

A network knows no pixels of the photo: it gives depth in units of the face box, see `depth_unit`.
"""

import numpy as np

from senet_landmark.face.geometry import CropSpec


def centred(depth: np.ndarray) -> np.ndarray:
    """Depths [..., K] with 0 at the mean of each face's known points."""
    depth = np.asarray(depth)
    known = np.isfinite(depth)
    total = np.where(known, depth, 0).sum(axis=-1, keepdims=True, dtype=np.float64)
    mean = total / np.maximum(known.sum(axis=-1, keepdims=True), 1)
    return (depth - mean).astype(depth.dtype)


def depth_unit(crop_size: np.ndarray, crop: CropSpec) -> np.ndarray:
    """The unit [...] of a network's depth: the longer side of the face box, in pixels.

    It follows from the crop, which is all that the network sees: each side without its margins, the
    longer one. A crop that was moved, zoomed or cut off has the unit that its own size tells.

    Args:
      crop_size: [..., 2], width and height of the crop in pixels.
      crop: how the box became the crop.
    """
    left, top, right, bottom = crop.margins
    sides = np.asarray(crop_size) / (1 + left + right, 1 + top + bottom)
    return np.asarray(sides.max(axis=-1))


def landmarks_3d(points: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """x, y and depth, float32 [..., K, 3], of landmarks [..., K, 2] and depths [..., K]."""
    return np.concatenate([points, depth[..., None]], axis=-1).astype(np.float32)
