"""The interface between the training loop and the process that it runs in.

A single process does almost nothing here; the chief of a distributed run
(`distributed.chief.Chief`) does more at each of these points.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import tensorflow.compat.v1 as tf

from senet_landmark.runtime import session_config

Feed = Mapping[tf.Tensor, Any]


class Process(Protocol):
    """The points of a run at which a distributed run does more than a single process.

    Attributes:
      workers: number of processes that train, including this one.
      target: target of the session, as in `tf.Session`.
      initializers: operations that a session runs in addition to the run's own initialisers.
    """

    workers: int
    target: str
    initializers: Sequence[tf.Operation]

    def session_config(self, threads: int, replicas: int) -> tf.ConfigProto:
        """Configuration of the session; arguments as in `runtime.session_config`."""

    def run_sessions(self, run_session: Callable[[], None], go_back: Callable[[], None]) -> bool:
        """Calls `run_session` until a session has brought the run to its end.

        Args:
          run_session: runs one session, from the run's current step to its end.
          go_back: returns to the last checkpoint after a lost session.

        Returns:
          False if a signal came before a session could start.
        """

    def begin(self, session: tf.Session) -> None:
        """Called when a session has its values and its steps begin."""

    def step(
        self,
        session: tf.Session,
        number: int,
        fetches: Sequence[Any],
        feed: Feed,
        next_progress: Callable[[], float],
    ) -> list[Any] | None:
        """Runs one step.

        Args:
          session: the session that was passed to `begin`.
          number: number of steps done before.
          fetches: tensors and operations to run.
          feed: values of the graph's progress and switches.
          next_progress: () -> the share of the run that will be done after the step.

        Returns:
          The values of `fetches`, or None if a signal came before the step.
        """

    def finish(self, session: tf.Session) -> None:
        """Called when the run has ended and everything is saved."""


class SingleProcess:
    """A `Process` for a run in one process."""

    workers = 1
    target = ""
    initializers: Sequence[tf.Operation] = ()

    def session_config(self, threads: int, replicas: int) -> tf.ConfigProto:
        """See `Process`."""
        return session_config(threads, replicas)

    def run_sessions(self, run_session: Callable[[], None], go_back: Callable[[], None]) -> bool:
        """See `Process`: one session is enough."""
        del go_back
        run_session()
        return True

    def begin(self, session: tf.Session) -> None:
        """See `Process`."""

    def step(
        self,
        session: tf.Session,
        number: int,
        fetches: Sequence[Any],
        feed: Feed,
        next_progress: Callable[[], float],
    ) -> list[Any] | None:
        """See `Process`: always runs the step."""
        del number, next_progress
        values: list[Any] = session.run(fetches, feed)
        return values

    def finish(self, session: tf.Session) -> None:
        """See `Process`."""
