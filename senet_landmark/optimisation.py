"""A training step: the learning rate, Adam, and the averages that move with it."""

import contextlib
from collections.abc import Callable, Sequence

import tensorflow.compat.v1 as tf
import tf_slim as slim

from senet_landmark.config import ScheduleConfig, TrainConfig

Exchanged = Callable[[Sequence[tf.Tensor], Sequence[tf.Operation]], Sequence[tf.Tensor]]


def learning_rate(config: ScheduleConfig, step: tf.Tensor, progress: tf.Tensor) -> tf.Tensor:
    """Linear warm-up, then exponential decay: by steps, or over the whole run.

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


def update_operation(
    loss: tf.Tensor,
    rate: tf.Tensor,
    step: tf.Tensor,
    options: TrainConfig,
    mean_of: Exchanged | None = None,
    device: str | None = None,
) -> tuple[tf.Operation, tf.train.ExponentialMovingAverage | None]:
    """One step of Adam, then of the averages of weights; batch-norm averages move with it.

    Args:
      loss: scalar, without the regularisation losses of the graph, which are added.
      rate: learning rate.
      step: global step; grows by 1.
      options: the limit of the gradients and the decay of the averages.
      mean_of: (gradients, batch-norm updates) -> gradients to apply: of a distributed run, where it
        is to run the updates too.
      device: where the gradients are applied; None: where the graph is built.

    Returns:
      The operation, and the averages where `options` has such.
    """
    total = tf.add_n([loss, *tf.losses.get_regularization_losses()])
    optimizer = tf.train.AdamOptimizer(rate)
    pairs = [pair for pair in optimizer.compute_gradients(total) if pair[0] is not None]
    gradients: Sequence[tf.Tensor] = [gradient for gradient, _ in pairs]
    variables = [variable for _, variable in pairs]
    updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
    if mean_of is not None:
        gradients, updates = mean_of(gradients, updates), []
    with tf.device(device) if device else contextlib.nullcontext():
        if options.gradient_clip:
            gradients, _ = tf.clip_by_global_norm(gradients, options.gradient_clip)
        with tf.control_dependencies(updates):
            update = optimizer.apply_gradients(zip(gradients, variables, strict=True), step)
        if not options.ema_decay:
            return update, None
        # With num_updates the average follows quickly in the first steps of a run.
        average = tf.train.ExponentialMovingAverage(options.ema_decay, num_updates=step)
        with tf.control_dependencies([update]):
            return average.apply(slim.get_model_variables()), average
