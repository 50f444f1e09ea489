"""The graph of a training step: batch -> model -> loss -> gradients -> new weights."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow.compat.v1 as tf

from senet_landmark.config import Config
from senet_landmark.data.input_pipeline import BatchMaker, batches
from senet_landmark.losses import Tensors, loss_terms
from senet_landmark.networks.model import build_model
from senet_landmark.training.moving_average import MovingAverage
from senet_landmark.training.optimisation import gradients_of, learning_rate, update_operation


@dataclass(frozen=True)
class TrainingGraph:
    """The tensors of a training step.

    Attributes:
      tasks: names of the terms of the loss, `landmarks` first.
      step: the global step.
      data: operation that starts the batches at the global step.
      terms: float32 [T], weighted terms of the loss on this process's batch.
      mean_terms: float32 [T], means of `terms` over the workers; in a single process, `terms`.
      loss: float32 scalar, the sum of the `mean_terms` that are switched on.
      rate: float32 scalar, learning rate.
      progress: float32 scalar to be fed, share of the run that is done, 0 to 1.
      switches: float32 [T] to be fed, 1 for a task that is trained, 0 for a stopped one.
      update: operation that runs one training step.
      average: moving averages of the weights, or None.
      saved: the variables of a checkpoint.
      saver: saver of `saved`.
    """

    tasks: list[str]
    step: tf.Variable
    data: tf.Operation
    terms: tf.Tensor
    mean_terms: tf.Tensor
    loss: tf.Tensor
    rate: tf.Tensor
    progress: tf.Tensor
    switches: tf.Tensor
    update: tf.Operation
    average: MovingAverage | None
    saved: list[tf.Variable]
    saver: tf.train.Saver


@dataclass(frozen=True)
class BatchGradients:
    """The forward and backward pass of one batch.

    Attributes:
      tasks, terms, progress, switches, rate: as in `TrainingGraph`.
      gradients: gradients of the terms that are switched on, with respect to `variables`.
      variables: the trained variables.
    """

    tasks: list[str]
    terms: tf.Tensor
    progress: tf.Tensor
    switches: tf.Tensor
    rate: tf.Tensor
    gradients: list[tf.Tensor]
    variables: list[tf.Variable]


def build_training_graph(
    config: Config, maker: BatchMaker, threads: int, batch: Tensors | None = None
) -> TrainingGraph:
    """Builds the graph of a single process in the default graph.

    Args:
      config: configuration of the run.
      maker: makes the batches.
      threads: number of threads that make batches.
      batch: one batch that is used in every step; None: the batches of `maker`.
    """
    tf.set_random_seed(config.train.seed)
    step = tf.train.get_or_create_global_step()
    if batch is None:
        batch = batches(maker, tf.identity(step), threads)
    part = batch_gradients(config, maker, step, batch, tf.zeros([]), lambda tasks: tf.ones(tasks))
    updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
    return complete_graph(config, step, part, part.gradients, part.terms, updates)


def batch_gradients(
    config: Config,
    maker: BatchMaker,
    step: tf.Variable,
    batch: Tensors,
    progress: tf.Tensor,
    switches: Callable[[int], tf.Tensor],
) -> BatchGradients:
    """Adds the forward and backward pass of a batch.

    Args:
      config: configuration of the run.
      maker: maker of the batch.
      step: the global step.
      batch: a batch of `maker`.
      progress: float32 scalar, share of the run that is done; the default if none is fed.
      switches: number of tasks T -> float32 [T], the default switches if none are fed.
    """
    progress = tf.placeholder_with_default(progress, [], "progress")
    tasks, terms = _terms(config, maker, batch, progress)
    placeholder = tf.placeholder_with_default(switches(len(tasks)), [len(tasks)], "switches")
    rate = learning_rate(config.schedule, step, progress)
    gradients, variables = gradients_of(tf.reduce_sum(terms * placeholder))
    return BatchGradients(tasks, terms, progress, placeholder, rate, gradients, variables)


def complete_graph(
    config: Config,
    step: tf.Variable,
    part: BatchGradients,
    gradients: Sequence[tf.Tensor],
    mean_terms: tf.Tensor,
    updates: Sequence[tf.Operation] = (),
    device: str | None = None,
    not_saved: Collection[str] = (),
) -> TrainingGraph:
    """Adds the update of the weights, and the saver.

    Args:
      config: configuration of the run.
      step: the global step.
      part: forward and backward pass of this process's batch.
      gradients: gradients that update the weights, one for each of `part.variables`.
      mean_terms: float32 [T], the terms of the loss that belong to the gradients.
      updates: operations that run with every step, e.g. updates of batch-norm averages.
      device: device of the update; None: any.
      not_saved: names of variables that no checkpoint holds.
    """
    with tf.device(device):
        update, average = update_operation(
            gradients, part.variables, part.rate, step, config.train, updates
        )
    saved = [v for v in tf.global_variables() if v.op.name not in not_saved]
    return TrainingGraph(
        tasks=part.tasks,
        step=step,
        data=tf.tables_initializer(),
        terms=part.terms,
        mean_terms=mean_terms,
        loss=tf.reduce_sum(mean_terms * part.switches),
        rate=part.rate,
        progress=part.progress,
        switches=part.switches,
        update=update,
        average=average,
        saved=saved,
        saver=tf.train.Saver(saved, max_to_keep=None),
    )


def _terms(
    config: Config, maker: BatchMaker, batch: Tensors, progress: tf.Tensor
) -> tuple[list[str], tf.Tensor]:
    """The terms of the loss on a batch, names and values [T]: the mean over the replicas.

    Each replica computes the terms on its share of the faces.

    An operation that is split over two cores takes more than half of its time on one core: the
    cores often wait for the memory or for each other. Two replicas, each on its own core, do not.
    """
    sizes = [
        len(part) for part in np.array_split(np.empty(maker.batch_size), config.train.replicas)
    ]
    sizes = [size for size in sizes if size]
    shares = {key: tf.split(value, sizes) for key, value in batch.items()}
    updates = tf.get_collection_ref(tf.GraphKeys.UPDATE_OPS)
    weighted: list[tf.Tensor] = []
    for number, size in enumerate(sizes):
        part = {key: values[number] for key, values in shares.items()}
        reuse = number > 0
        with tf.variable_scope(tf.get_variable_scope(), reuse=reuse):
            model = build_model(
                config.network, maker.store.scheme.points, is_training=True, image=part["image"]
            )
            terms = loss_terms(
                config, model.end_points, part, maker.size, maker.attributes, progress
            )
        if not reuse:
            first = list(updates)
        weighted.append(tf.stack(list(terms.values())) * (size / maker.batch_size))
    # Only the first replica updates the batch-norm averages: otherwise they would move too often.
    updates[:] = first
    return list(terms), tf.add_n(weighted)
