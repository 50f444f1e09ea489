"""Squared errors of landmarks, by which several write-ups report; they are no shares."""

import contextlib
from collections.abc import Sequence

import numpy as np

from senet_landmark.errors import InputError
from senet_landmark.evaluation.metrics import Points, landmark_offsets, mean_known
from senet_landmark.face.boxes import canonical_box
from senet_landmark.face.geometry import CropSpec, crop_box
from senet_landmark.face.schemes import Scheme


def squared_error(
    predicted: np.ndarray,
    truth: np.ndarray,
    scheme: Scheme,
    points: Points = None,
    names: Sequence[str] | None = None,
) -> np.ndarray:
    """Mean squared error of a coordinate in each face, float64 [N], in the square of their unit.

    The mean is over x and y of the face's landmarks that count. Args and Raises as
    `metrics.point_errors`.
    """
    offsets, _ = landmark_offsets(predicted, truth, scheme, points, names)
    return mean_known(np.square(offsets).reshape(len(offsets), -1), axis=1)


def standard_crop_sides(truth: np.ndarray, scheme: Scheme) -> np.ndarray:
    """Side of the crop that the default `CropSpec` gives for each face's canonical box.

    It is 1.25 times the longer side of the box of the landmarks; of a scheme that does not outline
    the face, and of a face with unknown landmarks, the box is that of `boxes.canonical_box`.

    Args:
      truth: ground truth [N, K, 2] in pixels; NaN where unknown.
      scheme: landmark scheme of `truth`.

    Returns:
      float64 [N] in pixels; NaN for a face whose landmarks give no box.
    """
    sides = np.full(len(truth), np.nan)
    for index, landmarks in enumerate(truth):
        with contextlib.suppress(InputError):
            box = canonical_box(landmarks, scheme.name)
            left, _, right, _ = crop_box(box, CropSpec(), (0, 0))  # of any photo: it is not clipped
            sides[index] = right - left
    return sides


def squared_distance_sum(
    predicted: np.ndarray,
    truth: np.ndarray,
    scheme: Scheme,
    points: Points = None,
    names: Sequence[str] | None = None,
) -> np.ndarray:
    """Sum over the landmarks of the squared distance to the truth, of each face.

    The figure by which PFLD's write-up compares trainings. Distances are in units of
    `standard_crop_sides`, which are those of the normalised coordinates in a default crop, so that
    any model is measured by it, whatever crop it gets.

    The sum of a face with unknown landmarks is scaled to all L landmarks that count in at least one
    of the faces: it is L times the mean of the face's own. Only models with equal L compare.

    Args, Raises: as `metrics.point_errors`, in pixels.

    Returns:
      float64 [N], not a share; NaN for a face whose landmarks give no box.
    """
    offsets, known = landmark_offsets(predicted, truth, scheme, points, names)
    squares = np.square(offsets).sum(axis=-1)
    landmarks = int(np.isfinite(squares).any(axis=0).sum())
    return landmarks * mean_known(squares, axis=1) / np.square(standard_crop_sides(known, scheme))
