"""The predictor as it ships."""

import pytest

from senet_landmark.export.inference.predictor import Predictor


@pytest.fixture(scope="module")
def shipped():
    """The weights that ship, in OpenCV."""
    return Predictor(engine="opencv")
