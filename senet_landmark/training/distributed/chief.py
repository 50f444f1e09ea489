"""The chief of a distributed run: what it does in addition to the loop of a single process.

It waits for the parameter servers and for the workers' gradients, sends the workers the progress of
the run, returns to the last checkpoint when the parameters are lost, and ends the workers.
"""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow.compat.v1 as tf

from senet_landmark.config import TrainConfig
from senet_landmark.training.distributed.cluster import Cluster, is_lost_connection
from senet_landmark.training.distributed.graph import DistributedGraph
from senet_landmark.training.distributed.worker import POLL, wait_for_farewells
from senet_landmark.training.process import Feed

REMIND = 30.0
"""Seconds between two messages that say that the chief waits for workers."""


class Chief:
    """A `training.process.Process`; opens the port of this process.

    Args:
      cluster: the processes of the run.
      graph: graph built for the chief.
      options: threads and replicas.
      stopped: a signal that ends the run sets this event.

    Raises:
      InputError: the port is taken.
    """

    def __init__(
        self,
        cluster: Cluster,
        graph: DistributedGraph,
        options: TrainConfig,
        stopped: threading.Event,
    ):
        self._cluster, self._graph, self._stopped = cluster, graph, stopped
        self._finished = False
        self._server = cluster.start_server(options.threads, options.replicas)
        self.workers = cluster.workers
        self.target: str = self._server.target
        self.initializers: Sequence[tf.Operation] = [graph.signals.initializer]

    def session_config(self, threads: int, replicas: int) -> tf.ConfigProto:
        """Configuration of a session that sees only this process and the parameter servers."""
        return self._cluster.session_config(threads, replicas)

    def run_sessions(self, run_session: Callable[[], None], go_back: Callable[[], None]) -> bool:
        """Runs one session after another until one ends without losing the parameters."""
        while self._cluster.wait_for_parameters(self._stopped):
            try:
                run_session()
                return True
            except tf.errors.OpError as error:
                if not is_lost_connection(error):
                    raise
                if self._finished:  # the run is over: the other processes are allowed to leave
                    return True
            print("Lost the parameters; continuing from the last checkpoint.", file=sys.stderr)
            go_back()
        return False

    def begin(self, session: tf.Session) -> None:
        """Drops the gradients pushed so far, and signals the workers a new generation."""
        self._graph.exchange.reset(session)
        session.run(self._graph.signals.next_generation)

    def step(
        self,
        session: tf.Session,
        number: int,
        fetches: Sequence[Any],
        feed: Feed,
        next_progress: Callable[[], float],
    ) -> list[Any] | None:
        """Runs a step with the mean gradient, and sends the workers the inputs of the next step."""
        exchange, signals = self._graph.exchange, self._graph.signals
        session.run(exchange.push, feed)
        if not self._all_have_pushed(session, number):
            return None
        next_inputs = {
            signals.next_progress: next_progress(),
            signals.next_switches: feed[self._graph.training.switches],
        }
        *values, _ = session.run([*fetches, signals.send], {**feed, **next_inputs})
        return values

    def finish(self, session: tf.Session) -> None:
        """Signals the workers that the run is over; the parameters must stay until they left."""
        self._finished = True
        session.run(self._graph.signals.finish)
        if self._cluster.parameter_role != "ps":
            wait_for_farewells(session, self._graph.signals.left, self._cluster)

    def _all_have_pushed(self, session: tf.Session, number: int) -> bool:
        """Waits for the workers' gradients; False if a stop signal came meanwhile."""
        reminded = time.monotonic()
        workers = self._cluster.workers
        while (arrived := session.run(self._graph.exchange.arrived)) < workers:
            if self._stopped.is_set():
                return False
            if time.monotonic() - reminded > REMIND:
                reminded = time.monotonic()
                print(
                    f"\nstep {number}: gradients of {arrived} of {workers} workers have arrived, "
                    "waiting for the others",
                    file=sys.stderr,
                )
            time.sleep(POLL)
        return True
