"""Freezing, engines, the predictor and evaluation."""

import json
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from conftest import PB_ENGINES, short

from data_tools import face_boxes
from data_tools.datasets.synthetic import portrait, portrait_path
from export.contract import load_contract
from export.engines.registry import load_engine
from export.equality import described
from export.evaluate import Photos, evaluate_models
from export.freeze import FORBIDDEN, freeze
from export.predict import predict_photos
from export.predictor import Predictor, find_model
from export.recorded_faces import recorded_faces
from senet_landmark import checkpoints, geometry
from senet_landmark.attributes import get_attribute, split_probabilities
from senet_landmark.errors import InputError
from senet_landmark.images import write_picture
from senet_landmark.metrics import nme_inter_ocular
from senet_landmark.model import build_model
from senet_landmark.pose import pose_of
from senet_landmark.schemes import get_scheme
from senet_landmark.train import train


def graph_of(model):
    graph_def = tf.GraphDef()
    graph_def.ParseFromString(model.read_bytes())
    return graph_def


def copy_model(model, folder):
    for path in (model, model.with_suffix(".json")):
        shutil.copy(path, folder)
    return folder / model.name


# --- freezing --------------------------------------------------------------------------------


def test_frozen_graph_holds_no_training_node(small_run):
    nodes = graph_of(small_run.model).node
    for node in nodes:
        assert not any(part in node.op for part in FORBIDDEN), node.op
        assert "BatchNorm" not in node.op
    by_name = {node.name: node.op for node in nodes}
    # The output's own operation has its name: OpenCV 5 drops a closing identity.
    assert by_name["image"] == "Placeholder" and by_name["landmarks"] == "Reshape"


def test_every_engine_gives_the_checkpoints_landmarks(small_run):
    """On real crops of the records: checkpoint, TensorFlow and OpenCV agree."""
    config, info, folder = checkpoints.load_run(small_run.run)
    weights, _, prefix = checkpoints.weights_of(small_run.run)
    contract = load_contract(small_run.model)
    crops = recorded_faces(folder, info.scheme, contract.crop, contract.size).crops(5)
    with tf.Graph().as_default(), tf.Session() as session:
        model = build_model(config.network, 68, is_training=False)
        checkpoints.assign_weights(session, weights, prefix)
        expected = session.run(model.landmarks, {model.image: crops})
    for name in PB_ENGINES:
        engine = load_engine(small_run.model, contract, name)
        for part in (crops, crops[:1], crops):  # the batch may change from call to call
            outputs = engine(part)
            found = outputs["landmarks"]
            assert list(outputs) == ["landmarks", "variance"]
            assert found.shape == (len(part), 68, 2) and found.dtype == np.float32
            np.testing.assert_allclose(found, expected[: len(part)], atol=1e-4, err_msg=name)


def test_original_network_freezes_to_a_batch_of_one(synthetic_tree, tmp_path):
    from data_tools.build_records import build_records

    config = short("senet_original", steps=3)
    build_records("300w_lp", synthetic_tree, tmp_path / "records", config.records, workers=1)
    train(config, tmp_path / "records", tmp_path / "run")
    result = freeze(tmp_path / "run", tmp_path / "model.pb", batch_size=1)
    assert result.differences["landmarks"] <= 1e-4
    contract = load_contract(tmp_path / "model.pb")
    assert contract.input.shape == (1, 128, 128, 3) and not contract.crop.square
    photo, truth = portrait()
    box = geometry.box_from_landmarks(truth)[None]
    one, two = (
        Predictor(tmp_path / "model.pb", name).landmarks(photo, box, "landmarks")
        for name in PB_ENGINES
    )
    np.testing.assert_allclose(one, two, atol=0.05)
    many = Predictor(tmp_path / "model.pb").landmarks(photo, np.repeat(box, 3, 0), "landmarks")
    np.testing.assert_allclose(many, np.repeat(one, 3, 0), atol=0.01)
    freeze(tmp_path / "run", tmp_path / "forty.pb", batch_size=40)  # more than there are faces
    found = Predictor(tmp_path / "forty.pb", "tensorflow").landmarks(photo, box, "landmarks")
    np.testing.assert_allclose(found, two, atol=0.01)


def test_freeze_checks_every_output_and_describes_it(full_run, tmp_path):
    result = freeze(full_run.run, tmp_path / "model.pb", batch_size=2)
    assert list(result.differences) == ["landmarks", "pose", "attributes"]
    assert described(result.differences).endswith(" of a probability")
    contract = load_contract(tmp_path / "model.pb")
    assert {name: (t.name, t.shape) for name, t in contract.outputs.items()} == {
        "landmarks": ("landmarks:0", (2, 68, 2)),
        "pose": ("pose:0", (2, 3)),
        "attributes": ("attributes:0", (2, 11)),
    }
    assert contract.attribute_names == ("gender", "smile", "glasses", "head_pose")


def test_frozen_graph_that_differs_is_not_written(full_run, tmp_path, monkeypatch):
    def differing(*arguments):
        engine = load_engine(*arguments)
        return lambda crops: {**(found := engine(crops)), "pose": found["pose"] + 0.02}

    monkeypatch.setattr("export.freeze.load_engine", differing)
    with pytest.raises(InputError, match=r"model\.pb: not written.*differs from .*ckpt-7 by 0\.02"):
        freeze(full_run.run, tmp_path / "model.pb")
    assert not list(tmp_path.iterdir())


def test_freeze_refuses_what_it_cannot_do(small_run, tmp_path):
    with pytest.raises(InputError, match=r"ends in \.pb"):
        freeze(small_run.run, tmp_path / "model.onnx")
    with pytest.raises(InputError, match="must not be negative"):
        freeze(small_run.run, tmp_path / "model.pb", batch_size=-1)
    with pytest.raises(InputError, match="does not exist"):
        freeze(tmp_path / "nowhere", tmp_path / "model.pb")
    run = tmp_path / "run"
    shutil.copytree(small_run.run, run)
    for folder in ("best", "checkpoints"):
        shutil.rmtree(run / folder)
    with pytest.raises(InputError, match="no checkpoint"):
        freeze(run, tmp_path / "model.pb")
    assert not list(tmp_path.glob("*.pb")) and not list(tmp_path.glob("*.json"))


def test_moved_run_and_records_still_freeze(small_run, tmp_path):
    shutil.copytree(small_run.run, tmp_path / "run")
    shutil.copytree(small_run.records, tmp_path / "records")
    freeze(tmp_path / "run", tmp_path / "model.pb", records=tmp_path / "records")
    with pytest.raises(InputError, match=r"no report\.json"):
        freeze(tmp_path / "run", tmp_path / "model.pb", records=tmp_path / "gone")


# --- contract --------------------------------------------------------------------------------


def test_model_without_or_with_anothers_contract_is_refused(small_run, tmp_path):
    with pytest.raises(InputError, match="no such model"):
        load_contract(tmp_path / "model.pb")
    model = copy_model(small_run.model, tmp_path)
    model.write_bytes(model.read_bytes() + b"\n")
    with pytest.raises(InputError, match="belongs to another model"):
        load_contract(model)
    path = model.with_suffix(".json")
    values = json.loads(path.read_text())
    for text, message in (
        ("{", "not valid JSON"),
        ("[]", "format version None"),
        (json.dumps(values | {"format_version": 7}), "format version 7"),
        (json.dumps(values | {"colour": "RGB"}), "unknown field"),
        (json.dumps({"format_version": 1, "sha256": "0"}), "incomplete"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            load_contract(model)
    path.unlink()
    with pytest.raises(InputError, match=r"model\.json: absent"):
        load_contract(model)


def test_contract_from_before_further_outputs_still_loads(tmp_path):
    model = copy_model(find_model("senet-68"), tmp_path)
    values = json.loads(model.with_suffix(".json").read_text())
    for later in ("variance", "pose", "attributes", "confidence", "expected_error", "conversions"):
        values.pop(later)
    model.with_suffix(".json").write_text(json.dumps(values))
    contract = load_contract(model)
    assert list(contract.outputs) == ["landmarks"] and contract.attribute_names == ()
    photo, truth = portrait()
    box = geometry.box_from_landmarks(truth)[None]
    for name in PB_ENGINES:
        predictor = Predictor(model, name)
        outputs = predictor.outputs(photo, box, "landmarks")
        assert list(outputs) == ["landmarks"]
        assert nme_inter_ocular(outputs["landmarks"], truth[None], get_scheme("300w_68"))[0] < 0.04
        (face,) = predictor.predict(photo)  # how sure the model is was not fitted
        assert np.isnan(face.confidence) and np.isnan(face.uncertainty).all()


def test_contract_with_other_attributes_than_its_model_is_refused(full_run, tmp_path):
    model = copy_model(full_run.model, tmp_path)
    path = model.with_suffix(".json")
    values = json.loads(path.read_text())
    for change, message in (
        ({"attribute_names": ["gender", "smile"]}, r"full\.json: .*have 4 classes, .* has 11"),
        ({"attribute_names": ["gender", "beard"]}, "Unknown attribute 'beard'"),
        ({"attributes": None}, "have 11 classes, .* has 0"),
    ):
        path.write_text(json.dumps(values | change))
        with pytest.raises(InputError, match=message):
            load_contract(model)


@pytest.mark.parametrize("name", PB_ENGINES)
def test_damaged_graph_is_refused(small_run, tmp_path, name):
    contract = load_contract(small_run.model)
    path = tmp_path / "broken.pb"
    path.write_bytes(small_run.model.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"broken\.pb"):
        load_engine(path, contract, name)


def test_unknown_model_and_engine(small_run):
    with pytest.raises(InputError, match="no such model"):
        find_model("senet-unheard-of")
    with pytest.raises(InputError, match="Known: tflite, onnxruntime, opencv, tensorflow"):
        InputError, match="Known: tflite, onnxruntime, opencv, tensorflow, tensorflow2"
    ):
        Predictor(small_run.model, "torch")


# --- the weights that ship -------------------------------------------------------------------


def test_shipped_weights_on_the_portrait():
    """On a real photo that had no part in their training, within 4% of points set by hand."""
    predictor = Predictor()
    photo, truth = portrait()
    scheme = predictor.contract.landmark_scheme
    box = geometry.box_from_landmarks(truth)[None]
    found = predictor.landmarks(photo, box, "landmarks")
    assert nme_inter_ocular(found, truth[None], scheme)[0] < 0.04
    (face,) = predictor.predict(photo)
    assert nme_inter_ocular(face.landmarks[None], truth[None], scheme)[0] < 0.05


def test_shipped_weights_on_real_photos(shared_data, tmp_path):
    """HELEN's test photos: the README's figures, within the bounds that the project promises."""
    root = shared_data("300w", "helen", "testset")
    metrics = evaluate_models([None], Photos("300w", root), tmp_path, page=False)
    assert metrics["n"] == 330 and metrics["nme_inter_ocular"] <= 4.2


# --- prediction ------------------------------------------------------------------------------


def test_predict_needs_no_tensorflow(small_run, tmp_path):
    program = (
        "import sys\n"
        "from export.predict import predict_photos\n"
        "from pathlib import Path\n"
        f"predict_photos([Path({str(portrait_path())!r})], {str(tmp_path)!r}, "
        f"model={str(small_run.model)!r})\n"
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
    summary = predict_photos([photos], tmp_path / "out", model=small_run.model)
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
    predict_photos([portrait_path()], tmp_path, model=full_run.model)
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
        predict_photos([tmp_path], tmp_path / "out", model=small_run.model)
    with pytest.raises(InputError, match="does not exist"):
        predict_photos([tmp_path / "gone.jpg"], tmp_path / "out", model=small_run.model)
    assert not (tmp_path / "out").exists()


def test_dlib_finds_the_portrait_in_a_large_photo():
    photo, truth = portrait()
    tight = geometry.box_from_landmarks(truth)
    large = cv2.resize(photo, None, fx=5, fy=5)
    for pixels, factor in ((photo, 1), (large, 5)):
        boxes, scores = face_boxes.find_faces(pixels)
        assert len(boxes) == len(scores) >= 1
        box = geometry.correct_box(boxes[0], face_boxes.DEFAULT_CORRECTIONS["dlib"])
        assert geometry.iou((box + 0.5) / factor - 0.5, tight) > 0.6
    assert len(face_boxes.find_faces(np.zeros((1, 1, 3), np.uint8))[0]) == 0
