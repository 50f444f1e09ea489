"""Passes: a poor box is mended, a good one is spared."""

from unittest.mock import Mock

import numpy as np
import pytest

from face_errors import nme
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.errors import InputError
from senet_landmark.export.engines.registry import load_engine
from senet_landmark.export.inference import passes as passes_module
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.face import geometry

pytestmark = pytest.mark.slow


def test_second_pass_mends_a_poor_box(shipped):
    photo, truth = portrait()
    box = geometry.box_from_landmarks(truth)
    width, height = box[2:] - box[:2]
    once = Predictor(engine="opencv", passes=1)
    for shift in ((0.2, 0.0), (-0.15, 0.15), (0.0, -0.2)):
        moved = (box + np.tile(shift, 2) * (width, height, width, height))[None]
        one, two = (p.landmarks(photo, moved, None)[0] for p in (once, shipped))
        assert nme(two, truth) < nme(one, truth)
    np.testing.assert_array_equal(
        once.landmarks(photo, box[None], None), shipped.landmarks(photo, box[None], None)
    )
    with pytest.raises(InputError, match="1 pass or more, not 0"):
        Predictor(passes=0)


def test_second_pass_spares_good_boxes_and_lost_faces(shipped, monkeypatch):
    """Of three boxes the good one is cut out once.

    Rolls are left out here: what is no face may seem to lean, and is then tried turned.
    """
    photo, truth = portrait()
    box = geometry.box_from_landmarks(truth)
    size = box[2] - box[0]
    boxes = np.stack([box, box + 0.15 * size, [2, 2, 40, 40]])
    calls = []
    original = shipped._forward

    def counted(pixels, canonical, with_confidence):
        calls.append(len(canonical))
        return original(pixels, canonical, with_confidence)

    monkeypatch.setattr(shipped, "_forward", counted)
    monkeypatch.setattr(passes_module, "RECROP_IOU", (0.25, 0.9))
    monkeypatch.setattr(passes_module, "UPRIGHT", 180.0)
    shipped.predict(photo, boxes, roll=np.zeros(3))
    assert calls[0] == 3 and calls[1] in (1, 2)
    assert sum(calls[2:]) <= 1  # what is no clear face, tried upside down


def test_passes_end_where_the_box_stays(monkeypatch):
    """A very poor box is mended step by step; a good one is never cut out anew."""
    photo, truth = portrait()
    box = geometry.box_from_landmarks(truth)
    width, height = box[2:] - box[:2]
    poor = box + 0.3 * np.array([width, -height, width, -height])
    for passes, most in ((1, 1), (2, 2), (3, 3), (20, 9)):
        model = Predictor(engine="opencv", passes=passes)
        look = Mock(wraps=model._forward)
        monkeypatch.setattr(model, "_forward", look)
        found = model.landmarks(photo, poor[None], None)[0]
        looks = look.call_count
        assert min(passes, 3) <= looks <= most
        model.landmarks(photo, box[None], None)
        assert look.call_count == looks + 1
    assert nme(found, truth) < 0.05


def test_no_further_look_makes_a_face_of_what_is_none():
    """A badge on the suit, which the detector takes for a face now and then."""
    badge = np.array([[126.0, 335, 216, 426]])
    one, three = (
        Predictor(engine="opencv", passes=passes).predict(portrait()[0], badge)[0].confidence
        for passes in (1, 3)
    )
    assert three <= one < 0.5


def test_models_without_maps_are_asked_twice(full_run, tmp_path):
    """Their spread is how far the answers to a crop and to its mirror image lie apart."""
    from senet_landmark.export.inference.confidence import with_spread

    model = Predictor(full_run.model, "tensorflow")
    photo, truth = portrait()
    box = geometry.box_from_landmarks(truth)
    crops = geometry.crop_face(photo, box, model.contract.crop, model.contract.size)[0][None]
    run = load_engine(full_run.model, model.contract, "tensorflow")
    assert "variance" not in run(crops)
    _, spread = with_spread(run, crops, model.scheme)
    mirrored = run(crops[:, :, ::-1])["landmarks"][0][model.scheme.mirror_index]
    own = np.linalg.norm(mirrored * (-1, 1) + (1, 0) - run(crops)["landmarks"][0], axis=1)
    np.testing.assert_allclose(spread[0], own, atol=1e-5)


@pytest.mark.parametrize("after, accepted", [(0.958, False), (0.999, True)])
def test_turned_crop_counts_only_where_it_stays_clearer_than_the_upright_one(after, accepted):
    """Upright the face is clear but for a hair; turned it is clearer at first, and then `after`."""
    _, truth = portrait()
    rolls = []

    def forward(crops):
        rolls.append(crops[:, 4].tolist())
        turned = crops[:, 4] == 120
        landmarks = np.stack(
            [
                geometry.apply(
                    roll_about(crop[4], (crop[:2] + crop[2:4]) / 2), truth + 3 * is_turned
                )
                for crop, is_turned in zip(crops, turned, strict=True)
            ]
        )
        confidence = np.where(turned, 0.997 if len(rolls) == 2 else after, 0.1)
        confidence[crops[:, 4] == 0] = 0.9899
        return {"landmarks": landmarks.astype(np.float32), "confidence": confidence}

    cropping = passes_module.Cropping("300w_68", geometry.CropSpec(), (512, 512))
    box = geometry.box_from_landmarks(truth)[None]
    found = passes_module.make_passes(
        forward, box, np.array([np.nan]), geometry.BoxCorrection(), cropping, 3
    )
    assert len(rolls[1]) == len(passes_module.TRIED) and 120 in np.concatenate(rolls[2:])
    upright = np.linalg.norm(found["landmarks"][0] - truth, axis=1).max() < 1e-3
    assert upright != accepted
    assert found["confidence"][0] == (0.9899 if upright else pytest.approx(min(after, 0.997)))


def roll_about(degrees, centre):
    """The turn by `degrees` clockwise about `centre`, as an affine [2, 3]."""
    angle = np.deg2rad(degrees)
    linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.c_[linear, np.asarray(centre) - linear @ centre]
