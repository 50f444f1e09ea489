"""Faces and errors for tests of the metrics."""

from functools import partial

import numpy as np
import pytest

from senet_landmark.evaluation import statistics
from senet_landmark.evaluation.metrics import (
    NORMALISERS,
    nme,
)
from senet_landmark.evaluation.statistics import (
    area_by_face,
    failure_by_face,
)
from senet_landmark.face.schemes import SCHEMES, get_scheme

FIVE = get_scheme("mtfl_5")


NMES = {
    kind: partial(nme, kind=kind)
    for kind in ("inter_ocular", "inter_pupil", "bbox_diagonal", "bbox_size")
}


ALL_KINDS = pytest.mark.parametrize("kind", NORMALISERS)


ALL_SCHEMES = pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)


def some_faces(scheme, faces=6, seed=0):
    """Predictions and truth, [N, K, 2]."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0, 200, (faces, scheme.points, 2))
    return truth + rng.normal(0, 4, truth.shape), truth


def auc(errors, limit, steps=statistics.STEPS, axis=-1):
    """Of a set of faces, as a report has it."""
    return area_by_face(errors, limit, steps).mean(axis=axis)


def failure_rate(errors, limit, axis=-1):
    """Of a set of faces, as a report has it."""
    return failure_by_face(errors, limit).mean(axis=axis)


def five_points():
    """Two faces: eyes 6 apart, box 6 by 8; every point is off by 3, of the second by 6."""
    truth = np.array([[(0, 0), (6, 0), (3, 4), (1, 8), (5, 8)]] * 2, float)
    return truth + np.array([[[3, 0]], [[0, 6]]]), truth
