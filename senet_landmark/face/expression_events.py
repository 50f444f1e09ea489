"""Blinks and yawns, in the measures of one face over time (`senet_landmark.face.expressions`).

The thresholds were chosen on clips made of validation faces (`benchmarks/expressions.py`,
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

LEVEL_REACH = 1.5
"""The level of open eyes at a time is that of so many seconds before and after it."""

LEVEL_SHARE = 75
"""The percentile of the aspect ratio there that counts as open: eyes may be shut for a part."""

LEVEL_STEP = 0.2
"""Seconds between two times for which the level is computed; it is interpolated in between."""

CLOSING = 0.92
"""A blink lasts as long as the aspect ratio is below this share of the level,"""

CLOSED = 0.82
"""and falls below this share."""

LONGEST_BLINK = 0.6
"""Seconds; eyes that stay shut for longer do not blink."""

YAWN_OPEN = 0.35
"""Aspect ratio of the inner lips above which the mouth is wide open."""

SHORTEST_YAWN = 1.2
"""Seconds for which it is so in a yawn; in speech it is not for half a second."""

YAWN_WINDOW = 0.4
"""Seconds of the median that takes single frames out of the mouth's aspect ratio."""


class Span(NamedTuple):
    """A part of a series: indices of its first, its last, and its most extreme value."""

    first: int
    last: int
    extreme: int


def find_blinks(times: ArrayLike, aspect: ArrayLike) -> list[Span]:
    """The blinks of a face, in order.

    A blink that the series, or a gap in it, cuts off is left out.

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
        share = values / np.maximum(_levels(at, values), 1e-9)
        for first, last in _runs(share < CLOSING):
            inside = first > 0 and last < len(share) - 1
            extreme = first + int(share[first : last + 1].argmin())
            if inside and share[extreme] < CLOSED and at[last] - at[first] <= LONGEST_BLINK:
                blinks.append(Span(start + first, start + last, start + extreme))
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
        for first, last in _runs(_medians(at, values) > YAWN_OPEN):
            if at[last] - at[first] >= SHORTEST_YAWN:
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


def _levels(times: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The level of open eyes at each time."""
    grid = np.arange(times[0], times[-1] + LEVEL_STEP, LEVEL_STEP)
    starts = np.searchsorted(times, grid - LEVEL_REACH)
    ends = np.searchsorted(times, grid + LEVEL_REACH, side="right")
    levels = [np.percentile(values[a:b], LEVEL_SHARE) for a, b in zip(starts, ends, strict=True)]
    return np.interp(times, grid, levels)


def _medians(times: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median of the values around each."""
    starts = np.searchsorted(times, times - YAWN_WINDOW / 2)
    ends = np.searchsorted(times, times + YAWN_WINDOW / 2, side="right")
    return np.array([np.median(values[a:b]) for a, b in zip(starts, ends, strict=True)])
