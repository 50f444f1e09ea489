"""The one way by which curves and pictures leave a run.

The event file is written at once, because a checkpoint must not be newer than the curves. Other
trackers may talk to a server, and are called in a thread each, for which training does not wait.
"""

import contextlib
import queue
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from senet_landmark.config import Config
from senet_landmark.errors import InputError
from senet_landmark.io.files import read_json, write_json
from senet_landmark.training.tracking.event_file import EventFile
from senet_landmark.training.tracking.tracker import Tracker

IDENTIFIERS = "trackers.json"
"""Name of the file in a run's folder: name of a tracker -> its identifier of the run."""

MOST_WAITING = 1000
"""Calls that wait for a slow tracker; later ones are left out."""

LAST_SECONDS = 60.0
"""How long the end of a session waits for each tracker."""


class Tracking:
    """The trackers of a run. A fault of one is a warning, once a session: none ends a training.

    Args:
      run: folder of the run.
      config: its configuration.
      trackers: trackers besides the event file; each has another name.
    """

    def __init__(self, run: Path, config: Config, trackers: Sequence[Tracker] = ()):
        self._run, self._config = run, config
        self._trackers = [_Guarded(EventFile()), *map(_InThread, trackers)]

    def begin(self, step: int) -> None:
        """A session begins at `step`; each tracker goes on with the run that it tracked before."""
        before = self._identifiers()
        now = {
            tracker.name: tracker.begin(self._run, self._config, step, before.get(tracker.name, ""))
            for tracker in self._trackers
        }
        now = before | {name: identifier for name, identifier in now.items() if identifier}
        if now != before:
            try:
                write_json(self._run / IDENTIFIERS, now)
            except (OSError, TypeError, ValueError) as error:  # TypeError: of no JSON value
                _warn(f"{self._run / IDENTIFIERS} could not be written: {error}")

    def log(
        self,
        step: int,
        scalars: Mapping[str, float],
        pictures: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Points of curves and pictures; see `Tracker.log`."""
        for tracker in self._trackers:
            tracker.log(step, scalars, pictures or {})

    def end(self, ended: str) -> None:
        """A session ended; see `Tracker.end`."""
        for tracker in self._trackers:
            tracker.end(ended)

    def _identifiers(self) -> dict[str, str]:
        path = self._run / IDENTIFIERS
        try:
            return dict(read_json(path)) if path.exists() else {}
        except (InputError, TypeError, ValueError) as error:
            _warn(f"{error}\n{path} does not hold the identifiers: tracked as a new run.")
            return {}


class _Guarded:
    """A tracker whose faults become one warning a session."""

    def __init__(self, tracker: Tracker):
        self.name, self._tracker = tracker.name, tracker
        self._begun = self._warned = False

    def begin(self, run: Path, config: Config, step: int, tracked: str) -> str:
        """`Tracker.begin`; empty if it failed: the rest of the session is then not tracked."""
        identifier = ""

        def call() -> None:
            nonlocal identifier
            identifier = self._tracker.begin(run, config, step, tracked)
            self._begun = True

        self._begun = self._warned = False
        self._call(call, "This session is not tracked there", None)
        return identifier

    def log(
        self, step: int, scalars: Mapping[str, float], pictures: Mapping[str, np.ndarray]
    ) -> None:
        """`Tracker.log`, if the session has begun."""
        if self._begun:
            self._call(
                lambda: self._tracker.log(step, scalars, pictures), f"Step {step} is left out", 0.0
            )

    def end(self, ended: str) -> None:
        """`Tracker.end`, if the session has begun."""
        if self._begun:
            self._call(lambda: self._tracker.end(ended), "The end is left out", LAST_SECONDS)

    def _call(self, call: Callable[[], None], otherwise: str, seconds: float | None) -> None:
        """Calls, and warns once.

        Args:
          call: the call of the tracker.
          otherwise: what follows from a fault, for the warning.
          seconds: how long to wait for a call in a thread; None: to its end.
        """
        del seconds
        try:
            call()
        except Exception as error:  # of any library, or of a user's own tracker
            self._fault(f"{type(error).__name__}: {error}", otherwise)

    def _fault(self, reason: str, otherwise: str) -> None:
        if not self._warned:
            _warn(f"{self.name}: {reason}\n{otherwise}, the training goes on.")
        self._warned = True


class _InThread(_Guarded):
    """A tracker in a thread of its own, from its `begin` to its `end`."""

    def begin(self, run: Path, config: Config, step: int, tracked: str) -> str:
        """See `_Guarded`."""
        self._calls: queue.Queue[Callable[[], None] | None] = queue.Queue(MOST_WAITING)
        # A daemon: a server that never answers must not keep the program from ending.
        threading.Thread(target=_serve, args=[self._calls], daemon=True, name=self.name).start()
        identifier = super().begin(run, config, step, tracked)
        if not self._begun:
            self._calls.put(None)
        return identifier

    def end(self, ended: str) -> None:
        """See `_Guarded`."""
        super().end(ended)
        if self._begun:
            self._begun = False
            with contextlib.suppress(queue.Full):  # of a server that hangs
                self._calls.put_nowait(None)

    def _call(self, call: Callable[[], None], otherwise: str, seconds: float | None) -> None:
        """See `_Guarded`; the call comes after the earlier ones."""
        done = threading.Event()

        def in_turn() -> None:
            super(_InThread, self)._call(call, otherwise, seconds)
            done.set()

        try:
            self._calls.put_nowait(in_turn)
        except queue.Full:
            self._fault(f"{MOST_WAITING} calls wait for it", otherwise)
            return
        if seconds != 0 and not done.wait(seconds):
            self._fault(f"no answer after {seconds:.0f} s", otherwise)


def _serve(calls: "queue.Queue[Callable[[], None] | None]") -> None:
    while call := calls.get():
        call()


def _warn(text: str) -> None:
    print(f"\nwarning: {text}", file=sys.stderr)
