"""PFLD: inverted residuals, three scales in one fully connected layer, a pose branch for training.

Guo et al., "PFLD: A Practical Facial Landmark Detector", 2019 (arXiv 1902.10859): table 1 is the
backbone, table 2 the auxiliary branch. The last layer gets the means of S1 and S2 and S3, as in the
write-up that this network follows; with `flatten_scales` it gets all of S1 and S2, as in the
paper's figure 2.
"""

from typing import Any

import tensorflow.compat.v1 as tf
import tf_slim as slim

from senet_landmark.config import NetworkConfig
from senet_landmark.networks import heads
from senet_landmark.networks.layers import (
    Bottleneck,
    EndPoints,
    conv_arg_scope,
    inverted_residuals,
    scaled,
)

STEM_CHANNELS = 64

# For 112x112 the stem gives 56x56, the bottlenecks 28x28, 14x14, 14x14, 14x14.
PFLD_BOTTLENECKS = (
    Bottleneck(2, 64, 5, 2), Bottleneck(2, 128, 1, 2), Bottleneck(4, 128, 6, 1),
    Bottleneck(2, 16, 1, 1),
)  # fmt: skip

SECOND_SCALE, THIRD_SCALE = 32, 128
"""Channels of S2, 7x7, and of S3, 1x1; S1 is the output of the last bottleneck."""

FLAT_UNIT = 0.1
"""Share of the crop that an output of 1 of the last layer stands for, where it has 4,832 inputs."""

POSE_BLOCK = 3
"""The auxiliary branch starts at the output of the fourth inverted residual, 28x28."""


def pfld_arg_scope(is_training: bool, weight_decay: float = 1e-6) -> dict[str, Any]:
    """The scope of `pfld`."""
    return conv_arg_scope(is_training, weight_decay, 0.99, activation=tf.nn.relu6)


def pfld(
    images: tf.Tensor, *, is_training: bool, num_points: int, config: NetworkConfig
) -> tuple[tf.Tensor, EndPoints]:
    """Arguments and results as in `senet.senet`; uses `config.width` and `config.flatten_scales`.

    Returns:
      Landmarks, float32 [N, K, 2], and end points `features` [N, C] (S1, S2 and S3, pooled or
      flattened), `landmarks`, and `pose` [N, 3] of the auxiliary branch, in training or if
      `config.pose` is set.
    """
    auxiliary: EndPoints = {}
    with tf.variable_scope("pfld"):
        net = slim.conv2d(images, scaled(STEM_CHANNELS, config.width), 3, stride=2, scope="stem")
        net = slim.separable_conv2d(net, None, 3, depth_multiplier=1, scope="stem_depthwise")
        blocks = inverted_residuals(net, PFLD_BOTTLENECKS, config.width)
        if is_training or config.pose:
            auxiliary["pose"] = auxiliary_pose(blocks[POSE_BLOCK], config.width)
        first = blocks[-1]
        second = slim.conv2d(
            first, scaled(SECOND_SCALE, config.width), 3, stride=2, scope="second_scale"
        )
        third = whole_map(second, scaled(THIRD_SCALE, config.width), scope="third_scale")
        scales = (first, second, third)
        if config.flatten_scales:
            features = tf.concat([heads.flat(scale) for scale in scales], 1)
            landmarks = heads.coordinates(features, num_points, spread=None, unit=FLAT_UNIT)
        else:
            features = tf.concat([tf.reduce_mean(scale, [1, 2]) for scale in scales], 1)
            landmarks = heads.coordinates(features, num_points)
    return landmarks, {**auxiliary, "features": features, "landmarks": landmarks}


def auxiliary_pose(features: tf.Tensor, width: float) -> tf.Tensor:
    """Yaw, pitch and roll in degrees, [N, 3], from the features [N, 28, 28, C] (table 2)."""
    with tf.variable_scope("auxiliary"):
        net = slim.conv2d(features, scaled(128, width), 3, stride=2, scope="conv_1")
        net = slim.conv2d(net, scaled(128, width), 3, scope="conv_2")
        net = slim.conv2d(net, scaled(32, width), 3, stride=2, scope="conv_3")
        net = whole_map(net, scaled(128, width), scope="conv_4")
        net = slim.fully_connected(heads.flat(net), scaled(32, width), scope="hidden")
        return heads.pose(net)


def whole_map(inputs: tf.Tensor, channels: int, scope: str) -> tf.Tensor:
    """A convolution whose kernel is as large as the map: [N, 1, 1, channels]."""
    size = inputs.shape.as_list()[1:3]
    return slim.conv2d(inputs, channels, size, padding="VALID", scope=scope)
