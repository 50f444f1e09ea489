"""Names of a scheme's points, and the lines that join them, for annotation tools."""

import itertools

from senet_landmark.face.schemes import TRUE_JAW, Scheme

Line = tuple[int, ...]


def _closed(*points: int) -> Line:
    return (*points, points[0])


def _run(first: int, last: int) -> Line:
    return tuple(range(first, last + 1))


# The numbering of each scheme is described, with its source, in `schemes.py`.
_LINES_68 = (
    *(_run(0, 16), _run(17, 21), _run(22, 26)),  # jaw, brows
    *(_run(27, 30), _run(31, 35)),  # nose
    *(_closed(*_run(36, 41)), _closed(*_run(42, 47))),  # eyes
    *(_closed(*_run(48, 59)), _closed(*_run(60, 67))),  # mouth, outer and inner
)

OUTLINES: dict[str, tuple[Line, ...]] = {
    "mtfl_5": ((3, 4),),
    "aflw_19": ((0, 1, 2), (3, 4, 5), (6, 7, 8), (9, 10, 11), (12, 13, 14), (15, 16, 17)),
    "aflw_21": ((0, 1, 2), (3, 4, 5), (6, 7, 8), (9, 10, 11), (13, 14, 15), (17, 18, 19)),
    "cofw_29": (
        *(_closed(0, 4, 2, 5), _closed(1, 6, 3, 7)),  # brows
        *(_closed(8, 12, 10, 13), _closed(9, 14, 11, 15)),  # eyes
        *((18, 21, 19), (20, 21)),  # nose
        *(_closed(22, 24, 23, 27), (22, 25, 23), (22, 26, 23)),  # mouth
    ),
    "300w_68": _LINES_68,
    TRUE_JAW: _LINES_68,
    "wflw_98": (
        *(_run(0, 32), _closed(*_run(33, 41)), _closed(*_run(42, 50))),
        *(_run(51, 54), _run(55, 59)),
        *(_closed(*_run(60, 67)), _closed(*_run(68, 75))),
        *(_closed(*_run(76, 87)), _closed(*_run(88, 95))),
    ),
    "jd_106": (
        *(_run(0, 32), _closed(*_run(33, 41)), _closed(*_run(42, 50))),
        *(_run(51, 54), _run(55, 65)),
        *(_closed(*_run(66, 73)), _closed(*_run(75, 82))),
        *(_closed(*_run(84, 95)), _closed(*_run(96, 103))),
    ),
}
"""Scheme -> its lines, each by the indices of its points; a closed line ends where it begins."""


def edges(scheme: Scheme) -> list[tuple[int, int]]:
    """The pairs of points, counted from 0, that a scheme's lines join."""
    lines = OUTLINES[scheme.name]
    return [pair for line in lines for pair in itertools.pairwise(line)]


def point_names(scheme: Scheme) -> list[str]:
    """The name of each point: its facial part and its number, from 0, such as `jaw_00`."""
    part_of = {index: part for part, indices in scheme.groups.items() for index in indices}
    return [f"{part_of[index]}_{index:02d}" for index in range(scheme.points)]
