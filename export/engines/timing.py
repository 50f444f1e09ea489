"""How long runs take that take turns: engines beside each other, files beside each other."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

Run = Callable[[], object]

Key = TypeVar("Key")


def alternated(runs: Mapping[Key, Run], rounds: int) -> dict[Key, dict[str, Any]]:
    """Times runs that take turns, so that what else the machine does hits all alike.

    In each round each is run twice, and the second run is timed: what ran before has emptied the
    caches.

    Args:
      runs: whatever names a run -> the run.
      rounds: timed runs of each; at least 1.

    Returns:
      Of each, in ms: `median`; `quartiles`, low and high; `cpu`, the median of the processor's
      time, which other programs change less.
    """
    times: dict[Key, list[tuple[float, float]]] = {key: [] for key in runs}
    keys = list(runs)
    for number in range(rounds):
        for place in range(len(keys)):
            # Another one begins each round: who comes first may have the cold start.
            key = keys[(place + number) % len(keys)]
            runs[key]()
            times[key].append(_time(runs[key]))
    return {key: _summary(measured) for key, measured in times.items()}


def _time(run: Run) -> tuple[float, float]:
    """Milliseconds of the clock, and of the processor."""
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
