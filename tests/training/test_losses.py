"""Every loss against its paper's equation, and what the loss of a run is made of."""

import contextlib
from collections import Counter

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from runs import total_loss
from senet_landmark.config import Config, LossConfig, NetworkConfig
from senet_landmark.errors import InputError
from senet_landmark.losses import (
    LOSSES,
    asm_factor,
    attribute_loss,
    get_loss,
    loss_terms,
    pose_loss,
)
from senet_landmark.networks import heads
from senet_landmark.networks.model import build_model
from senet_landmark.networks.registry import NETWORKS, get_network

pytestmark = pytest.mark.slow

SIZE = (128, 96)
CLASSES = (("profile", "up"), ("frontal",), ("frontal", "up"), ("none",))
"""Of each of 4 faces; the first is the rarest."""
NAMES = ("profile", "frontal", "up", "none")


def faces(seed=0, points=5):
    """(predicted, truth) of 4 faces: landmarks float64 [4, K, 2], angles in degrees [4, 3]."""
    generator = np.random.default_rng(seed)
    truth = {
        "landmarks": generator.uniform(0, 1, (4, points, 2)),
        "pose": generator.uniform(-60, 60, (4, 3)),
    }
    spread = {"landmarks": 0.06, "pose": 20.0}
    predicted = {k: v + generator.normal(0, spread[k], v.shape) for k, v in truth.items()}
    return predicted, truth


def class_matrix():
    return np.array([[name in classes for name in NAMES] for classes in CLASSES], np.float32)


def numpy_loss(name, predicted, truth, size=SIZE, options=LossConfig(), unknown_angle=None):
    """Each loss written anew from its paper's equation.

    `unknown_angle` replaces the mean angle that faces of unknown pose get in PFLD's loss.
    """
    p, t = predicted["landmarks"], truth["landmarks"]
    d = np.abs(p - t) * size
    if name == "l2":
        return np.mean((d / (options.l2_unit or size)) ** 2)
    if name == "smooth_l1":
        return np.mean(np.where(d < 1, d**2 / 2, d - 0.5))
    if name == "wing":
        c = 10 - 10 * np.log(1 + 10 / 2)
        return np.mean(np.where(d < 10, 10 * np.log(1 + d / 2), d - c))
    if name == "pfld":
        shares = Counter(c for classes in CLASSES for c in classes)
        angles = angle_factors(predicted, truth)
        mean = np.nanmean(angles) if unknown_angle is None else unknown_angle
        angles = np.where(np.isnan(angles), mean, angles)
        terms = [
            sum(len(CLASSES) / shares[c] for c in classes) * angle * (offsets**2).sum()
            for classes, angle, offsets in zip(CLASSES, angles, d, strict=True)
        ]
        return sum(terms) / len(terms)
    d = d / (0.1 * np.array(size))
    omega, theta, eps, power = 14, 0.5, 1, 2.1 - 1
    a = omega / (1 + (theta / eps) ** power) * power * (theta / eps) ** (power - 1) / eps
    c = theta * a - omega * np.log(1 + (theta / eps) ** power)
    return np.mean(np.where(d < theta, omega * np.log(1 + (d / eps) ** power), a * d - c))


def angle_factors(predicted, truth):
    """sum_k (1 - cos theta_k) of each face."""
    return (1 - np.cos(np.radians(predicted["pose"] - truth["pose"]))).sum(axis=1)


@contextlib.contextmanager
def fed(predicted, truth, **more):
    """(end points, batch, run): placeholders of the predictions, constants of the truth."""
    with tf.Graph().as_default(), tf.Session() as session:
        ends = {key: tf.placeholder(tf.float32, value.shape) for key, value in predicted.items()}
        values = {**truth, "classes": class_matrix(), **more}
        batch = {key: tf.constant(value, tf.float32) for key, value in values.items()}

        def run(tensors, values):
            return session.run(tensors, {ends[key]: value for key, value in values.items()})

        yield ends, batch, run


def check_gradient(function, values, slope, step=1e-5, count=8):
    """The slope of some values is that of small steps; `function` takes the whole array."""
    for index in np.random.default_rng(1).choice(values.size, count, replace=False):
        place = np.unravel_index(index, values.shape)
        high, low = values.copy(), values.copy()
        high[place] += step
        low[place] -= step
        numeric = (function(high) - function(low)) / (2 * step)
        assert slope[place] == pytest.approx(numeric, rel=2e-2, abs=1e-4)


# --- the losses of the landmarks -------------------------------------------------------------


@pytest.mark.parametrize("name", LOSSES)
def test_loss_is_the_papers_and_its_gradient_is_right(name):
    predicted, truth = faces()
    with fed(predicted, truth) as (ends, batch, run):
        loss = get_loss(name)(ends, batch, SIZE, LossConfig())
        places = [ends["landmarks"]] + [ends["pose"]] * (name == "pfld")
        slopes = tf.gradients(loss, places)
        value, found = run([loss, slopes], predicted)
        at_truth = run([loss, slopes], truth)
    assert value == pytest.approx(numpy_loss(name, predicted, truth), rel=1e-4)
    for key, slope in zip(("landmarks", "pose"), found, strict=False):
        check_gradient(
            lambda values, key=key: numpy_loss(name, predicted | {key: values}, truth),
            predicted[key],
            slope,
        )
    assert at_truth[0] == pytest.approx(0, abs=1e-4)
    assert all(np.isfinite(slope).all() for slope in at_truth[1])


@pytest.mark.parametrize("name", LOSSES)
def test_unknown_landmarks_add_nothing_to_a_loss(name):
    predicted, truth = faces(points=68)
    truth["landmarks"][1, 5] = np.nan
    known = np.isfinite(truth["landmarks"])
    slopes = []
    for filled in (np.nan, 0.3):
        landmarks = np.where(known, truth["landmarks"], filled)
        with fed(predicted, truth | {"landmarks": landmarks}) as (ends, batch, run):
            config = Config(loss=LossConfig(name=name, pose_weight=0.0))
            loss = total_loss(config, ends, batch, SIZE)
            value, slope = run([loss, tf.gradients(loss, ends["landmarks"])[0]], predicted)
        assert np.isfinite(value) and np.isfinite(slope).all()
        slopes.append(slope)
    unknown, full = slopes
    assert not unknown[1, 5].any() and full[1, 5].all()
    np.testing.assert_allclose(unknown[known], full[known], rtol=1e-5)


@pytest.mark.parametrize(("unit", "scale"), [(0.0, None), (1.0, 1.0), (50.0, 1 / 2500)])
def test_unit_of_l2_is_the_crop_or_so_many_pixels(unit, scale):
    predicted, truth = faces()
    options = LossConfig(name="l2", l2_unit=unit)
    with fed(predicted, truth) as (ends, batch, run):
        loss = run(get_loss("l2")(ends, batch, SIZE, options), predicted)
    offsets = predicted["landmarks"] - truth["landmarks"]
    expected = np.mean(offsets**2) if scale is None else np.mean((offsets * SIZE) ** 2) * scale
    assert loss == pytest.approx(expected, rel=1e-4)


def test_pfld_takes_the_mean_angle_where_the_pose_is_unknown():
    predicted, truth = faces()
    truth["pose"][2] = np.nan
    truth["pose"][0, 1] = np.nan  # one angle of three is not enough
    with fed(predicted, truth) as (ends, batch, run):
        loss = get_loss("pfld")(ends, batch, SIZE, LossConfig())
        places = [ends["landmarks"], ends["pose"]]
        value, (of_landmarks, of_pose) = run([loss, tf.gradients(loss, places)], predicted)
    assert value == pytest.approx(numpy_loss("pfld", predicted, truth), rel=1e-4)
    assert not of_pose[[0, 2]].any() and of_pose[[1, 3]].all()
    assert of_landmarks[[0, 2]].all()
    # The mean is a constant for the others' poses, or they would be trained by other faces.
    mean = np.nanmean(angle_factors(predicted, truth))

    def of(pose):
        return numpy_loss("pfld", predicted | {"pose": pose}, truth, unknown_angle=mean)

    check_gradient(of, predicted["pose"], of_pose)


def test_pfld_weighs_rare_classes_more():
    predicted, truth = faces()
    offsets = predicted["landmarks"] - truth["landmarks"]
    offsets[:] = 0.02  # all faces alike but for their classes
    predicted = {"landmarks": truth["landmarks"] + offsets, "pose": truth["pose"] + 30}
    with fed(predicted, truth) as (ends, batch, run):
        loss = get_loss("pfld")(ends, batch, SIZE, LossConfig())
        slope = run(tf.gradients(loss, ends["landmarks"])[0], predicted)
    weights = slope[:, 0, 0] / slope[1, 0, 0]
    # 4 / 1 + 4 / 2, 4 / 2, 4 / 2 + 4 / 2 and 4 / 1, by the second.
    np.testing.assert_allclose(weights, [3, 1, 2, 2], rtol=1e-4)


def test_pfld_needs_a_pose():
    predicted, truth = faces()
    with (
        fed(predicted, truth) as (ends, batch, _),
        pytest.raises(InputError, match=r"set network\.pose"),
    ):
        get_loss("pfld")({"landmarks": ends["landmarks"]}, batch, SIZE, LossConfig())


def test_unknown_loss_is_named_with_the_known_ones():
    with pytest.raises(InputError, match=r"'huber'.*adaptive_wing.*pfld"):
        get_loss("huber")


def test_heatmap_loss_is_least_where_the_landmark_is():
    grid = heads._grid(16, 16)
    truth = np.array([[[0.3, 0.7], [1.05, -0.02]]], np.float32)
    cell = grid[1, 0] - grid[0, 0]

    def cross_entropy(shift):
        peak = truth[:, :, None] + shift
        logits = -np.sum(((peak - grid) / cell) ** 2, -1) / 2
        with tf.Graph().as_default(), tf.Session() as session:
            ends = {"map_logits": tf.constant(logits, tf.float32), "grid": tf.constant(grid)}
            config = Config(loss=LossConfig(name="l2", heatmap_weight=1))
            batch = {"landmarks": tf.constant(truth)}
            return session.run(
                total_loss(config, ends | {"landmarks": tf.constant(truth)}, batch, (128, 128))
            )

    assert cross_entropy(0.0) < min(cross_entropy(0.1), cross_entropy(-0.1))


# --- the ASM copies --------------------------------------------------------------------------


def test_weight_of_the_asm_copies_falls_by_thirds():
    """Fard et al., CVPRW 2021, section 3.2: 2, 1 and 0.5, here shares of `asm_weight`."""
    with tf.Graph().as_default(), tf.Session() as session:
        progress = tf.placeholder(tf.float32, [])
        factor = asm_factor(progress)
        found = [session.run(factor, {progress: share}) for share in (0, 0.33, 0.34, 0.66, 0.67, 1)]
    assert found == [1, 1, 0.5, 0.5, 0.25, 0.25]


@pytest.mark.parametrize("name", LOSSES)
def test_asm_copy_is_a_second_truth(name):
    predicted, truth = faces()
    copies = truth["landmarks"] + np.random.default_rng(9).normal(0, 0.05, (4, 5, 2))
    options = LossConfig(name=name, landmark_weight=3.0, asm_weight=2.0, pose_weight=0.0)
    with fed(predicted, truth, asm_landmarks=copies) as (ends, batch, run):
        loss = total_loss(Config(loss=options), ends, batch, SIZE, progress=0.5)
        value = run(loss, predicted)
    to_truth = numpy_loss(name, predicted, truth)
    to_copy = numpy_loss(name, predicted, truth | {"landmarks": copies})
    assert value == pytest.approx(3 * (to_truth + 2 * 0.5 * to_copy), rel=1e-4)


def test_asm_copy_of_a_face_with_an_unknown_landmark_adds_nothing_there():
    predicted, truth = faces()
    truth["landmarks"][0, 1] = np.nan
    config = Config(loss=LossConfig(name="l2", asm_weight=2.0, pose_weight=0.0))
    with fed(predicted, truth, asm_landmarks=truth["landmarks"]) as (ends, batch, run):
        loss = total_loss(config, ends, batch, SIZE)
        value, slope = run([loss, tf.gradients(loss, ends["landmarks"])[0]], predicted)
    filled = np.where(np.isnan(truth["landmarks"]), predicted["landmarks"], truth["landmarks"])
    expected = 3 * numpy_loss("l2", predicted, {"landmarks": filled})
    assert value == pytest.approx(expected, rel=1e-4)
    assert not slope[0, 1].any() and slope[0, 0].all()


# --- further tasks ---------------------------------------------------------------------------


def numpy_pose(predicted, truth):
    return np.nanmean(np.radians(predicted - truth) ** 2)


def numpy_attribute(logits, truth):
    known = np.isfinite(truth)
    shares = np.exp(logits[known]) / np.exp(logits[known]).sum(axis=1, keepdims=True)
    return -np.mean(np.log(shares[np.arange(known.sum()), truth[known].astype(int)]))


def slope_of(function, values, truth):
    with tf.Graph().as_default(), tf.Session() as session:
        place = tf.constant(values, tf.float32)
        loss = function(place, tf.constant(truth, tf.float32))
        return session.run([loss, tf.gradients(loss, place)[0]])


def test_pose_loss_is_the_mean_squared_radian_of_the_known_angles():
    predicted, truth = faces()
    angles = truth["pose"].copy()
    angles[1, 2] = angles[3] = np.nan
    value, slope = slope_of(pose_loss, predicted["pose"], angles)
    assert value == pytest.approx(numpy_pose(predicted["pose"], angles), rel=1e-5)
    assert not slope[np.isnan(angles)].any() and slope[np.isfinite(angles)].all()
    # A slope of this size is small: the angles are in degrees.
    check_gradient(lambda p: 1e3 * numpy_pose(p, angles), predicted["pose"], 1e3 * slope, 1e-3)
    value, slope = slope_of(pose_loss, predicted["pose"], np.full((4, 3), np.nan))
    assert value == 0 and not slope.any()


def test_attribute_loss_is_the_mean_cross_entropy_of_the_known_classes():
    logits = np.random.default_rng(4).normal(0, 2, (6, 3))
    classes = np.array([0, 2, np.nan, 1, 1, np.nan])
    value, slope = slope_of(attribute_loss, logits, classes)
    assert value == pytest.approx(numpy_attribute(logits, classes), rel=1e-5)
    assert not slope[[2, 5]].any() and slope[[0, 1, 3, 4]].all()
    check_gradient(lambda values: numpy_attribute(values, classes), logits, slope)
    value, slope = slope_of(attribute_loss, logits, np.full(6, np.nan))
    assert value == 0 and not slope.any()


def test_loss_of_a_run_is_the_weighted_sum_of_its_tasks():
    predicted, truth = faces()
    generator = np.random.default_rng(5)
    attributes = np.array([[0, np.nan, 4], [1, 1, 0], [0, 0, 2], [np.nan, 1, 2]])
    predicted |= {"logits/smile": generator.normal(size=(4, 2))}
    predicted |= {"logits/head_pose": generator.normal(size=(4, 5))}
    columns = ("gender", "smile", "head_pose")
    config = Config(
        network=NetworkConfig(attributes=("head_pose", "smile")),
        loss=LossConfig(
            name="wing", landmark_weight=7, pose_weight=0.5, attribute_weights=(3.0, 4.0)
        ),
    )
    with fed(predicted, truth, attributes=attributes) as (ends, batch, run):
        arguments = (ends, batch, SIZE, columns)
        terms, total = run(
            [loss_terms(config, *arguments), total_loss(config, *arguments)], predicted
        )
        unweighted = Config(network=config.network, loss=LossConfig(pose_weight=0.0))
        others = run(loss_terms(unweighted, *arguments), predicted)
    expected = {
        "landmarks": 7 * numpy_loss("wing", predicted, truth),
        "pose": 0.5 * numpy_pose(predicted["pose"], truth["pose"]),
        "head_pose": 3 * numpy_attribute(predicted["logits/head_pose"], attributes[:, 2]),
        "smile": 4 * numpy_attribute(predicted["logits/smile"], attributes[:, 1]),
    }
    assert terms == pytest.approx(expected, rel=1e-4)
    assert total == pytest.approx(sum(expected.values()), rel=1e-4)
    assert set(others) == {"landmarks", "head_pose", "smile"}  # a weight of 0: no such task
    assert others["smile"] == pytest.approx(expected["smile"] / 4, rel=1e-4)


def test_attributes_that_the_records_lack_are_refused():
    predicted, truth = faces()
    predicted |= {"logits/smile": np.zeros((4, 2))}
    config = Config(network=NetworkConfig(attributes=("smile",)))
    with fed(predicted, truth, attributes=np.zeros((4, 0))) as (ends, batch, _):
        for have, said in (((), "none"), (("gender", "glasses"), "gender, glasses")):
            message = f"no attribute 'smile'; they have: {said}"
            with pytest.raises(InputError, match=message):
                loss_terms(config, ends, batch, SIZE, have)


# --- losses and networks ---------------------------------------------------------------------


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
    assert loss == pytest.approx(5 * 2 * 10**2, rel=1e-4)
