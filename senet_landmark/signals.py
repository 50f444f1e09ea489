"""Ctrl-C and SIGTERM, by which a terminal, Kubernetes and Slurm stop a job, within a block."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

STOPS = (signal.SIGINT, signal.SIGTERM)
"""The signals that ask a process to end."""


@contextlib.contextmanager
def handled(
    handler: Callable[[int], object], numbers: tuple[signal.Signals, ...] = STOPS
) -> Iterator[None]:
    """Calls `handler` with the number of each signal that comes during the block.

    Outside the main thread, which alone receives signals and may set handlers, and for a handler
    that was not set from Python, everything stays as it is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in numbers}
    before = {number: earlier for number, earlier in before.items() if earlier is not None}
    for number in before:
        signal.signal(number, lambda number, _: handler(number))
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextlib.contextmanager
def stopping() -> Iterator[threading.Event]:
    """Yields an event that the first Ctrl-C or SIGTERM sets; a second one acts as without this."""
    stopped = threading.Event()
    with contextlib.ExitStack() as ours:

        def stop(_: int) -> None:
            ours.close()  # the next signal finds the handlers of before
            stopped.set()

        ours.enter_context(handled(stop))
        yield stopped


@contextlib.contextmanager
def put_off() -> Iterator[None]:
    """Lets Ctrl-C and SIGTERM act only when the block has ended."""
    came: list[int] = []
    try:
        with handled(came.append):
            yield
    finally:
        for number in came:
            signal.raise_signal(number)


@contextlib.contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Lets SIGTERM raise KeyboardInterrupt, as Ctrl-C does."""

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with handled(interrupt, (signal.SIGTERM,)):
        yield
