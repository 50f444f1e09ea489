"""A training step: learning rate, gradients, Adam, moving averages, check for divergence."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

from senet_landmark.config import ScheduleConfig, TrainConfig
from senet_landmark.data.input_pipeline import BatchMaker
from senet_landmark.errors import InputError
from senet_landmark.training.moving_average import MovingAverage


def learning_rate(config: ScheduleConfig, step: tf.Tensor, progress: tf.Tensor) -> tf.Tensor:
    """Learning rate: linear warm-up, then exponential decay by steps or over the whole run.

    Args:
      config: the schedule.
      step: global step.
      progress: float32 scalar, share of the run that is done, 0 to 1.
    """
    if config.decay_steps:
        rate = tf.train.exponential_decay(
            config.initial, step, config.decay_steps, config.decay_rate, staircase=False
        )
    else:
        rate = config.initial * tf.pow(config.final / config.initial, progress)
    if config.warmup_steps:
        rate *= tf.minimum(1.0, (tf.cast(step, tf.float32) + 1.0) / config.warmup_steps)
    return rate


def gradients_of(loss: tf.Tensor) -> tuple[list[tf.Tensor], list[tf.Variable]]:
    """Gradients of the loss plus the graph's regularisation, and the variables they belong to."""
    total = tf.add_n([loss, *tf.losses.get_regularization_losses()])
    variables = tf.trainable_variables()
    # Gated like the gradients of TensorFlow's optimisers.
    gradients = tf.gradients(total, variables, gate_gradients=True)
    pairs = zip(gradients, variables, strict=True)
    used = [(gradient, variable) for gradient, variable in pairs if gradient is not None]
    return [gradient for gradient, _ in used], [variable for _, variable in used]


def update_operation(
    gradients: Sequence[tf.Tensor],
    variables: Sequence[tf.Variable],
    rate: tf.Tensor,
    step: tf.Tensor,
    options: TrainConfig,
    updates: Sequence[tf.Operation] = (),
) -> tuple[tf.Operation, MovingAverage | None]:
    """One step of Adam, then an update of the moving averages of the weights.

    Args:
      gradients: gradients of the loss.
      variables: the variables that the gradients belong to.
      rate: learning rate.
      step: global step; the operation adds 1.
      options: limit of the gradients' norm, and decay of the averages.
      updates: updates of the batch-norm averages, which run in the same step.

    Returns:
      The operation, and the moving averages, or None if `options` has no decay.
    """
    if options.gradient_clip:
        gradients, _ = tf.clip_by_global_norm(gradients, options.gradient_clip)
    pairs = zip(gradients, variables, strict=True)
    with tf.control_dependencies(list(updates)):
        update = tf.train.AdamOptimizer(rate).apply_gradients(pairs, step)
    if not options.ema_decay:
        return update, None
    with tf.control_dependencies([update]):
        average = MovingAverage(slim.get_model_variables(), options.ema_decay, step)
    return average.update, average


def check_finite(
    values: np.ndarray | float, maker: BatchMaker, step: int, folder: Path | None = None
) -> None:
    """Checks that the loss or the weights hold neither NaN nor infinity.

    Args:
      values: values of the loss or of the weights.
      maker: maker of the batch that they come from.
      step: the step that used that batch.
      folder: folder of the run's checkpoints, or None.

    Raises:
      InputError: a value is not finite; the message names the step and the photos of its batch.
    """
    if np.isfinite(values).all():
        return
    photos = dict.fromkeys(maker.store.record(int(i)).source for i in maker.indices(step))
    advice = f"The last good checkpoint is in {folder}; try" if folder else "Try"
    raise InputError(
        f"the loss is no longer finite at step {step}. {advice} a lower --schedule.initial, or "
        f"look at the photos of the batch: {', '.join(photos)}"
    )
