"""A network's weights: out of a session, and into one."""

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

from senet_landmark.errors import InputError

Weights = dict[str, np.ndarray]
"""Variable name -> value: all that the network needs at inference, batch-norm averages included."""


def assign_weights(session: tf.Session, weights: Weights, where: str) -> None:
    """Gives the model variables of the session's graph their values.

    Raises:
      InputError: one is missing in `weights`, or has another shape: another network's checkpoint.
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
    # One run of all initialisers, fed: `variable.load` would take one run a variable.
    session.run([variable.initializer for variable in variables], feed)


def current_weights(
    session: tf.Session, average: tf.train.ExponentialMovingAverage | None
) -> Weights:
    """The model's weights in a training session, averaged where an average is kept."""
    variables = slim.get_model_variables()
    shown = [(average.average(v) if average else None) for v in variables]
    sources = [v if s is None else s for v, s in zip(variables, shown, strict=True)]
    values = session.run(sources)
    return {v.op.name: value for v, value in zip(variables, values, strict=True)}
