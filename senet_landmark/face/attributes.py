"""Facial attributes: their names, their classes, and how mirroring a face changes them.

The attributes of a face are a float32 vector of class numbers, in the order in which the data set
(and the report of its records) lists them; NaN where unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from senet_landmark.errors import InputError


@dataclass(frozen=True)
class Attribute:
    """One attribute.

    Attributes:
      classes: names of class 0, 1, …
      mirror: a mirrored face of class i has class mirror[i]; empty: mirroring changes nothing.
      ordinary: the common class, which `face_classes` leaves out; None: there is no such class.
    """

    classes: tuple[str, ...]
    mirror: tuple[int, ...] = ()
    ordinary: int | None = None


PROFILE_YAW, RAISED_PITCH = 30.0, 15.0
"""Degrees from which `face_classes` counts a face as a profile, or a head as up or down. The paper
gives no numbers."""

ATTRIBUTES = {
    # Zhang et al., "Facial Landmark Detection by Deep Multi-task Learning" (ECCV 2014), MTFL.
    "gender": Attribute(("male", "female")),
    "smile": Attribute(("not smiling", "smiling"), ordinary=0),
    "glasses": Attribute(("no glasses", "glasses"), ordinary=0),
    "head_pose": Attribute(
        ("left profile", "left", "frontal", "right", "right profile"), mirror=(4, 3, 2, 1, 0)
    ),
    # Wu et al., "Look at Boundary" (CVPR 2018), WFLW.
    "large_pose": Attribute(("normal pose", "large pose"), ordinary=0),
    "expression": Attribute(("normal expression", "exaggerated expression"), ordinary=0),
    "illumination": Attribute(("normal illumination", "extreme illumination"), ordinary=0),
    "make_up": Attribute(("no make-up", "make-up"), ordinary=0),
    "occlusion": Attribute(("no occlusion", "occlusion"), ordinary=0),
    "blur": Attribute(("clear", "blur"), ordinary=0),
}


def get_attribute(name: str) -> Attribute:
    """The attribute called `name`. Raises InputError that lists the known ones."""
    if name not in ATTRIBUTES:
        raise InputError(f"Unknown attribute {name!r}. Known: {', '.join(sorted(ATTRIBUTES))}.")
    return ATTRIBUTES[name]


def mirror_attributes(values: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """The attributes [A] of the face mirrored left to right; mirroring twice gives `values`."""
    mirrored = np.array(values, np.float32)
    for index, name in enumerate(names):
        permutation = get_attribute(name).mirror
        if permutation and np.isfinite(mirrored[index]):
            mirrored[index] = permutation[int(mirrored[index])]
    return mirrored


def split_probabilities(values: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Splits a model's `attributes` output [N, C]: attribute -> probabilities of its classes."""
    counts = [len(get_attribute(name).classes) for name in names]
    parts = np.split(values, np.cumsum(counts)[:-1], axis=1)
    return dict(zip(names, parts, strict=True))


def predicted_classes(values: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """The most probable class of each attribute, int64 [N, A], from a model's output [N, C]."""
    parts = split_probabilities(values, names)
    return np.stack([parts[name].argmax(axis=1) for name in names], axis=1)


def face_classes(values: np.ndarray, names: Sequence[str], pose: np.ndarray) -> np.ndarray:
    """The classes of a face by which PFLD balances a batch: 0 or 1, float32 [C].

    Guo et al., "PFLD", 2019, section 3.1. The columns are: the classes of the attributes, without
    the ordinary ones; profile, frontal, head up and head down, set from the pose where no attribute
    of the face is known; and a last one for faces that have none of the others, so that every face
    has a class.

    Args:
      values: attributes [A], NaN where unknown.
      names: names of the A attributes.
      pose: yaw, pitch, roll in degrees, NaN where unknown.
    """
    members: list[bool] = []
    for name, value in zip(names, values, strict=True):
        attribute = get_attribute(name)
        classes = range(len(attribute.classes))
        members += [bool(value == index) for index in classes if index != attribute.ordinary]
    yaw, pitch, _ = np.full(3, np.nan) if np.isfinite(values).any() else pose
    members += [abs(yaw) >= PROFILE_YAW, abs(yaw) < PROFILE_YAW]
    members += [pitch >= RAISED_PITCH, pitch <= -RAISED_PITCH]
    return np.array([*members, not any(members)], np.float32)
