"""The expected error of the weights that ship, on photos of sets that they were not trained on."""

import pytest

from card import expected_and_true
from senet_landmark.frozen.models import shipped_models

pytestmark = pytest.mark.slow

LEAST, MOST = 0.8, 1.25
"""Of the expected over the true error."""


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
