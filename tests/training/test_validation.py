"""The figures of a validation, computed again from the predictions."""

import dataclasses

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from made_records import changed_records, open_store
from run_summaries import scalars
from runs import random_weights, short, total_loss
from senet_landmark.config import NO_AUGMENTATION, NetworkConfig
from senet_landmark.data.input_pipeline import (
    BatchMaker,
    in_order,
    true_poses,
)
from senet_landmark.face.geometry import CropSpec
from senet_landmark.losses import learns_pose
from senet_landmark.networks.model import build_model
from senet_landmark.networks.registry import get_network
from senet_landmark.training.setup import prepare
from senet_landmark.training.train import train
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


TASKS = ("gender", "smile", "head_pose")
"""The attributes of `task_records`."""


def of_task_records(config):
    """The configuration with their attributes."""
    network = dataclasses.replace(config.network, attributes=TASKS)
    loss = dataclasses.replace(config.loss, attribute_weights=(2.0, 4.0, 3.0))
    return dataclasses.replace(config, network=network, loss=loss)


def network_weights(network):
    """Random weights of a network, and the function that predicts with them."""
    with tf.Graph().as_default() as graph:
        model = build_model(network, 68, is_training=False)
        weights = random_weights(slim.get_model_variables())

    def predict(images):
        with graph.as_default(), tf.Session() as session:
            feed = {v.initializer.inputs[1]: weights[v.op.name] for v in slim.get_model_variables()}
            session.run([v.initializer for v in slim.get_model_variables()], feed)
            return session.run(model.end_points, {model.image: images})

    return weights, predict


def test_error_of_the_depth(deep_records):
    config = dataclasses.replace(short(), network=NetworkConfig(depth=True))
    store = open_store(deep_records)
    maker = BatchMaker(store, CropSpec(), (128, 128), NO_AUGMENTATION, len(store))
    (batch,) = in_order(maker)
    weights, predict = network_weights(config.network)
    found = Validator(config, maker).validate(weights)
    predicted, truth = predict(batch["image"])["depth"], batch["depth"]
    assert np.isfinite(truth).all() and np.ptp(truth, axis=1).min() > 0.3
    assert found.task_errors["depth"] == pytest.approx(20 * np.abs(predicted - truth).mean(), 1e-4)
    moved = predicted - predicted.mean(axis=1, keepdims=True)
    assert found.figures["depth_mae"] == pytest.approx(100 * np.abs(moved - truth).mean(), rel=1e-4)


def test_errors_in_pixels_of_the_photo_and_of_the_input(synthetic_records):
    """Of crops that are not square, from photos of which the records are resized parts."""
    config = short("tcdcn_landmarks")
    store = open_store(synthetic_records)
    spec = CropSpec(margins=(0.1, 0.5, 0.1, 0.2), square=False)
    size = get_network(config.network.name).input_size
    maker = BatchMaker(store, spec, size, NO_AUGMENTATION, 9)
    weights, predict = network_weights(config.network)
    (whole,) = in_order(dataclasses.replace(maker, batch_size=len(store)))
    offsets = predict(whole["image"])["landmarks"] - whole["landmarks"]
    figures = Validator(config, maker).validate(weights).figures
    records = [store.record(index) for index in range(len(store))]
    sides = np.array([r.region[2:] - r.region[:2] for r in records])
    boxes = np.array([r.box[2:] - r.box[:2] for r in records]) * sides
    in_photo = offsets * (boxes * (1.2, 1.7))[:, None]
    assert figures["mse_photo_pixels"] == pytest.approx(np.mean(in_photo**2), rel=1e-3)
    assert figures["mse_pixels"] == pytest.approx(np.mean((offsets * size) ** 2), rel=1e-3)
    true_points = np.stack([r.landmarks for r in records]) * sides[:, None]
    units = 1.25 * np.ptp(true_points, axis=1).max(axis=-1)
    sums = (in_photo**2).sum(axis=(1, 2)) / units**2
    assert figures["squared_distance_sum"] == pytest.approx(sums.mean(), rel=1e-3)
    eyes = np.linalg.norm(true_points[:, 36] - true_points[:, 45], axis=-1)
    nme = 100 * (np.linalg.norm(in_photo, axis=-1).mean(axis=1) / eyes).mean()
    assert figures["nme_inter_ocular"] == pytest.approx(nme, rel=1e-3)
    # The preset's loss is the squared error in pixels of the input.
    assert figures["loss"] == pytest.approx(figures["mse_pixels"], rel=1e-3)


@pytest.mark.parametrize("preset", ["pfld_025", "asmnet", "tcdcn"])
def test_loss_of_a_validation(task_records, preset):
    """PFLD's with the branch that only training has, ASMNet's without the copies."""
    config = short(preset)
    store = open_store(task_records)
    if preset == "tcdcn":
        config = of_task_records(config)
    size = get_network(config.network.name).input_size
    poses = true_poses(store, config.loss.pose_truth)
    maker = BatchMaker(
        store, CropSpec(), size, NO_AUGMENTATION, len(store), attributes=TASKS, poses=poses
    )
    (batch,) = in_order(maker)
    needed = dataclasses.replace(config.network, pose=learns_pose(config))
    weights, predict = network_weights(needed)
    without = dataclasses.replace(config.loss, asm_weight=0.0)
    with tf.Graph().as_default(), tf.Session() as session:
        tensors = {key: tf.constant(value) for key, value in predict(batch["image"]).items()}
        truth = {key: tf.constant(value) for key, value in batch.items()}
        plain = dataclasses.replace(config, loss=without)
        wanted = session.run(total_loss(plain, tensors, truth, size, TASKS))
    found = Validator(config, maker).validate(weights)
    assert found.figures["loss"] == pytest.approx(wanted, rel=1e-3) and wanted > 0
    assert ("pose_mae_yaw" in found.figures) == config.network.pose
    assert "landmarks" not in found.task_errors


def test_training_faces_are_measured_whole_and_not_augmented(synthetic_records, tmp_path):
    """All of them where more are asked for than there are; some of them otherwise."""
    config = short("tcdcn_landmarks_augmented", measure_training=1000)
    size = get_network(config.network.name).input_size
    weights, _ = network_weights(config.network)
    plain = BatchMaker(open_store(synthetic_records), CropSpec(), size, NO_AUGMENTATION, 4)
    wanted = Validator(short("tcdcn_landmarks"), plain).validate(weights).figures
    validator = prepare(config, synthetic_records, tmp_path / "run", None).validator
    figures = validator.validate(weights).figures
    own = {name for name in figures if not name.startswith("training_")}
    assert {f"training_{name}" for name in own} == set(figures) - own
    for name in own - {"loss"}:  # that of `tcdcn_landmarks` has the same terms
        assert figures[f"training_{name}"] == pytest.approx(wanted[name], rel=1e-4)
    assert figures["training_loss"] == pytest.approx(wanted["loss"], rel=1e-4)
    assert figures["nme_inter_ocular"] != pytest.approx(wanted["nme_inter_ocular"])
    few = dataclasses.replace(config, train=dataclasses.replace(config.train, measure_training=5))
    chosen = dataclasses.replace(plain, store=open_store(synthetic_records))
    faces = np.concatenate([batch["landmarks"] for batch in in_order(chosen, 5)])
    assert len(faces) == 5
    some = prepare(few, synthetic_records, tmp_path / "few", None).validator.validate(weights)
    assert some.figures["training_mse_pixels"] != pytest.approx(wanted["mse_pixels"], rel=1e-6)


def test_training_loss_is_beside_that_of_the_validation(task_records, tmp_path):
    run = tmp_path / "run"
    config = of_task_records(short("tcdcn", steps=2, measure_training=3))
    result = train(config, task_records, run)
    tags = scalars(run)
    for name in ("loss", "mse_pixels", "mse_photo_pixels", "accuracy_smile"):
        for key in (name, f"training_{name}"):
            assert np.isfinite(result.figures[key]) and f"validation/{key}" in tags
    resumed = of_task_records(short("tcdcn", steps=3))  # without them: they may change
    assert train(resumed, task_records, run).steps == 3
