"""The other processes of a distributed run: workers and parameter servers."""

import contextlib
import sys
import threading
import time
from functools import partial

import tensorflow.compat.v1 as tf

from senet_landmark.config import TrainConfig
from senet_landmark.data.input_pipeline import BatchMaker
from senet_landmark.errors import InputError
from senet_landmark.training.distributed.cluster import Cluster, is_lost_connection, is_restart
from senet_landmark.training.distributed.exchange import end_signals
from senet_landmark.training.distributed.graph import DistributedGraph
from senet_landmark.training.distributed.waiting import Waiting
from senet_landmark.training.optimisation import check_finite

POLL = 0.002
"""Seconds between two reads of the signals; far shorter than a step."""

FAREWELL = 30.0
"""Longest time in seconds that the parameter servers wait for workers at the end of a run."""


def follow(
    graph: DistributedGraph,
    maker: BatchMaker,
    cluster: Cluster,
    options: TrainConfig,
    stopped: threading.Event,
    waiting: Waiting,
) -> int:
    """Runs a worker: it pushes a gradient in every step until the chief ends the run.

    If the chief or a parameter server disappears, the worker waits for it, as `waiting` allows.

    Args:
      graph: graph built for this worker.
      maker: makes its batches.
      cluster: the processes of the run.
      options: threads and replicas.
      stopped: a signal that ends only this worker sets this event.
      waiting: how long it waits for the others.

    Returns:
      The global step at the end.

    Raises:
      InputError: the loss of this worker's batch is not finite, or the others do not come.
    """
    server = cluster.start_server(options.threads, options.replicas)
    session_config = cluster.session_config(options.threads, options.replicas)
    ready = tf.report_uninitialized_variables(tf.global_variables())
    manager = tf.train.SessionManager(
        local_init_op=graph.training.data, ready_op=ready, ready_for_local_init_op=ready,
        recovery_wait_secs=1,
    )  # fmt: skip
    step = 0
    while not stopped.is_set() and cluster.wait_for_parameters(stopped, waiting.is_over):
        try:
            session = waiting.result_of(
                lambda: manager.wait_for_session(server.target, session_config, max_wait_secs=20),
                stopped,
            )
        except (tf.errors.OpError, RuntimeError):
            continue  # the chief has not begun
        if session is None:
            break
        try:
            step, over = _follow_session(session, graph, maker, cluster, stopped)
            if over:
                break
        except tf.errors.OpError as error:
            maker.store.check_skipped()  # its message is clearer than TensorFlow's
            if not (is_lost_connection(error) or is_restart(error)):
                raise
            print(
                f"{cluster.name}: lost the parameters, waiting for them",
                file=sys.stderr,
                flush=True,
            )
        finally:
            waiting.begin_anew()
            _close(session)
    return max(step, waiting.step)


def _follow_session(
    session: tf.Session,
    graph: DistributedGraph,
    maker: BatchMaker,
    cluster: Cluster,
    stopped: threading.Event,
) -> tuple[int, bool]:
    """Trains until the run is over or a signal comes; returns (global step, whether it is over)."""
    signals = [graph.training.step, graph.signals.generation, graph.signals.finished]
    expected = session.run(graph.training.step)
    while True:
        step, generation, finished = session.run(signals)
        if finished:
            session.run(graph.signals.leave)
            return int(step), True
        if stopped.is_set():
            return int(step), False
        if not generation:  # a gradient pushed before the chief has begun may be counted twice
            time.sleep(POLL)
            continue
        if step != expected:  # the chief went back to a checkpoint
            session.run(graph.training.data)
        expected = step + 1
        terms, _ = session.run([graph.training.terms, graph.exchange.push])
        try:
            check_finite(terms, maker, int(step))
        except InputError as error:
            raise InputError(f"{cluster.name}: {error}") from error
        if step % 500 == 0:
            print(f"{cluster.name}: step {step}, loss {terms.sum():.4g}", flush=True)
        while not stopped.is_set() and session.run(signals) == [step, generation, False]:
            time.sleep(POLL)


def serve_parameters(
    cluster: Cluster, threads: int, stopped: threading.Event, waiting: Waiting
) -> None:
    """Runs a parameter server: it holds variables until the run is over and the workers ended.

    Raises:
      InputError: the others do not come.
    """
    server = cluster.start_server(threads)
    with tf.Graph().as_default():
        finished, left = end_signals(cluster)
        while not stopped.is_set():
            try:
                session = tf.Session(server.target, config=cluster.session_config(threads))
                if waiting.result_of(partial(session.run, finished), stopped) is None:
                    return  # what was never opened cannot be closed either
                with session:
                    while not stopped.is_set() and not session.run(finished):
                        waiting.begin_anew()
                        time.sleep(1)
                    wait_for_farewells(session, left, cluster)
                    return
            except tf.errors.OpError:  # the run has not begun, or another server is gone
                if waiting.is_over():
                    return
                time.sleep(1)


def wait_for_farewells(session: tf.Session, left: tf.Variable, cluster: Cluster) -> None:
    """Waits until the workers have left, at most `FAREWELL` seconds: one may have crashed."""
    end = time.monotonic() + FAREWELL
    while session.run(left) < cluster.workers - 1 and time.monotonic() < end:
        time.sleep(0.05)


def _close(session: tf.Session) -> None:
    with contextlib.suppress(tf.errors.OpError):  # the other processes may be gone
        session.close()
