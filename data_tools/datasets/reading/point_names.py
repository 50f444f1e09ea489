"""Which landmark a point is, by its name in an annotation file."""

import re
from collections.abc import Iterable

from senet_landmark.face.schemes import SCHEMES


def number_in(name: str) -> int | None:
    """The last number in a point's name; None without one."""
    numbers = re.findall(r"[0-9]{1,6}", name)
    return int(numbers[-1]) if numbers else None


def numbering(named: set[int]) -> tuple[int, int]:
    """(number of the first landmark, number of landmarks) of the numbers in all names of a file."""
    if not named:
        return 0, 0
    sizes = {scheme.points for scheme in SCHEMES.values()}
    for first in (0,) if 0 in named else (1, 0):
        if max(named) + 1 - first in sizes:
            return first, max(named) + 1 - first
    first, last = min(named), max(named)
    if len(named) <= last - first:  # with gaps: the last landmarks may be absent too
        larger = [size for size in sizes if size > last]
        return 0, min(larger, default=last + 1)
    return min(first, 1), last + 1 - min(first, 1)


def indices_of(names: Iterable[str], count: int = 0) -> tuple[dict[str, int], int]:
    """Name -> index of its landmark, from 0, of all point names of a file; and how many there are.

    The last number in a name counts, from 0 or 1 on. Where names have none, or share one, as
    `left_eye_1` and `right_eye_1`, their order counts.

    Args:
      names: the names; those that come again are not counted again.
      count: number of landmarks, if it is known.
    """
    unique = list(dict.fromkeys(names))
    numbers = [number for name in unique if (number := number_in(name)) is not None]
    first, number = numbering(set(numbers))
    number = count or number
    if len(set(numbers)) < len(unique) or not all(first <= n < first + number for n in numbers):
        return {name: index for index, name in enumerate(unique)}, count or len(unique)
    return {name: n - first for name, n in zip(unique, numbers, strict=True)}, number
