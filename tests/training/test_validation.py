"""The figures of a validation, computed again from the predictions."""

import dataclasses

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from made_records import changed_records, open_store
from runs import short
from senet_landmark.config import NO_AUGMENTATION, NetworkConfig
from senet_landmark.data.input_pipeline import (
    BatchMaker,
    in_order,
    true_poses,
)
from senet_landmark.face.geometry import CropSpec
from senet_landmark.networks.model import build_model
from senet_landmark.training.validation import Validator

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def smiling_records(synthetic_records, tmp_path_factory):
    """The synthetic records with two attributes, known of every face."""

    def smiling(split, number, record):
        values = np.array([number % 2, number // 2 % 2], np.float32)
        return dataclasses.replace(record, attributes=values)

    out = tmp_path_factory.mktemp("smiling") / "records"
    return changed_records(synthetic_records, out, smiling, attributes=["gender", "smile"])


def test_figures_of_a_validation(smiling_records):
    """On weights by chance: computed anew from the predictions, and alike whatever the batches."""
    network = NetworkConfig(pose=True, attributes=("smile", "gender"))
    config = dataclasses.replace(short(), network=network)
    store = open_store(smiling_records)
    maker = BatchMaker(
        store, CropSpec(), (128, 128), NO_AUGMENTATION, 9, attributes=("gender", "smile"),
        poses=true_poses(store, "records"),
    )  # fmt: skip
    whole = in_order(dataclasses.replace(maker, batch_size=len(store)))
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(5)
        model = build_model(network, 68, is_training=False)
        session.run(tf.global_variables_initializer())
        variables = {v.op.name: v for v in slim.get_model_variables()}
        weights = session.run(variables)
        predicted = session.run(model.outputs, {model.image: whole[0]["image"]})
    found = Validator(config, maker).validate(weights)
    truth = whole[0]
    pixels = (predicted["landmarks"] - truth["landmarks"]) * 128
    assert found.figures["mse_pixels"] == pytest.approx(np.mean(pixels**2), rel=1e-4)
    distance = np.linalg.norm(pixels, axis=-1).mean(axis=1)
    eyes = np.linalg.norm((truth["landmarks"][:, 36] - truth["landmarks"][:, 45]) * 128, axis=-1)
    nme = 100 * (distance / eyes).mean()
    assert found.figures["nme_inter_ocular"] == pytest.approx(nme, rel=1e-4)
    angles = np.abs(predicted["pose"] - truth["pose"]).mean(axis=0)
    for name, angle in zip(("yaw", "pitch", "roll"), angles, strict=True):
        assert found.figures[f"pose_mae_{name}"] == pytest.approx(angle, rel=1e-3)
    shares = {"smile": predicted["attributes"][:, :2], "gender": predicted["attributes"][:, 2:]}
    for name, column in (("smile", 1), ("gender", 0)):
        classes = truth["attributes"][:, column].astype(int)
        right = shares[name].argmax(axis=1) == classes
        assert found.figures[f"accuracy_{name}"] == pytest.approx(100 * right.mean())
        chosen = shares[name][np.arange(len(classes)), classes]
        assert found.task_errors[name] == pytest.approx(-np.log(chosen).mean(), rel=1e-3)
    squares = np.radians(predicted["pose"] - truth["pose"]) ** 2
    assert found.task_errors["pose"] == pytest.approx(squares.mean(), rel=1e-3)
    assert set(found.task_errors) == {"pose", "smile", "gender"}
