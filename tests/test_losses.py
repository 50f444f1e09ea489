"""Every loss against its paper's equation."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from loss_references import SIZE, angle_factors, check_gradient, faces, fed, numpy_loss
from runs import total_loss
from senet_landmark.config import Config, LossConfig
from senet_landmark.errors import InputError
from senet_landmark.losses import (
    LOSSES,
    asm_factor,
    get_loss,
)
from senet_landmark.networks import heads

pytestmark = pytest.mark.slow


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
