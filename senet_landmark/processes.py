"""Worker processes for many small, independent pieces of work.

Processes, not threads: Python's own lock is held for about two fifths of the time of a photo, so
two threads can gain about 1.7, and many threads 2.4. A worker whose parent is gone ends by itself,
and one that is killed (out of memory, or by a fault in a library) is replaced.
"""

import atexit
import contextlib
import multiprocessing
import pickle
import queue
import signal
import sys
import threading
import traceback
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple, TypeVar

from senet_landmark.errors import InputError
from senet_landmark.signals import STOPS, put_off

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 3
"""Items that a worker has at a time: one at work, one being read, one waiting."""

WINDOW = 30
"""Items for each worker that are taken before the oldest one is done; their results are held."""

MOST_FAILED_STARTS = 3

MOST_LOST = 3
"""An item whose process was killed so often is given up."""

KILLED = (
    f"the process at work on it was killed, {MOST_LOST} times "
    "(out of memory, or a fault in a library)."
)
"""Why an item was given up, for a message that names it."""


def worker_context(preload: Sequence[str]) -> Any:
    """How workers start: forked from a clean process that has imported all, where that exists.

    A worker is then ready within a few hundredths of a second. A fork of this process itself could
    hang, because its libraries have threads.

    Args:
      preload: modules that workers need.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    return context


def warm_up(preload: Sequence[str]) -> None:
    """Lets the process that workers are forked from import what they need, in the background."""
    if "forkserver" in multiprocessing.get_all_start_methods():
        from multiprocessing import forkserver

        worker_context(preload)
        forkserver.ensure_running()


class _Failed(NamedTuple):
    """An error in a worker, and where it came from."""

    error: BaseException
    text: str


class _Worker:
    """A process and the items that it has, in order."""

    def __init__(self, context: Any, start: Callable[[Any], Any], job: Any) -> None:
        self.connection, theirs = context.Pipe()
        # Daemons: they end with a process that ends in the ordinary way, too.
        self.process = context.Process(target=_work, args=(theirs, start, job), daemon=True)
        self.items: deque[tuple[int, Any]] = deque()
        self.ready = False
        # A worker would run the caller's script again, to know the classes that it defines.
        its_main = b"__main__" in pickle.dumps((start, job))
        # A worker that is half started when its parent gives up writes a traceback.
        with put_off(), contextlib.nullcontext() if its_main else _no_main():
            self.process.start()
            _running.add(self)
        theirs.close()  # so that both sides see when the other one is gone

    def give(self, number: int, item: Any) -> None:
        self.items.append((number, item))
        with contextlib.suppress(OSError):  # a worker that is gone is noticed by `wait`
            self.connection.send(item)

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.close()
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        _running.discard(self)


_running: set[_Worker] = set()


@atexit.register
def _end_all(workers: Iterable[_Worker] = _running) -> None:
    """Ends workers, side by side.

    At exit, too: an error in the body of a caller's loop leaves `in_processes` where it is, and
    multiprocessing, whose own function at exit comes after this one, would wait for them for ever.
    """
    workers = list(workers)
    for worker in workers:
        with contextlib.suppress(OSError):
            worker.connection.close()
    for worker in workers:
        worker.end()


@contextlib.contextmanager
def _no_main() -> Iterator[None]:
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def in_processes(
    items: Iterator[Item],
    start: Callable[[Any], tuple[Callable[[Item], Any], Callable[[Item, Any], Result]]],
    job: Any,
    workers: int,
    *,
    lost: Callable[[Item], Result],
    stop: Callable[[], bool] = lambda: False,
    preload: Sequence[str] = (),
    ahead: int = AHEAD,
) -> Iterator[tuple[int, Result]]:
    """(number of the item, its result), as they are ready.

    Args:
      items: taken one by one, when a worker is free.
      start: a module's function; called once in each worker with `job`. It returns (read, do): the
        result of an item is `do(item, read(item))`, and `read` runs while another one is done.
      job: argument of `start`.
      workers: number of processes.
      lost: the result of an item whose process was killed `MOST_LOST` times.
      stop: whether to take no further item; those at work are finished.
      preload: modules that workers need.
      ahead: how many items a worker has at a time.

    Raises:
      InputError: workers end before they do anything.
      Exception: what `start`, `read` or `do` raised in a worker.
    """
    context = worker_context(preload)
    numbered = enumerate(items)
    again: deque[tuple[int, Item]] = deque()  # items whose worker was lost
    losses: dict[int, int] = {}
    taken = given = failed_starts = 0
    pool: list[_Worker] = []

    def feed(worker: _Worker) -> None:
        nonlocal taken
        while len(worker.items) < ahead and not stop():
            if again:
                worker.give(*again.popleft())
            elif taken - given < WINDOW * workers and (item := next(numbered, None)):
                taken += 1
                worker.give(*item)
            else:
                return

    try:
        for _ in range(workers):
            pool.append(_Worker(context, start, job))
        while True:
            for worker in pool:
                feed(worker)
            busy = [worker.connection for worker in pool if worker.items]
            if not busy:
                return
            for ready in wait(busy, timeout=0.2):
                worker = next(worker for worker in pool if worker.connection is ready)
                try:
                    result = worker.connection.recv()
                except (EOFError, OSError):
                    worker.end()
                else:
                    if isinstance(result, _Failed):
                        raise result.error from RuntimeError(result.text)
                    failed_starts = 0
                    if worker.ready:
                        number, _ = worker.items.popleft()
                        yield number, result
                        given += 1
                    worker.ready = True
                    continue
                if not worker.ready:
                    failed_starts += 1
                    if failed_starts == MOST_FAILED_STARTS:
                        raise InputError(
                            "Worker processes end before they do anything: is there enough "
                            "memory? --workers 1 does without them."
                        )
                (number, suspect), *others = worker.items
                again.extend(others)
                losses[number] = losses.get(number, 0) + 1
                if losses[number] == MOST_LOST:
                    yield number, lost(suspect)
                    given += 1
                else:
                    again.append((number, suspect))
                pool[pool.index(worker)] = _Worker(context, start, job)
    finally:
        _end_all(pool)


def _work(connection: Connection, start: Callable[[Any], Any], job: Any) -> None:
    """A worker: reads what an item needs while it is at work on the one before."""
    # Ctrl-C reaches all processes of a terminal: the parent decides, and workers end with it.
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):  # the parent is gone
        try:
            _do_all(connection, *start(job))
        except Exception as error:
            failed = _Failed(error, traceback.format_exc())
            try:
                pickle.loads(pickle.dumps(failed))
            except Exception:  # of a library, with more arguments than pickle knows
                failed = _Failed(RuntimeError(f"{type(error).__name__}: {error}"), failed.text)
            connection.send(failed)


def _do_all(
    connection: Connection, read: Callable[[Any], Any], do: Callable[[Any, Any], Any]
) -> None:
    import cv2

    cv2.setNumThreads(1)  # the other workers use the other cores
    # Without a limit: a parent that cannot send would never come to receive. It sends few ahead.
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def read_ahead() -> None:
        try:
            while True:
                item = connection.recv()
                waiting.put((item, read(item)))
        except (EOFError, OSError):
            waiting.put(None)

    connection.send("ready")
    threading.Thread(target=read_ahead, daemon=True).start()
    while (item := waiting.get()) is not None:
        connection.send(do(*item))
