"""A plain CNN on grey images: three convolutions and one fully connected layer.

As published for YouTube Faces, in PyTorch. Its input is 224x224, from 0 to 1; landmarks are
regressed as (p - 100) / 50, p in pixels of the crop.
"""

import math
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

from senet_landmark.config import NetworkConfig
from senet_landmark.networks import heads
from senet_landmark.networks.layers import (
    EndPoints,
    Stage,
    conv_arg_scope,
    normalised_if,
    plain_convolutions,
)

# 224 -> 220 -> 110 -> 108 -> 54 -> 52 -> 26
CNN_STAGES = (Stage(32, 5), Stage(64, 3), Stage(128, 3))

MIDDLE, UNIT = 100.0, 50.0
"""A regression target is (p - MIDDLE) / UNIT, p in pixels of the input."""


def cnn_arg_scope(is_training: bool, weight_decay: float = 0.0) -> dict[str, Any]:
    """The scope of `cnn`."""
    return conv_arg_scope(is_training, weight_decay, 0.99, initializer=pytorch_weights())


def pytorch_weights() -> Any:
    """The initialiser of PyTorch's convolutions and linear layers: a variance of 1 / (3 inputs)."""
    return tf.variance_scaling_initializer(1 / 3, "fan_in", "uniform")


def pytorch_biases(inputs: int) -> Any:
    """That of their biases: uniform within 1 / sqrt(inputs), as the weights."""
    return tf.random_uniform_initializer(-1 / math.sqrt(inputs), 1 / math.sqrt(inputs))


def cnn(
    images: tf.Tensor, *, is_training: bool, num_points: int, config: NetworkConfig
) -> tuple[tf.Tensor, EndPoints]:
    """Arguments and results as in `senet.senet`, but the images are grey, [N, H, W, 1].

    Uses `config.dropout_keep`, and `config.batch_norm`, which its author planned to add.

    Returns:
      Landmarks, float32 [N, K, 2], and end points `features` [N, 26, 26, 128], `landmarks`.
    """
    del is_training
    height, width = images.shape.as_list()[1:3]
    with tf.variable_scope("cnn"), normalised_if(config.batch_norm):
        net = plain_convolutions(images, CNN_STAGES, pytorch_biases)
        dropped = slim.dropout(heads.flat(net), keep_prob=config.dropout_keep, scope="dropout")
        biases = pytorch_biases(int(dropped.shape[-1]))
        targets = heads.coordinates(dropped, num_points, spread=None, biases=biases)
        # As [N K, 2], because OpenCV applies a vector along the second axis.
        size = np.array([width, height], np.float32)
        pairs = tf.reshape(targets, [-1, 2]) * (UNIT / size) + MIDDLE / size
        landmarks = tf.reshape(pairs, [-1, num_points, 2])
    return landmarks, {"features": net, "landmarks": landmarks}
