"""TCDCN: four convolutions and one small fully connected layer that all tasks share.

Zhang et al., "Facial Landmark Detection by Deep Multi-task Learning", ECCV 2014, section 4, with
the sizes of a reimplementation in Keras: 160x160 pixels in colour; the paper has 40x40 in grey.
Each auxiliary task (`network.attributes`) is one fully connected layer on the same 100 features. As
in Keras, weights begin as Glorot and Bengio's ("Understanding the difficulty of training deep
feedforward neural networks", AISTATS 2010, equation 16) and biases at 0; the last layer gives
pixels of the input.
"""

from typing import Any

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

# 160 -> 156 -> 78 -> 76 -> 38 -> 36 -> 18 -> 17
TCDCN_STAGES = (Stage(16, 5), Stage(48, 3), Stage(64, 3), Stage(64, 2, pool=False))
FEATURES = 100


def tcdcn_arg_scope(is_training: bool, weight_decay: float = 0.0) -> dict[str, Any]:
    """The scope of `tcdcn`."""
    return conv_arg_scope(
        is_training, weight_decay, 0.99, initializer=tf.glorot_uniform_initializer()
    )


def tcdcn(
    images: tf.Tensor, *, is_training: bool, num_points: int, config: NetworkConfig
) -> tuple[tf.Tensor, EndPoints]:
    """Arguments and results as in `senet.senet`; uses `config.batch_norm`.

    Returns:
      Landmarks, float32 [N, K, 2], and end points `features` [N, 100], `landmarks`.
    """
    del is_training
    with tf.variable_scope("tcdcn"), normalised_if(config.batch_norm):
        net = plain_convolutions(images, TCDCN_STAGES)
        net = slim.fully_connected(heads.flat(net), FEATURES, scope="shared")
        landmarks = heads.coordinates(
            net,
            num_points,
            spread=None,
            biases=tf.zeros_initializer(),
            unit=1 / int(images.shape[1]),
        )
    return landmarks, {"features": net, "landmarks": landmarks}
