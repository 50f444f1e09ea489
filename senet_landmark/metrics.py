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
    predicted, truth = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    wanted = (len(truth), scheme.points, 2)
    if predicted.shape != truth.shape or truth.shape != wanted:
        raise InputError(
            f"Predictions {predicted.shape} and truth {truth.shape} must both be [N, "
            f"{scheme.points}, 2] ({scheme.name}): are they of different landmark schemes?"
        )
    if not (np.isfinite(predicted).all() and np.isfinite(truth).all()):
        raise InputError("Predictions or truth hold NaN or infinity.")
    left, right = scheme.outer_eye_corners
    distance = np.linalg.norm(truth[:, left] - truth[:, right], axis=-1)
    if (distance <= 0).any():
        face = int(np.argmin(distance))
        raise InputError(
            f"Face {face}: its outer eye corners coincide; it has no inter-ocular NME."
        )
    return np.linalg.norm(predicted - truth, axis=-1).mean(-1) / distance
