"""The weights that ship, on real photos."""

import pytest

from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.evaluation.metrics import nme
from senet_landmark.export.evaluation.evaluate import Photos, evaluate_models
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.face import geometry

pytestmark = pytest.mark.slow


def test_shipped_weights_on_the_portrait():
    """On a real photo that had no part in their training, within 4% of points set by hand."""
    predictor = Predictor()
    photo, truth = portrait()
    scheme = predictor.contract.landmark_scheme
    box = geometry.box_from_landmarks(truth)[None]
    found = predictor.landmarks(photo, box, "landmarks")
    assert nme(found, truth[None], scheme)[0] < 0.04
    (face,) = predictor.predict(photo)
    assert nme(face.landmarks[None], truth[None], scheme)[0] < 0.05


def test_shipped_weights_on_real_photos(shared_data, tmp_path):
    """HELEN's test photos: the README's figures, within the bounds that the project promises."""
    root = shared_data("300w", "helen", "testset")
    metrics = evaluate_models([None], Photos("300w", root), tmp_path, page=False)
    assert metrics["n"] == 330 and metrics["nme_inter_ocular"] <= 4.2
