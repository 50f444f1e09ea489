"""Whether a picture looks like a face where the landmarks say that one is.

The set is its own teacher: a linear discriminant tells the pictures about the landmarks from those
about the same landmarks moved aside. A face that looks more like a moved one is a suspect. It is
judged by the faces of the other folds.
"""

import numpy as np

from senet_landmark.data_tools.inspection.pictures import FEATURES, Moments, add_moments, moments
from senet_landmark.face.procrustes import FOLDS

BATCH = 2000


def likeness(features: np.ndarray, folds: np.ndarray, decoys: Moments) -> np.ndarray:
    """1 for a usual face, -1 for the usual face whose points are moved aside: float64 [N].

    Args:
      features: float16 [N, FEATURES].
      folds: int [N].
      decoys: moments of the moved ones.
    """
    faces: Moments | None = None
    for start in range(0, len(features), BATCH):
        part = moments(features[start : start + BATCH], folds[start : start + BATCH])
        faces = add_moments(faces, part)
    assert faces is not None
    scores = np.zeros(len(features))
    for fold in range(FOLDS):
        others = np.arange(FOLDS) != fold
        right, wrong = _fitted(faces, others), _fitted(decoys, others)
        if right is None or wrong is None:
            continue
        both = right[1] + wrong[1]
        # Half of the mean variance: 512 features of hundreds of faces.
        both += np.eye(FEATURES) * (0.5 * np.trace(both) / FEATURES + 1e-9)
        weights = np.linalg.solve(both, right[0] - wrong[0])
        middle, half = (right[0] + wrong[0]) @ weights / 2, (right[0] - wrong[0]) @ weights / 2
        own = features[folds == fold].astype(np.float64)
        scores[folds == fold] = (own @ weights - middle) / max(half, 1e-9)
    return scores


def _fitted(seen: Moments, folds: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Mean [FEATURES] and covariance of the features in some folds; None without any."""
    count = seen.count[folds].sum()
    if not count:
        return None
    mean = seen.sums[folds].sum(0) / count
    return mean, seen.products[folds].sum(0) / count - np.outer(mean, mean)
