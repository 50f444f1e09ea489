"""The chief of a distributed run: what it does in addition to the loop of a single process.

It waits for the parameters and for the workers' gradients, tells the workers how far the run is,
goes back to the last checkpoint when the parameters are lost, and sees the workers off.
"""

import sys
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
"""Seconds between two messages that workers are waited for."""


class Chief:
    """A `training.process.Process`; opens this process's port.

    Args:
      cluster: the run.
      graph: built for the chief.
      options: threads and replicas.
      stopped: filled by a signal that ends the run.

    Raises:
      InputError: the port is taken.
    """

    def __init__(
        self, cluster: Cluster, graph: DistributedGraph, options: TrainConfig, stopped: list[int]
    ):
        self._cluster, self._graph, self._stopped = cluster, graph, stopped
        self._finished = False
        self._server = cluster.start_server(options.threads, options.replicas)
        self.workers = cluster.workers
        self.target: str = self._server.target
        self.initializers: Sequence[tf.Operation] = [graph.signals.initializer]

    def session_config(self, threads: int, replicas: int) -> tf.ConfigProto:
        """Of a session that sees this process and the parameters alone."""
        return self._cluster.session_config(threads, replicas)

    def run_sessions(self, run_session: Callable[[], None], go_back: Callable[[], None]) -> bool:
        """Sessions one after the other, as long as the parameters get lost."""
        while self._cluster.wait_for_parameters(self._stopped):
            try:
                run_session()
                return True
            except tf.errors.OpError as error:
                if not is_lost_connection(error):
                    raise
                if self._finished:  # nobody is missed any more
                    return True
            print("Lost the parameters; going on from the last checkpoint.", file=sys.stderr)
            go_back()
        return False

    def begin(self, session: tf.Session) -> None:
        """Drops what was pushed before, and tells the workers that a new generation begins."""
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
        """A step with the mean of all workers' gradients; they are told what the next one needs."""
        exchange, signals = self._graph.exchange, self._graph.signals
        session.run(exchange.push, feed)
        if not self._all_have_pushed(session, number):
            return None
        told = {
            signals.next_progress: next_progress(),
            signals.next_switches: feed[self._graph.training.switches],
        }
        *values, _ = session.run([*fetches, signals.tell], {**feed, **told})
        return values

    def finish(self, session: tf.Session) -> None:
        """Tells the workers that the run is over; the parameters must outlive them."""
        self._finished = True
        session.run(self._graph.signals.finish)
        if self._cluster.parameter_job != "ps":
            wait_for_farewells(session, self._graph.signals.left, self._cluster)

    def _all_have_pushed(self, session: tf.Session, number: int) -> bool:
        """Waits for the workers' gradients; False where a signal came meanwhile."""
        reminded = time.monotonic()
        workers = self._cluster.workers
        while (present := session.run(self._graph.exchange.waiting)) < workers:
            if self._stopped:
                return False
            if time.monotonic() - reminded > REMIND:
                reminded = time.monotonic()
                print(
                    f"\nstep {number}: gradients of {present} of {workers} workers are here, "
                    "waiting for the others",
                    file=sys.stderr,
                )
            time.sleep(POLL)
        return True
