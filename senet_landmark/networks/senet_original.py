"""The SENet of the write-up that this project grew from, layer by layer.

What the default network changes: a block reduces its *input's* channels to a quarter, average-pools
where the other one has a stride, squeezes to a sixteenth (Hu et al., 2018, table 1), and has no
ReLU behind its sum; the coordinates end in a ReLU.

    layer                                   output, 128x128 in
    convolution 3x3                         128x128x32
    average pool 3x3, stride 2              64x64x32
    5 blocks, each with a pool 2x2          32x32x64, 16x16x128, 8x8x128, 4x4x256, 2x2x512
    global mean, FC, dropout, FC, ReLU      512, 1024, 136

The write-up does not say where in a block its pool stands: here both paths get the pooled map.
"""

from typing import Any

import tensorflow.compat.v1 as tf
import tf_slim as slim

from senet_landmark.config import NetworkConfig
from senet_landmark.networks import heads
from senet_landmark.networks.layers import EndPoints, conv_arg_scope, squeeze_excite

BLOCKS = (64, 128, 128, 256, 512)
"""Output channels of the blocks."""

REDUCTION = 16
"""By how much squeeze and excitation reduces the channels."""


def senet_original_arg_scope(is_training: bool, weight_decay: float = 1e-5) -> dict[str, Any]:
    """The scope of `senet_original`: He et al.'s variance, 2 over the number of inputs.

    It is that of `slim.variance_scaling_initializer()`, which the write-up takes.
    """
    initializer = slim.variance_scaling_initializer()
    with (
        slim.arg_scope(conv_arg_scope(is_training, weight_decay, 0.99)),
        slim.arg_scope(
            [slim.conv2d, slim.fully_connected], weights_initializer=initializer
        ) as scope,
    ):
        return scope


def original_block(inputs: tf.Tensor, channels: int, scope: str) -> tf.Tensor:
    """Pool; 1x1 to a quarter of the input's channels, 3x3, 1x1, squeeze and excitation; the sum."""
    with tf.variable_scope(scope):
        pooled = slim.avg_pool2d(inputs, 2, 2, padding="SAME", scope="pool")
        quarter = inputs.shape[-1] // 4
        shortcut = pooled
        if inputs.shape[-1] != channels:
            shortcut = slim.conv2d(
                pooled, channels, 1, activation_fn=None, scope="shortcut_project"
            )
        net = slim.conv2d(pooled, quarter, 1, scope="conv_reduce")
        net = slim.conv2d(net, quarter, 3, scope="conv")
        net = slim.conv2d(net, channels, 1, activation_fn=None, scope="conv_expand")
        return shortcut + squeeze_excite(net, REDUCTION, scope="squeeze_excite")


def senet_original(
    images: tf.Tensor,
    *,
    is_training: bool,
    num_points: int,
    config: NetworkConfig,
) -> tuple[tf.Tensor, EndPoints]:
    """The network of the original write-up, with its final ReLU unless `config.last_relu` is off.

    Arguments and results as in `senet.senet`; `features` is [N, H/64, W/64, 512]. It has only the
    `fc` head: its feature maps are too coarse for `soft_argmax`.
    """
    del is_training
    with tf.variable_scope("senet_original"):
        net = slim.conv2d(images, 32, 3, scope="stem")
        net = slim.avg_pool2d(net, 3, 2, padding="SAME", scope="stem_pool")
        for index, channels in enumerate(BLOCKS):
            net = original_block(net, channels, scope=f"block_{index}")
        landmarks = heads.fully_connected(
            net, num_points, dropout_keep=config.dropout_keep, last_activation=config.last_relu
        )
    return landmarks, {"features": net, "landmarks": landmarks}
