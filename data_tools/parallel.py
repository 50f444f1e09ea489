"""All cores for independent pieces of work, through joblib."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import cv2
from joblib import Parallel, delayed

Item = TypeVar("Item")
Result = TypeVar("Result")


def worker_count(workers: int | None, pieces: int) -> int:
    """`workers`, or one a core for 0 and None; never more than there are pieces of work."""
    return max(1, min(workers or os.cpu_count() or 1, pieces))


def as_completed(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Iterator[tuple[int, Result]]:
    """(index, function(item)) in the order in which they are done; with 1 worker, in this process.

    joblib starts its processes anew rather than by fork: a forked child of a process that holds
    TensorFlow's threads can hang.
    """
    if workers == 1:
        for index, item in enumerate(items):
            yield index, function(item)
        return
    run = Parallel(n_jobs=workers, return_as="generator_unordered")
    yield from run(delayed(_one)(function, index, item) for index, item in enumerate(items))


def _one(function: Callable[[Item], Result], index: int, item: Item) -> tuple[int, Result]:
    cv2.setNumThreads(1)  # the processes are the parallelism
    return index, function(item)
