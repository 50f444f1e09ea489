"""The predictor: what goes in, what comes out, what is refused."""

import threading

import cv2
import numpy as np
import pytest

from face_errors import nme
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait, portrait_path
from senet_landmark.detectors.registry import (
    FaceDetector,
    default_corrections,
    get_detector,
    make_detector,
)
from senet_landmark.errors import InputError
from senet_landmark.export.engines.registry import load_engine
from senet_landmark.export.inference.predict import predict_photos
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.face import geometry

pytestmark = pytest.mark.slow


def test_path_bytes_and_arrays_give_the_same_face(shipped):
    photo, truth = portrait()
    path = portrait_path()
    (face,) = shipped.predict(photo)
    assert nme(face.landmarks, truth) < 0.05
    for same in (
        shipped.predict(path),
        shipped.predict(str(path)),
        shipped.predict(path.read_bytes()),
        shipped.predict(np.ascontiguousarray(photo[..., ::-1]), order="BGR"),
        *shipped.predict([photo, path]),
    ):
        np.testing.assert_array_equal(same[0].landmarks, face.landmarks)
    assert shipped.predict([]) == []
    (swapped,) = shipped.predict(photo, order="BGR")  # wrongly said
    assert not np.array_equal(swapped.landmarks, face.landmarks)


def test_boxes_of_the_caller_take_the_detectors_place(shipped):
    photo, truth = portrait()
    box = geometry.box_from_landmarks(truth)
    one, two = shipped.predict(photo, np.stack([box, box + (3, 0, 3, 0)]))
    assert np.isnan(one.score) and nme(one.landmarks, truth) < 0.04 > nme(two.landmarks, truth)
    np.testing.assert_array_equal(two.box, box + (3, 0, 3, 0))
    assert shipped.predict(photo, np.zeros((0, 4))) == []
    with pytest.raises(InputError, match="of one photo"):
        shipped.predict([photo], box[None])


def test_any_function_may_detect(shipped, dlib_cnn_file):
    photo, truth = portrait()
    box = geometry.box_from_landmarks(truth)
    own = Predictor(engine="opencv", detector=lambda pixels: (box[None] + 10, np.array([0.5])))
    (face,) = own.predict(photo)
    assert face.score == 0.5 and nme(face.landmarks, truth) < 0.05
    nothing = Predictor(engine="opencv", detector=lambda pixels: ([], []))
    assert nothing.predict(photo) == []
    with pytest.raises(
        InputError, match=r"Unknown detector 'mtcnn'. Known: blazeface, dlib, dlib_cnn, yunet"
    ):
        Predictor(detector="mtcnn")
    with pytest.raises(InputError, match="mmod_human_face_detector"):
        Predictor(detector="dlib_cnn")
    finder = make_detector("dlib_cnn", dlib_cnn_file)
    assert isinstance(finder, FaceDetector) and finder.box_source == "dlib_cnn"
    (face,) = Predictor(engine="opencv", detector=finder).predict(photo[::2, ::2].copy())
    assert nme(face.landmarks, truth / 2) < 0.06


@pytest.fixture
def dlib_cnn_file():
    """dlib's CNN detector, of the package face_recognition_models."""
    from senet_landmark.export.evaluation.peers import find_dlib_model

    try:
        path = find_dlib_model().with_name("mmod_human_face_detector.dat")
    except InputError as error:
        pytest.skip(str(error))
    return path


def test_large_photo_is_detected_small_and_measured_in_full(shipped):
    """Half a pixel of the reduced copy would be five of these."""
    photo, truth = portrait()
    large = cv2.resize(photo, None, fx=10, fy=10, interpolation=cv2.INTER_CUBIC)
    (face,) = shipped.predict(large)
    (small,) = shipped.predict(photo)
    assert nme(face.landmarks, (truth + 0.5) * 10 - 0.5) < 0.05
    apart = np.abs((face.landmarks + 0.5) / 10 - 0.5 - small.landmarks).max()
    assert apart < 2.5, "the two detections differ a little, and so do the crops"


def test_confidence_tells_faces_from_what_is_none(shipped):
    photo, truth = portrait()
    box = geometry.box_from_landmarks(truth)
    beside = np.stack([box + (120, 150, 120, 150), box + (-170, 200, -170, 200)])
    faces = shipped.predict(photo, np.stack([box, *beside]))
    assert faces[0].confidence > 0.9
    assert max(face.confidence for face in faces[1:]) < 0.5
    assert faces[0].uncertainty.shape == (68,) and faces[0].uncertainty.dtype == np.float32
    error = np.linalg.norm(faces[0].landmarks - truth, axis=1).mean()
    assert error / 3 < faces[0].uncertainty.mean() < 3 * error


def test_many_threads_may_share_a_predictor(shipped):
    photo, _ = portrait()
    (expected,) = shipped.predict(photo)
    found = []

    def work():
        found.extend(shipped.predict(photo))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for face in found:
        np.testing.assert_allclose(face.landmarks, expected.landmarks, atol=1e-3)


def test_predictor_gives_pose_and_attributes(full_run):
    predictor = Predictor(full_run.model, passes=1)
    photo, truth = portrait()
    box = geometry.box_from_landmarks(truth)
    boxes = np.stack([box, box + (5, 0, 5, 0)])
    outputs = predictor.outputs(photo, boxes, "landmarks")
    np.testing.assert_array_equal(
        outputs["landmarks"], predictor.landmarks(photo, boxes, "landmarks")
    )
    crops = [
        geometry.crop_face(photo, of, predictor.contract.crop, predictor.contract.size)[0]
        for of in boxes
    ]
    own = load_engine(full_run.model, predictor.contract, "tensorflow")(np.stack(crops))
    for name in ("pose", "attributes"):
        np.testing.assert_allclose(outputs[name], own[name], atol=1e-3)
        assert outputs[name].dtype == np.float32
    none = predictor.outputs(photo, boxes[:0], "landmarks")
    assert [none[name].shape for name in own] == [(0, 68, 2), (0, 3), (0, 11)]


def test_predictor_refuses_bad_input(small_run, tmp_path):
    predictor = Predictor(small_run.model)
    photo, truth = portrait()
    box = geometry.box_from_landmarks(truth)[None]
    for bad in (photo[..., 0], photo.astype(float), np.zeros((0, 0, 3), np.uint8)):
        with pytest.raises(InputError, match="uint8"):
            predictor.landmarks(bad, box, "landmarks")
    with pytest.raises(InputError, match="mtcnn"):
        predictor.landmarks(photo, box, "mtcnn")
    with pytest.raises(InputError, match="no area"):
        predictor.landmarks(photo, box * 0, "landmarks")
    with pytest.raises(InputError, match="cannot be read"):
        predictor.predict(tmp_path / "absent.jpg")
    assert predictor.landmarks(photo, box[:0], "dlib").shape == (0, 68, 2)
    with pytest.raises(InputError, match="no photo in this folder"):
        predict_photos([tmp_path], tmp_path / "out", predictor=predictor)
    with pytest.raises(InputError, match="does not exist"):
        predict_photos(
            [tmp_path / "gone.jpg"], tmp_path / "out", predictor=Predictor(small_run.model)
        )
    assert not (tmp_path / "out").exists()


def test_dlib_finds_the_portrait_in_a_large_photo():
    photo, truth = portrait()
    tight = geometry.box_from_landmarks(truth)
    large = cv2.resize(photo, None, fx=5, fy=5)
    for pixels, factor in ((photo, 1), (large, 5)):
        boxes, scores, _ = get_detector("dlib").find(pixels)
        assert len(boxes) == len(scores) >= 1
        box = geometry.correct_box(boxes[0], default_corrections()["dlib"])
        assert geometry.iou((box + 0.5) / factor - 0.5, tight) > 0.6
    assert len(get_detector("dlib").find(np.zeros((1, 1, 3), np.uint8)).boxes) == 0
