"""Networks as graphs: built, counted and fed."""

import functools

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

from senet_landmark.networks.model import build_model

POINTS = 68


CLASSES = (2, 2, 5)


def random_batch(count, size, seed=0):
    """Random photos, and truths of every task for them."""
    generator = np.random.default_rng(seed)
    attributes = [generator.integers(0, classes, count) for classes in CLASSES]
    return {
        "image": generator.integers(0, 256, (count, size[1], size[0], 3), dtype=np.uint8),
        "landmarks": generator.uniform(0.1, 0.9, (count, POINTS, 2)).astype(np.float32),
        "pose": generator.uniform(-40, 40, (count, 3)).astype(np.float32),
        "depth": generator.uniform(-0.4, 0.4, (count, POINTS)).astype(np.float32),
        "attributes": np.stack(attributes, 1).astype(np.float32),
    }


@functools.cache
def built(config, points=POINTS, is_training=False):
    """(graph, model) of a network for one face; built once for all tests that only look at it."""
    with tf.Graph().as_default() as graph:
        model = build_model(config, points, is_training=is_training, batch_size=1)
    return graph, model


def count_weights(graph):
    """Trainable parameters, and those with the moving averages."""
    with graph.as_default():
        return [
            sum(int(np.prod(v.shape)) for v in variables)
            for variables in (tf.trainable_variables(), slim.get_model_variables())
        ]


def count_flops(graph):
    """Additions and multiplications for one face, by TensorFlow's profiler."""
    options = tf.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    return tf.profiler.profile(graph, options=options).total_float_ops


def map_of(graph, operation):
    """(height, width, channels) of what an operation gives."""
    return tuple(graph.get_operation_by_name(operation).outputs[0].shape.as_list()[1:])


def has_maps(model):
    """Whether the landmarks are expectations over maps, which have a variance too."""
    return "map_logits" in model.end_points
