"""A frozen graph gives what its checkpoint gives, and says so in its contract."""

import shutil

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from runs import PB_ENGINES, short
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.errors import InputError
from senet_landmark.export.engines.registry import load_engine
from senet_landmark.export.freezing.freeze import FORBIDDEN, freeze
from senet_landmark.export.freezing.parity import described
from senet_landmark.export.freezing.recorded_faces import recorded_faces
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.face import geometry
from senet_landmark.frozen.contract import load_contract
from senet_landmark.networks.model import build_model
from senet_landmark.networks.weights import assign_weights
from senet_landmark.training import checkpoints
from senet_landmark.training.train import train

pytestmark = pytest.mark.slow


def graph_of(model):
    graph_def = tf.GraphDef()
    graph_def.ParseFromString(model.read_bytes())
    return graph_def


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
        assign_weights(session, weights, prefix)
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
    from senet_landmark.data_tools.records.build_records import build_records

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
        Predictor(tmp_path / "model.pb", name, passes=1).landmarks(photo, box, "landmarks")
        for name in PB_ENGINES
    )
    np.testing.assert_allclose(one, two, atol=0.05)
    many = Predictor(tmp_path / "model.pb", passes=1).landmarks(
        photo, np.repeat(box, 3, 0), "landmarks"
    )
    np.testing.assert_allclose(many, np.repeat(one, 3, 0), atol=0.01)
    freeze(tmp_path / "run", tmp_path / "forty.pb", batch_size=40)  # more than there are faces
    found = Predictor(tmp_path / "forty.pb", "tensorflow", passes=1).landmarks(
        photo, box, "landmarks"
    )
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

    monkeypatch.setattr("senet_landmark.export.freezing.freeze.load_engine", differing)
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
