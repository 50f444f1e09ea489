"""The slim SENet: residual bottleneck blocks with squeeze and excitation.

Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018, for the block.
"""

from typing import Any, NamedTuple

import tensorflow.compat.v1 as tf
import tf_slim as slim

from senet_landmark.config import NetworkConfig
from senet_landmark.networks import heads
from senet_landmark.networks.layers import EndPoints, conv_arg_scope, scaled, squeeze_excite


class Block(NamedTuple):
    """One SE block: output channels and stride."""

    channels: int
    stride: int


STEM_CHANNELS = 16

# For 128x128 the stem gives 64x64; the stages end at 32x32, 16x16, 8x8 and 4x4.
SENET_BLOCKS = (
    Block(64, 2),
    Block(128, 2), Block(128, 1),
    Block(192, 2), Block(192, 1),
    Block(256, 2), Block(256, 1),
)  # fmt: skip


def senet_arg_scope(
    is_training: bool, weight_decay: float = 1e-5, batch_norm_decay: float = 0.99
) -> dict[str, Any]:
    """The scope of `senet`. Its moving averages follow fast enough to validate short runs."""
    return conv_arg_scope(is_training, weight_decay, batch_norm_decay)


def se_block(inputs: tf.Tensor, block: Block, scope: str) -> tf.Tensor:
    """1x1 to a quarter of the channels, 3x3, 1x1, squeeze and excitation, plus the shortcut.

    The shortcut is average-pooled if the stride is 2, and projected if the channels change.
    """
    with tf.variable_scope(scope):
        shortcut = inputs
        if block.stride == 2:
            shortcut = slim.avg_pool2d(shortcut, 2, 2, padding="SAME", scope="shortcut_pool")
        if inputs.shape[-1] != block.channels:
            shortcut = slim.conv2d(
                shortcut, block.channels, 1, activation_fn=None, scope="shortcut_project"
            )
        net = slim.conv2d(inputs, block.channels // 4, 1, scope="conv_reduce")
        net = slim.conv2d(net, block.channels // 4, 3, stride=block.stride, scope="conv")
        net = slim.conv2d(net, block.channels, 1, activation_fn=None, scope="conv_expand")
        net = squeeze_excite(net, scope="squeeze_excite")
        return tf.nn.relu(net + shortcut)


def senet(
    images: tf.Tensor,
    *,
    is_training: bool,
    num_points: int,
    config: NetworkConfig,
) -> tuple[tf.Tensor, EndPoints]:
    """The default network.

    Args:
      images: float32 [N, H, W, 3], scaled to about [-1, 1]; H and W multiples of 32.
      is_training: unused here (the arg scope has it); part of every network's signature.
      num_points: K.
      config: `head` (`soft_argmax` or `fc`), `dropout_keep` (for `fc`) and `width` are used.

    Returns:
      Landmarks, float32 [N, K, 2], and end points `features` [N, H/32, W/32, 256 width],
      `landmarks`.
    """
    del is_training
    with tf.variable_scope("senet"):
        width = config.width
        net = slim.conv2d(images, scaled(STEM_CHANNELS, width), 3, stride=2, scope="stem")
        stages = []
        for index, block in enumerate(SENET_BLOCKS):
            if block.stride == 2:
                stages.append(net)
            block = block._replace(channels=scaled(block.channels, width))
            net = se_block(net, block, scope=f"block_{index}")
        stages.append(net)
        extra: EndPoints = {}
        if config.head == "fc":
            keep = config.dropout_keep
            landmarks = heads.fully_connected(net, num_points, dropout_keep=keep)
        else:
            channels = scaled(heads.MAP_CHANNELS, width)
            landmarks, extra = heads.soft_argmax(stages[-3:], num_points, channels=channels)
    return landmarks, {"features": net, "landmarks": landmarks, **extra}
