"""dlib's frontal HOG detector (King, "Max-Margin Object Detection", 2015), and its rectangles."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import dlib
import numpy as np

from senet_landmark.detectors.interface import (
    DETECTION_SIDE,
    Detections,
    Detector,
    SearchOptions,
)
from senet_landmark.detectors.search import find_faces, selected
from senet_landmark.face.geometry import Box, shrink

HOG_DETECTOR = Path(__file__).parent / "assets" / "dlib_frontal_face_detector.svm"
"""The file that `dlib.get_frontal_face_detector().save` writes (Boost licence). dlib needs half a
second to unpack the detector from its code; reading this file takes a few milliseconds."""

_thread_detectors = threading.local()
"""The detector of each thread: dlib's detectors keep state during a call, so that two calls of one
detector at the same time fail."""


def load_hog(model: Path | None = None, options: SearchOptions = SearchOptions()) -> Detector:
    """Loads the detector. It ships with its model, so `model` is ignored."""
    del model
    return doubling_detector(detect_dlib, options)


def doubling_detector(
    detect: Callable[[np.ndarray, int], Detections], options: SearchOptions
) -> Detector:
    """A detector that finds smaller faces in a doubled photo.

    Args:
      detect: (photo, how many times it is doubled first) -> its faces.
      options: what to look for.
    """
    return Detector(
        find=lambda photo: selected(find_faces(photo, detect), options),
        stages=(lambda photo: detect(photo, 0), lambda photo: detect(photo, 1)),
    )


def detect_dlib(photo: np.ndarray, upsample: int = 0) -> Detections:
    """Detects faces with dlib's frontal HOG detector (King, "Max-Margin Object Detection", 2015).

    Args:
      photo: RGB uint8 [H, W, 3].
      upsample: how many times the photo is doubled first. At 0 the smallest face that is found
        has 80 pixels.

    Returns:
      The faces, without roll.
    """
    reduced, factor = shrink(photo, DETECTION_SIDE)
    rectangles, scores, _ = _hog_detector().run(np.ascontiguousarray(reduced), upsample, 0.0)
    return Detections(boxes_of(rectangles, factor), np.array(scores, np.float64))


def boxes_of(rectangles: Sequence[Any], factor: float) -> np.ndarray:
    """Boxes float64 [N, 4] in photo pixels of dlib's rectangles in a photo reduced by `factor`."""
    # dlib's right and bottom are the last pixels inside; a box's edges are outer borders of pixels.
    edges = [(r.left(), r.top(), r.right() + 1, r.bottom() + 1) for r in rectangles]
    return np.array(edges, np.float64).reshape(-1, 4) / factor - 0.5


def dlib_rectangle(box: Box) -> dlib.rectangle:
    """A box as dlib's rectangle, whose right and bottom are the last pixels inside."""
    # A box's edges are the outer borders of its pixels: the inverse of `boxes_of`.
    left, top, right, bottom = np.rint(box + (0.5, 0.5, -0.5, -0.5)).astype(int).tolist()
    return dlib.rectangle(left, top, right, bottom)


def _hog_detector() -> Any:
    if not hasattr(_thread_detectors, "hog"):
        _thread_detectors.hog = dlib.fhog_object_detector(str(HOG_DETECTOR))
    return _thread_detectors.hog
