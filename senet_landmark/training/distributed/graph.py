"""The graph of a training step that is shared by several workers."""

from dataclasses import dataclass

import tensorflow.compat.v1 as tf

from senet_landmark.config import Config
from senet_landmark.data.input_pipeline import BatchMaker, batches
from senet_landmark.training.distributed.cluster import Cluster
from senet_landmark.training.distributed.exchange import GradientExchange, Signals
from senet_landmark.training.graph import TrainingGraph, batch_gradients, complete_graph


@dataclass(frozen=True)
class DistributedGraph:
    """The graph of one of the processes that train.

    Attributes:
      training: the training step. `terms` belong to this process's batch; `mean_terms`, `loss` and
        `update` use the tensors that all workers have pushed.
      exchange: exchange of the gradients.
      signals: signals to the other workers.
    """

    training: TrainingGraph
    exchange: GradientExchange
    signals: Signals


def build_distributed_graph(
    config: Config, maker: BatchMaker, threads: int, cluster: Cluster
) -> DistributedGraph:
    """Builds the graph in the default graph; call it inside `tf.device(cluster.device())`.

    Args:
      config: configuration of the run.
      maker: makes this process's batches.
      threads: number of threads that make batches.
      cluster: the processes of the run.
    """
    tf.set_random_seed(config.train.seed + cluster.part)
    step = tf.train.get_or_create_global_step()
    batch = batches(maker, tf.identity(step), threads)
    signals = Signals(cluster)
    part = batch_gradients(config, maker, step, batch, signals.progress, signals.add_switches)
    # Only the chief updates the batch-norm averages: if each worker did, they would move several
    # times in one step.
    updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS) if cluster.is_chief else []
    exchange = GradientExchange(cluster, [*part.gradients, part.terms], step, updates)
    *gradients, mean_terms = exchange.means
    signal_names = {variable.op.name for variable in signals.variables}
    training = complete_graph(
        config, step, part, gradients, mean_terms,
        device=cluster.parameter_device(), not_saved=signal_names,
    )  # fmt: skip
    return DistributedGraph(training, exchange, signals)
