"""Landmark schemes: how many points there are, what they are called, how a mirror permutes them."""

from dataclasses import dataclass

import numpy as np

from senet_landmark.errors import InputError


@dataclass(frozen=True)
class Scheme:
    """A landmark scheme.

    Attributes:
      name: key in `SCHEMES`.
      points: number of landmarks, K.
      mirror: K indices; a mirrored face's point i is the original's point mirror[i].
      groups: name of a facial part -> indices of its points.
      outer_eye_corners: the two points whose distance is the inter-ocular distance.
      eyes: indices around the eye at the image's left and at its right (pupil = their mean).
    """

    name: str
    points: int
    mirror: tuple[int, ...]
    groups: dict[str, tuple[int, ...]]
    outer_eye_corners: tuple[int, int]
    eyes: tuple[tuple[int, ...], tuple[int, ...]]

    @property
    def mirror_index(self) -> np.ndarray:
        """`mirror` as an int64 array [K]."""
        return np.array(self.mirror, dtype=np.int64)


def _mirror(points: int, pairs: dict[int, int]) -> tuple[int, ...]:
    permutation = list(range(points))
    for left, right in pairs.items():
        permutation[left], permutation[right] = right, left
    return tuple(permutation)


# Sagonas et al., "300 Faces in-the-Wild Challenge" (ICCVW 2013), figure 1; 0-based here.
_PAIRS_68 = (
    {i: 16 - i for i in range(8)}  # jaw
    | {17 + i: 26 - i for i in range(5)}  # brows
    | {31: 35, 32: 34}  # nostrils
    | {36: 45, 37: 44, 38: 43, 39: 42, 40: 47, 41: 46}  # eyes
    | {48: 54, 49: 53, 50: 52, 60: 64, 61: 63, 59: 55, 58: 56, 67: 65}  # mouth
)

SCHEMES = {
    "300w_68": Scheme(
        name="300w_68",
        points=68,
        mirror=_mirror(68, _PAIRS_68),
        groups={
            "jaw": tuple(range(0, 17)),
            "brows": tuple(range(17, 27)),
            "nose": tuple(range(27, 36)),
            "eyes": tuple(range(36, 48)),
            "mouth": tuple(range(48, 68)),
        },
        outer_eye_corners=(36, 45),
        eyes=(tuple(range(36, 42)), tuple(range(42, 48))),
    ),
}


def get_scheme(name: str) -> Scheme:
    """The scheme called `name`. Raises InputError that lists the known ones."""
    if name not in SCHEMES:
        raise InputError(f"Unknown landmark scheme {name!r}. Known: {', '.join(sorted(SCHEMES))}.")
    return SCHEMES[name]
