"""The expected error of the weights that ship, on photos of sets that they were not trained on."""

from pathlib import Path

import numpy as np
import pytest

from senet_landmark.evaluation.metrics import normaliser
from senet_landmark.export.evaluation.face_sources import Photos, face_source_of
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.face.boxes import LANDMARKS
from senet_landmark.frozen.models import shipped_models

pytestmark = pytest.mark.slow

LEAST, MOST = 0.8, 1.25
"""Of the expected over the true error."""

INNER = slice(17, 68)
"""300W's points without the contour, which follows the visible cheek in some sets and models, and
the true jaw in others. Where they differ, these points count."""


def expected_and_true(model: str, dataset: str, root: Path, subset: str = "") -> np.ndarray:
    """The expected and the true error of each point, [2, N, K], in % of the eyes' distance.

    K is 68, or 51 where the model's contour is another than the data set's.
    """
    predictor, skipped = Predictor(model), []
    source = face_source_of(Photos(dataset, root), [LANDMARKS], None, skipped)
    points = slice(None) if predictor.scheme.name == source.scheme.name else INNER
    errors = []
    for annotated in (face for photo in source.photos() for face in photo):
        if not annotated.subset.startswith(subset):
            continue
        truth = annotated.truth
        (face,) = predictor.faces(annotated.photo, annotated.boxes[LANDMARKS][None], LANDMARKS)
        distance = np.linalg.norm(face.landmarks - truth, axis=1)
        eyes = normaliser(truth[None], source.scheme, "inter_ocular")
        errors.append(100 * np.stack([face.uncertainty, distance])[:, points] / eyes)
    assert not skipped
    return np.stack(errors, axis=1)


@pytest.mark.parametrize("model", shipped_models())
def test_expected_error_on_helens_test_photos(model, shared_data):
    expected, true = expected_and_true(model, "300w", shared_data("300w", "helen", "testset"))
    assert len(true) == 330
    assert LEAST < expected.mean() / true.mean() < MOST, (expected.mean(), true.mean())


@pytest.mark.parametrize("model", shipped_models())
def test_expected_error_on_frontal_faces_of_aflw2000_3d(model, shared_data):
    root = shared_data("aflw2000_3d")
    expected, true = expected_and_true(model, "csv", root, "exact yaw 0-30")
    assert len(true) == 72
    assert LEAST < expected.mean() / true.mean() < MOST, (expected.mean(), true.mean())
