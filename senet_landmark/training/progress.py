"""Progress of a run while it trains: the bar in the terminal."""

import sys
import time
from types import TracebackType

from tqdm import tqdm


class Progress:
    """The bar of a run; a context manager.

    Args:
      step: step at which the run begins.
      batch_size: number of faces in a step.
    """

    def __init__(self, step: int, batch_size: int):
        self._batch_size = batch_size
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
        del kind, error, trace
        self._bar.close()

    def begin(self, step: int) -> None:
        """Starts a session at `step`."""
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
