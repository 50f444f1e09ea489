"""How a face looks, for telling two faces of a video apart: a small chip for each of its poses.

A chip is a face cut out upright and small, in CIE L*a*b*, as a vector without mean and of length 1,
so that the product of two is their correlation and neither brightness nor contrast counts. It tells
the faces of one scene apart, no more: it does not know a person in other light or years later, and
it is forgotten with the track.
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
"""Degrees of yaw, pitch and roll up to which two views show a face alike. Roll should make no
difference, but the landmarks of a face on its side are less sure."""

ALIKE = 0.7
"""Correlation from which two chips show one face, beyond doubt: `benchmarks/tracking.py --ytf` says
how often those of two people reach it, and those of one."""

LEARNING = 0.05
"""Least share of a new chip in the view that it renews."""

YOUNG = 5
"""Chips up to which a view is their mean, whatever they are like: a face may first be seen while it
comes out of the dark, or from behind another."""

MOST_VIEWS = 12
"""A face's views that are kept."""


@dataclass(frozen=True)
class View:
    """A face from one side.

    Attributes:
      chip: float32 [SIDE * SIDE * 3], of length 1.
      pose: yaw, pitch and roll in degrees, float64 [3].
      count: how many chips it was made of.
    """

    chip: np.ndarray
    pose: np.ndarray
    count: int = 1


@dataclass(frozen=True)
class Look:
    """What is known of a face's look.

    Attributes:
      last: the chip of the last frame in which it was seen.
      views: from several sides, the newest last, as seen when it was plain to see; none as long as
        it never was.
    """

    last: np.ndarray
    views: tuple[View, ...] = ()


def face_chip(photo: np.ndarray, landmarks: np.ndarray, scheme: Scheme) -> np.ndarray:
    """The chip of a face, float32 [SIDE * SIDE * 3].

    Args:
      photo: RGB uint8 [H, W, 3].
      landmarks: [K, 2] in its pixels.
      scheme: of the landmarks.
    """
    points = np.asarray(landmarks, np.float64)
    left, right = (points[list(eye)].mean(axis=0) for eye in scheme.eyes)
    across = (right - left) / max(float(np.linalg.norm(right - left)), 1e-6)
    upright = np.array([across, [-across[1], across[0]]])
    extent = points @ upright.T
    low, high = extent.min(axis=0), extent.max(axis=0)
    # A mouth that opens, or a head that turns, changes one side of the box: the chip stays square.
    side = max(float(np.sqrt((high - low).prod())), 1e-6) * (1 + 2 * MARGIN)
    transform = np.column_stack([upright / side, 0.5 - (low + high) / (2 * side)])
    chip = cv2.cvtColor(geometry.warp(photo, transform, (SIDE, SIDE)), cv2.COLOR_RGB2LAB)
    values = chip.astype(np.float32)
    values -= values.mean(axis=(0, 1))
    return unit(values * np.array([1, COLOUR, COLOUR], np.float32))


def unit(values: np.ndarray) -> np.ndarray:
    """The values as a vector of length 1."""
    return np.asarray(values.ravel() / max(float(np.linalg.norm(values)), 1e-6), np.float32)


def likeness(look: Look, chip: np.ndarray) -> float:
    """The correlation of a chip with the view that it is most like, -1 to 1."""
    chips = [view.chip for view in look.views] or [look.last]
    return max(float(known @ chip) for known in chips)


def likeness_of_looks(a: Look, b: Look) -> float:
    """The correlation of those of their views that are most alike."""
    chips = [view.chip for view in b.views] or [b.last]
    return max(likeness(a, chip) for chip in chips)


def learn(look: Look, chip: np.ndarray, pose: np.ndarray | None) -> Look:
    """The look after a frame in which the face was plain to see: sure, and covered by no other.

    A view is added only where the face has turned: one that changes without turning is hidden by
    something, or no longer the same.

    Args:
      look: before.
      chip: of this frame.
      pose: as `Face.pose`.
    """
    angles = np.zeros(3) if pose is None else np.asarray(pose, np.float64)
    if not look.views:
        return Look(chip, (View(chip, angles),))
    views = list(look.views)
    distances = [float(np.abs(view.pose - angles).max()) for view in views]
    index = int(np.argmin(distances))
    nearest = views[index]
    alike = likeness(look, chip) >= ALIKE
    if distances[index] > NEAR_POSE:
        if alike:
            views = [*views, View(chip, angles)][-MOST_VIEWS:]
    elif alike or nearest.count < YOUNG:
        share = max(LEARNING, 1 / (nearest.count + 1))
        mixed = unit((1 - share) * nearest.chip + share * chip)
        views[index] = View(mixed, nearest.pose, nearest.count + 1)
    return Look(chip, tuple(views))
