"""Features -> landmarks: each head is a function to (float32 [N, K, 2], its own end points)."""

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

from senet_landmark.networks.layers import EndPoints

GRID_REACH = 0.1
"""How far the grid of `soft_argmax` reaches beyond each edge of the crop, as a share of it."""


def fully_connected(
    features: tf.Tensor,
    num_points: int,
    *,
    hidden: int = 1024,
    dropout_keep: float = 0.8,
    last_activation: bool = False,
) -> tuple[tf.Tensor, EndPoints]:
    """Global mean, FC, dropout, FC to 2 K coordinates: the original head.

    Args:
      features: float32 [N, H, W, C].
      num_points: K.
      hidden: units of the first full connection.
      dropout_keep: share of the hidden units that is kept in training.
      last_activation: end in the scope's activation, as the original does.
    """
    with tf.variable_scope("fc"):
        pooled = tf.reduce_mean(features, [1, 2])
        net = slim.fully_connected(pooled, hidden, scope="hidden")
        net = slim.dropout(net, keep_prob=dropout_keep, scope="dropout")
        activation = tf.nn.relu if last_activation else None
        net = slim.fully_connected(
            net,
            2 * num_points,
            activation_fn=activation,
            # A face's points are spread about the middle of its crop; start there.
            biases_initializer=tf.constant_initializer(0.5),
            scope="coordinates",
        )
        return tf.reshape(net, [-1, num_points, 2]), {}


def soft_argmax(
    stages: list[tf.Tensor], num_points: int, *, channels: int = 128
) -> tuple[tf.Tensor, EndPoints]:
    """One map a landmark; its coordinate is the expectation over the softmax of the map.

    Sun et al., "Integral Human Pose Regression", ECCV 2018, equation 3; Nibali et al., "Numerical
    Coordinate Regression with Convolutional Neural Networks" (DSNT), 2018. The stages are joined
    top-down (Lin et al., "Feature Pyramid Networks", CVPR 2017); the joined map goes through
    depthwise 3x3 and 1x1 convolutions. The grid reaches beyond the crop, so that landmarks outside
    it can be told.

    Args:
      stages: feature maps [N, H, W, C], finest first, each half as large as the one before.
      num_points: K.
      channels: width of the joined map.

    Returns:
      Landmarks [N, K, 2], and the end points that `losses.heatmap_regularizer` needs: `map_logits`
      [N, K, H W] and `grid` [H W, 2].
    """
    with tf.variable_scope("soft_argmax"):
        net = None
        for level in reversed(range(len(stages))):
            lateral = slim.conv2d(
                stages[level], channels, 1, activation_fn=None, scope=f"lateral_{level}"
            )
            net = lateral if net is None else lateral + _double(net)
            net = slim.separable_conv2d(
                tf.nn.relu(net),
                None,
                3,
                depth_multiplier=1,
                scope=f"depthwise_{level}",
            )
        net = slim.conv2d(net, channels, 1, scope="mix")
        maps = slim.conv2d(
            net,
            num_points,
            1,
            activation_fn=None,
            normalizer_fn=None,
            biases_initializer=tf.zeros_initializer(),
            scope="maps",
        )
        _, height, width, _ = maps.shape.as_list()
        # A transpose, reshapes, a softmax and a matrix product with a constant: what OpenCV dnn,
        # ONNX and TFLite all import.
        logits = tf.reshape(tf.transpose(maps, [0, 3, 1, 2]), [-1, height * width])
        grid = tf.constant(_grid(height, width))
        landmarks = tf.reshape(tf.matmul(tf.nn.softmax(logits), grid), [-1, num_points, 2])
        by_point = tf.reshape(logits, [-1, num_points, height * width])
        return landmarks, {"map_logits": by_point, "grid": grid}


def _grid(height: int, width: int) -> np.ndarray:
    x = np.linspace(-GRID_REACH, 1 + GRID_REACH, width)
    y = np.linspace(-GRID_REACH, 1 + GRID_REACH, height)
    return np.stack(np.meshgrid(x, y), -1).reshape(-1, 2).astype(np.float32)


def _double(net: tf.Tensor) -> tf.Tensor:
    height, width = net.shape.as_list()[1:3]
    return tf.image.resize_nearest_neighbor(net, [2 * height, 2 * width])
