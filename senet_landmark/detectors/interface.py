"""The interface of all detectors: their type of function, and how the registry describes them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from senet_landmark.face.geometry import BoxCorrection

Detector = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]
"""(photo RGB uint8 [H, W, 3], number of times it is doubled first) -> boxes float64 [N, 4] in photo
pixels (left, top, right, bottom) and scores float64 [N], best first."""

Find = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Photo RGB uint8 [H, W, 3] -> boxes [N, 4] in pixels (left, top, right, bottom), scores [N]."""

DETECTION_SIDE = 1200
"""Larger photos are reduced to this longer side, in pixels, before detection."""


@dataclass(frozen=True)
class DetectorSpec:
    """A detector in the registry.

    Attributes:
      title: name for tables and messages.
      load: (model file, or None) -> the detector. Raises InputError where the file is missing or is
        not a model of this detector.
      correction: from its boxes to the canonical box, for models whose contract has no correction
        of its own; None: it was never fitted.
    """

    title: str
    load: Callable[[Path | None], Detector]
    correction: BoxCorrection | None = None
