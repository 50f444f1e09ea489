"""Losses: pure functions of (end points, batch, input size, options) -> scalar, and their registry.

Landmarks are compared in pixels of the network's input, so that the constants of the papers, which
are in pixels, keep their meaning. L2 and PFLD's are the exceptions: both compare normalised values,
as published, and L2's unit is an option.

TensorFlow is imported when a loss is first built, so that the names of the losses are available
without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from senet_landmark.config import Config, LossConfig
from senet_landmark.errors import InputError
from senet_landmark.runtime import lazy_module

if TYPE_CHECKING:
    import tensorflow.compat.v1 as tf
else:
    tf = lazy_module("tensorflow.compat.v1")

Tensors = dict[str, "tf.Tensor"]
Size = tuple[int, int]
Loss = Callable[[Tensors, Tensors, Size, LossConfig], "tf.Tensor"]

RADIANS = math.pi / 180
"""One degree in radians."""


def _difference(end_points: Tensors, batch: Tensors, size: Size) -> tf.Tensor:
    """Absolute error of each coordinate in pixels of the network's input, [N, K, 2]."""
    return tf.abs(end_points["landmarks"] - batch["landmarks"]) * tf.constant(size, tf.float32)


def l2(end_points: Tensors, batch: Tensors, size: Size, options: LossConfig) -> tf.Tensor:
    """Mean squared error of the coordinates: normalised ones, or in units of `l2_unit` pixels."""
    unit = size if not options.l2_unit else (options.l2_unit, options.l2_unit)
    return tf.reduce_mean(
        tf.square(_difference(end_points, batch, size) / tf.constant(unit, tf.float32))
    )


def smooth_l1(end_points: Tensors, batch: Tensors, size: Size, options: LossConfig) -> tf.Tensor:
    """Smooth L1 (Girshick, "Fast R-CNN", ICCV 2015, equation 3), in pixels."""
    del options
    distance = _difference(end_points, batch, size)
    return tf.reduce_mean(
        tf.where(distance < 1, 0.5 * tf.square(distance), distance - 0.5),
    )


def wing(
    end_points: Tensors,
    batch: Tensors,
    size: Size,
    options: LossConfig,
    w: float = 10.0,
    eps: float = 2.0,
) -> tf.Tensor:
    """Wing loss (Feng et al., CVPR 2018, equation 5), in pixels.

    w ln(1 + d / eps) for d < w, otherwise d - C; C makes the function continuous.
    """
    del options
    distance = _difference(end_points, batch, size)
    offset = w - w * math.log(1 + w / eps)
    return tf.reduce_mean(
        tf.where(distance < w, w * tf.log(1 + distance / eps), distance - offset),
    )


def adaptive_wing(
    end_points: Tensors,
    batch: Tensors,
    size: Size,
    options: LossConfig,
    omega: float = 14.0,
    theta: float = 0.5,
    eps: float = 1.0,
    alpha: float = 2.1,
) -> tf.Tensor:
    """Adaptive wing loss (Wang et al., ICCV 2019, equation 3), for coordinates.

    In the paper y, the heatmap's value in [0, 1], sets the exponent alpha - y. A coordinate has no
    such value: every landmark counts as foreground, y = 1. The distance is in tenths of the
    network's input, so that the paper's theta corresponds to 5% of the crop.
    """
    del options
    distance = _difference(end_points, batch, size) / (0.1 * tf.constant(size, tf.float32))
    power = alpha - 1.0
    ratio = theta / eps
    slope = omega / (1 + ratio**power) * power * ratio ** (power - 1) / eps
    offset = theta * slope - omega * math.log(1 + ratio**power)
    # tf.where computes the gradients of both branches; that of a power of exactly 0 would be NaN.
    inner = omega * tf.log(1 + tf.pow(tf.maximum(distance, 1e-6) / eps, power))
    return tf.reduce_mean(tf.where(distance < theta, inner, slope * distance - offset))


def pfld(end_points: Tensors, batch: Tensors, size: Size, options: LossConfig) -> tf.Tensor:
    """PFLD's loss (Guo et al., 2019, equations 1 and 2), with normalised distances.

    Mean over the faces of sum_c w_c * sum_k (1 - cos theta_k) * sum_n |d_n|^2: theta_k are the
    errors of yaw, pitch and roll in radians, d_n is the error of landmark n, as a share of the
    crop. w_c is the inverse of the share of class c in the batch, summed over the classes of the
    face (`attributes.face_classes`; faces of no other class form a class of their own). The three
    factors are multiplied, so that the loss trains the pose too. For a face whose true angles are
    unknown, the factor of the pose is the mean over the batch's other faces, or 1 where no face
    has known angles.

    Args:
      end_points: `landmarks` [N, K, 2] and `pose` [N, 3] in degrees.
      batch: `landmarks`, `pose` and `classes` [N, C], 0 or 1.
      size, options: unused.

    Raises:
      InputError: the network predicts no pose.
    """
    del size, options
    if "pose" not in end_points:
        raise InputError("The loss pfld needs a network that predicts a pose: set network.pose.")
    offsets = end_points["landmarks"] - batch["landmarks"]
    distance = tf.reduce_sum(tf.square(offsets), [1, 2])
    known = tf.reduce_all(tf.is_finite(batch["pose"]), 1)
    truth = tf.where(tf.is_finite(batch["pose"]), batch["pose"], end_points["pose"])
    angle = tf.reduce_sum(1 - tf.cos((end_points["pose"] - truth) * RADIANS), 1)
    mean_angle = _mean_of_known(tf.where(known, angle, tf.zeros_like(angle)), known)
    mean_angle = tf.where(tf.reduce_any(known), mean_angle, tf.ones_like(mean_angle))
    angle = tf.where(known, angle, tf.ones_like(angle) * tf.stop_gradient(mean_angle))
    classes = batch["classes"]
    share = tf.reduce_mean(classes, 0)
    weight = tf.reduce_sum(classes / tf.maximum(share, 1e-6), 1)
    return tf.reduce_mean(weight * angle * distance)


def heatmap_regularizer(end_points: Tensors, batch: Tensors) -> tf.Tensor:
    """Cross-entropy between each landmark's heatmap and a Gaussian around its true position.

    The regularisation of DSNT (Nibali et al., 2018, section 3.3) with the Kullback-Leibler
    divergence; the cross-entropy is the part of it that has a gradient. The Gaussian's standard
    deviation is one cell of the grid. The term gives the heatmaps a useful gradient from the first
    step on, when the expectation over a flat map hardly depends on any single cell.

    Args:
      end_points: `map_logits` [N, K, C] and `grid` [C, 2] of a soft-argmax head.
      batch: `landmarks` [N, K, 2].
    """
    grid = end_points["grid"]
    cell = tf.reduce_max(grid[1] - grid[0])
    offsets = batch["landmarks"][:, :, None, :] - grid
    target = tf.nn.softmax(-tf.reduce_sum(tf.square(offsets / cell), -1) / 2)
    return tf.reduce_mean(
        tf.nn.softmax_cross_entropy_with_logits_v2(target, end_points["map_logits"])
    )


LOSSES: dict[str, Loss] = {
    "l2": l2,
    "smooth_l1": smooth_l1,
    "wing": wing,
    "adaptive_wing": adaptive_wing,
    "pfld": pfld,
}


def get_loss(name: str) -> Loss:
    """The loss called `name`. Raises InputError that lists the known ones."""
    if name not in LOSSES:
        raise InputError(f"Unknown loss {name!r}. Known: {', '.join(sorted(LOSSES))}.")
    return LOSSES[name]


def learns_pose(config: Config) -> bool:
    """Whether any term of the loss depends on the head pose."""
    return config.network.pose or get_loss(config.loss.name) is pfld


def loss_terms(
    config: Config,
    end_points: Tensors,
    batch: Tensors,
    size: Size,
    attributes: Sequence[str] = (),
    progress: tf.Tensor | float = 0.0,
) -> Tensors:
    """The weighted terms of the loss, each a scalar: `landmarks`, and one for each auxiliary task.

    Args:
      config: the landmark loss, the auxiliary tasks and their weights.
      end_points: those of the model.
      batch: as `input_pipeline.Batch`; keys that the loss does not use may be absent.
      size: (width, height) of the network's input.
      attributes: names of the columns of the batch's `attributes`.
      progress: share of the run that is done, 0 to 1.

    Raises:
      InputError: the loss is unknown, or needs an output that the network does not have; the
        records lack an attribute that the network predicts.
    """
    terms = {
        "landmarks": config.loss.landmark_weight
        * _landmark_loss(config.loss, end_points, batch, size, progress)
    }
    return terms | task_terms(config, end_points, batch, attributes)


def task_terms(
    config: Config, end_points: Tensors, batch: Tensors, attributes: Sequence[str]
) -> Tensors:
    """The terms of the auxiliary tasks: `pose`, `depth`, and the attributes by their names."""
    terms: Tensors = {}
    if "pose" in end_points and config.loss.pose_weight:
        terms["pose"] = config.loss.pose_weight * pose_loss(end_points["pose"], batch["pose"])
    if "depth" in end_points and config.loss.depth_weight:
        terms["depth"] = config.loss.depth_weight * depth_loss(end_points["depth"], batch["depth"])
    weights = config.loss.attribute_weights or (1.0,) * len(config.network.attributes)
    for name, weight in zip(config.network.attributes, weights, strict=True):
        if name not in attributes:
            have = ", ".join(attributes) or "none"
            raise InputError(f"The records have no attribute {name!r}; they have: {have}.")
        truth = batch["attributes"][:, list(attributes).index(name)]
        terms[name] = weight * attribute_loss(end_points[f"logits/{name}"], truth)
    return terms


def pose_loss(predicted: tf.Tensor, truth: tf.Tensor) -> tf.Tensor:
    """Mean squared error, in squared radians, of angles [N, 3] in degrees; unknown ones add 0."""
    known = tf.is_finite(truth)
    error = tf.where(known, predicted - tf.where(known, truth, predicted), tf.zeros_like(truth))
    return _mean_of_known(tf.square(error * RADIANS), known)


def depth_loss(predicted: tf.Tensor, truth: tf.Tensor) -> tf.Tensor:
    """Mean absolute error of depths [N, K] in units of the face box; unknown ones add 0."""
    known = tf.is_finite(truth)
    error = tf.where(known, predicted - tf.where(known, truth, predicted), tf.zeros_like(truth))
    return _mean_of_known(tf.abs(error), known)


def attribute_loss(logits: tf.Tensor, truth: tf.Tensor) -> tf.Tensor:
    """Mean cross-entropy of logits [N, C] to class numbers [N]; unknown (NaN) ones add 0.

    A single logit, [N, 1], is that of the second of two classes.
    """
    known = tf.is_finite(truth)
    labels = tf.where(known, truth, tf.zeros_like(truth))
    if logits.shape[-1] == 1:
        entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits[:, 0])
    else:
        entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels=tf.cast(labels, tf.int32), logits=logits
        )
    return _mean_of_known(tf.where(known, entropy, tf.zeros_like(entropy)), known)


def _mean_of_known(values: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(values) / tf.maximum(tf.reduce_sum(tf.cast(known, tf.float32)), 1.0)


def _landmark_loss(
    options: LossConfig,
    end_points: Tensors,
    batch: Tensors,
    size: Size,
    progress: tf.Tensor | float,
) -> tf.Tensor:
    """The configured loss against the ground truth, and against its ASM copy.

    Where the head has heatmaps, their loss is added to both. An unknown landmark (NaN in the batch)
    adds nothing: its target is its prediction.
    """

    def loss_against(truth: tf.Tensor) -> tf.Tensor:
        known = tf.is_finite(truth)
        predicted = tf.stop_gradient(end_points["landmarks"])
        targets = {**batch, "landmarks": tf.where(known, truth, predicted)}
        loss = get_loss(options.name)(end_points, targets, size, options)
        if options.heatmap_weight and "map_logits" in end_points:
            loss += options.heatmap_weight * heatmap_regularizer(end_points, targets)
        return loss

    total = loss_against(batch["landmarks"])
    if options.asm_weight:
        total += options.asm_weight * asm_factor(progress) * loss_against(batch["asm_landmarks"])
    return total


def asm_factor(progress: tf.Tensor | float) -> tf.Tensor:
    """Factor on `asm_weight`: 1 in the first third of a run, 1/2 in the second, 1/4 in the last.

    Fard et al., "ASMNet", CVPRW 2021, section 3.2: the weights there are 2, 1 and 0.5, by the share
    of the epochs that are done.
    """
    progress = tf.convert_to_tensor(progress, tf.float32)
    return tf.where(progress < 1 / 3, 1.0, tf.where(progress < 2 / 3, 0.5, 0.25))
