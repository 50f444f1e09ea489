"""Where a predictor's face boxes come from: dlib's detectors, or a function of the caller's."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data_tools import face_boxes
from senet_landmark.errors import InputError

Find = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""RGB uint8 [H, W, 3] -> boxes [N, 4] in its pixels (left, top, right, bottom) and scores [N]."""


class FaceDetector(NamedTuple):
    """A detector, and what its boxes are.

    Attributes:
      find: the detector itself.
      source: key of a contract's `box_corrections` for its boxes; None: no correction is known.
    """

    find: Find
    source: str | None


def make_detector(detector: str | Find | FaceDetector, model: Path | None = None) -> FaceDetector:
    """The detector called `dlib` or `dlib_cnn`, or a function as one.

    Args:
      detector: a name; or a function of the form `Find`, whose boxes go uncorrected, so that the
        predictor's second pass has more to do.
      model: dlib's mmod_human_face_detector.dat, for `dlib_cnn`.

    Raises:
      InputError: an unknown name, or `dlib_cnn` without its model, or with one that is none.
    """
    if isinstance(detector, FaceDetector):
        return detector
    if callable(detector):
        return FaceDetector(detector, None)
    if detector not in face_boxes.DETECTORS:
        names = ", ".join(face_boxes.DETECTORS)
        raise InputError(f"Unknown detector {detector!r}. Known: {names}; or give a function.")
    source = next(name for name in face_boxes.DETECTORS if name == detector)
    detect = face_boxes.get_detector(source, model)
    return FaceDetector(functools.partial(face_boxes.find_faces, detect=detect), source)
