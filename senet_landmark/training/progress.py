"""Progress of a run while it trains: the bar in the terminal, and the curves for TensorBoard."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import tensorflow.compat.v1 as tf
from tqdm import tqdm

from senet_landmark.errors import InputError
from senet_landmark.training.run_log import start_session
from senet_landmark.training.summaries import scalar_summary


class Progress:
    """The bar and the event file of one session of a run; a context manager.

    Args:
      run: folder of the event file.
      step: step at which the session begins.
      batch_size: number of faces in a step.
    """

    def __init__(self, run: Path, step: int, batch_size: int):
        self._run, self._batch_size = run, batch_size
        # Without the suffix two sessions within a second would share a name; it also sorts them.
        suffix = f".{time.time_ns() % 10**9:09d}"
        self._writer = tf.summary.FileWriter(str(run), filename_suffix=suffix)
        # In a log file one line every 30 seconds, instead of ten a second.
        interval = 0.1 if sys.stderr.isatty() else 30.0
        self._bar = tqdm(initial=step, unit="step", dynamic_ncols=True, mininterval=interval)
        self._shown: dict[str, str] = {}
        self.restart_clock(step)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()
        try:
            self._writer.close()
        except (OSError, tf.errors.OpError) as failure:
            if error is None:
                raise self._not_written(failure) from failure

    def begin(self, step: int) -> None:
        """Starts a session at `step`: later points that are already in the curves are dropped."""
        start_session(self._writer, step)
        self._bar.n = self._bar.initial = step
        self.restart_clock(step)

    def stepped(self) -> None:
        """Advances the bar by one step."""
        self._bar.update()

    def show(self, total: int, **shown: str) -> None:
        """Shows the expected number of steps, and the values `shown`, beside the bar."""
        self._shown |= shown
        self._bar.total = total
        self._bar.set_postfix(self._shown, refresh=False)

    def rate(self, step: int) -> float:
        """Faces a second since the last call or validation; 0.0 if no step was made."""
        before, began = self._since
        self.restart_clock(step)
        return (step - before) * self._batch_size / max(self._since[1] - began, 1e-9)

    def restart_clock(self, step: int) -> None:
        """Starts the measurement of `rate` again."""
        self._since = (step, time.monotonic())

    def write(self, step: int, values: Mapping[str, float], *more: tf.Summary) -> None:
        """Writes points of curves, and other summaries, to the event file.

        Raises:
          InputError: the disk is full, or cannot be written for another reason.
        """
        try:
            for tag, value in values.items():
                self._writer.add_summary(scalar_summary(tag, value), step)
            for summary in more:
                self._writer.add_summary(summary, step)
            self._writer.flush()
        except (OSError, tf.errors.OpError) as error:
            raise self._not_written(error) from error

    def _not_written(self, error: Exception) -> InputError:
        reason = str(error).splitlines()[0]
        return InputError(
            f"{self._run}: the curves could not be written ({reason}). The last checkpoint stays: "
            "make room, and the same command continues from it."
        )
