"""The losses of pose, depth and attributes, and the weighted sum of a run."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from loss_references import SIZE, check_gradient, faces, fed, numpy_loss
from runs import total_loss
from senet_landmark.config import Config, LossConfig, NetworkConfig
from senet_landmark.errors import InputError
from senet_landmark.losses import (
    attribute_loss,
    depth_loss,
    loss_terms,
    pose_loss,
)

pytestmark = pytest.mark.slow


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


def test_depth_loss_is_the_mean_absolute_error_of_the_known_depths():
    predicted, truth = np.random.default_rng(2).normal(size=(2, 4, 5))
    truth[0, :2] = truth[3] = np.nan
    value, slope = slope_of(depth_loss, predicted, truth)
    assert value == pytest.approx(np.nanmean(np.abs(predicted - truth)), rel=1e-5)
    assert not slope[np.isnan(truth)].any()
    np.testing.assert_allclose(slope[1:3], np.sign(predicted - truth)[1:3] / 13, rtol=1e-5)
    value, slope = slope_of(depth_loss, predicted, np.full((4, 5), np.nan))
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


def test_one_logit_is_a_binary_cross_entropy_with_half_the_slope_of_two():
    logits = np.random.default_rng(4).normal(0, 2, (6, 1))
    classes = np.array([0, 1, np.nan, 1, 0, 1])
    two = np.concatenate([np.zeros_like(logits), logits], axis=1)
    value, slope = slope_of(attribute_loss, logits, classes)
    known = np.isfinite(classes)
    second = 1 / (1 + np.exp(-logits[known, 0]))
    expected = -np.mean(np.log(np.where(classes[known] == 1, second, 1 - second)))
    assert value == pytest.approx(expected, rel=1e-5)
    assert value == pytest.approx(numpy_attribute(two, classes), rel=1e-5)
    _, slopes = slope_of(attribute_loss, two, classes)
    # The difference of two logits moves by the slopes of both.
    np.testing.assert_allclose(2 * slope[:, 0], slopes[:, 1] - slopes[:, 0], atol=1e-6)


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
