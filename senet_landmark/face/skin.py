"""How light the skin of a face is in its photo.

Chardon, Cretois and Hourseau, "Skin colour typology and suntanning pathways", International Journal
of Cosmetic Science 1991: the individual typology angle (ITA), arctan((L* - 50) / b*) in degrees, of
CIELAB. In a photo it is that of the skin and of the light on it: a light face in the shade has a
low one too.
"""

import cv2
import numpy as np

from senet_landmark.face.schemes import Scheme

TONES = (-30.0, 10.0, 28.0, 41.0, 55.0)
"""Lowest ITA in degrees of brown, tan, intermediate, light and very light skin; below is dark. Del
Bino and Bernerd, "Variations in skin colour and the biological consequences of ultraviolet
radiation exposure", British Journal of Dermatology 2013."""

TONE_NAMES = ("dark", "brown", "tan", "intermediate", "light", "very light")

_PATCH = 0.1
"""Half the side of the measured square of each cheek, as a share of the distance of the eyes."""

_GREY = 3.0
"""Chroma below which a picture is taken to have no colours."""


def skin_tone(image: np.ndarray, landmarks: np.ndarray, scheme: Scheme) -> float:
    """The ITA of the lighter cheek, between eye and corner of the mouth.

    Args:
      image: RGB uint8 [H, W, 3].
      landmarks: [K, 2] in pixels of it; NaN where unknown.
      scheme: their scheme.

    Returns:
      Degrees from -90 to 90; NaN where an eye or the mouth is unknown, both cheeks are outside the
      image, or it is grey.
    """
    eyes = [landmarks[list(eye)].mean(axis=0) for eye in scheme.eyes]
    mouth = landmarks[list(scheme.groups.get("mouth", ()))]
    mouth = mouth[np.isfinite(mouth).all(axis=1)]
    across = eyes[1] - eyes[0]
    distance = float(np.linalg.norm(across))
    if not len(mouth) or not np.isfinite(distance) or not distance:
        return np.nan
    # The corners are the ends of the mouth along the line of the eyes.
    ends = mouth[[np.argmin(mouth @ across), np.argmax(mouth @ across)]]
    reach = max(_PATCH * distance, 1)
    colours = []
    for eye, corner in zip(eyes, ends, strict=True):
        centre = (eye + corner) / 2
        low = np.maximum(np.ceil(centre - reach), 0).astype(int)
        high = np.maximum(np.floor(centre + reach) + 1, 0).astype(int)
        patch = image[low[1] : high[1], low[0] : high[0]]
        if patch.size:
            lab = cv2.cvtColor(patch.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
            colours.append(np.median(lab.reshape(-1, 3), axis=0))
    if not colours:
        return np.nan
    lightness, red, yellow = max(colours, key=lambda colour: float(colour[0]))
    if np.hypot(red, yellow) < _GREY:
        return np.nan
    return float(np.clip(np.degrees(np.arctan2(lightness - 50, yellow)), -90, 90))


def tone_classes(angles: np.ndarray) -> np.ndarray:
    """Indices into `TONE_NAMES` of ITAs in degrees, int64 [N]; -1 where unknown."""
    return np.where(np.isnan(angles), -1, np.digitize(angles, TONES))
