"""Layers that the networks share; `slim.arg_scope` configures them."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import tensorflow.compat.v1 as tf
import tf_slim as slim

EndPoints = dict[str, tf.Tensor]


@slim.add_arg_scope
def batch_norm(
    inputs: tf.Tensor,
    decay: float = 0.99,
    epsilon: float = 1e-3,
    is_training: bool = True,
    activation_fn: Callable[[tf.Tensor], tf.Tensor] | None = None,
    scope: str | None = None,
) -> tf.Tensor:
    """Batch normalisation (Ioffe & Szegedy, 2015) of [N, H, W, C].

    `slim.batch_norm` needs Keras layers that TensorFlow 2.16 and later lack. This function has the
    same variable names (gamma, beta, moving_mean, moving_variance), adds the update of the moving
    averages to UPDATE_OPS, and is one fused operation, which freezing folds into the convolution.

    Args:
      inputs: float32 [N, H, W, C].
      decay: decay of the moving averages; in the first steps of a graph that has a global step,
        (1 + step) / (10 + step) where that is less, so that the initial values soon lose weight.
      epsilon: added to the variance.
      is_training: normalise by the batch and update the averages, or normalise by the averages.
      activation_fn: applied to the result.
      scope: variable scope, by default BatchNorm.
    """
    with tf.variable_scope(scope, "BatchNorm", [inputs]):
        shape = [inputs.shape[-1]]
        gamma = slim.model_variable("gamma", shape, initializer=tf.ones_initializer())
        beta = slim.model_variable("beta", shape, initializer=tf.zeros_initializer())
        mean = slim.model_variable(
            "moving_mean", shape, initializer=tf.zeros_initializer(), trainable=False
        )
        variance = slim.model_variable(
            "moving_variance", shape, initializer=tf.ones_initializer(), trainable=False
        )
        if is_training:
            outputs, batch_mean, batch_variance = tf.nn.fused_batch_norm(
                inputs, gamma, beta, epsilon=epsilon, is_training=True
            )
            share = 1 - early_decay(decay, tf.train.get_global_step())
            for average, value in ((mean, batch_mean), (variance, batch_variance)):
                update = tf.assign_sub(average, share * (average - value))
                tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, update)
        else:
            outputs, _, _ = tf.nn.fused_batch_norm(
                inputs, gamma, beta, mean, variance, epsilon=epsilon, is_training=False
            )
        return outputs if activation_fn is None else activation_fn(outputs)


def early_decay(decay: float, step: tf.Tensor | None) -> tf.Tensor | float:
    """The decay of a moving average after `step` updates, with which it follows quickly at first.

    (1 + step) / (10 + step), `decay` at most, as in `tf.train.ExponentialMovingAverage`; without
    a step, `decay`.
    """
    if step is None:
        return decay
    step = tf.cast(step, tf.float32)
    return tf.minimum(decay, (1 + step) / (10 + step))


@slim.add_arg_scope
def squeeze_excite(inputs: tf.Tensor, reduction: int = 4, scope: str | None = None) -> tf.Tensor:
    """Squeeze and excitation: scales the channels of [N, H, W, C] by factors from the whole map.

    Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018, section 3: global mean, FC to
    C / reduction, ReLU, FC to C, sigmoid. The fully connected layers are 1x1 convolutions on a 1x1
    map, because OpenCV cannot import the reshape from [N, C] back to [N, 1, 1, C].
    """
    channels = inputs.shape[-1]
    with tf.variable_scope(scope, "SqueezeExcite", [inputs]):
        squeezed = tf.reduce_mean(inputs, [1, 2], keepdims=True)
        with slim.arg_scope([slim.conv2d], normalizer_fn=None, biases_initializer=_zeros()):
            hidden = slim.conv2d(squeezed, max(channels // reduction, 4), 1, scope="reduce")
            scale = slim.conv2d(hidden, channels, 1, activation_fn=tf.nn.sigmoid, scope="expand")
        return inputs * scale


class Stage(NamedTuple):
    """A convolution without padding, followed by max pooling by 2 if `pool`."""

    channels: int
    kernel: int
    pool: bool = True


def plain_convolutions(
    inputs: tf.Tensor, stages: Sequence[Stage], biases: Callable[[int], Any] | None = None
) -> tf.Tensor:
    """Applies the stages one after the other.

    Args:
      inputs: [N, H, W, C].
      stages: the stages.
      biases: number of a layer's inputs -> initialiser of its biases; None: zeros.
    """
    net = inputs
    for index, stage in enumerate(stages):
        initializer = biases(stage.kernel**2 * int(net.shape[-1])) if biases else _zeros()
        net = slim.conv2d(
            net, stage.channels, stage.kernel, padding="VALID", biases_initializer=initializer,
            scope=f"conv_{index}",
        )  # fmt: skip
        if stage.pool:
            net = slim.max_pool2d(net, 2, 2, scope=f"pool_{index}")
    return net


class Bottleneck(NamedTuple):
    """`repeats` equal inverted residual blocks; only the first has the stride."""

    expansion: int
    channels: int
    repeats: int
    stride: int


def scaled(channels: int, width: float) -> int:
    """Channels of a layer in a network `width` times as wide, at least 1."""
    return max(round(channels * width), 1)


def inverted_residual(
    inputs: tf.Tensor, channels: int, expansion: int, stride: int, scope: str
) -> tf.Tensor:
    """1x1 to `expansion` times the channels, depthwise 3x3, 1x1 without activation.

    Sandler et al., "MobileNetV2", CVPR 2018, section 3.3: the input is added where the shapes are
    equal; with an expansion of 1 the first convolution is left out.
    """
    with tf.variable_scope(scope):
        net = inputs
        if expansion != 1:
            net = slim.conv2d(net, expansion * inputs.shape[-1], 1, scope="expand")
        net = slim.separable_conv2d(
            net, None, 3, depth_multiplier=1, stride=stride, scope="depthwise"
        )
        net = slim.conv2d(net, channels, 1, activation_fn=None, scope="project")
        return net + inputs if stride == 1 and inputs.shape[-1] == channels else net


def inverted_residuals(
    inputs: tf.Tensor, bottlenecks: Sequence[Bottleneck], width: float = 1.0
) -> list[tf.Tensor]:
    """Builds the blocks one after the other; returns the output of each."""
    outputs: list[tf.Tensor] = []
    for bottleneck in bottlenecks:
        for repeat in range(bottleneck.repeats):
            outputs.append(
                inverted_residual(
                    outputs[-1] if outputs else inputs,
                    scaled(bottleneck.channels, width),
                    bottleneck.expansion,
                    bottleneck.stride if repeat == 0 else 1,
                    scope=f"block_{len(outputs)}",
                )
            )
    return outputs


def normalised_if(batch_normalised: bool) -> AbstractContextManager[Any]:
    """A scope whose convolutions have batch norm if `batch_normalised`, otherwise a bias."""
    normalizer = batch_norm if batch_normalised else None
    return slim.arg_scope([slim.conv2d], normalizer_fn=normalizer)


def _zeros() -> Any:
    return tf.zeros_initializer()


def conv_arg_scope(
    is_training: bool,
    weight_decay: float,
    batch_norm_decay: float,
    activation: Callable[[tf.Tensor], tf.Tensor] = tf.nn.relu,
    initializer: Any = None,
) -> dict[str, Any]:
    """The scope of convolutional networks: variance scaling, batch norm, ReLU, L2.

    Args:
      is_training: passed to `batch_norm` and `slim.dropout`.
      weight_decay: L2 regularisation of the weights.
      batch_norm_decay: decay of the moving averages.
      activation: default activation function of every layer.
      initializer: initialiser of the weights; None: a variance of 1 over the number of inputs.
    """
    layers = [slim.conv2d, slim.fully_connected, slim.separable_conv2d]
    with (
        slim.arg_scope(
            layers,
            activation_fn=activation,
            weights_initializer=initializer or tf.variance_scaling_initializer(),
            weights_regularizer=slim.l2_regularizer(weight_decay),
        ),
        slim.arg_scope(
            [slim.conv2d, slim.separable_conv2d], normalizer_fn=batch_norm, padding="SAME"
        ),
        slim.arg_scope([batch_norm], is_training=is_training, decay=batch_norm_decay),
        slim.arg_scope([slim.dropout], is_training=is_training) as scope,
    ):
        return scope
