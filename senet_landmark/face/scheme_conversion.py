"""Conversion from one landmark scheme to another, where the literature defines one.

A point of the target scheme is the mean of points of the source scheme. Each table below is one
step; `convert` takes the fewest steps between two schemes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from senet_landmark.errors import InputError
from senet_landmark.face.schemes import SCHEMES, TRUE_JAW, get_scheme

__all__ = ["can_convert", "convert", "targets_of"]

Table = tuple[tuple[int, ...], ...]
"""For each point of the target: the indices of the source points whose mean it is; none where the
source does not tell it."""


def _pick(*indices: int) -> Table:
    return tuple((index,) for index in indices)


_EYES_68 = SCHEMES["300w_68"].eyes

_STEPS: dict[tuple[str, str], Table] = {
    # The centre of the eye's outline, also for photos whose eyes look aside.
    ("300w_68", "mtfl_5"): (*_EYES_68, *_pick(30, 48, 54)),
    # Ghiasi and Fowlkes, "Occlusion Coherence" (CVPR 2014), Mapping68kToCofw29.m of their code.
    ("300w_68", "cofw_29"): (
        *_pick(17, 26, 21, 22, 19),
        *((17, 21), (24,), (22, 26)),
        *_pick(36, 45, 39, 42),
        *((37, 38), (40, 41), (43, 44), (46, 47), *_EYES_68),
        *_pick(31, 35, 30, 33),
        *((48, 60), (54, 64), (50, 51, 52), (62,), (66,), (56, 57, 58), (7, 8, 9)),
    ),
    # By the names of the points. On AFLW2000-3D, which has both, they are 2 to 5% of the box apart.
    ("300w_68", "aflw_19"): (
        *_pick(17, 19, 21, 22, 24, 26),
        *((36,), _EYES_68[0], (39,), (42,), _EYES_68[1], (45,)),
        *((31,), (30,), (35,), (48,), (62, 66), (54,), (8,)),
    ),
    # Known as WFLW_98_TO_DLIB_68_IDX_MAPPING. The 68-point list of WFLW that circulates with PFLD
    # code uses means for the eyelids instead, e.g. of 60 and 62 for 37: points off the eyelid.
    ("wflw_98", "300w_68"): _pick(
        *range(0, 33, 2),  # jaw
        *range(33, 38),  # upper edge of the brows
        *range(42, 47),
        *range(51, 60),  # nose
        *(60, 61, 63, 64, 65, 67, 68, 69, 71, 72, 73, 75),  # eyes
        *range(76, 96),  # mouth
    ),
    # The inverse of `mapping_wflw` in MMPose's configs for its face6 data sets.
    ("jd_106", "wflw_98"): _pick(
        *range(0, 55),  # jaw, brows, bridge of the nose
        *range(58, 63),  # its base
        *range(66, 74),  # eyes
        *range(75, 83),
        *range(84, 106),  # mouth, pupils
    ),
    # The contours are up to a fifth of the face apart on profiles; the other points are the same.
    ("300w_68", TRUE_JAW): ((),) * 17 + _pick(*range(17, 68)),
    (TRUE_JAW, "300w_68"): ((),) * 17 + _pick(*range(17, 68)),
    ("cofw_29", "mtfl_5"): _pick(16, 17, 20, 22, 23),
    ("aflw_19", "mtfl_5"): _pick(7, 10, 13, 15, 17),
    ("aflw_21", "aflw_19"): _pick(*range(0, 12), 13, 14, 15, *range(17, 21)),
}


def _routes_from(source: str) -> dict[str, tuple[Table, ...]]:
    """Every scheme that can be reached -> the fewest steps to it, in order of their number."""
    routes: dict[str, tuple[Table, ...]] = {source: ()}
    frontier = [source]
    for name in frontier:
        for (start, end), table in _STEPS.items():
            if start == name and end not in routes:
                routes[end] = (*routes[name], table)
                frontier.append(end)
    return routes


_ROUTES = {name: _routes_from(name) for name in SCHEMES}


def targets_of(source: str) -> tuple[str, ...]:
    """Names of the schemes that `source` can be converted to, itself first.

    Raises:
      InputError: no scheme has this name.
    """
    return tuple(_ROUTES[get_scheme(source).name])


def can_convert(source: str, target: str) -> bool:
    """Whether `convert` can do it; False for an unknown scheme."""
    return target in _ROUTES.get(source, ())


def convert(points: ArrayLike, source: str, target: str) -> np.ndarray:
    """Converts landmarks of one scheme to another.

    Args:
      points: [..., K, 2 or 3], K points of the scheme `source`, any unit.
      source: key of `SCHEMES`.
      target: key of `SCHEMES`.

    Returns:
      A new array [..., L, 2 or 3] in the unit of `points`; floats keep their precision, integers
      become float64. A point that depends on a NaN, or that the source does not tell, is NaN.

    Raises:
      InputError: the conversion or a scheme is unknown, or the shape is not that of the source.
    """
    source_points, target_points = get_scheme(source).points, get_scheme(target).points
    if not can_convert(source, target):
        raise InputError(
            f"No conversion from {source} to {target} is known. "
            f"Known targets of {source}: {', '.join(targets_of(source))}."
        )
    result = np.asarray(points)
    if result.ndim < 2 or result.shape[-2] != source_points or result.shape[-1] not in (2, 3):
        raise InputError(
            f"Landmarks of {source} must be [..., {source_points}, 2 or 3], not {result.shape}."
        )
    result = result.astype(result.dtype if result.dtype.kind == "f" else np.float64)
    for table in _ROUTES[source][target]:
        unknown = np.full_like(result[..., 0, :], np.nan)
        parts = [result[..., list(part), :].mean(-2) if part else unknown for part in table]
        result = np.stack(parts, axis=-2)
    assert result.shape[-2] == target_points
    return result
