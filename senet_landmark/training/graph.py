"""The graph of a training step: batch -> model -> loss -> gradients -> new weights."""

from dataclasses import dataclass

import numpy as np
import tensorflow.compat.v1 as tf

from senet_landmark.config import Config
from senet_landmark.data.input_pipeline import BatchMaker, batches
from senet_landmark.losses import Tensors, loss_terms
from senet_landmark.networks.model import build_model
from senet_landmark.training.distributed.cluster import Cluster
from senet_landmark.training.distributed.exchange import GradientExchange, Signals
from senet_landmark.training.optimisation import gradients_of, learning_rate, update_operation


@dataclass(frozen=True)
class TrainingGraph:
    """The tensors of a training step.

    Attributes:
      tasks: names of the loss's terms, `landmarks` first.
      step: the global step; the data go on from it when `data` runs.
      data: begins the batches at the global step.
      terms: float32 [T], the loss's weighted terms on this process's batch.
      mean_terms: the same, the mean over the workers; in a single process `terms`.
      loss: scalar, the sum of `mean_terms` that are switched on.
      rate: learning rate.
      progress: float32 scalar to be fed, share of the run that is done.
      switches: float32 [T] to be fed, 1, or 0 for a task that is left alone.
      update: one step, in a distributed run with the means of what the workers have pushed.
      average: of the weights; None where there is none.
      saved: all that a run goes on from.
      saver: of these.
      exchange: of the gradients; None in a single process.
      signals: to the other workers; None in a single process.
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
    average: tf.train.ExponentialMovingAverage | None
    saved: list[tf.Variable]
    saver: tf.train.Saver
    exchange: GradientExchange | None
    signals: Signals | None


def build_training_graph(
    config: Config,
    maker: BatchMaker,
    threads: int,
    cluster: Cluster | None = None,
    batch: Tensors | None = None,
) -> TrainingGraph:
    """Builds it in the default graph.

    Args:
      config: of the run.
      maker: of this process's batches.
      threads: that make batches.
      cluster: of a distributed run.
      batch: a batch to be seen in every step; None: those of `maker`.
    """
    part = cluster.part if cluster else 0
    tf.set_random_seed(config.train.seed + part)
    step = tf.train.get_or_create_global_step()
    if batch is None:
        batch = batches(maker, tf.identity(step), threads)
    signals = Signals(cluster) if cluster else None
    progress = tf.placeholder_with_default(
        signals.progress if signals else tf.zeros([]), [], "progress"
    )
    tasks, terms = _terms(config, maker, batch, progress)
    if signals:
        signals.add_switches(len(tasks))
    switches = tf.placeholder_with_default(
        signals.switches if signals else tf.ones(len(tasks)), [len(tasks)], "switches"
    )
    rate = learning_rate(config.schedule, step, progress)
    gradients, variables = gradients_of(tf.reduce_sum(terms * switches))
    updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
    exchange, mean_terms = None, terms
    if cluster:
        # Batch-norm averages follow the chief's part alone: applied by each worker, they would
        # move as often as there are workers.
        also = updates if cluster.is_chief else []
        exchange = GradientExchange(cluster, [*gradients, terms], step, also)
        *gradients, mean_terms = exchange.means
        updates = []
    with tf.device(cluster.parameter_device() if cluster else None):
        update, average = update_operation(gradients, variables, rate, step, config.train, updates)
    signalled = {v.op.name for v in signals.variables} if signals else set()
    saved = [v for v in tf.global_variables() if v.op.name not in signalled]
    return TrainingGraph(
        tasks=tasks,
        step=step,
        data=tf.tables_initializer(),
        terms=terms,
        mean_terms=mean_terms,
        loss=tf.reduce_sum(mean_terms * switches),
        rate=rate,
        progress=progress,
        switches=switches,
        update=update,
        average=average,
        saved=saved,
        saver=tf.train.Saver(saved, max_to_keep=None),
        exchange=exchange,
        signals=signals,
    )


def _terms(
    config: Config, maker: BatchMaker, batch: Tensors, progress: tf.Tensor
) -> tuple[list[str], tf.Tensor]:
    """The loss's terms of a batch, names and values [T]: the mean over the replicas.

    Each replica has its share of the faces.

    An operation on two cores takes more than half of its time on one: for much of it the cores wait
    for the memory, or for each other. Two replicas, each on a core, do not.
    """
    sizes = [
        len(part) for part in np.array_split(np.empty(maker.batch_size), config.train.replicas)
    ]
    sizes = [size for size in sizes if size]
    parts = {key: tf.split(value, sizes) for key, value in batch.items()}
    updates = tf.get_collection_ref(tf.GraphKeys.UPDATE_OPS)
    found: list[tf.Tensor] = []
    for number, size in enumerate(sizes):
        part = {key: of[number] for key, of in parts.items()}
        again = number > 0
        with tf.variable_scope(tf.get_variable_scope(), reuse=again):
            model = build_model(
                config.network, maker.store.scheme.points, is_training=True, image=part["image"]
            )
            terms = loss_terms(
                config, model.end_points, part, maker.size, maker.attributes, progress
            )
        if not again:
            first = list(updates)
        found.append(tf.stack(list(terms.values())) * (size / maker.batch_size))
    # Batch-norm averages follow the first replica: with all, they would move as often.
    updates[:] = first
    return list(terms), tf.add_n(found)
