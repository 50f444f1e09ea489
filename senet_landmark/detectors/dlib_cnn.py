"""dlib's CNN detector (King, "Max-Margin Object Detection", 2015), with the user's model file."""

import functools
import threading
from pathlib import Path
from typing import Any

import dlib
import numpy as np

from senet_landmark.detectors.dlib_hog import boxes_of, doubling_detector
from senet_landmark.detectors.interface import (
    DETECTION_SIDE,
    Detections,
    Detector,
    SearchOptions,
)
from senet_landmark.errors import InputError
from senet_landmark.face.geometry import shrink

_thread_detectors = threading.local()
"""The detectors of each thread: dlib's detectors keep state during a call, so that two calls of one
detector at the same time fail."""


def load_cnn(model: Path | None = None, options: SearchOptions = SearchOptions()) -> Detector:
    """Loads the detector from the user's file.

    Raises:
      InputError: no file was given, it does not exist, or it is not a model of this detector.
    """
    if model is None:
        raise InputError(
            "dlib_cnn needs --detector-model mmod_human_face_detector.dat, dlib's own file."
        )
    _cnn_detector(Path(model))  # a wrong file is reported here, before the first photo
    return doubling_detector(functools.partial(detect_dlib_cnn, model=Path(model)), options)


def detect_dlib_cnn(photo: np.ndarray, upsample: int = 0, *, model: Path) -> Detections:
    """Detects faces with dlib's CNN detector: as `detect_dlib`, with the user's `model` file.

    It is slow without a GPU, but also finds rotated and partly hidden faces.

    Raises:
      InputError: the file does not exist, or is not a model of this detector.
    """
    reduced, factor = shrink(photo, DETECTION_SIDE)
    detections = _cnn_detector(Path(model))(np.ascontiguousarray(reduced), upsample)
    scores = np.array([detection.confidence for detection in detections], np.float64)
    return Detections(boxes_of([detection.rect for detection in detections], factor), scores)


def _cnn_detector(model: Path) -> Any:
    loaded: dict[Path, Any] = _thread_detectors.__dict__.setdefault("cnn", {})
    if model not in loaded:
        if not model.is_file():
            raise InputError(
                f"{model}: no such file. dlib's CNN detector needs mmod_human_face_detector.dat, "
                "from dlib's site (http://dlib.net/files/)."
            )
        try:
            loaded[model] = dlib.cnn_face_detection_model_v1(str(model))
        except RuntimeError as error:
            raise InputError(
                f"{model}: is not a model of dlib's CNN detector ({error})."
            ) from error
    return loaded[model]
