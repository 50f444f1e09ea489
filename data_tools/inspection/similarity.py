"""Whether the picture at the landmarks looks like a face.

The data set itself gives the training examples: a linear discriminant separates the pictures at the
landmarks from pictures at the same landmarks moved aside (decoys). A face that looks more like a
decoy is suspect. Each face is judged by a discriminant that is fitted to the other folds.
"""

import numpy as np

from senet_landmark.data_tools.inspection.pictures import FEATURES, Moments, add_moments, moments
from senet_landmark.face.procrustes import FOLDS

BATCH = 2000


def face_similarity(features: np.ndarray, folds: np.ndarray, decoys: Moments) -> np.ndarray:
    """How similar the picture at each face's landmarks is to a face.

    Args:
      features: float16 [N, FEATURES], features of the pictures.
      folds: int [N], fold of each face.
      decoys: moments of the features of the decoys.

    Returns:
      float64 [N]: 1 for an average face, -1 for an average decoy.
    """
    faces: Moments | None = None
    for start in range(0, len(features), BATCH):
        part = moments(features[start : start + BATCH], folds[start : start + BATCH])
        faces = add_moments(faces, part)
    assert faces is not None
    scores = np.zeros(len(features))
    for fold in range(FOLDS):
        others = np.arange(FOLDS) != fold
        right, wrong = _mean_and_covariance(faces, others), _mean_and_covariance(decoys, others)
        if right is None or wrong is None:
            continue
        covariance = right[1] + wrong[1]
        # Regularised by half of the mean variance: 512 features are many for hundreds of faces.
        covariance += np.eye(FEATURES) * (0.5 * np.trace(covariance) / FEATURES + 1e-9)
        weights = np.linalg.solve(covariance, right[0] - wrong[0])
        middle, half = (right[0] + wrong[0]) @ weights / 2, (right[0] - wrong[0]) @ weights / 2
        judged = features[folds == fold].astype(np.float64)
        scores[folds == fold] = (judged @ weights - middle) / max(half, 1e-9)
    return scores


def _mean_and_covariance(
    moments: Moments, folds: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Mean [F] and covariance [F, F] of the features in some folds; None if these are empty."""
    count = moments.count[folds].sum()
    if not count:
        return None
    mean = moments.sums[folds].sum(0) / count
    return mean, moments.products[folds].sum(0) / count - np.outer(mean, mean)
