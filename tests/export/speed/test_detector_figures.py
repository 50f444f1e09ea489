"""`detectors.py` of the benchmarks on photos of known faces, with the real detector and model."""

import numpy as np
import pytest

import detectors
from detectors import measure, tables
from made_photos import Shot, painted, texture, true_box, turned
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.face.geometry import shrink


@pytest.fixture(scope="module")
def shot():
    photo, points = portrait()
    reduced, factor = shrink(photo, 320)
    return Shot("portrait", reduced, [(points + 0.5) * factor - 0.5])


@pytest.fixture(scope="module")
def predictors():
    return {"blazeface": Predictor("senet-68-small", detector="blazeface")}


def test_a_face_is_found_once_and_a_missed_one_is_named(shot, predictors):
    truth = shot.truths[0]
    away = Shot("away", shot.photo, [truth, truth + 1000])
    figures = measure(predictors, [shot, away])["blazeface"]
    assert figures.missed == ["away"] and not figures.surplus
    assert np.isfinite(figures.errors).tolist() == [True, True, False]
    assert max(figures.errors[:2]) < 0.06
    assert len(figures.whole) == 2 and np.all(np.array(figures.whole) >= figures.detection)


def test_a_face_that_nobody_annotated_is_surplus(shot, predictors):
    figures = measure(predictors, [Shot("bare", shot.photo, [])])["blazeface"]
    assert list(figures.surplus) == ["bare"] and len(figures.surplus["bare"]) == 1
    assert not figures.errors


@pytest.mark.parametrize("angle", [30, 90, 180, 300])
def test_turned_landmarks_stay_on_the_face(shot, predictors, angle):
    figures = measure(predictors, [turned(shot, angle)], by_landmarks=True)["blazeface"]
    assert figures.errors[0] < 0.06


def test_a_quarter_turn_is_exact_and_clockwise():
    photo = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    result = turned(Shot("", photo, [np.array([[0.0, 0.0], [5.0, 1.0]])]), 90)
    np.testing.assert_array_equal(result.photo, np.rot90(photo, -1))
    np.testing.assert_allclose(result.truths[0], [[3, 0], [2, 5]], atol=1e-9)


def test_a_painted_face_is_gone(shot, predictors):
    bare, (box,) = painted(shot)
    assert not bare.truths and (box[:2] < true_box(shot.truths[0])[:2]).all()
    assert not measure(predictors, [bare])["blazeface"].surplus


def test_textures_differ_and_repeat():
    photos = [texture(number).photo for number in range(5)]
    assert all(photo.shape == (480, 640, 3) and photo.std() > 5 for photo in photos)
    np.testing.assert_array_equal(photos[2], texture(2).photo)


def test_the_box_of_partly_known_landmarks_is_that_of_the_face(shot):
    truth = shot.truths[0].copy()
    whole = true_box(truth)
    truth[: detectors.get_scheme(detectors.SCHEME).outer_eye_corners[0]] = np.nan
    sides = (true_box(truth)[2:] - true_box(truth)[:2]) / (whole[2:] - whole[:2])
    assert np.all((sides > 0.75) & (sides < 1.3))


def test_tables_have_a_line_for_each_detector(shot, predictors):
    figures = measure(predictors, [shot])
    rows = detectors._rows("made", figures, True, figures)
    assert rows[0]["nme_over"] == pytest.approx(1) and rows[0]["missed"] == 0
    false = {"set": "textures", "detector": "blazeface", "photos": 3, "false": 0}
    text = tables([*rows, false])
    assert "0 of 1" in text and "1.000" in text and "textures" in text
