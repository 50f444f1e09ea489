"""Every network in every engine: the frozen graph gives what TensorFlow's own graph gives."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from runs import PB_ENGINES, random_weights
from senet_landmark.config import NetworkConfig
from senet_landmark.errors import InputError
from senet_landmark.export.conversion.convert import convert
from senet_landmark.export.engines.registry import load_engine
from senet_landmark.export.freezing.freeze import frozen_graph, tensors
from senet_landmark.export.freezing.old_tensorflow import known_operations, newer_parts
from senet_landmark.export.freezing.parity import TOLERANCES, differences
from senet_landmark.face.geometry import CropSpec
from senet_landmark.frozen.contract import Contract, load_contract, save_contract
from senet_landmark.io.files import sha256
from senet_landmark.networks.model import Model, build_model
from senet_landmark.networks.registry import NETWORKS, get_network
from senet_landmark.networks.weights import assign_weights

pytestmark = pytest.mark.slow

POINTS = 5
FURTHER = {"depth": True, "pose": True, "attributes": ("gender", "head_pose")}

EVERY = [NetworkConfig(name, head) for name, spec in NETWORKS.items() for head in spec.heads]
EVERY += [
    NetworkConfig("pfld", width=0.25),
    NetworkConfig("senet", "soft_argmax", width=0.375),
    NetworkConfig("pfld", flatten_scales=True),
    NetworkConfig("senet_original", last_relu=False),
    NetworkConfig("tcdcn", batch_norm=True),
    NetworkConfig("tcdcn", binary_output="sigmoid"),
    NetworkConfig("cnn", batch_norm=True),
]
CASES = [replace(network, **FURTHER) for network in EVERY]
SMALL = NetworkConfig("pfld", width=0.25, **FURTHER)
GREY = NetworkConfig("cnn", **FURTHER)
SIGMOID = NetworkConfig("tcdcn", binary_output="sigmoid", **FURTHER)


def label(network):
    options = [f"width {network.width:g}"] * (network.width != 1) + ["bn"] * network.batch_norm
    options += ["flat"] * network.flatten_scales + ["linear"] * (not network.last_relu)
    options += ["sigmoid"] * (network.binary_output == "sigmoid")
    return "-".join([network.name, network.head, *options])


def photos(network, count=3):
    """Smooth random photos, as unlike each other as such can be; uint8 [N, H, W, 3]."""
    generator = np.random.default_rng(2)
    small = generator.uniform(0, 255, (count, 6, 6, 3)).astype(np.float32)
    size = get_network(network.name).input_size
    large = [cv2.resize(photo, size, interpolation=cv2.INTER_CUBIC) for photo in small]
    return np.stack(large).clip(0, 255).astype(np.uint8)


def reference(network, crops):
    """Random weights, and the outputs of TensorFlow's own graph with them."""
    with tf.Graph().as_default(), tf.Session() as session:
        model = build_model(network, POINTS, is_training=False)
        variables = slim.get_model_variables()
        weights = random_weights(variables)
        low, high = get_network(network.name).input_range
        # As if the first layer had learnt its range: numbers of ordinary size behind it.
        weights[variables[0].op.name] *= 2 / (high - low)
        assign_weights(session, weights, "random weights")
        return weights, session.run(model.outputs, {model.image: crops})


def written(network, weights, path, batch_size=0):
    """Writes the `.pb`; its contract."""
    graph = frozen_graph(network, POINTS, weights, "random weights", batch_size)
    path.write_bytes(graph.SerializeToString())
    return Contract(
        sha256=sha256(path),
        network=network.name,
        scheme="mtfl_5",
        crop=CropSpec(),
        box_corrections={},
        **tensors(network, POINTS, batch_size),
    )


def check(found, expected, count):
    """All outputs of the first `count` crops, each by its own name."""
    assert list(found) == list(expected)
    for name, values in found.items():
        assert values.dtype == np.float32 and values.shape == (count, *expected[name].shape[1:])
    largest = differences(found, {n: of[:count] for n, of in expected.items()}, "It differs")
    assert largest["pose"] < 1e-3


@pytest.mark.parametrize("network", CASES, ids=label)
def test_network_runs_in_every_engine_of_a_pb(network, tmp_path):
    crops = photos(network)
    weights, expected = reference(network, crops)
    contract = written(network, weights, tmp_path / "m.pb")
    assert not newer_parts(tf.GraphDef.FromString((tmp_path / "m.pb").read_bytes()))
    maps = ["variance"] * (network.head == "soft_argmax")
    further = ["depth", "pose", "attributes"]
    assert list(expected) == list(contract.outputs) == ["landmarks", *maps, *further]
    for name, values in expected.items():
        # A graph that gave constants, or mixed the faces up, would be told by this.
        apart = np.abs(values[0] - values[1]).max()
        assert apart > 5 * TOLERANCES[name].most, f"{name} is alike in all crops: {apart}"
    shares = expected["attributes"]
    np.testing.assert_allclose(shares[:, :2].sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(shares[:, 2:].sum(axis=1), 1, atol=1e-5)
    for name in PB_ENGINES:
        engine = load_engine(tmp_path / "m.pb", contract, name)
        kept = engine(crops)
        for count in (1, 2, 3):  # the batch may change from call to call
            check(engine(crops[:count]), expected, count)
        check(kept, expected, 3)  # not what the later calls found


def test_fixed_batch_takes_any_number_of_crops(tmp_path):
    crops = photos(SMALL)
    weights, expected = reference(SMALL, crops)
    contract = written(SMALL, weights, tmp_path / "m.pb", batch_size=2)
    assert {tensor.shape[0] for tensor in contract.outputs.values()} == {2}
    for name in PB_ENGINES:
        engine = load_engine(tmp_path / "m.pb", contract, name)
        for count in (1, 3):
            check(engine(crops[:count]), expected, count)


@pytest.mark.parametrize("network", [SMALL, GREY, SIGMOID], ids=label)
def test_conversions_have_every_output(network, tmp_path):
    pytest.importorskip("tf2onnx", reason="needs the extra [onnx]")
    model, crops = tmp_path / "m.pb", photos(network)
    weights, expected = reference(network, crops)
    save_contract(model, written(network, weights, model))
    for suffix in (".onnx", ".tflite"):
        path = model.with_suffix(suffix)
        made = convert(model, suffix[1:])
        assert made.path == path and set(made.differences) == set(expected)
        engine = load_engine(path, load_contract(path))
        for count in (1, 3):
            check(engine(crops[:count]), expected, count)


def test_list_of_old_operations():
    """As `tf.raw_ops` of 1.15 says: what came later is not in it."""
    known = known_operations()
    assert len(known) == 1227 and known["FusedBatchNormV3"] >= {"T", "U", "epsilon", "data_format"}
    assert known["Conv2D"] == known["Conv2D"] | {"T", "strides", "padding", "explicit_paddings"}
    assert "explicit_paddings" not in known["DepthwiseConv2dNative"]  # of 2.4
    assert not {"Spence", "BesselJ0", "DenseBincount"} & set(known)  # of 2.2 to 2.4


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda net: tf.raw_ops.Spence(x=net), "Spence"),
        (lambda net: tf.raw_ops.MatMul(a=net, b=np.eye(4), grad_a=True), "MatMul.grad_a"),
        (lambda net: tf.raw_ops.MatMul(a=net, b=np.eye(4), grad_a=False), None),
    ],
    ids=["operation", "attribute", "default"],
)
def test_what_tensorflow_1_15_does_not_know_is_refused(change, part, monkeypatch):
    def build_model(network, points, *, is_training, batch_size):
        image = tf.placeholder(tf.float32, [batch_size, 4], name="image")
        outputs = {"landmarks": tf.identity(change(image), name="landmarks")}
        return Model(image, outputs["landmarks"], outputs, {})

    monkeypatch.setattr("senet_landmark.export.freezing.freeze.build_model", build_model)
    if part is None:  # a default is left out of the file
        graph = frozen_graph(SMALL, POINTS, {}, "no weights")
        assert [set(node.attr) for node in graph.node if node.op == "MatMul"] == [{"T"}]
        return
    with pytest.raises(RuntimeError, match=f"1.15 does not know: .'{part}'"):
        frozen_graph(SMALL, POINTS, {}, "no weights")


@pytest.fixture(scope="module")
def branchless(tmp_path_factory):
    """A model of `pfld` without a pose, frozen from the weights of one that has its branch."""
    network = replace(SMALL, depth=False, pose=False, attributes=())
    weights, _ = reference(replace(network, pose=True), photos(network))
    assert [name for name in weights if "auxiliary" in name]
    path = tmp_path_factory.mktemp("branchless") / "m.pb"
    return path, written(network, weights, path)


def test_training_branch_is_not_in_the_graph(branchless):
    path, contract = branchless
    assert list(contract.outputs) == ["landmarks"]
    graph = tf.GraphDef.FromString(path.read_bytes())
    assert not [node.name for node in graph.node if "auxiliary" in node.name]


@pytest.mark.parametrize("name", PB_ENGINES)
def test_graph_without_an_output_of_its_contract_is_refused(name, branchless):
    path, contract = branchless
    with pytest.raises(InputError, match=r"m\.pb"):
        load_engine(path, replace(contract, **tensors(SMALL, POINTS)), name)


def test_differences_beyond_the_tolerance_are_named():
    values = {"landmarks": np.zeros((1, 5, 2)), "pose": np.zeros((1, 3))}
    assert differences(values, values, "It differs") == {"landmarks": 0, "pose": 0}
    for angle, told in ((0.02, "0.02 degrees in pose, more than 0.01"), (np.nan, "nan degrees")):
        with pytest.raises(InputError, match=f"^It differs by {told}"):
            differences({**values, "pose": np.full((1, 3), angle)}, values, "It differs")
