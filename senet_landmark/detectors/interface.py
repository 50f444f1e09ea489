"""What the detectors share: the function that each of them is, and what is told of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from senet_landmark.face.geometry import BoxCorrection

Detector = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]
"""(photo RGB uint8 [H, W, 3], times to double it first) -> boxes float64 [N, 4] in pixels of the
photo (left, top, right, bottom) and scores float64 [N], best first."""

Find = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""RGB uint8 [H, W, 3] -> boxes [N, 4] in its pixels (left, top, right, bottom) and scores [N]."""

DETECTION_SIDE = 1200
"""Longer side that larger photos are reduced to for detection, in pixels."""


@dataclass(frozen=True)
class DetectorSpec:
    """One detector.

    Attributes:
      title: what it is, for tables and messages.
      load: (file of its model, or None) -> the detector. Raises InputError where the file is
        missing or is none.
      correction: from its boxes to the canonical box, where no contract tells a better one;
        None: it was never fitted.
    """

    title: str
    load: Callable[[Path | None], Detector]
    correction: BoxCorrection | None = None
