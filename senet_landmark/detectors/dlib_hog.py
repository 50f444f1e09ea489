"""dlib's frontal HOG detector (King, "Max-Margin Object Detection", 2015), and its rectangles."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dlib
import numpy as np

from senet_landmark.detectors.interface import DETECTION_SIDE, Detector
from senet_landmark.face.geometry import Box, shrink

HOG_DETECTOR = Path(__file__).parent / "assets" / "dlib_frontal_face_detector.svm"
"""What `dlib.get_frontal_face_detector().save` writes (Boost licence). The library unpacks it from
its own code in half a second; this file is read in a few milliseconds."""

_of_thread = threading.local()
"""Detector of each thread: dlib's hold the state of a call, and two calls at once break them."""


def load_hog(model: Path | None = None) -> Detector:
    """The detector; it has a model of its own, so that `model` is not read."""
    del model
    return detect_dlib


def detect_dlib(photo: np.ndarray, upsample: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Faces that dlib's frontal HOG detector finds (King, "Max-Margin Object Detection", 2015).

    Args:
      photo: RGB uint8 [H, W, 3].
      upsample: how often the photo is doubled first; the smallest face is 80 pixels at 0.

    Returns:
      Boxes float64 [N, 4] in photo pixels and their scores float64 [N], best first.
    """
    reduced, factor = shrink(photo, DETECTION_SIDE)
    rectangles, scores, _ = _hog_detector().run(np.ascontiguousarray(reduced), upsample, 0.0)
    return boxes_of(rectangles, factor), np.array(scores, np.float64)


def boxes_of(rectangles: Sequence[Any], factor: float) -> np.ndarray:
    """dlib's rectangles in a photo reduced by `factor` as boxes float64 [N, 4] in the photo."""
    # dlib's right and bottom are inclusive pixels; a box's edges are the pixels' outer borders.
    edges = [(r.left(), r.top(), r.right() + 1, r.bottom() + 1) for r in rectangles]
    return np.array(edges, np.float64).reshape(-1, 4) / factor - 0.5


def dlib_rectangle(box: Box) -> dlib.rectangle:
    """A box as dlib's rectangle, whose right and bottom are the last pixels inside."""
    # A box's edges are the outer borders of its pixels: the inverse of `boxes_of`.
    left, top, right, bottom = np.rint(box + (0.5, 0.5, -0.5, -0.5)).astype(int).tolist()
    return dlib.rectangle(left, top, right, bottom)


def _hog_detector() -> Any:
    if not hasattr(_of_thread, "hog"):
        _of_thread.hog = dlib.fhog_object_detector(str(HOG_DETECTOR))
    return _of_thread.hog
