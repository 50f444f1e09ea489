"""Every network and head learns all tasks, and reloads equal."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from graphs import CLASSES, POINTS, has_maps, random_batch
from runs import total_loss
from senet_landmark.config import (
    Config,
    NetworkConfig,
    TrainConfig,
)
from senet_landmark.face.attributes import split_probabilities
from senet_landmark.networks.model import build_model
from senet_landmark.networks.registry import NETWORKS, get_network
from senet_landmark.networks.weights import assign_weights
from senet_landmark.training.optimisation import gradients_of, update_operation

pytestmark = pytest.mark.slow

CASES = [(name, head) for name, spec in NETWORKS.items() for head in spec.heads]


ATTRIBUTES = ("gender", "smile", "head_pose")


RATE = 3e-5
"""Small enough for `cnn`, whose coordinates are sums over 86,528 features."""


@pytest.mark.parametrize(("name", "head"), CASES)
def test_network_learns_all_tasks_and_reloads_equal(name, head):
    # Without weight decay, which would move weights that no task reaches.
    tasks = {"pose": True, "depth": True, "attributes": ATTRIBUTES}
    config = NetworkConfig(name=name, head=head, weight_decay=0.0, **tasks)
    size = get_network(name).input_size
    faces = random_batch(2, size)
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(1)
        batch = {key: tf.constant(value) for key, value in faces.items()}
        model = build_model(config, POINTS, is_training=True, image=batch["image"])
        assert {"features", "landmarks", "pose", "depth"} <= set(model.end_points)
        loss = total_loss(Config(network=config), model.end_points, batch, size, ATTRIBUTES)
        step = tf.train.get_or_create_global_step()
        options = TrainConfig(ema_decay=0.0)
        updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        update, _ = update_operation(*gradients_of(loss), tf.constant(RATE), step, options, updates)
        session.run(tf.global_variables_initializer())
        variables = {v.op.name: v for v in slim.get_model_variables()}
        before = session.run(variables)
        drops = "dropout_keep" in get_network(name).options and head == "fc"
        one, two = (session.run(model.landmarks) for _ in range(2))
        assert (np.abs(one - two).max() > 1e-4) == drops
        losses = [session.run([loss, update])[0]]
        after = session.run(variables)
        losses += [session.run([loss, update])[0] for _ in range(5)]
        trained = session.run(variables)
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
    for key, value in before.items():
        if "moving_" in key or key.endswith("weights"):
            assert (value != after[key]).any(), f"{key} did not move"

    with tf.Graph().as_default(), tf.Session() as session:
        model = build_model(config, POINTS, is_training=False)

        def predict(count):
            return session.run(model.outputs, {model.image: faces["image"][:count]})

        assign_weights(session, trained, name)
        whole, again, single = predict(2), predict(2), predict(1)
        session.run(tf.global_variables_initializer())
        untrained = predict(2)
        assign_weights(session, trained, name)
        reloaded = predict(2)
    check_outputs(model, whole, size)
    tolerances = {"landmarks": 1e-5, "depth": 1e-5, "pose": 1e-2, "attributes": 1e-4}
    for key, tolerance in tolerances.items():
        np.testing.assert_array_equal(whole[key], again[key])  # no dropout, no batch statistics
        np.testing.assert_array_equal(whole[key], reloaded[key])
        # Without averages of batch norm to speak of, an input of 0 to 255 makes large numbers.
        size_of = max(1.0, float(np.abs(whole[key]).max()))
        np.testing.assert_allclose(whole[key][:1], single[key], atol=tolerance * size_of)
        assert (whole[key] != untrained[key]).any() and (whole[key][0] != whole[key][1]).any()


def check_outputs(model, found, size):
    """Names and shapes are the contract's, and probabilities such."""
    assert model.image.name == "image:0"
    assert model.image.shape.as_list() == [None, size[1], size[0], 3]
    names = {key: tensor.name for key, tensor in model.outputs.items()}
    expected = {"landmarks": (2, POINTS, 2), "depth": (2, POINTS), "pose": (2, 3)}
    expected["attributes"] = (2, sum(CLASSES))
    if has_maps(model):
        expected["variance"] = (2, POINTS)
        assert (found["variance"] > 0).all()
    assert names == {key: f"{key}:0" for key in expected}
    assert {key: value.shape for key, value in found.items()} == expected
    shares = split_probabilities(found["attributes"], ATTRIBUTES)
    assert [values.shape[1] for values in shares.values()] == list(CLASSES)
    for values in shares.values():
        assert (values >= 0).all()
        np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-5)
