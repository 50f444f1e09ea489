"""The interface of all detectors: what they return, and how the registry describes them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from senet_landmark.face.geometry import BoxCorrection, photo_box

DETECTION_SIDE = 1200
"""dlib's detectors get larger photos reduced to this longer side, in pixels."""


class Detections(NamedTuple):
    """The faces that a detector finds in one photo, best score first.

    Attributes:
      boxes: float64 [N, 4], left, top, right, bottom in photo pixels: upright boxes along the
        photo's axes, also of faces that are not upright.
      scores: float64 [N]; each detector has its own scale.
      roll: float64 [N], degrees in [-180, 180), the sign of `senet_landmark.face.pose`: > 0 where
        the head leans clockwise as seen in the photo. None: the detector does not know it.
    """

    boxes: np.ndarray
    scores: np.ndarray
    roll: np.ndarray | None = None

    def take(self, index: Any) -> "Detections":
        """The detections that an index of NumPy selects, in its order."""
        roll = None if self.roll is None else self.roll[index]
        return Detections(self.boxes[index], self.scores[index], roll)


Find = Callable[[np.ndarray], Detections]
"""Photo RGB uint8 [H, W, 3] -> its faces. Several threads may call it at once. A caller's own
function may return (boxes, scores) alone (`as_detections`)."""


def as_detections(result: Any) -> Detections:
    """What a function of type `Find` returned, (boxes, scores) or (boxes, scores, roll), checked.

    Raises:
      ValueError: boxes, scores and roll are not of equally many faces.
    """
    boxes, scores, roll = (*result, None)[:3]
    detections = Detections(
        np.asarray(boxes, np.float64).reshape(-1, 4),
        np.asarray(scores, np.float64).ravel(),
        None if roll is None else np.asarray(roll, np.float64).ravel(),
    )
    lengths = {len(values) for values in detections if values is not None}
    if len(lengths) > 1:
        raise ValueError(f"A detector gave boxes, scores and roll of {sorted(lengths)} faces.")
    return detections


def whole_photo(photo: np.ndarray) -> Detections:
    """A `Find` that takes the whole photo for its one face, with score 1."""
    return Detections(photo_box((photo.shape[1], photo.shape[0]))[None], np.ones(1))


@dataclass(frozen=True)
class SearchOptions:
    """What to look for in a photo.

    Attributes:
      min_face: side of the smallest face, in pixels; smaller ones are left out. 0: the detector's
        own limit (docs/detectors.md).
      most_faces: largest number of faces, those with the best scores; 0: all.
    """

    min_face: float = 0.0
    most_faces: int = 0


@dataclass(frozen=True)
class Detector:
    """A detector, loaded.

    Attributes:
      find: the faces of a user's photo.
      stages: searches of an annotated photo, one after the other as long as an annotated face is
        missing. They are more thorough than `find`, and more often wrong: their detections count
        only where they fit an annotation.
    """

    find: Find
    stages: tuple[Find, ...]


@dataclass(frozen=True)
class DetectorSpec:
    """A detector in the registry.

    Attributes:
      title: name for tables and messages.
      load: (model file, or None; options) -> the detector. Raises InputError where the file is
        missing or is not a model of this detector.
      correction: from its boxes to the canonical box, for models whose contract has no correction
        of its own; None: it was never fitted.
      sure_score: from this score on a detection counts; below it by its score, a probability, and
        the landmark model's confidence together. None: all its detections count.
    """

    title: str
    load: Callable[[Path | None, SearchOptions], Detector]
    correction: BoxCorrection | None = None
    sure_score: float | None = None
