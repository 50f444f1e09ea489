"""Training: records -> a run, in a single process or as one process of a distributed run.

If TF_CONFIG is set (`distributed/cluster.py`), the same command runs as the chief, a worker or a
parameter server.
"""

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import tensorflow.compat.v1 as tf

from senet_landmark.config import Config, check_config
from senet_landmark.signals import stopping
from senet_landmark.training.distributed.chief import Chief
from senet_landmark.training.distributed.cluster import Cluster, cluster_from_environment
from senet_landmark.training.distributed.graph import build_distributed_graph
from senet_landmark.training.distributed.waiting import Waiting
from senet_landmark.training.distributed.worker import follow, serve_parameters
from senet_landmark.training.graph import build_training_graph
from senet_landmark.training.loop import Loop, TrainResult
from senet_landmark.training.process import SingleProcess
from senet_landmark.training.setup import Prepared, prepare
from senet_landmark.training.tracking.tracker import Tracker, check_names, make_trackers


def train(
    config: Config,
    records: Path | str,
    run: Path | str,
    *,
    trackers: Sequence[Tracker] = (),
) -> TrainResult:
    """Starts or resumes the run in folder `run`.

    Args:
      config: the whole configuration. To resume a run, give the configuration that it was started
        with; only its length and the machine's threads and memory may differ
        (`checkpoints.same_recipe`).
      records: folder made by `build-records`.
      run: folder of checkpoints, config.json and TensorBoard events; made if absent.
      trackers: receivers of the curves and pictures besides these events and those that
        `config.train.trackers` names. On several machines the chief's alone are called.

    Returns:
      How the session ended. After Ctrl-C or SIGTERM everything is saved first.

    Raises:
      ModuleNotFoundError: a package of `config.train.trackers` is not installed.
      InputError: an invalid value; records of another schema or split, with one identity in two
        splits, or with too many corrupt records; a run that was started with another configuration
        or other records; a loss that became NaN, or a full disk (the last good checkpoint stays); a
        TF_CONFIG that describes no cluster.
    """
    check_config(config)
    cluster = cluster_from_environment()
    threads = config.train.threads or os.cpu_count() or 2
    with stopping() as stopped:
        if cluster and cluster.role == "ps":
            waiting = Waiting(cluster.name, Path(run), config.train)
            serve_parameters(cluster, config.train.threads, stopped, waiting)
            return TrainResult(0, ended="ps")
        if not cluster or cluster.is_chief:
            trackers = [*make_trackers(config.train.trackers), *trackers]
            check_names(trackers)
        prepared = prepare(config, Path(records), Path(run), cluster)
        if cluster:
            return _train_with_others(prepared, cluster, threads, stopped, trackers)
        with tf.Graph().as_default():
            graph = build_training_graph(prepared.config, prepared.maker, threads)
            return Loop(prepared, graph, SingleProcess(), trackers).run(stopped)


def _train_with_others(
    prepared: Prepared,
    cluster: Cluster,
    threads: int,
    stopped: threading.Event,
    trackers: Sequence[Tracker],
) -> TrainResult:
    """Runs the chief or another worker of a distributed run."""
    config, maker = prepared.config, prepared.maker
    with tf.Graph().as_default(), tf.device(cluster.device()):
        graph = build_distributed_graph(config, maker, threads, cluster)
        if cluster.is_chief:
            chief = Chief(cluster, graph, config.train, stopped)
            return Loop(prepared, graph.training, chief, trackers).run(stopped)
        waiting = Waiting(cluster.name, prepared.run, config.train)
        step = follow(graph, maker, cluster, config.train, stopped, waiting)
        return TrainResult(step, ended="worker")
