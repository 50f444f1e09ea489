"""Runs independent pieces of work on all cores, through joblib."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import cv2
from joblib import Parallel, delayed

Item = TypeVar("Item")
Result = TypeVar("Result")


def worker_count(workers: int | None, pieces: int) -> int:
    """`workers`, or one a core for 0 and None; never more than the pieces of work."""
    return max(1, min(workers or os.cpu_count() or 1, pieces))


def as_completed(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Iterator[tuple[int, Result]]:
    """(index, function(item)) in the order of completion; with 1 worker, in this process.

    joblib starts new processes instead of forking: a forked child of a process with TensorFlow's
    threads can hang.
    """
    if workers == 1:
        for index, item in enumerate(items):
            yield index, function(item)
        return
    run = Parallel(n_jobs=workers, return_as="generator_unordered")
    yield from run(delayed(_one)(function, index, item) for index, item in enumerate(items))


def in_order(
    function: Callable[..., Result], arguments: Iterable[tuple[Any, ...]], workers: int
) -> Iterator[Result]:
    """function(*arguments) for each tuple, in their order; with 1 worker, in this process.

    For small pieces of work. Results are given as they are ready, so only a few are held at a time.
    """
    if workers == 1:
        yield from (function(*args) for args in arguments)
        return
    run = Parallel(n_jobs=workers, return_as="generator")
    yield from run(delayed(_call)(function, args) for args in arguments)


def _call(function: Callable[..., Result], args: tuple[Any, ...]) -> Result:
    cv2.setNumThreads(1)  # the worker processes already use all cores
    return function(*args)


def _one(function: Callable[[Item], Result], index: int, item: Item) -> tuple[int, Result]:
    return index, _call(function, (item,))
