"""Warps a photo triangle by triangle: first a label for each pixel, then one dense map.

The numbers of the triangles are drawn from far to near, so that near triangles hide far ones. Each
pixel then gets the affine map of its triangle into the photo.
"""

from __future__ import annotations

import cv2
import numpy as np

from senet_landmark.data_tools.synthesis.mesh import doubled_area


def far_to_near(corners: np.ndarray, depth: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Indices of the triangles that are drawn, the farthest first.

    Args:
      corners: [T, 3, 2] pixels of the picture.
      depth: [T]; larger is farther. Triangles of equal depth keep their order.
      size: (width, height) of the picture; triangles outside, or without area, are left out.
    """
    low, high = corners.min(axis=1), corners.max(axis=1)
    inside = (high > -1).all(axis=1) & (low < size).all(axis=1)
    order = np.argsort(-depth, kind="stable")
    return order[(inside & (np.abs(doubled_area(corners)) > 0.02))[order]]


def draw_labels(corners: np.ndarray, order: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The number of the triangle at each pixel: int32 [height, width], -1 where there is none.

    Args:
      corners: [T, 3, 2] pixels of the picture.
      order: indices of the triangles, in the order of drawing.
      size: (width, height) of the picture.
    """
    labels = np.full((size[1], size[0]), -1, np.int32)
    fractional = np.round(corners * 16).astype(np.int32)
    for index in order.tolist():
        cv2.fillConvexPoly(labels, fractional[index], index, lineType=cv2.LINE_8, shift=4)
    return labels


def photo_maps(
    labels: np.ndarray,
    corners: np.ndarray,
    source: np.ndarray,
    order: np.ndarray,
    outside: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The two maps of `cv2.remap`: the position in the photo of each pixel of the picture.

    Args:
      labels: labels from `draw_labels`.
      corners: [T, 3, 2] pixels of the picture.
      source: [T, 3, 2] the same corners in pixels of the photo.
      order: indices of the triangles that were drawn.
      outside: [3, 2] affine map, (x, y, 1) @ outside, for pixels with label -1.
    """
    affine = np.zeros((len(corners) + 1, 3, 2), np.float32)
    homogeneous = np.concatenate([corners[order], np.ones((len(order), 3, 1))], axis=2)
    affine[order] = np.linalg.solve(homogeneous, source[order])
    affine[-1] = outside
    height, width = labels.shape
    across, down = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    maps: list[np.ndarray] = []
    for axis in (0, 1):
        values = affine[:, 0, axis].take(labels) * across
        values += affine[:, 1, axis].take(labels) * down
        values += affine[:, 2, axis].take(labels)
        maps.append(values)
    return cv2.convertMaps(maps[0], maps[1], cv2.CV_16SC2)
