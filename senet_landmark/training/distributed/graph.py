"""The graph of a training step that several workers make together."""

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
      training: the step; `terms` are of this process's batch, `mean_terms`, `loss` and `update` of
        what all workers have pushed.
      exchange: of the gradients.
      signals: to the other workers.
    """

    training: TrainingGraph
    exchange: GradientExchange
    signals: Signals


def build_distributed_graph(
    config: Config, maker: BatchMaker, threads: int, cluster: Cluster
) -> DistributedGraph:
    """Builds it in the default graph, where `cluster.device()` is the device.

    Args:
      config: of the run.
      maker: of this process's batches.
      threads: that make batches.
      cluster: the run.
    """
    tf.set_random_seed(config.train.seed + cluster.part)
    step = tf.train.get_or_create_global_step()
    batch = batches(maker, tf.identity(step), threads)
    signals = Signals(cluster)
    part = batch_gradients(config, maker, step, batch, signals.progress, signals.add_switches)
    # Batch-norm averages follow the chief's part alone: applied by each worker, they would
    # move as often as there are workers.
    updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS) if cluster.is_chief else []
    exchange = GradientExchange(cluster, [*part.gradients, part.terms], step, updates)
    *gradients, mean_terms = exchange.means
    signalled = {variable.op.name for variable in signals.variables}
    training = complete_graph(
        config, step, part, gradients, mean_terms,
        device=cluster.parameter_device(), not_saved=signalled,
    )  # fmt: skip
    return DistributedGraph(training, exchange, signals)
