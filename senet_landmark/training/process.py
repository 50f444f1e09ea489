"""What the loop asks of the process that it runs in; in a single process, next to nothing.

The chief of a distributed run (`distributed.chief.Chief`) does more at each of these points.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import tensorflow.compat.v1 as tf

from senet_landmark.runtime import session_config

Feed = Mapping[tf.Tensor, Any]


class Process(Protocol):
    """The points of a run at which a distributed run needs more than a single process does.

    Attributes:
      workers: processes that train, this one among them.
      target: of the session, as `tf.Session` takes it.
      initializers: what a session runs beside those of the run's own variables.
    """

    workers: int
    target: str
    initializers: Sequence[tf.Operation]

    def session_config(self, threads: int, replicas: int) -> tf.ConfigProto:
        """Of the session; the arguments are those of `runtime.session_config`."""

    def run_sessions(self, run_session: Callable[[], None], go_back: Callable[[], None]) -> bool:
        """Calls `run_session` until a session has brought the run to its end.

        Args:
          run_session: one session, from where the run is to its end.
          go_back: to the last checkpoint, where a session is lost.

        Returns:
          False where a signal came before there could be a session.
        """

    def begin(self, session: tf.Session) -> None:
        """A session has its values, and its steps begin."""

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
          session: that `begin` has seen.
          number: steps done before.
          fetches: what to return the values of.
          feed: the graph's progress and switches.
          next_progress: the share of the run that will be done after the step.

        Returns:
          The values, or None where a signal came before the step was made.
        """

    def finish(self, session: tf.Session) -> None:
        """The run has ended; all of it is saved."""


class SingleProcess:
    """A `Process` that is all there is."""

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
        """See `Process`: always makes the step."""
        del number, next_progress
        values: list[Any] = session.run(fetches, feed)
        return values

    def finish(self, session: tf.Session) -> None:
        """See `Process`."""
