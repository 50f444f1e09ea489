"""YuNet (Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", 2023) in OpenCV.

Its file is the user's: `face_detection_yunet_2023mar.onnx` of OpenCV's model zoo (MIT).
"""

import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from senet_landmark.detectors.interface import Detections, Detector, Find, SearchOptions
from senet_landmark.detectors.search import selected
from senet_landmark.errors import InputError
from senet_landmark.face.geometry import shrink
from senet_landmark.frozen.runtimes import renewed_in_forks

SIDE = 1000
"""Larger photos are reduced to this longer side, in pixels: it finds faces from about 10 pixels."""

SCORE, NMS_IOU = 0.6, 0.3
"""Smallest score of a face, and overlap from which two detections are of one face."""


def load_yunet(model: Path | None = None, options: SearchOptions = SearchOptions()) -> Detector:
    """Loads the detector from the user's file.

    Raises:
      InputError: no file was given, it does not exist, or it is not a model of this detector.
    """
    if model is None or not Path(model).is_file():
        raise InputError(
            f"{model or 'yunet'}: yunet needs --detector-model face_detection_yunet_2023mar.onnx, "
            "of OpenCV's model zoo (https://github.com/opencv/opencv_zoo)."
        )
    detect = renewed_in_forks(lambda: _detector(Path(model)))

    def find(photo: np.ndarray) -> Detections:
        return selected(detect(photo), options)

    return Detector(find=find, stages=(find,))


def _detector(model: Path) -> Find:
    try:
        network = cv2.FaceDetectorYN.create(str(model), "", (320, 320), SCORE, NMS_IOU)
    except (cv2.error, AttributeError) as error:
        raise InputError(f"{model}: OpenCV cannot run it as YuNet ({error}).") from error
    lock = threading.Lock()  # a network holds the values of one run

    def detect(photo: np.ndarray) -> Detections:
        reduced, factor = shrink(photo, SIDE)
        with lock:
            network.setInputSize((reduced.shape[1], reduced.shape[0]))
            rows = network.detect(np.ascontiguousarray(reduced[..., ::-1]))[1]
        return from_rows(rows, factor)

    return detect


def from_rows(rows: Any, factor: float) -> Detections:
    """YuNet's rows [N, 15] as detections in a photo that was reduced by `factor`.

    A row is left, top, width, height; x and y of right eye, left eye, nose tip, right and left
    corner of the mouth; score.
    """
    values = np.zeros((0, 15)) if rows is None else np.asarray(rows, np.float64)
    boxes = np.concatenate([values[:, :2], values[:, :2] + values[:, 2:4]], axis=1)
    across = values[:, 6:8] - values[:, 4:6]
    down = values[:, 10:14].reshape(-1, 2, 2).mean(axis=1) - (values[:, 4:6] + values[:, 6:8]) / 2
    direction = across + np.stack([down[:, 1], -down[:, 0]], axis=1)
    roll = np.degrees(np.arctan2(direction[:, 1], direction[:, 0]))
    return Detections(boxes / factor - 0.5, values[:, 14], (roll + 180) % 360 - 180)
