"""Features -> landmarks, their depth, pose, attributes."""

from typing import Any, Literal

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

from senet_landmark.face.attributes import get_attribute
from senet_landmark.networks.layers import EndPoints

GRID_REACH = 0.1
"""How far the grid of `soft_argmax` extends beyond each edge of the crop, as a share of it."""

MAP_CHANNELS = 128
"""Channels of the feature map from which the landmarks' heatmaps are computed."""

DEPTH_HIDDEN = 128
"""Units of the hidden layer from which the landmarks' depth is computed."""

DEPTH_UNIT = 0.25
"""Sizes of the face box that an output of 1 of the depth's last layer stands for: about the
deviation of a face's depths."""

POSE_UNIT = 30.0
"""Degrees that an output of 1 of the pose's fully connected layer stands for."""


def flat(net: tf.Tensor) -> tf.Tensor:
    """[N, H, W, C] -> [N, H W C]."""
    return tf.reshape(net, [-1, int(np.prod(net.shape.as_list()[1:]))])


def coordinates(
    features: tf.Tensor,
    num_points: int,
    spread: float | None = 0.01,
    biases: Any = 0.5,
    unit: float = 1.0,
    activation: Any = None,
) -> tf.Tensor:
    """A fully connected layer from features [N, C] to landmarks [N, K, 2].

    Args:
      features: [N, C].
      num_points: K.
      spread: scale of the initial variance of the weights: small, so that the first predictions
        are near the initial biases. None: the initialiser of the arg scope.
      biases: initialiser of the biases, or where all points begin, as a share of the crop: 0.5,
        because the points of a face are spread about the crop's centre.
      unit: share of the crop that an output of 1 stands for. Adam changes every weight by about
        the same amount, so the output changes in proportion to the number of features. With
        thousands of features it would overshoot at 1.
      activation: activation function of the coordinates.
    """
    weights: dict[str, Any] = {}
    if spread is not None:
        weights["weights_initializer"] = tf.variance_scaling_initializer(spread)
    net = slim.fully_connected(
        features,
        2 * num_points,
        activation_fn=activation,
        **weights,
        biases_initializer=biases if callable(biases) else tf.constant_initializer(biases / unit),
        scope="coordinates",
    )
    return tf.reshape(net if unit == 1 else net * unit, [-1, num_points, 2])


def pose(features: tf.Tensor) -> tf.Tensor:
    """Yaw, pitch and roll in degrees, float32 [N, 3], from features [N, C] or [N, H, W, C]."""
    net = slim.fully_connected(_pooled(features), 3, activation_fn=None, scope="pose")
    return net * POSE_UNIT


def depth(features: tf.Tensor, landmarks: tf.Tensor) -> tf.Tensor:
    """The landmarks' depth in units of the face box, float32 [N, K] (`face/depth.py`).

    The hidden layer gets the landmarks beside the features, as most of the depth follows from the
    shape that they show.

    Args:
      features: [N, C] or [N, H, W, C].
      landmarks: [N, 2 K], normalised by the crop.
    """
    points = landmarks.shape.as_list()[1] // 2
    with tf.variable_scope("depth"):
        net = tf.concat([_pooled(features), landmarks], 1)
        net = slim.fully_connected(net, DEPTH_HIDDEN, activation_fn=tf.nn.relu, scope="hidden")
        net = slim.fully_connected(
            net,
            points,
            activation_fn=None,
            weights_initializer=tf.variance_scaling_initializer(0.01),
            scope="depth",
        )
        return net * DEPTH_UNIT


def attribute_logits(
    features: tf.Tensor, names: tuple[str, ...], binary: Literal["softmax", "sigmoid"] = "softmax"
) -> dict[str, tf.Tensor]:
    """Attribute -> logits of its classes, float32 [N, C], from features [N, C] or [N, H, W, C].

    Args:
      features: of the network.
      names: the attributes.
      binary: `sigmoid` gives an attribute of two classes one logit, [N, 1]: that of its second.

    Raises:
      InputError: an unknown attribute.
    """
    pooled = _pooled(features)
    logits = {}
    for name in names:
        count = len(get_attribute(name).classes)
        if binary == "sigmoid" and count == 2:
            count = 1
        logits[name] = slim.fully_connected(
            pooled, count, activation_fn=None, scope=f"attribute_{name}"
        )
    return logits


def class_probabilities(logits: tf.Tensor) -> tf.Tensor:
    """Probabilities of an attribute's classes, float32 [N, C], from `attribute_logits`."""
    if logits.shape[-1] > 1:
        return tf.nn.softmax(logits)
    # As a matrix product: OpenCV does not import a constant minus a tensor.
    return tf.nn.sigmoid(tf.matmul(logits, tf.constant([[-1.0, 1.0]])))


def _pooled(features: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(features, [1, 2]) if features.shape.ndims == 4 else features


def fully_connected(
    features: tf.Tensor,
    num_points: int,
    *,
    hidden: int = 1024,
    dropout_keep: float = 0.8,
    last_activation: bool = False,
) -> tf.Tensor:
    """The original head: global mean, fully connected layer (FC), dropout, FC to 2 K coordinates.

    Args:
      features: float32 [N, H, W, C].
      num_points: K.
      hidden: units of the first fully connected layer.
      dropout_keep: share of the hidden units that dropout keeps in training.
      last_activation: apply a ReLU to the coordinates, as the original does. Their weights then
        begin as those of the other layers; otherwise the first predictions are near the centre.
    """
    with tf.variable_scope("fc"):
        net = slim.fully_connected(_pooled(features), hidden, scope="hidden")
        net = slim.dropout(net, keep_prob=dropout_keep, scope="dropout")
        activation = tf.nn.relu if last_activation else None
        spread = None if last_activation else 0.01
        return coordinates(net, num_points, spread=spread, activation=activation)


def soft_argmax(
    stages: list[tf.Tensor], num_points: int, *, channels: int = MAP_CHANNELS
) -> tuple[tf.Tensor, EndPoints]:
    """One heatmap per landmark; the coordinate is the expectation over the softmax of the map.

    Sun et al., "Integral Human Pose Regression", ECCV 2018, equation 3; Nibali et al., "Numerical
    Coordinate Regression with Convolutional Neural Networks" (DSNT), 2018. The stages are merged
    top-down (Lin et al., "Feature Pyramid Networks", CVPR 2017); the merged map goes through
    depthwise 3x3 and 1x1 convolutions. The grid extends beyond the crop, so that landmarks outside
    the crop can be predicted.

    Args:
      stages: feature maps [N, H, W, C], finest first, each half as large as the one before.
      num_points: K.
      channels: channels of the merged map.

    Returns:
      Landmarks [N, K, 2], and end points: `variance` [N, K] of each heatmap about its expectation,
      the variances of x and y added; and what `losses.heatmap_regularizer` needs: `map_logits`
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
        # Only a transpose, reshapes, a softmax and a matrix product with a constant, because OpenCV
        # dnn, ONNX and TFLite import all of these.
        logits = tf.reshape(tf.transpose(maps, [0, 3, 1, 2]), [-1, height * width])
        grid = tf.constant(_grid(height, width))
        maps = tf.nn.softmax(logits)
        expected = tf.matmul(maps, grid)
        landmarks = tf.reshape(expected, [-1, num_points, 2])
        # E |x|^2 - |E x|^2, with the sums over x and y as products with constants. The constants
        # are written in full: OpenCV cannot read one that is stored as a single repeated value.
        squares = tf.matmul(maps, tf.constant(np.square(_grid(height, width)).sum(1)[:, None]))
        variance = squares - tf.matmul(
            expected * expected, tf.constant(np.ones([2, 1], np.float32))
        )
        by_point = tf.reshape(logits, [-1, num_points, height * width])
        return landmarks, {
            "variance": tf.reshape(variance, [-1, num_points]),
            "map_logits": by_point,
            "grid": grid,
        }


def _grid(height: int, width: int) -> np.ndarray:
    x = np.linspace(-GRID_REACH, 1 + GRID_REACH, width)
    y = np.linspace(-GRID_REACH, 1 + GRID_REACH, height)
    return np.stack(np.meshgrid(x, y), -1).reshape(-1, 2).astype(np.float32)


def _double(net: tf.Tensor) -> tf.Tensor:
    height, width = net.shape.as_list()[1:3]
    return tf.image.resize_nearest_neighbor(net, [2 * height, 2 * width])
