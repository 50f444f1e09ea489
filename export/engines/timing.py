"""The time of runs that take turns: of several engines, or of several files."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

Run = Callable[[], object]

Key = TypeVar("Key")


def alternated(runs: Mapping[Key, Run], rounds: int) -> dict[Key, dict[str, Any]]:
    """Times runs that take turns, so that other load on the machine affects all of them alike.

    In each round every run is done twice, and the second one is timed: the run before it has
    replaced what was in the caches.

    Args:
      runs: key of a run -> the run.
      rounds: timed runs of each key; at least 1.

    Returns:
      For each key, in ms: `median`; `quartiles`, low and high; `cpu`, the median of the processor
      time, which other programs change less.
    """
    times: dict[Key, list[tuple[float, float]]] = {key: [] for key in runs}
    keys = list(runs)
    for number in range(rounds):
        for position in range(len(keys)):
            # Each round begins with another key: the first run may have a cold start.
            key = keys[(position + number) % len(keys)]
            runs[key]()
            times[key].append(_time(runs[key]))
    return {key: _summary(measured) for key, measured in times.items()}


def _time(run: Run) -> tuple[float, float]:
    """Milliseconds of wall time, and of processor time."""
    wall, processor = time.perf_counter(), time.process_time()
    run()
    return 1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - processor)


def _summary(times: list[tuple[float, float]]) -> dict[str, Any]:
    wall, processor = zip(*times, strict=True)
    low, high = np.percentile(wall, (25, 75))
    return {
        "median": round(statistics.median(wall), 3),
        "quartiles": [round(float(low), 3), round(float(high), 3)],
        "cpu": round(statistics.median(processor), 3),
    }
