"""One-Euro filter: landmarks of a video without jitter, and without much lag in fast motion.

Source: Casiez, Roussel and Vogel, "1€ Filter: A Simple Speed-based Low-pass Filter for Noisy Input
in Interactive Systems", CHI 2012, algorithm 1. Each landmark goes through a low-pass filter whose
cutoff rises with its speed: slow motion is smoothed much, as there jitter shows; fast motion
little, as there lag does.

Two things differ from the paper. Speeds are in face sizes a second, so that the settings do not
depend on the photo's resolution or the face's distance. And the cutoff follows the length of the
velocity vector, the same for x and y, in two parts: that of the face as a whole (the mean of all
landmarks, which has little noise) and the landmark's own on top of it (an eye that blinks).
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class OneEuro:
    """Settings of the filter.

    Attributes:
      least_cutoff: cutoff at rest, in Hz; the lower, the less jitter (the paper's f_c,min).
      face_gain: by how much the cutoff rises with the speed of the whole face, in Hz for a speed
        of one face size a second; the higher, the less lag (the paper's beta).
      own_gain: the same for a landmark's speed relative to the face.
      speed_cutoff: of the low-pass filter of the speeds, in Hz (the paper's f_c,d).
    """

    least_cutoff: float = 1.0
    face_gain: float = 30.0
    own_gain: float = 30.0
    speed_cutoff: float = 4.0


@dataclass(frozen=True)
class Smoothed:
    """What the filter has made of the landmarks so far.

    Attributes:
      points: float64 [K, 2], the smoothed landmarks in pixels.
      raw: float64 [K, 2], the last ones as they were given.
      velocity: float64 [K, 2], smoothed, in face sizes a second.
      time: of the last ones, in seconds.
    """

    points: np.ndarray
    raw: np.ndarray
    velocity: np.ndarray
    time: float


def start_smoothing(landmarks: np.ndarray, time: float) -> Smoothed:
    """The filter at its first landmarks [K, 2] in pixels: they are as they are."""
    points = np.array(landmarks, np.float64)
    return Smoothed(points, points, np.zeros_like(points), time)


def smooth(
    before: Smoothed,
    landmarks: np.ndarray,
    time: float,
    face_size: float,
    settings: OneEuro = OneEuro(),
) -> Smoothed:
    """Filters the next landmarks of a face.

    Args:
      before: what the last call returned, or `start_smoothing`.
      landmarks: [K, 2] in pixels; NaN where one is unknown, which its last place stands for.
      time: in seconds; the steps may be of any length.
      face_size: of this face, in pixels; the root of the area of its box.
      settings: of the filter.

    Raises:
      ValueError: `time` is not later than the last one, the face has no size, or there are more or
        fewer landmarks than before.
    """
    raw = np.array(landmarks, np.float64)
    step = time - before.time
    if not step > 0:
        raise ValueError(f"time must grow: {time} s comes after {before.time} s")
    if not face_size > 0:
        raise ValueError(f"a face must have a size, not {face_size} pixels")
    if raw.shape != before.raw.shape:
        raise ValueError(f"landmarks are {raw.shape}, they were {before.raw.shape}")
    unknown = ~np.isfinite(raw).all(axis=1)
    raw[unknown] = before.raw[unknown]
    moved = (raw - before.raw) / (step * face_size)
    share = _share(settings.speed_cutoff, step)
    velocity = before.velocity + share * (moved - before.velocity)
    of_face = velocity.mean(axis=0)
    own = np.linalg.norm(velocity - of_face, axis=1)
    cutoff = (
        settings.least_cutoff
        + settings.face_gain * np.linalg.norm(of_face)
        + settings.own_gain * own
    )
    points = before.points + _share(cutoff, step)[:, None] * (raw - before.points)
    return Smoothed(points, raw, velocity, time)


def _share(cutoff: float | np.ndarray, step: float) -> np.ndarray:
    """The new value's share in a low-pass filter of a cutoff in Hz, after a step in seconds.

    The paper's alpha (equations 4 and 5).
    """
    constant = 1 / (2 * np.pi * np.asarray(cutoff))
    return np.asarray(1 / (1 + constant / step))
