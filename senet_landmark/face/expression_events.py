"""Blinks and yawns, in the measures of one face over time (`senet_landmark.face.expressions`).

The thresholds were chosen on clips made of validation faces (`benchmarks/accuracy/expressions.py`,
docs/video.md). Landmark models see closed eyes as less closed than they are, and each face has its
own open eye: so a blink is a short fall below the level of the same eyes just before and after.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Span", "find_blinks", "find_yawns"]

LONGEST_GAP = 0.5
"""Seconds between two known values that still belong to one stretch."""

LEVEL_REACH, LEVEL_SHARE = 1.5, 75
"""The level of open eyes at a time is this percentile of so many seconds before and after it: eyes
may be shut for a part of them."""

LEVEL_STEP = 0.2
"""Seconds between two times for which a level is computed; it is interpolated in between."""

CLOSED = 0.82
"""In a blink the aspect ratio falls below this share of the level."""

LONGEST_BLINK = 0.5
"""Seconds for which it is below the middle between the level and its smallest value; eyes that stay
shut for longer do not blink."""

YAWN_OPEN = 0.35
"""Aspect ratio of the inner lips above which the mouth is wide open,"""

YAWN_RISE = 0.2
"""if it is above the median of `YAWN_REACH` by this: some people's mouths are always open."""

YAWN_REACH = 10.0
"""Seconds before and after, of which the median is taken."""

SHORTEST_YAWN, LONGEST_YAWN = 1.2, 10.0
"""Seconds for which the mouth is wide open in a yawn; in speech it is not for half a second."""

YAWN_WINDOW = 0.4
"""Seconds of the median that takes single frames out of the mouth's aspect ratio."""


class Span(NamedTuple):
    """A part of a series: indices of its first, its last, and its most extreme value."""

    first: int
    last: int
    extreme: int


def find_blinks(times: ArrayLike, aspect: ArrayLike) -> list[Span]:
    """The blinks of a face, in order.

    It lasts as long as the aspect ratio is below the middle between the level of open eyes and its
    smallest value. A blink that the series, or a gap in it, cuts off is left out.

    Args:
      times: [N] in seconds, growing.
      aspect: [N], the eye aspect ratio, the mean of both eyes; NaN where unknown.

    Raises:
      ValueError: the times do not grow, or there are not as many as values.
    """
    times, aspect = _checked(times, aspect)
    blinks = []
    for start, stop in _stretches(times, aspect):
        at, values = times[start:stop], aspect[start:stop]
        levels = _levels(at, values, LEVEL_REACH, LEVEL_SHARE)
        share = values / np.maximum(levels, 1e-9)
        end = -1
        for low, high in _runs(share < CLOSED):
            if low <= end:  # within the last one
                continue
            extreme = low + int(share[low : high + 1].argmin())
            first, end = _below(share, extreme, (1 + share[extreme]) / 2)
            inside = first > 0 and end < len(share) - 1
            if inside and at[end] - at[first] <= LONGEST_BLINK:
                blinks.append(Span(start + first, start + end, start + extreme))
    return blinks


def find_yawns(times: ArrayLike, aspect: ArrayLike) -> list[Span]:
    """The yawns of a face, in order: the mouth is wide open, and stays so.

    Args:
      times: [N] in seconds, growing.
      aspect: [N], the mouth's aspect ratio; NaN where unknown.

    Raises:
      ValueError: the times do not grow, or there are not as many as values.
    """
    times, aspect = _checked(times, aspect)
    yawns = []
    for start, stop in _stretches(times, aspect):
        at, values = times[start:stop], aspect[start:stop]
        usual = _levels(at, values, YAWN_REACH, 50)
        wide = np.maximum(YAWN_OPEN, usual + YAWN_RISE)
        for first, last in _runs(_medians(at, values) > wide):
            if SHORTEST_YAWN <= at[last] - at[first] <= LONGEST_YAWN:
                extreme = first + int(values[first : last + 1].argmax())
                yawns.append(Span(start + first, start + last, start + extreme))
    return yawns


def _checked(
    times: ArrayLike, values: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    times, values = np.asarray(times, np.float64), np.asarray(values, np.float64)
    if times.ndim != 1 or times.shape != values.shape:
        raise ValueError(f"times and values must be [N], not {times.shape} and {values.shape}")
    if not (np.diff(times) > 0).all():
        raise ValueError("times must grow")
    return times, values


def _stretches(
    times: NDArray[np.float64], values: NDArray[np.float64]
) -> Iterator[tuple[int, int]]:
    """First and end index of each stretch of known values without a gap."""
    known = np.flatnonzero(np.isfinite(values))
    if len(known):
        breaks = np.flatnonzero((np.diff(known) > 1) | (np.diff(times[known]) > LONGEST_GAP)) + 1
        for part in np.split(known, breaks):
            yield int(part[0]), int(part[-1]) + 1


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last index of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(first), int(end) - 1) for first, end in edges.reshape(-1, 2)]


def _below(values: NDArray[np.float64], index: int, limit: float) -> tuple[int, int]:
    """First and last index around `index` up to which the values stay below a limit."""
    first = last = index
    while first > 0 and values[first - 1] < limit:
        first -= 1
    while last < len(values) - 1 and values[last + 1] < limit:
        last += 1
    return first, last


def _levels(
    times: NDArray[np.float64], values: NDArray[np.float64], reach: float, percent: float
) -> NDArray[np.float64]:
    """A percentile of the values within `reach` seconds of each time."""
    grid = np.arange(times[0], times[-1] + LEVEL_STEP, LEVEL_STEP)
    starts = np.searchsorted(times, grid - reach)
    ends = np.searchsorted(times, grid + reach, side="right")
    levels = [np.percentile(values[a:b], percent) for a, b in zip(starts, ends, strict=True)]
    return np.interp(times, grid, levels)


def _medians(times: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median of the values around each."""
    starts = np.searchsorted(times, times - YAWN_WINDOW / 2)
    ends = np.searchsorted(times, times + YAWN_WINDOW / 2, side="right")
    return np.array([np.median(values[a:b]) for a, b in zip(starts, ends, strict=True)])
