"""How a face looks, so that two faces of a video can be told apart: one small chip for each pose.

A chip is a small upright crop of a face in CIE L*a*b*, as a vector with mean 0 and length 1. So the
product of two chips is their correlation, and brightness and contrast do not count. Chips tell the
faces of one scene apart, no more: they do not recognise a person in other light or years later. A
chip is forgotten with its track.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from senet_landmark.face import geometry
from senet_landmark.face.schemes import Scheme

SIDE = 24
"""Side of a chip in pixels."""

MARGIN = 0.25
"""How far a chip reaches beyond the landmarks, as a share of their extent: hair helps."""

COLOUR = 3.0
"""Weight of a* and b* beside L*."""

NEAR_POSE = 15.0
"""Two views with smaller differences of yaw, pitch and roll, in degrees, count as the same pose.
Roll should make no difference, but the landmarks of a face on its side are less accurate."""

ALIKE = 0.7
"""From this correlation on two chips certainly show one face.
`benchmarks/accuracy/tracking.py --ytf` measures how often chips of two people, and of one
person, reach it."""

LEARNING = 0.05
"""Smallest share of a new chip in the view that it updates."""

YOUNG = 5
"""Up to this number of chips a view is their mean, even if they differ: a face may first be seen
while it comes out of the dark, or from behind another face."""

MOST_VIEWS = 12
"""Largest number of views of a face."""


@dataclass(frozen=True)
class View:
    """A face from one side.

    Attributes:
      chip: float32 [SIDE * SIDE * 3], of length 1.
      pose: yaw, pitch and roll in degrees, float64 [3].
      count: number of chips that it was made from.
    """

    chip: np.ndarray
    pose: np.ndarray
    count: int = 1


@dataclass(frozen=True)
class Look:
    """How a face looks, as far as the tracker has seen it.

    Attributes:
      last: the chip of the last frame in which it was seen.
      views: the face from several sides, the newest last, from frames in which it was clearly
        visible; empty if it never was.
    """

    last: np.ndarray
    views: tuple[View, ...] = ()


def face_chip(photo: np.ndarray, landmarks: np.ndarray, scheme: Scheme) -> np.ndarray:
    """The chip of a face, float32 [SIDE * SIDE * 3].

    Args:
      photo: RGB uint8 [H, W, 3].
      landmarks: [K, 2] in photo pixels.
      scheme: their landmark scheme.
    """
    points = np.asarray(landmarks, np.float64)
    left, right = (points[list(eye)].mean(axis=0) for eye in scheme.eyes)
    eye_axis = (right - left) / max(float(np.linalg.norm(right - left)), 1e-6)
    upright = np.array([eye_axis, [-eye_axis[1], eye_axis[0]]])
    turned = points @ upright.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    # The chip is square, although a mouth that opens or a head that turns changes the box.
    side = max(float(np.sqrt((high - low).prod())), 1e-6) * (1 + 2 * MARGIN)
    transform = np.column_stack([upright / side, 0.5 - (low + high) / (2 * side)])
    chip = cv2.cvtColor(geometry.warp(photo, transform, (SIDE, SIDE)), cv2.COLOR_RGB2LAB)
    values = chip.astype(np.float32)
    values -= values.mean(axis=(0, 1))
    return unit(values * np.array([1, COLOUR, COLOUR], np.float32))


def unit(values: np.ndarray) -> np.ndarray:
    """The values as a float32 vector of length 1."""
    return np.asarray(values.ravel() / max(float(np.linalg.norm(values)), 1e-6), np.float32)


def similarity(look: Look, chip: np.ndarray) -> float:
    """The correlation of a chip with the most similar view of a look, -1 to 1."""
    chips = [view.chip for view in look.views] or [look.last]
    return max(float(seen_chip @ chip) for seen_chip in chips)


def similarity_of_looks(a: Look, b: Look) -> float:
    """The correlation of the two most similar views of two looks, -1 to 1."""
    chips = [view.chip for view in b.views] or [b.last]
    return max(similarity(a, chip) for chip in chips)


def learn(look: Look, chip: np.ndarray, pose: np.ndarray | None) -> Look:
    """The look after a frame in which the face was clearly visible: sure, and covered by no other.

    A view is added only if the face has turned. A face that changes without turning is covered by
    something, or is another face.

    Args:
      look: the look before this frame.
      chip: the chip in this frame.
      pose: the pose in this frame, as `Face.pose`; None counts as frontal.
    """
    angles = np.zeros(3) if pose is None else np.asarray(pose, np.float64)
    if not look.views:
        return Look(chip, (View(chip, angles),))
    views = list(look.views)
    distances = [float(np.abs(view.pose - angles).max()) for view in views]
    index = int(np.argmin(distances))
    nearest = views[index]
    same_face = similarity(look, chip) >= ALIKE
    if distances[index] > NEAR_POSE:
        if same_face:
            views = [*views, View(chip, angles)][-MOST_VIEWS:]
    elif same_face or nearest.count < YOUNG:
        share = max(LEARNING, 1 / (nearest.count + 1))
        mixed = unit((1 - share) * nearest.chip + share * chip)
        views[index] = View(mixed, nearest.pose, nearest.count + 1)
    return Look(chip, tuple(views))
