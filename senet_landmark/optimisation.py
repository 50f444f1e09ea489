"""A training step: the learning rate, Adam, and the averages that move with it."""

import tensorflow.compat.v1 as tf
import tf_slim as slim

from senet_landmark.config import ScheduleConfig, TrainConfig


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
    loss: tf.Tensor, rate: tf.Tensor, step: tf.Tensor, options: TrainConfig
) -> tuple[tf.Operation, tf.train.ExponentialMovingAverage | None]:
    """One step of Adam, then of the averages of weights; batch-norm averages move with it."""
    total = tf.add_n([loss, *tf.losses.get_regularization_losses()])
    optimizer = tf.train.AdamOptimizer(rate)
    gradients, variables = zip(*optimizer.compute_gradients(total), strict=True)
    if options.gradient_clip:
        gradients, _ = tf.clip_by_global_norm(gradients, options.gradient_clip)
    with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
        update = optimizer.apply_gradients(zip(gradients, variables, strict=True), step)
    if not options.ema_decay:
        return update, None
    # With num_updates the average follows quickly in the first steps of a run.
    average = tf.train.ExponentialMovingAverage(options.ema_decay, num_updates=step)
    with tf.control_dependencies([update]):
        return average.apply(slim.get_model_variables()), average
