"""Training: records -> a run, in one process or as one of several.

With TF_CONFIG set (`cluster.py`) the same command is the chief, a worker or a holder of parameters.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow.compat.v1 as tf

from senet_landmark.config import Config, check_config
from senet_landmark.training.distributed.cluster import cluster_from_environment
from senet_landmark.training.graph import build_training_graph
from senet_landmark.training.loop import Loop, TrainResult
from senet_landmark.training.setup import prepare
from senet_landmark.training.worker import follow, serve_parameters


def train(config: Config, records: Path | str, run: Path | str) -> TrainResult:
    """Trains, or goes on with, the run in folder `run`.

    Args:
      config: the whole configuration; a resumed run must have been begun with the same, but for
        its length and the machine's threads and memory (`checkpoints.same_recipe`).
      records: folder made by `build-records`.
      run: folder of checkpoints, config.json and TensorBoard events; made if absent.

    Returns:
      How it ended. Ctrl-C and SIGTERM save first and end the run in good order.

    Raises:
      InputError: a value that no run can have; records of another schema or split, with one
        identity in two splits, or with too many corrupt ones; a run begun with another
        configuration or other records; a loss that became NaN, or a full disk (the last good
        checkpoint stays); a TF_CONFIG that describes no cluster.
    """
    check_config(config)
    cluster = cluster_from_environment()
    threads = config.train.threads or os.cpu_count() or 2
    with _stop_signals() as stopped:
        if cluster and cluster.job == "ps":
            serve_parameters(cluster, config.train.threads, stopped)
            return TrainResult(0, ended="ps")
        prepared = prepare(config, Path(records), Path(run), cluster)
        with tf.Graph().as_default(), tf.device(cluster.device() if cluster else None):
            graph = build_training_graph(prepared.config, prepared.maker, threads, cluster)
            if cluster and not cluster.is_chief:
                step = follow(graph, prepared.maker, cluster, config.train, stopped)
                return TrainResult(step, ended="worker")
            return Loop(prepared, graph, cluster).run(stopped)


@contextlib.contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """A list that SIGINT and SIGTERM append to; a second Ctrl-C ends at once, as usual."""
    received: list[int] = []

    def note(number: int, frame: Any) -> None:
        del frame
        if received:
            raise KeyboardInterrupt
        received.append(number)

    try:
        before = {s: signal.signal(s, note) for s in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread: whoever runs the thread handles signals
        before = {}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
