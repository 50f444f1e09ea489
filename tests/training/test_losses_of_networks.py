"""Every loss trains every network."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from runs import total_loss
from senet_landmark.config import Config, LossConfig, NetworkConfig
from senet_landmark.errors import InputError
from senet_landmark.losses import (
    LOSSES,
    get_loss,
    loss_terms,
)
from senet_landmark.networks.model import build_model
from senet_landmark.networks.registry import NETWORKS, get_network

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", NETWORKS)
def test_every_loss_trains_every_network(name):
    network = NetworkConfig(name=name, weight_decay=0.0, pose=True, attributes=("smile",))
    size = get_network(name).input_size
    generator = np.random.default_rng(6)
    landmarks = generator.uniform(0.1, 0.9, (2, 5, 2))
    batch = {
        "landmarks": landmarks,
        "asm_landmarks": landmarks + 0.01,
        "pose": generator.uniform(-40, 40, (2, 3)),
        "attributes": np.array([[0], [1]]),
        "classes": np.array([[1, 0, 1], [0, 1, 1]]),
    }
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(4)
        image = tf.constant(generator.integers(0, 256, (2, size[1], size[0], 3)), tf.uint8)
        tensors = {key: tf.constant(value, tf.float32) for key, value in batch.items()}
        model = build_model(network, 5, is_training=True, image=image)
        ends = model.end_points
        found = {}
        for loss in LOSSES:
            config = Config(network=network, loss=LossConfig(name=loss, asm_weight=2.0))
            total = total_loss(config, ends, tensors, size, ("smile",))
            sources = [ends["features"], ends["landmarks"], ends["pose"]]
            found[loss] = [total, *tf.gradients(total, sources)]
        with pytest.raises(InputError, match="loss pfld needs a network that predicts a pose"):
            poseless = {key: value for key, value in ends.items() if key != "pose"}
            total_loss(Config(loss=LossConfig(name="pfld")), poseless, tensors, size)
        session.run(tf.global_variables_initializer())
        values = session.run(found)
    for loss, (value, *slopes) in values.items():
        assert np.isfinite(value) and value > 0, loss
        assert all(np.isfinite(slope).all() and slope.any() for slope in slopes), loss


def test_pfld_trains_its_pose_branch_without_being_asked():
    def terms_of(name):
        network = NetworkConfig(name=name)
        config = Config(network=network, loss=LossConfig(name="pfld", pose_weight=0.0))
        with tf.Graph().as_default():
            model = build_model(network, 5, is_training=True, batch_size=2)
            shapes = {"landmarks": (2, 5, 2), "pose": (2, 3), "classes": (2, 1)}
            batch = {key: tf.ones(shape) for key, shape in shapes.items()}
            terms = loss_terms(config, model.end_points, batch, get_network(name).input_size)
            branch = [v for v in tf.trainable_variables() if "auxiliary" in v.op.name]
            return terms, tf.gradients(terms["landmarks"], branch)

    terms, slopes = terms_of("pfld")
    assert set(terms) == {"landmarks"} and slopes and None not in slopes
    with pytest.raises(InputError, match=r"set network\.pose"):
        terms_of("tcdcn")


def test_pfld_counts_faces_when_no_angle_is_known():
    truth = np.random.default_rng(0).uniform(0, 1, (2, 5, 2)).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        ends = {"landmarks": tf.constant(truth + 0.1), "pose": tf.zeros([2, 3])}
        batch = {
            "landmarks": tf.constant(truth),
            "pose": tf.fill([2, 3], np.nan),
            "classes": tf.ones([2, 1]),
        }
        loss = session.run(get_loss("pfld")(ends, batch, (100, 100), LossConfig()))
    assert loss == pytest.approx(5 * 2 * 0.1**2, rel=1e-4)
