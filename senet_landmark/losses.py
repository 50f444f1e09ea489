"""Losses: pure functions of (end points, batch, input size) -> scalar, and their registry.

Landmarks are compared in pixels of the network's input, so that the constants of the papers, which
are in pixels, keep their meaning. L2 is the exception: it is the original's, on normalised values.
"""

import math
from collections.abc import Callable

import tensorflow.compat.v1 as tf

from senet_landmark.config import LossConfig
from senet_landmark.errors import InputError

Tensors = dict[str, tf.Tensor]


def _difference(end_points: Tensors, batch: Tensors, size: tuple[int, int]) -> tf.Tensor:
    return tf.abs(end_points["landmarks"] - batch["landmarks"]) * tf.constant(size, tf.float32)


def l2(end_points: Tensors, batch: Tensors, size: tuple[int, int]) -> tf.Tensor:
    """Mean squared error of the normalised coordinates."""
    del size
    return tf.reduce_mean(tf.square(end_points["landmarks"] - batch["landmarks"]))


def smooth_l1(end_points: Tensors, batch: Tensors, size: tuple[int, int]) -> tf.Tensor:
    """Smooth L1 (Girshick, "Fast R-CNN", ICCV 2015, equation 3), in pixels."""
    distance = _difference(end_points, batch, size)
    return tf.reduce_mean(
        tf.where(distance < 1, 0.5 * tf.square(distance), distance - 0.5),
    )


def wing(
    end_points: Tensors, batch: Tensors, size: tuple[int, int], w: float = 10.0, eps: float = 2.0
) -> tf.Tensor:
    """Wing loss (Feng et al., CVPR 2018, equation 5), in pixels.

    w ln(1 + d / eps) for d < w, d - C beyond, where C joins the two.
    """
    distance = _difference(end_points, batch, size)
    offset = w - w * math.log(1 + w / eps)
    return tf.reduce_mean(
        tf.where(distance < w, w * tf.log(1 + distance / eps), distance - offset),
    )


def adaptive_wing(
    end_points: Tensors,
    batch: Tensors,
    size: tuple[int, int],
    omega: float = 14.0,
    theta: float = 0.5,
    eps: float = 1.0,
    alpha: float = 2.1,
) -> tf.Tensor:
    """Adaptive wing loss (Wang et al., ICCV 2019, equation 3), for coordinates.

    The paper's y, a heatmap's value in [0, 1], sets the exponent alpha - y. A coordinate has no
    such value: every landmark counts as foreground, y = 1. The distance is in tenths of the
    network's input, so that the paper's theta is met at 5% of the crop.
    """
    distance = _difference(end_points, batch, size) / (0.1 * tf.constant(size, tf.float32))
    power = alpha - 1.0
    ratio = theta / eps
    slope = omega / (1 + ratio**power) * power * ratio ** (power - 1) / eps
    offset = theta * slope - omega * math.log(1 + ratio**power)
    # Inside tf.where both sides get gradients; a power of exactly 0 would give NaN there.
    inner = omega * tf.log(1 + tf.pow(tf.maximum(distance, 1e-6) / eps, power))
    return tf.reduce_mean(tf.where(distance < theta, inner, slope * distance - offset))


def heatmap_regularizer(end_points: Tensors, batch: Tensors) -> tf.Tensor:
    """Cross-entropy between each landmark's map and a Gaussian about its true place.

    The regularisation of DSNT (Nibali et al., 2018, section 3.3) with the Kullback-Leibler
    divergence, of which this is the part that has a gradient. The deviation is one cell of the
    grid. It tells the maps where to look from the first step on, when the expectation over a flat
    map hardly depends on any one cell.

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


LOSSES: dict[str, Callable[[Tensors, Tensors, tuple[int, int]], tf.Tensor]] = {
    "l2": l2,
    "smooth_l1": smooth_l1,
    "wing": wing,
    "adaptive_wing": adaptive_wing,
}


def get_loss(name: str) -> Callable[[Tensors, Tensors, tuple[int, int]], tf.Tensor]:
    """The loss called `name`. Raises InputError that lists the known ones."""
    if name not in LOSSES:
        raise InputError(f"Unknown loss {name!r}. Known: {', '.join(sorted(LOSSES))}.")
    return LOSSES[name]


def total_loss(
    config: LossConfig, end_points: Tensors, batch: Tensors, size: tuple[int, int]
) -> tf.Tensor:
    """The configured loss, with the maps' own where the head has maps; scalar.

    A landmark that is unknown (NaN in the batch) adds nothing: it is taken to be where it was
    predicted.
    """
    known = tf.is_finite(batch["landmarks"])
    predicted = tf.stop_gradient(end_points["landmarks"])
    batch = {**batch, "landmarks": tf.where(known, batch["landmarks"], predicted)}
    loss = get_loss(config.name)(end_points, batch, size)
    if config.heatmap_weight and "map_logits" in end_points:
        loss += config.heatmap_weight * heatmap_regularizer(end_points, batch)
    return loss
