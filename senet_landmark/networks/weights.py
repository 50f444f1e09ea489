"""Assigns a network's weights in a session."""

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

from senet_landmark.errors import InputError

Weights = dict[str, np.ndarray]
"""Variable name -> value: all variables for inference, with the moving averages of batch norm."""


def assign_weights(session: tf.Session, weights: Weights, where: str) -> None:
    """Assigns `weights` to the model variables of the session's graph.

    Args:
      session: the session.
      weights: a value for each model variable.
      where: where the weights come from, for messages.

    Raises:
      InputError: `weights` lacks a variable or has another shape: it is of another network.
    """
    variables = slim.get_model_variables()
    feed = {}
    for variable in variables:
        value = weights.get(variable.op.name)
        if value is None or tuple(value.shape) != tuple(variable.shape.as_list()):
            raise InputError(
                f"{where}: does not fit the network of config.json (variable {variable.op.name})."
            )
        feed[variable.initializer.inputs[1]] = value
    # One run of all initialisers with fed values; `variable.load` would need one run per variable.
    session.run([variable.initializer for variable in variables], feed)
