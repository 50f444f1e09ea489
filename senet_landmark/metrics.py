"""Errors of landmarks, in NumPy."""

import numpy as np

from senet_landmark.errors import InputError
from senet_landmark.schemes import Scheme


def nme_inter_ocular(predicted: np.ndarray, truth: np.ndarray, scheme: Scheme) -> np.ndarray:
    """Normalised mean error of each face, by the distance of the outer eye corners.

    Sagonas et al., "300 Faces in-the-Wild Challenge", 2016, equation 1: the mean Euclidean
    distance over the landmarks divided by that of the outer eye corners of the truth.

    Args:
      predicted: [N, K, 2] in pixels, or any unit that is the same in x and y.
      truth: [N, K, 2] in the same unit.
      scheme: names the eye corners.

    Returns:
      float64 [N], as a share: 0.04 is 4 percent.

    Raises:
      InputError: shapes differ or do not fit the scheme, a value is NaN, or eye corners coincide.
    """
    predicted, truth = _checked(predicted, truth, scheme)
    left, right = scheme.outer_eye_corners
    distance = np.linalg.norm(truth[:, left] - truth[:, right], axis=-1)
    return _nme(predicted, truth, distance, "its outer eye corners coincide; no inter-ocular NME")


def nme_bbox_size(predicted: np.ndarray, truth: np.ndarray, scheme: Scheme) -> np.ndarray:
    """Normalised mean error of each face, by the square root of the area of the truth's tight box.

    Zhu et al., "Face Alignment Across Large Poses", CVPR 2016, section 6.2: for turned faces, whose
    eye corners come together. Args, Returns and Raises as `nme_inter_ocular`.
    """
    predicted, truth = _checked(predicted, truth, scheme)
    size = np.sqrt(np.prod(np.ptp(truth, axis=1), axis=-1))
    return _nme(predicted, truth, size, "its landmarks span no area")


def _checked(
    predicted: np.ndarray, truth: np.ndarray, scheme: Scheme
) -> tuple[np.ndarray, np.ndarray]:
    predicted, truth = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    wanted = (len(truth), scheme.points, 2)
    if predicted.shape != truth.shape or truth.shape != wanted:
        raise InputError(
            f"Predictions {predicted.shape} and truth {truth.shape} must both be [N, "
            f"{scheme.points}, 2] ({scheme.name}): are they of different landmark schemes?"
        )
    if not (np.isfinite(predicted).all() and np.isfinite(truth).all()):
        raise InputError("Predictions or truth hold NaN or infinity.")
    return predicted, truth


def _nme(
    predicted: np.ndarray, truth: np.ndarray, distance: np.ndarray, problem: str
) -> np.ndarray:
    if (distance <= 0).any():
        raise InputError(f"Face {int(np.argmin(distance))}: {problem}.")
    return np.linalg.norm(predicted - truth, axis=-1).mean(-1) / distance
