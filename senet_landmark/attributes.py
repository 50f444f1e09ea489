"""Facial attributes: what they are called, their classes, and what a mirror makes of them.

A face's attributes are a float32 vector of class numbers, in the order that the data set (and the
report of its records) names them; NaN where unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from senet_landmark.errors import InputError


@dataclass(frozen=True)
class Attribute:
    """An attribute.

    Attributes:
      classes: names of class 0, 1, …
      mirror: a mirrored face of class i is of class mirror[i]; empty: a mirror changes nothing.
    """

    classes: tuple[str, ...]
    mirror: tuple[int, ...] = ()


ATTRIBUTES = {
    # Zhang et al., "Facial Landmark Detection by Deep Multi-task Learning" (ECCV 2014), MTFL.
    "gender": Attribute(("male", "female")),
    "smile": Attribute(("not smiling", "smiling")),
    "glasses": Attribute(("no glasses", "glasses")),
    "head_pose": Attribute(
        ("left profile", "left", "frontal", "right", "right profile"), mirror=(4, 3, 2, 1, 0)
    ),
    # Wu et al., "Look at Boundary" (CVPR 2018), WFLW.
    "large_pose": Attribute(("normal pose", "large pose")),
    "expression": Attribute(("normal expression", "exaggerated expression")),
    "illumination": Attribute(("normal illumination", "extreme illumination")),
    "make_up": Attribute(("no make-up", "make-up")),
    "occlusion": Attribute(("no occlusion", "occlusion")),
    "blur": Attribute(("clear", "blur")),
}


def get_attribute(name: str) -> Attribute:
    """The attribute called `name`. Raises InputError that lists the known ones."""
    if name not in ATTRIBUTES:
        raise InputError(f"Unknown attribute {name!r}. Known: {', '.join(sorted(ATTRIBUTES))}.")
    return ATTRIBUTES[name]


def mirror_attributes(values: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """The attributes [A] of the face in the photo flipped left to right; twice gives `values`."""
    mirrored = np.array(values, np.float32)
    for index, name in enumerate(names):
        order = get_attribute(name).mirror
        if order and np.isfinite(mirrored[index]):
            mirrored[index] = order[int(mirrored[index])]
    return mirrored
