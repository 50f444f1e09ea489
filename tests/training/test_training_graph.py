"""The graph of a step: replicas that share weights and faces."""

import dataclasses

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from made_records import open_store
from runs import short
from senet_landmark.config import NO_AUGMENTATION
from senet_landmark.data.input_pipeline import BatchMaker
from senet_landmark.face.geometry import CropSpec
from senet_landmark.networks.registry import get_network
from senet_landmark.training.graph import build_training_graph


def stepped(config, store, steps=2):
    """Loss of each step, the weights after them, and how many batch-norm updates there are."""
    maker = BatchMaker(
        store, CropSpec(), get_network(config.network.name).input_size, NO_AUGMENTATION,
        config.train.batch_size,
    )  # fmt: skip
    with tf.Graph().as_default(), tf.Session() as session:
        graph = build_training_graph(config, maker, threads=1)
        session.run(tf.global_variables_initializer())
        session.run(graph.data)
        feed = {graph.rate: 1e-3}
        losses = [session.run([graph.loss, graph.update], feed)[0] for _ in range(steps)]
        weights = session.run({v.op.name: v for v in slim.get_model_variables()})
        return losses, weights, len(tf.get_collection(tf.GraphKeys.UPDATE_OPS))


@pytest.mark.parametrize("replicas", [2, 3, 9])
def test_replicas_without_batch_norm_compute_what_one_network_does(synthetic_records, replicas):
    """Uneven shares, and more replicas than faces, among them."""
    store = open_store(synthetic_records)
    config = short("tcdcn_landmarks", batch_size=5)
    many = dataclasses.replace(config, train=dataclasses.replace(config.train, replicas=replicas))
    _, first, _ = stepped(config, store, steps=0)
    one_losses, one, _ = stepped(config, store)
    losses, weights, _ = stepped(many, store)
    np.testing.assert_allclose(losses, one_losses, rtol=1e-5)
    assert weights.keys() == one.keys()
    for name, value in one.items():
        # As a whole: where a gradient is nearly zero, Adam makes a step of its rounding error.
        apart = np.linalg.norm(weights[name] - value)
        moved = np.linalg.norm(value - first[name])
        assert apart <= 1e-3 * moved, name


def test_replicas_share_weights_and_batch_norm_moves_once(synthetic_records):
    store = open_store(synthetic_records)
    config = short("senet_small", batch_size=4, replicas=1)
    many = dataclasses.replace(config, train=dataclasses.replace(config.train, replicas=2))
    losses, one, updates = stepped(config, store, steps=1)
    found, weights, of_two = stepped(many, store, steps=1)
    assert weights.keys() == one.keys() and of_two == updates > 0
    assert all(weights[n].shape == one[n].shape for n in one)
    assert np.isfinite(found).all() and np.isfinite(losses).all()
