"""Moving averages of a network's variables, which a run validates and keeps."""

from collections.abc import Sequence

import tensorflow.compat.v1 as tf
import tf_slim as slim

from senet_landmark.networks.layers import early_decay
from senet_landmark.networks.weights import Weights

SUFFIX = "/ExponentialMovingAverage"
"""An average has the name of its variable and this, as TensorFlow's own averages have."""


class MovingAverage:
    """The exponential moving averages of variables.

    `tf.train.ExponentialMovingAverage` asks with every variable whether it is initialised, by
    conditionals that are most of its operations. Here variables and averages are to be initialised
    in one call, by `tf.global_variables_initializer`, from the same values.

    Args:
      variables: the variables.
      decay: decay of the averages, 0 to 1.
      step: number of updates so far (`layers.early_decay`).

    Attributes:
      update: operation that moves all averages towards the variables' values.
    """

    def __init__(self, variables: Sequence[tf.Variable], decay: float, step: tf.Tensor):
        self._averages = {}
        # Whatever the caller waits for, the first values do not.
        with tf.init_scope():
            for variable in variables:
                with tf.device(variable.device):
                    self._averages[variable.op.name] = tf.Variable(
                        variable.initial_value, trainable=False, name=variable.op.name + SUFFIX
                    )
        rate = 1 - early_decay(decay, step)
        self.update = tf.group(
            *(
                tf.assign_sub(self.average(variable), (self.average(variable) - variable) * rate)
                for variable in variables
            )
        )

    def average(self, variable: tf.Variable) -> tf.Variable:
        """The moving average of a variable. Raises KeyError for one that has none."""
        return self._averages[variable.op.name]


def current_weights(session: tf.Session, average: MovingAverage | None) -> Weights:
    """The model's weights in a training session: their moving averages where there are such."""
    variables = slim.get_model_variables()
    fetches = [average.average(variable) if average else variable for variable in variables]
    values = session.run(fetches)
    return {v.op.name: value for v, value in zip(variables, values, strict=True)}
