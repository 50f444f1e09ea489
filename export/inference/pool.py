"""Worker processes for the photos of `predict`.

Processes, not threads: Python's own lock is held for about two fifths of the time of a photo, so
two threads can gain about 1.7, and many threads 2.4. A worker whose parent is gone ends by itself,
and one that is killed (out of memory, or by a fault in a library) is replaced.
"""

import contextlib
import multiprocessing
import queue
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any

AHEAD = 3
"""Photos that a worker has at a time: one at work, one being read, one waiting."""

MOST_FAILED_STARTS = 3

MOST_LOST = 3
"""A photo whose process was killed so often is skipped."""

_MODULE = "senet_landmark.export.inference.work"


def worker_context() -> Any:
    """How workers start: forked from a clean process that has imported all, where that exists.

    A worker is then ready within a few hundredths of a second. A fork of this process itself could
    hang, because its libraries have threads.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_MODULE])
    return context


def warm_up() -> None:
    """Lets the process that workers are forked from import what they need, in the background."""
    if "forkserver" in multiprocessing.get_all_start_methods():
        from multiprocessing import forkserver

        worker_context()
        forkserver.ensure_running()


class _Worker:
    """A process and the photos that it has, in order."""

    def __init__(self, context: Any, job: Any) -> None:
        self.connection, theirs = context.Pipe()
        # Daemons: they end with a process that ends in the ordinary way, too.
        self.process = context.Process(target=_work, args=(theirs, job), daemon=True)
        self.process.start()
        theirs.close()  # so that both sides see when the other one is gone
        self.tasks: deque[Any] = deque()
        self.ready = False

    def give(self, task: Any) -> None:
        self.tasks.append(task)
        with contextlib.suppress(OSError):  # a worker that is gone is noticed by `wait`
            self.connection.send(task)

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.close()
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def in_processes(
    tasks: Iterator[Any], job: Any, workers: int, stop: Callable[[], bool]
) -> Iterator[Any]:
    """The `Outcome` of each photo, as they are ready.

    Args:
      tasks: the `Task`s; taken one by one, when a worker is free.
      job: the `Job`.
      workers: number of processes.
      stop: whether to take no further photo; those at work are finished.

    Raises:
      InputError: workers end before they do anything.
    """
    from senet_landmark.errors import InputError
    from senet_landmark.export.inference.work import Outcome

    context = worker_context()
    again: deque[Any] = deque()  # photos whose worker was lost
    lost: dict[Any, int] = {}
    failed_starts = 0
    pool = [_Worker(context, job) for _ in range(workers)]

    def feed(worker: _Worker) -> None:
        while len(worker.tasks) < AHEAD and not stop():
            task = again.popleft() if again else next(tasks, None)
            if task is None:
                return
            worker.give(task)

    try:
        while True:
            for worker in pool:
                feed(worker)
            busy: dict[Any, _Worker] = {
                worker.connection: worker for worker in pool if worker.tasks
            }
            if not busy:
                return
            for connection in wait(list(busy), timeout=0.2):
                worker = busy[connection]
                try:
                    outcome = worker.connection.recv()
                except (EOFError, OSError):
                    worker.end()
                else:
                    failed_starts = 0
                    if worker.ready:
                        worker.tasks.popleft()
                        yield outcome
                    worker.ready = True
                    continue
                if not worker.ready:
                    failed_starts += 1
                    if failed_starts == MOST_FAILED_STARTS:
                        raise InputError(
                            "Worker processes end before they do anything: is there enough "
                            "memory? --workers 1 does without them."
                        )
                suspect, *others = worker.tasks
                again.extend(others)
                lost[suspect] = lost.get(suspect, 0) + 1
                if lost[suspect] == MOST_LOST:
                    reason = (
                        f"{suspect.path}: the process at work on it was killed, {MOST_LOST} times "
                        "(out of memory, or a fault in a library)."
                    )
                    yield Outcome(suspect, reason=reason)
                else:
                    again.append(suspect)
                pool[pool.index(worker)] = _Worker(context, job)
    finally:
        for worker in pool:
            worker.connection.close()
        for worker in pool:
            worker.end()


def _work(connection: Connection, job: Any) -> None:
    """A worker: reads a photo's file while it is at work on the one before."""
    # Ctrl-C reaches all processes of a terminal: the parent decides, and workers end with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    import cv2

    from senet_landmark.export.inference.work import do_photo, make_predictor, read_file

    read: queue.Queue[Any] = queue.Queue(1)

    def read_ahead() -> None:
        try:
            while True:
                task = connection.recv()
                read.put((task, read_file(task.path)))
        except (EOFError, OSError):
            read.put(None)

    threading.Thread(target=read_ahead, daemon=True).start()
    cv2.setNumThreads(1)  # the other workers use the other cores
    predictor = make_predictor({**job.options, "threads": 1})
    connection.send("ready")
    while (item := read.get()) is not None:
        try:
            connection.send(do_photo(predictor, job, *item))
        except OSError:
            return
