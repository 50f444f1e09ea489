"""A run of the weights that ship, in all formats."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from converted import SHIPPED
from runs import SmallRun
from senet_landmark.data.records import load_records_info
from senet_landmark.export.conversion.convert import convert
from senet_landmark.export.freezing.freeze import freeze
from senet_landmark.frozen.contract import load_contract
from senet_landmark.networks.model import build_model
from senet_landmark.networks.weights import assign_weights
from senet_landmark.presets import get_preset
from senet_landmark.training import checkpoints


def unfolded(model: Path, variables) -> dict[str, np.ndarray]:
    """A checkpoint's weights that give what a frozen model gives: batch norm undone."""
    nodes = tf.GraphDef.FromString(model.read_bytes()).node
    constants = {n.name: tf.make_ndarray(n.attr["value"].tensor) for n in nodes if n.op == "Const"}
    found = {}
    for variable in variables:
        scope, _, kind = (name := variable.op.name).rpartition("/")
        scope = scope.removesuffix("/BatchNorm")
        if kind in ("gamma", "moving_mean", "moving_variance"):
            value = {"gamma": np.sqrt(1 + 1e-3), "moving_mean": 0, "moving_variance": 1}[kind]
            found[name] = np.full(variable.shape.as_list(), value, np.float32)
            continue
        names = (name, f"{scope}/Conv2D_{'bn_offset' if kind == 'beta' else kind}")
        names += (f"{scope}/depthwise_bn_offset",)
        found[name] = next(constants[n] for n in names if n in constants)
    return found


@pytest.fixture(scope="session")
def real_run(synthetic_records, tmp_path_factory) -> SmallRun:
    """A run whose checkpoint has the weights that ship, and its frozen model."""
    folder = tmp_path_factory.mktemp("real")
    config = get_preset(load_contract(SHIPPED).training["preset"])
    info = load_records_info(synthetic_records)
    checkpoints.save_run(folder / "run", config, info, synthetic_records)
    with tf.Graph().as_default(), tf.Session() as session:
        build_model(config.network, 68, is_training=False)
        variables = slim.get_model_variables()
        assign_weights(session, unfolded(SHIPPED, variables), str(SHIPPED))
        saver = tf.train.Saver(variables)
        checkpoints.save_checkpoint(saver, session, folder / "run" / "best", 1)
    freeze(folder / "run", folder / "m.pb")
    return SmallRun(synthetic_records, folder / "run", folder / "m.pb")


@pytest.fixture(scope="session")
def formats(real_run):
    """Its model in all formats of 32 bits, each checked on the portrait's crops."""
    model = real_run.model
    return {"pb": model} | {to: convert(model, to) for to in ("onnx", "tflite", "savedmodel")}
