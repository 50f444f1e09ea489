"""Lips that the training faces hardly show: in other tones, and fuller or thinner.

Full lips of dark skin are often dark above and at the rim, and light or pink inside. A network
that has seen few of them takes that for an open mouth (docs/lab_notebook.md, 23). Here any face
gets such lips, and others.
"""

import cv2
import numpy as np

from senet_landmark.face.schemes import Scheme

DARKEST, LIGHTEST = 0.4, 1.3
"""Ends of what a part of a lip is multiplied by."""

DARKEST_SKIN = 0.35
"""Darkest that everything else is made, in half of the pictures; in the others it stays."""

TINT = 0.12
"""Standard deviation of the logarithm of each colour's own factor, in addition."""

FULLNESS = (0.8, 1.7)
"""Ends of what the height of the lips is multiplied by."""

_REACH = 2.4
"""Nothing moves that is further from the line of the mouth than this many heights of a lip."""

_SHIFT = 4


def change_lips(
    image: np.ndarray, landmarks: np.ndarray, scheme: Scheme, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The picture with lips of another height (`fuller_lips`) and in other tones (`toned_lips`).

    Args and results as there.
    """
    image, landmarks = fuller_lips(image, landmarks, scheme, generator)
    return toned_lips(image, landmarks, scheme, generator), landmarks


def fuller_lips(
    image: np.ndarray, landmarks: np.ndarray, scheme: Scheme, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The picture with lips of another height, and its landmarks.

    Across the line between the corners of the mouth the picture is stretched as far as the lips
    reach, and pressed beyond (`_REACH`); beside the mouth this fades.

    Args:
      image: uint8 [H, W, 3].
      landmarks: float32 [K, 2], normalised by the picture.
      scheme: the landmarks' scheme.
      generator: random numbers; as many are drawn for every face.

    Returns:
      uint8 [H, W, 3] and float32 [K, 2]; the arguments themselves where the lips are
      unknown (`_outer`) or outside the picture.
    """
    factor = np.exp(generator.uniform(*np.log(FULLNESS)))
    outer = _outer(landmarks, scheme, image)
    if outer is None:
        return image, landmarks
    height, width = image.shape[:2]
    first, last = outer[0], outer[6]
    centre, half = (first + last) / 2, np.linalg.norm(last - first) / 2
    along = (last - first) / (2 * half)
    across = np.array([-along[1], along[0]])
    heights = (outer - centre) @ across
    up, down = max(-heights.min(), 0.15 * half), max(heights.max(), 0.15 * half)
    # Heights after and before.
    after = np.array([-_REACH * up, -factor * up, factor * down, _REACH * down])
    before = np.array([-_REACH * up, -up, down, _REACH * down])

    def moved(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        beside, high = (points - centre) @ along, (points - centre) @ across
        share = np.clip(2 - np.abs(beside) / half, 0, 1)  # all of it over the mouth
        by = np.interp(high, start, end) - high
        by = np.where((high > start[0]) & (high < start[-1]), by, 0)
        return points + (share * by)[..., None] * across

    reach = int(np.ceil(_REACH * max(half, up, down))) + 1
    low = np.maximum(np.floor(centre) - reach, 0).astype(int)
    high = np.minimum(np.ceil(centre) + reach + 1, (width, height)).astype(int)
    if (high - low < 2).any():
        return image, landmarks
    rows, columns = np.mgrid[low[1] : high[1], low[0] : high[0]]
    source = moved(np.stack([columns, rows], axis=-1).astype(np.float64), after, before)
    changed = image.copy()
    changed[low[1] : high[1], low[0] : high[0]] = cv2.remap(
        image, source.astype(np.float32), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    size = np.array([width, height])
    points = moved(landmarks * size - 0.5, before, after)
    return changed, ((points + 0.5) / size).astype(landmarks.dtype)


def _outer(landmarks: np.ndarray, scheme: Scheme, image: np.ndarray) -> np.ndarray | None:
    """The outer contour of the lips in pixels, [12, 2].

    None where any point of the lips is unknown, or the mouth is less than 4 pixels wide.
    """
    if scheme.lips is None or not np.isfinite(landmarks[[i for r in scheme.lips for i in r]]).all():
        return None
    outer = landmarks[list(scheme.lips[0])] * image.shape[1::-1] - 0.5
    return outer if np.linalg.norm(outer[6] - outer[0]) >= 4 else None


def toned_lips(
    image: np.ndarray, landmarks: np.ndarray, scheme: Scheme, generator: np.random.Generator
) -> np.ndarray:
    """The picture with other tones on its lips and, in half of the pictures, darker around them.

    In each lip the rim and the inner part are multiplied by tones of their own, and all that is no
    lip by another: lips may be much lighter than the skin.

    Args:
      image: uint8 [H, W, 3].
      landmarks: [K, 2], normalised by the picture.
      scheme: the landmarks' scheme.
      generator: random numbers; as many are drawn for every face.

    Returns:
      uint8 [H, W, 3]; `image` itself where the lips are unknown (`_outer`) or outside.
    """
    tones = generator.uniform(DARKEST, LIGHTEST, (2, 2, 1))
    tones = tones * np.exp(generator.normal(0, TINT, (2, 2, 3)))
    rims = generator.uniform(0.25, 1, 2)
    blur = generator.uniform(0.01, 0.04)
    dark = min(1.0, generator.uniform(DARKEST_SKIN, 2 - DARKEST_SKIN))
    skin = dark * np.exp(generator.normal(0, TINT / 2, 3)) if dark < 1 else np.ones(3)
    outer = _outer(landmarks, scheme, image)
    if outer is None or scheme.lips is None:
        return image
    height, width = image.shape[:2]
    inner = landmarks[list(scheme.lips[1])] * (width, height) - 0.5
    extent = float(np.ptp(outer, axis=0).max())
    if (outer.max(axis=0) < 0).any() or (outer.min(axis=0) > (width, height)).any():
        return image
    gain = np.empty((height, width, 3), np.float32)
    gain[:] = skin
    for lip, (edge, mouth) in enumerate(_lips(outer, inner)):
        middle = edge + rims[lip] * (mouth - edge)
        _fill(gain, edge, middle, tones[lip, 0])
        _fill(gain, middle, mouth, tones[lip, 1])
    gain = cv2.GaussianBlur(gain, (0, 0), max(blur * extent, 0.3))
    return np.clip(image * gain + 0.5, 0, 255).astype(np.uint8)


def _lips(outer: np.ndarray, inner: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """For the upper and the lower lip: 7 points of the outer and 7 of the inner contour."""
    at, known = np.linspace(0, 4, 7), np.arange(5)
    lips = []
    for turn in (False, True):
        edge, mouth = (np.roll(ring, -len(ring) // 2, axis=0) if turn else ring
                       for ring in (outer, inner))  # fmt: skip
        edge, mouth = edge[:7], mouth[:5]
        lips.append((edge, np.stack([np.interp(at, known, mouth[:, i]) for i in (0, 1)], axis=1)))
    return lips


def _fill(gain: np.ndarray, first: np.ndarray, second: np.ndarray, tone: np.ndarray) -> None:
    """Sets the band between two lines [7, 2] to a tone [3]."""
    band = np.round(np.concatenate([first, second[::-1]]) * (1 << _SHIFT)).astype(np.int32)
    cv2.fillPoly(gain, [band], tone.tolist(), cv2.LINE_8, _SHIFT)
