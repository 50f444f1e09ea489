"""Image -> normalise -> network -> named outputs: the same graph for training and for export."""

from dataclasses import dataclass

import tensorflow.compat.v1 as tf
import tf_slim as slim

from senet_landmark.config import NetworkConfig
from senet_landmark.networks import heads
from senet_landmark.networks.registry import get_network, resolved

GREY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey: ITU-R BT.601, as in OpenCV."""


@dataclass(frozen=True)
class Model:
    """The tensors of a built model.

    Attributes:
      image: `image:0`, float32 [N, H, W, 3], RGB, 0 to 255.
      landmarks: `landmarks:0`, float32 [N, K, 2], normalised by the crop.
      outputs: name -> tensor that a user of the model gets. `landmarks`. Where the head has
        heatmaps, `variance`, float32 [N, K], of the heatmaps in squares of the crop's side. Where
        the configuration asks for them, `depth`, float32 [N, K], of the landmarks in units of the
        face box (`face/depth.py`), `pose`, float32 [N, 3], yaw, pitch and roll in degrees, and
        `attributes`, float32 [N, C], the classes' probabilities, one attribute after the other.
      end_points: name -> tensor inside the network: `features`, `landmarks`, and, where the model
        has them, `variance`, `depth`, `pose`, `logits/NAME` of each attribute, `map_logits` and
        `grid`.
    """

    image: tf.Tensor
    landmarks: tf.Tensor
    outputs: dict[str, tf.Tensor]
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
      is_training: batch norm by the batch, dropout on, auxiliary branches built.
      image: RGB 0 to 255 [N, H, W, 3] of any type; None: a placeholder named `image`.
      batch_size: N of the placeholder; None: any N.

    Raises:
      InputError: an unknown network or attribute, a head that the network cannot have, or an
        option that it does not use.
    """
    config, spec = resolved(config), get_network(config.name)
    width, height = spec.input_size
    if image is None:
        image = tf.placeholder(tf.float32, [batch_size, height, width, 3], name="image")
    low, high = spec.input_range
    scaled = tf.cast(image, tf.float32)
    if (low, high) != (0, 255):
        scaled *= (high - low) / 255
    if low:
        scaled += low
    if spec.channels == 1:
        # A convolution with a constant, because every importer supports it.
        scaled = tf.nn.conv2d(scaled, tf.constant(GREY, tf.float32, [1, 1, 3, 1]), 1, "SAME")
    with slim.arg_scope(spec.arg_scope(is_training, weight_decay=config.weight_decay)):
        landmarks, end_points = spec.function(
            scaled, is_training=is_training, num_points=num_points, config=config
        )
        # A name scope changes no variable names, and keeps the name `pose` free for the output.
        with tf.name_scope("heads"):
            if config.pose and "pose" not in end_points:
                end_points["pose"] = heads.pose(end_points["features"])
            if config.depth:
                flat = heads.flat(landmarks)
                # So that no operation takes the output itself, which OpenCV 5 would then not give.
                landmarks = tf.reshape(flat, [-1, num_points, 2])
                # The landmarks learn from their own loss alone. Frozen graphs stay without the
                # operation, which not every importer knows.
                points = tf.stop_gradient(flat) if is_training else flat
                end_points["depth"] = heads.depth(end_points["features"], points)
            logits = heads.attribute_logits(
                end_points["features"], config.attributes, config.binary_output
            )
    end_points |= {f"logits/{name}": value for name, value in logits.items()}
    outputs = {"landmarks": tf.identity(landmarks, name="landmarks")}
    if "variance" in end_points:
        outputs["variance"] = tf.identity(end_points["variance"], name="variance")
    if config.depth:
        outputs["depth"] = tf.identity(end_points["depth"], name="depth")
    if config.pose:
        outputs["pose"] = tf.identity(end_points["pose"], name="pose")
    if logits:
        probabilities = [heads.class_probabilities(value) for value in logits.values()]
        # `tf.concat` of a single tensor does not keep the name.
        together = tf.concat(probabilities, 1) if len(probabilities) > 1 else probabilities[0]
        outputs["attributes"] = tf.identity(together, name="attributes")
    return Model(image, outputs["landmarks"], outputs, end_points)
