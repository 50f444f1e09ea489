"""ASMNet: the first blocks of MobileNetV2; the means of six of them, in one fully connected layer.

Fard et al., "ASMNet: A Lightweight Deep Neural Network for Face Alignment and Pose Estimation",
CVPRW 2021, section 3.1; Sandler et al., "MobileNetV2", CVPR 2018, table 2, for the blocks.
"""

from typing import Any

import tensorflow.compat.v1 as tf
import tf_slim as slim

from senet_landmark.config import NetworkConfig
from senet_landmark.networks import heads
from senet_landmark.networks.layers import Bottleneck, EndPoints, conv_arg_scope, inverted_residuals

STEM_CHANNELS = 32

# For 224x224 the stem gives 112x112. The rows are blocks 0; 1, 2; 3 to 5; 6 to 9; 10 to 12; 13 to
# 15.
ASMNET_BOTTLENECKS = (
    Bottleneck(1, 16, 1, 1), Bottleneck(6, 24, 2, 2), Bottleneck(6, 32, 3, 2),
    Bottleneck(6, 64, 4, 2), Bottleneck(6, 96, 3, 1), Bottleneck(6, 160, 3, 2),
)  # fmt: skip

POOLED_BLOCKS = (1, 3, 6, 10, 13, 15)
"""Blocks whose means over the map are concatenated, numbered from 0 as in MobileNetV2."""


def asmnet_arg_scope(is_training: bool, weight_decay: float = 1e-5) -> dict[str, Any]:
    """The scope of `asmnet`."""
    return conv_arg_scope(is_training, weight_decay, 0.99, activation=tf.nn.relu6)


def asmnet(
    images: tf.Tensor, *, is_training: bool, num_points: int, config: NetworkConfig
) -> tuple[tf.Tensor, EndPoints]:
    """Arguments and results as in `senet.senet`; uses `config.dropout_keep`.

    Returns:
      Landmarks, float32 [N, K, 2], and end points `features` [N, 536] (the means after dropout,
      from which the pose is predicted if `config.pose` is set) and `landmarks`.
    """
    del is_training
    with tf.variable_scope("asmnet"):
        net = slim.conv2d(images, STEM_CHANNELS, 3, stride=2, scope="stem")
        blocks = inverted_residuals(net, ASMNET_BOTTLENECKS)
        pooled = [tf.reduce_mean(blocks[block], [1, 2]) for block in POOLED_BLOCKS]
        features = slim.dropout(
            tf.concat(pooled, 1), keep_prob=config.dropout_keep, scope="dropout"
        )
        landmarks = heads.coordinates(features, num_points)
    return landmarks, {"features": features, "landmarks": landmarks}
