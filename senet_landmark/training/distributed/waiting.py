"""How long a worker or a parameter server waits for a run that may have ended without it."""

import atexit
import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, TimeoutError
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from senet_landmark.config import TrainConfig, load_config
from senet_landmark.errors import InputError
from senet_landmark.io.files import read_json

Result = TypeVar("Result")

SETTLE = 10.0
"""Seconds before the run's folder is believed: a chief that begins again writes there first."""

_LENGTH = ("steps", "epochs", "minutes", "patience")


@dataclass
class Waiting:
    """What a process knows while it sees nobody with whom it could train.

    Attributes:
      name: name of the process, for messages.
      run: folder of the run; only the chief needs it, so it may be absent here.
      options: length of the run, and `wait_minutes`.
      step: the step at which the run has ended, once that is known.
    """

    name: str
    run: Path
    options: TrainConfig
    step: int = 0
    _began: float = field(default_factory=time.monotonic)

    def begin_anew(self) -> None:
        """Call it when the others have been seen."""
        self._began = time.monotonic()

    def is_over(self) -> bool:
        """Whether the run has ended, as its folder tells.

        Raises:
          InputError: the others have been away for `wait_minutes`.
        """
        waited = time.monotonic() - self._began
        if waited > SETTLE and self._has_ended():
            print(f"{self.name}: {self.run} has ended without it.", file=sys.stderr, flush=True)
            return True
        limit = self.options.wait_minutes
        if limit and waited > 60 * limit:
            raise InputError(
                f"{self.name}: saw no run for {limit:g} minutes (--train.wait-minutes). If the "
                f"chief has finished, nothing is left to do; this process cannot know it, because "
                f"it sees no result in {self.run}. Else start the chief, and this process again."
            )
        return False

    def result_of(self, function: Callable[[], Result], stopped: threading.Event) -> Result | None:
        """`function()`; None if meanwhile the run turns out to be over, or `stopped` is set.

        For what may never return: TensorFlow opens a session as soon as all others answer.

        Raises:
          InputError: the others have been away for `wait_minutes`.
          Exception: what `function` raises.
        """
        future: Future[Result] = Future()

        def call() -> None:
            try:
                future.set_result(function())
            except Exception as error:
                future.set_exception(error)

        thread = threading.Thread(target=call, daemon=True)
        thread.start()
        status = 2
        try:
            while not stopped.is_set() and not self.is_over():
                with contextlib.suppress(TimeoutError):
                    return future.result(0.2)
            status = 0
            return None
        finally:
            if not future.done():
                atexit.register(_leave, thread, status)

    def _has_ended(self) -> bool:
        result, config = self.run / "result.json", self.run / "config.json"
        try:
            # The chief writes the configuration when it begins, and the result when it ends.
            if result.stat().st_mtime_ns < config.stat().st_mtime_ns:
                return False
            ended, options = read_json(result), load_config(config).train
            self.step = int(ended["steps"])
            return ended["ended"] in ("done", "early_stopped") and all(
                getattr(options, name) == getattr(self.options, name) for name in _LENGTH
            )
        except (OSError, InputError, LookupError, TypeError, ValueError):
            return False  # no folder here, or one of something else


def _leave(thread: threading.Thread, status: int) -> None:
    """Ends the process at once if a thread still waits inside TensorFlow: Python would abort."""
    if thread.is_alive():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
