"""The detectors by their names. A new one is a file here and a line in `DETECTORS`."""

import functools
from pathlib import Path
from typing import NamedTuple

from senet_landmark.detectors.dlib_cnn import load_cnn
from senet_landmark.detectors.dlib_hog import load_hog
from senet_landmark.detectors.interface import Detector, DetectorSpec, Find
from senet_landmark.detectors.search import find_faces
from senet_landmark.errors import InputError
from senet_landmark.face.boxes import ANNOTATION, LANDMARKS
from senet_landmark.face.geometry import BoxCorrection

DLIB = "dlib"
DLIB_CNN = "dlib_cnn"

DETECTORS: dict[str, DetectorSpec] = {
    DLIB: DetectorSpec(
        "dlib's HOG detector",
        load_hog,
        # Fitted by `build-records --boxes dlib` on the training split of 300W-LP's unturned views.
        BoxCorrection(shift=(0.0098, 0.1185), scale=(0.8805, 0.8802)),
    ),
    DLIB_CNN: DetectorSpec("dlib's CNN detector", load_cnn),
}


def box_sources() -> tuple[str, ...]:
    """All that a face box can come from: the landmarks, the annotation, and every detector."""
    return (LANDMARKS, ANNOTATION, *DETECTORS)


def default_corrections() -> dict[str, BoxCorrection]:
    """Source of boxes -> its correction to the canonical box, of those that are known."""
    fitted = {name: spec.correction for name, spec in DETECTORS.items() if spec.correction}
    return {LANDMARKS: BoxCorrection(), **fitted}


def get_detector(name: str, model: Path | None = None) -> Detector:
    """The detector called `name`; `model` is the file of those that need one.

    Raises:
      InputError: an unknown name; or a detector without its model, or with one that is none.
    """
    if name not in DETECTORS:
        names = ", ".join(DETECTORS)
        raise InputError(f"Unknown detector {name!r}. Known: {names}; or give a function.")
    return DETECTORS[name].load(model)


class FaceDetector(NamedTuple):
    """A detector, and what its boxes are.

    Attributes:
      find: the detector itself.
      source: key of a contract's `box_corrections` for its boxes; None: no correction is known.
    """

    find: Find
    source: str | None


def make_detector(detector: str | Find | FaceDetector, model: Path | None = None) -> FaceDetector:
    """The detector of a name, or a function as one.

    Args:
      detector: a name in `DETECTORS`; or a function of the form `Find`, whose boxes go uncorrected,
        so that the predictor's second pass has more to do.
      model: file of the detector's model, for those that need one.

    Raises:
      InputError: as `get_detector`.
    """
    if isinstance(detector, FaceDetector):
        return detector
    if callable(detector):
        return FaceDetector(detector, None)
    detect = get_detector(detector, model)
    return FaceDetector(functools.partial(find_faces, detect=detect), detector)
