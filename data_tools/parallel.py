"""Runs independent pieces of work on all cores."""

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from senet_landmark.errors import InputError
from senet_landmark.processes import KILLED, in_processes

Item = TypeVar("Item")
Result = TypeVar("Result")


def worker_count(workers: int | None, pieces: int) -> int:
    """`workers`, or one a core for 0 and None; never more than the pieces of work."""
    return max(1, min(workers or os.cpu_count() or 1, pieces))


def as_completed(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Iterator[tuple[int, Result]]:
    """(index, function(item)) in the order of completion; with 1 worker, in this process.

    Raises:
      InputError: the process at work on an item was killed, again and again.
    """
    if workers == 1:
        for index, item in enumerate(items):
            yield index, function(item)
        return

    def lost(arguments: tuple[Item]) -> Result:
        raise InputError(f"{arguments[0]}: {KILLED}")

    arguments = ((item,) for item in items)
    # One at a time: they are so large that a last worker with several would be waited for.
    yield from _in_processes(function, arguments, workers, lost, ahead=1)


def in_order(
    function: Callable[..., Result],
    arguments: Iterable[tuple[Any, ...]],
    workers: int,
    lost: Callable[..., Result],
) -> Iterator[Result]:
    """function(*arguments) for each tuple, in their order; with 1 worker, in this process.

    For small pieces of work. Results are given as they are ready, so only a few are held at a time.
    Where the process at work was killed again and again, the result is `lost(*arguments)`.
    """
    if workers == 1:
        yield from (function(*args) for args in arguments)
        return
    held: dict[int, Result] = {}
    due = 0
    results = _in_processes(function, iter(arguments), workers, lambda args: lost(*args))
    for index, result in results:
        held[index] = result
        while due in held:
            yield held.pop(due)
            due += 1


def _in_processes(
    function: Callable[..., Result],
    arguments: Iterator[Any],
    workers: int,
    lost: Callable[[Any], Result],
    **options: Any,
) -> Iterator[tuple[int, Result]]:
    module = function.func if isinstance(function, functools.partial) else function
    preload = (__name__, module.__module__)
    return in_processes(arguments, _start, function, workers, lost=lost, preload=preload, **options)


def _start(function: Callable[..., Result]) -> tuple[Any, Any]:
    return _nothing, functools.partial(_call, function)


def _nothing(arguments: tuple[Any, ...]) -> None:
    del arguments  # there is nothing to read ahead


def _call(function: Callable[..., Result], arguments: tuple[Any, ...], _: None) -> Result:
    return function(*arguments)
