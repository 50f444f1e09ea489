"""Every network and loss through the registries."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from senet_landmark import train
from senet_landmark.config import LossConfig, NetworkConfig, ScheduleConfig, TrainConfig
from senet_landmark.errors import InputError
from senet_landmark.losses import LOSSES, get_loss, total_loss
from senet_landmark.model import build_model
from senet_landmark.networks import heads
from senet_landmark.networks.registry import NETWORKS, get_network

CASES = [(name, head) for name, spec in NETWORKS.items() for head in spec.heads]
POINTS = 68


def faces(count, size, seed=0):
    generator = np.random.default_rng(seed)
    image = generator.integers(0, 256, (count, size[1], size[0], 3), dtype=np.uint8)
    return image, generator.uniform(0.1, 0.9, (count, POINTS, 2)).astype(np.float32)


@pytest.mark.parametrize(("name", "head"), CASES)
def test_network_trains_a_step_and_reloads_equal(name, head):
    config = NetworkConfig(name=name, head=head)
    size = get_network(name).input_size
    image, truth = faces(4, size)
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(1)
        model = build_model(config, POINTS, is_training=True, image=tf.constant(image))
        batch = {"landmarks": tf.constant(truth)}
        loss = total_loss(LossConfig(), model.end_points, batch, size)
        step = tf.train.get_or_create_global_step()
        update, _ = train.update_operation(loss, tf.constant(1e-3), step, TrainConfig())
        session.run(tf.global_variables_initializer())
        variables = {v.op.name: v for v in slim.get_model_variables()}
        before = session.run(variables)
        first, *_ = session.run([loss, update])
        after = session.run(variables)
        for _ in range(10):
            last, *_ = session.run([loss, update])
        trained = session.run(variables)
        assert model.landmarks.shape.as_list() == [4, POINTS, 2]
        assert {"features", "landmarks"} <= set(model.end_points)
    assert np.isfinite(first) and last < first
    for key in before:
        if "moving_" in key:
            assert (before[key] != after[key]).any(), f"{key} did not move"
    moved = [k for k in before if k.endswith("weights") and (before[k] != after[k]).any()]
    assert len(moved) == sum(k.endswith("weights") for k in before)

    def predict():
        with tf.Graph().as_default(), tf.Session() as session:
            model = build_model(config, POINTS, is_training=False)
            for variable in slim.get_model_variables():
                variable.load(trained[variable.op.name], session)
            return [session.run(model.landmarks, {model.image: image[:n]}) for n in (4, 4, 1)]

    whole, again, single = predict()
    np.testing.assert_array_equal(whole, again)  # no dropout, no batch statistics
    np.testing.assert_allclose(whole[:1], single, atol=1e-5)
    np.testing.assert_allclose(predict()[0], whole, atol=1e-6)


def test_default_network_is_small():
    graph = tf.Graph()
    with graph.as_default():
        build_model(NetworkConfig(), POINTS, is_training=False, batch_size=1)
        parameters = sum(int(np.prod(v.shape)) for v in tf.trainable_variables())
        options = tf.profiler.ProfileOptionBuilder.float_operation()
        options["output"] = "none"
        flops = tf.profiler.profile(graph, options=options).total_float_ops
    assert parameters < 700_000
    assert flops <= 100e6


def test_original_network_never_predicts_below_zero():
    image, _ = faces(3, (128, 128))
    with tf.Graph().as_default(), tf.Session() as session:
        config = NetworkConfig(name="senet_original", head="fc")
        model = build_model(config, POINTS, is_training=False)
        session.run(tf.global_variables_initializer())
        assert session.run(model.landmarks, {model.image: image}).min() >= 0


def test_head_that_a_network_lacks_is_refused():
    with tf.Graph().as_default(), pytest.raises(InputError, match="soft_argmax"):
        build_model(NetworkConfig(name="senet_original"), POINTS, is_training=False)
    with pytest.raises(InputError, match="senet_original"):
        get_network("resnet")


def test_grid_reaches_beyond_the_crop():
    grid = heads._grid(16, 16)
    assert grid.min() == pytest.approx(-heads.GRID_REACH) and grid.max() > 1
    np.testing.assert_allclose(grid[:16, 1], grid[0, 1])  # rows are y


def numpy_loss(name, predicted, truth, size):
    """Each loss written anew from its paper's equation."""
    if name == "l2":
        return np.mean((predicted - truth) ** 2)
    d = np.abs(predicted - truth) * size
    if name == "smooth_l1":
        return np.mean(np.where(d < 1, d**2 / 2, d - 0.5))
    if name == "wing":
        c = 10 - 10 * np.log(1 + 10 / 2)
        return np.mean(np.where(d < 10, 10 * np.log(1 + d / 2), d - c))
    d = d / (0.1 * np.array(size))
    omega, theta, eps, power = 14, 0.5, 1, 2.1 - 1
    a = omega / (1 + (theta / eps) ** power) * power * (theta / eps) ** (power - 1) / eps
    c = theta * a - omega * np.log(1 + (theta / eps) ** power)
    return np.mean(np.where(d < theta, omega * np.log(1 + (d / eps) ** power), a * d - c))


@pytest.mark.parametrize("name", LOSSES)
def test_loss_is_the_papers_and_its_gradient_is_right(name):
    size = (128, 96)
    generator = np.random.default_rng(0)
    truth = generator.uniform(0, 1, (3, 5, 2)).astype(np.float32)
    predicted = truth + generator.normal(0, 0.06, truth.shape).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        place = tf.placeholder(tf.float32, truth.shape)
        loss = get_loss(name)({"landmarks": place}, {"landmarks": tf.constant(truth)}, size)
        gradient = tf.gradients(loss, place)[0]
        value, slope = session.run([loss, gradient], {place: predicted})
        at_truth = session.run([loss, gradient], {place: truth})
    assert value == pytest.approx(numpy_loss(name, predicted, truth, size), rel=1e-4)
    for index in ((0, 0, 0), (1, 3, 1), (2, 4, 0)):
        high, low = predicted.astype(np.float64), predicted.astype(np.float64)
        high[index] += 1e-5
        low[index] -= 1e-5
        numeric = (numpy_loss(name, high, truth, size) - numpy_loss(name, low, truth, size)) / 2e-5
        assert slope[index] == pytest.approx(numeric, rel=2e-2, abs=1e-4)
    assert at_truth[0] == pytest.approx(0, abs=1e-4) and np.isfinite(at_truth[1]).all()


def test_heatmap_loss_is_least_where_the_landmark_is():
    grid = heads._grid(16, 16)
    truth = np.array([[[0.3, 0.7], [1.05, -0.02]]], np.float32)
    cell = grid[1, 0] - grid[0, 0]

    def cross_entropy(shift):
        peak = truth[:, :, None] + shift
        logits = -np.sum(((peak - grid) / cell) ** 2, -1) / 2
        with tf.Graph().as_default(), tf.Session() as session:
            ends = {"map_logits": tf.constant(logits, tf.float32), "grid": tf.constant(grid)}
            config = LossConfig(name="l2", heatmap_weight=1)
            batch = {"landmarks": tf.constant(truth)}
            return session.run(
                total_loss(config, ends | {"landmarks": tf.constant(truth)}, batch, (128, 128))
            )

    assert cross_entropy(0.0) < min(cross_entropy(0.1), cross_entropy(-0.1))


def test_learning_rates():
    with tf.Graph().as_default(), tf.Session() as session:
        step, progress = tf.placeholder(tf.int64), tf.placeholder(tf.float32)
        original = ScheduleConfig(initial=0.001, decay_steps=1000, decay_rate=0.98, warmup_steps=0)
        rates = [train.learning_rate(c, step, progress) for c in (original, ScheduleConfig())]

        def at(s, p):
            return session.run(rates, {step: s, progress: p})

        assert at(2500, 0)[0] == pytest.approx(0.001 * 0.98**2.5, rel=1e-5)
        assert at(10**5, 0.0)[1] == pytest.approx(5e-3)
        assert at(10**5, 0.5)[1] == pytest.approx(5e-4, rel=1e-4)
        assert at(10**5, 1.0)[1] == pytest.approx(5e-5, rel=1e-4)
        assert at(99, 0.0)[1] == pytest.approx(2.5e-3)  # half way through the warm-up


@pytest.mark.parametrize("name", LOSSES)
def test_unknown_landmarks_add_nothing_to_a_loss(name):
    generator = np.random.default_rng(0)
    truth = generator.uniform(0, 1, (3, POINTS, 2)).astype(np.float32)
    truth[1, 5] = np.nan
    other = np.where(np.isfinite(truth), truth, 0.3).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        predicted = tf.constant(generator.uniform(0, 1, truth.shape), tf.float32)
        config = LossConfig(name=name)

        def of(landmarks):
            batch = {"landmarks": tf.constant(landmarks)}
            return total_loss(config, {"landmarks": predicted}, batch, (128, 128))

        gradient = tf.gradients(of(truth), predicted)[0]
        loss, slope, full = session.run(
            [of(truth), gradient, tf.gradients(of(other), predicted)[0]]
        )
    assert np.isfinite(loss) and np.isfinite(slope).all()
    assert not slope[1, 5].any() and slope[1, 4].any()
    known = np.isfinite(truth)
    np.testing.assert_allclose(slope[known], full[known], rtol=1e-5)
