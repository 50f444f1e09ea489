"""Image -> normalise -> network -> named outputs: the same graph for training and for export."""

from dataclasses import dataclass

import tensorflow.compat.v1 as tf
import tf_slim as slim

from senet_landmark.config import NetworkConfig
from senet_landmark.errors import InputError
from senet_landmark.networks.registry import get_network


@dataclass(frozen=True)
class Model:
    """The tensors of a built model.

    Attributes:
      image: `image:0`, float32 [N, H, W, 3], RGB, 0 to 255.
      landmarks: `landmarks:0`, float32 [N, K, 2], normalised by the crop.
      end_points: the network's own, by their fixed keys.
    """

    image: tf.Tensor
    landmarks: tf.Tensor
    end_points: dict[str, tf.Tensor]


def build_model(
    config: NetworkConfig,
    num_points: int,
    *,
    is_training: bool,
    image: tf.Tensor | None = None,
    batch_size: int | None = None,
) -> Model:
    """Builds the model in the default graph.

    Args:
      config: which network.
      num_points: K.
      is_training: batch norm by the batch, dropout on.
      image: RGB 0 to 255 [N, H, W, 3] of any type; without it a placeholder named `image`.
      batch_size: N of the placeholder; None: any.

    Raises:
      InputError: the network is unknown, or cannot carry the head.
    """
    spec = get_network(config.name)
    if config.head not in spec.heads:
        raise InputError(
            f"Network {config.name!r} has no {config.head!r} head; it has: {', '.join(spec.heads)}."
        )
    width, height = spec.input_size
    if image is None:
        shape = [batch_size, height, width, spec.channels]
        image = tf.placeholder(tf.float32, shape, name="image")
    scaled = tf.cast(image, tf.float32) * (1 / 127.5) - 1.0
    with slim.arg_scope(spec.arg_scope(is_training, weight_decay=config.weight_decay)):
        landmarks, end_points = spec.function(
            scaled,
            is_training=is_training,
            num_points=num_points,
            head=config.head,
            dropout_keep=config.dropout_keep,
        )
    landmarks = tf.identity(landmarks, name="landmarks")
    return Model(image=image, landmarks=landmarks, end_points=end_points)
