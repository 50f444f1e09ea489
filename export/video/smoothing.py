"""One-Euro filter: landmarks of a video with little jitter, and little lag in fast motion.

Source: Casiez, Roussel and Vogel, "1€ Filter: A Simple Speed-based Low-pass Filter for Noisy Input
in Interactive Systems", CHI 2012, algorithm 1. Each landmark goes through a low-pass filter whose
cutoff rises with its speed: slow motion, in which jitter is visible, is smoothed much; fast motion,
in which lag is visible, is smoothed little.

Two things differ from the paper. Speeds are in face sizes a second, so that the settings do not
depend on the photo's resolution or the face's distance. And the cutoff, the same for x and y,
depends on the length of two velocity vectors: that of the whole face (the mean of all landmarks,
which has little noise), and that of the landmark relative to the face (an eye that blinks).
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class OneEuro:
    """Settings of the filter.

    Attributes:
      least_cutoff: cutoff at rest, in Hz; a lower one gives less jitter (the paper's f_c,min).
      face_gain: rise of the cutoff with the speed of the whole face, in Hz for one face size a
        second; a higher one gives less lag (the paper's beta).
      own_gain: the same for the speed of a landmark relative to the face.
      speed_cutoff: cutoff of the low-pass filter for the speeds, in Hz (the paper's f_c,d).
    """

    least_cutoff: float = 1.0
    face_gain: float = 30.0
    own_gain: float = 30.0
    speed_cutoff: float = 4.0


@dataclass(frozen=True)
class Smoothed:
    """The state of the filter after a frame.

    Attributes:
      points: float64 [K, 2], the smoothed landmarks in pixels.
      raw: float64 [K, 2], the last landmarks before smoothing.
      velocity: float64 [K, 2], smoothed, in face sizes a second.
      time: time of the last landmarks, in seconds.
    """

    points: np.ndarray
    raw: np.ndarray
    velocity: np.ndarray
    time: float


def start_smoothing(landmarks: np.ndarray, time: float) -> Smoothed:
    """The filter's state after its first landmarks [K, 2] in pixels, which are not smoothed."""
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
      before: the result of the last call, or of `start_smoothing`.
      landmarks: [K, 2] in pixels; an unknown one is NaN, and its last position is used.
      time: in seconds; steps may have any length.
      face_size: size of the face in pixels: the square root of the area of its box.
      settings: settings of the filter.

    Raises:
      ValueError: `time` is not later than the last time, the face has no size, or the number of
        landmarks differs.
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
    speed = (raw - before.raw) / (step * face_size)
    share = _share(settings.speed_cutoff, step)
    velocity = before.velocity + share * (speed - before.velocity)
    face_velocity = velocity.mean(axis=0)
    own_speed = np.linalg.norm(velocity - face_velocity, axis=1)
    cutoff = (
        settings.least_cutoff
        + settings.face_gain * np.linalg.norm(face_velocity)
        + settings.own_gain * own_speed
    )
    points = before.points + _share(cutoff, step)[:, None] * (raw - before.points)
    return Smoothed(points, raw, velocity, time)


def _share(cutoff: float | np.ndarray, step: float) -> np.ndarray:
    """The share of the new value in a low-pass filter with a cutoff in Hz, after a step in seconds.

    The paper's alpha (equations 4 and 5).
    """
    constant = 1 / (2 * np.pi * np.asarray(cutoff))
    return np.asarray(1 / (1 + constant / step))
