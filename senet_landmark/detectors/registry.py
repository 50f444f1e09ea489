"""The detectors by name. A new detector is one file here and one line in `DETECTORS`."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from senet_landmark.detectors.blazeface import load_blazeface
from senet_landmark.detectors.dlib_cnn import load_cnn
from senet_landmark.detectors.dlib_hog import load_hog
from senet_landmark.detectors.interface import (
    Detections,
    Detector,
    DetectorSpec,
    Find,
    SearchOptions,
    as_detections,
)
from senet_landmark.detectors.yunet import load_yunet
from senet_landmark.errors import InputError
from senet_landmark.face.boxes import ANNOTATION, LANDMARKS
from senet_landmark.face.geometry import BoxCorrection

BLAZEFACE = "blazeface"
DLIB = "dlib"
DLIB_CNN = "dlib_cnn"
YUNET = "yunet"

DEFAULT_DETECTOR = BLAZEFACE
"""The detector of prediction; docs/detectors.md says why."""

# The corrections are fitted by `build-records --boxes NAME` on the training split of 300W-LP's
# original views.
DETECTORS: dict[str, DetectorSpec] = {
    BLAZEFACE: DetectorSpec(
        "BlazeFace",
        load_blazeface,
        BoxCorrection(shift=(0.0037, -0.0006), scale=(0.9978, 1.0002)),
        sure_score=0.7,  # chosen on training photos (docs/detectors.md)
    ),
    DLIB: DetectorSpec(
        "dlib's HOG detector",
        load_hog,
        BoxCorrection(shift=(0.0098, 0.1185), scale=(0.8805, 0.8802)),
    ),
    DLIB_CNN: DetectorSpec("dlib's CNN detector", load_cnn),
    YUNET: DetectorSpec("YuNet", load_yunet),
}


def box_sources() -> tuple[str, ...]:
    """All sources of a face box: the landmarks, the annotation, and every detector."""
    return (LANDMARKS, ANNOTATION, *DETECTORS)


def default_corrections() -> dict[str, BoxCorrection]:
    """Box source -> its correction to the canonical box; only sources that have one."""
    fitted = {name: spec.correction for name, spec in DETECTORS.items() if spec.correction}
    return {LANDMARKS: BoxCorrection(), **fitted}


def get_detector(
    name: str, model: Path | None = None, options: SearchOptions = SearchOptions()
) -> Detector:
    """The detector called `name`.

    Args:
      name: a name in `DETECTORS`.
      model: its model file, for detectors that need one.
      options: what it looks for.

    Raises:
      InputError: an unknown name; the model file is missing, or is not a model of the detector.
    """
    if name not in DETECTORS:
        names = ", ".join(DETECTORS)
        raise InputError(f"Unknown detector {name!r}. Known: {names}; or give a function.")
    return DETECTORS[name].load(model, options)


class FaceDetector(NamedTuple):
    """A detector with the name of its boxes.

    Attributes:
      find: the function that detects faces.
      box_source: key of a contract's `box_corrections` for its boxes; None: there is no correction.
      sure_score: as `DetectorSpec.sure_score`.
    """

    find: Find
    box_source: str | None
    sure_score: float | None = None

    def detect(self, photo: np.ndarray) -> Detections:
        """The faces of a photo RGB uint8 [H, W, 3], also from a function without roll."""
        return as_detections(self.find(photo))


def make_detector(
    detector: str | Find | FaceDetector,
    model: Path | None = None,
    options: SearchOptions = SearchOptions(),
) -> FaceDetector:
    """A `FaceDetector` from a name or from a function.

    Args:
      detector: a name in `DETECTORS`; or a function of type `Find`. The boxes of a function are not
        corrected, so that the predictor's second pass has to correct more.
      model: model file, for detectors that need one.
      options: what a detector of `DETECTORS` looks for.

    Raises:
      InputError: as `get_detector`.
    """
    if isinstance(detector, FaceDetector):
        return detector
    if callable(detector):
        return FaceDetector(detector, None)
    find = get_detector(detector, model, options).find
    return FaceDetector(find, detector, DETECTORS[detector].sure_score)
