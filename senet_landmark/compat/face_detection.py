"""The face detector of a `FaceAlignment`, as `face_alignment.detection` has it."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from senet_landmark.compat.images import as_array, as_photo
from senet_landmark.detectors.interface import Find
from senet_landmark.detectors.registry import DEFAULT_DETECTOR, DETECTORS, YUNET
from senet_landmark.errors import InputError
from senet_landmark.export.inference.face import Face
from senet_landmark.export.inference.predictor import Predictor

Finder = Find
"""A function that detects faces, as `Predictor` takes it."""

STOOD_IN = ("sfd", "retinaface", "scrfd")
"""Detectors of that package whose weights are not here: the default one works in their place."""

LEAST_SCORES = (
    "filter_threshold",
    "min_score_thresh",
    "score_threshold",
    "confidence_threshold",
)
"""What that package's detectors call the score from which a detection counts."""

WITHOUT_EFFECT = ("back_model", "nms_threshold", "min_suppression_threshold", "path_to_anchor")
"""Further options of theirs."""


class FaceDetector:
    """The detector of a `FaceAlignment`: the faces that it finds and the landmark model confirms.

    A box is float64 [5], left, top, right, bottom in pixels and the detector's score.

    Args:
      model: path of the landmark model.
      detector, options: `face_detector` and `face_detector_kwargs` of `FaceAlignment`.

    Raises:
      InputError: the detector or an option is unknown, or the detector's file is absent.
    """

    reference_scale = 195
    """That package's crops are (width + height of the box) * 200 / 195 pixels a side."""

    def __init__(self, model: Path, detector: str | Finder, options: dict[str, Any] | None = None):
        options = dict(options or {})
        file = options.pop("path_to_detector", None)
        self._least_score = max(
            (float(options.pop(name)) for name in LEAST_SCORES if name in options),
            default=-np.inf,
        )
        if unknown := set(options) - set(WITHOUT_EFFECT):
            raise InputError(
                f"The detector's options {', '.join(sorted(unknown))} are unknown. Known: "
                f"path_to_detector, {', '.join(LEAST_SCORES)}."
            )
        self.predictor = Predictor(
            model,
            detector=_detector_for(detector, file),
            detector_model=None if file is None else Path(file),
        )

    def faces(self, photo: np.ndarray) -> list[Face]:
        """The faces of a photo RGB uint8 [H, W, 3], best score first."""
        return [f for f in self.predictor.predict(photo) if f.score > self._least_score]

    @staticmethod
    def box_of(face: Face) -> np.ndarray:
        """The box of a face, float64 [5]."""
        return np.append(face.box, face.score)

    def detect_from_image(self, tensor_or_path: Any) -> list[np.ndarray]:
        """The boxes of the faces in an image, which is as `get_landmarks_from_image` takes it."""
        return [self.box_of(face) for face in self.faces(as_photo(tensor_or_path))]

    def detect_from_batch(self, tensor: Any) -> list[list[np.ndarray]]:
        """The boxes of the faces in each of several images [B, 3, H, W], RGB from 0 to 255."""
        return [self.detect_from_image(image.transpose(1, 2, 0)) for image in as_array(tensor)]


def _detector_for(detector: str | Finder, file: str | os.PathLike[str] | None) -> str | Finder:
    """The detector of this project for one of that package's."""
    if not isinstance(detector, str) or detector in DETECTORS:
        return DEFAULT_DETECTOR if detector == YUNET and file is None else detector
    if detector in STOOD_IN and file is None:
        return DEFAULT_DETECTOR
    if detector in STOOD_IN:
        raise InputError(
            f"{file}: is not read, because {detector} is not a detector of this package. Leave it "
            f"out ({DEFAULT_DETECTOR} works in its place)."
        )
    names: Sequence[str] = (*STOOD_IN, *DETECTORS)
    folder = " Boxes in files are given as detected_faces." if detector == "folder" else ""
    raise InputError(
        f"Unknown face detector {detector!r}. Known: {', '.join(names)}; or give a function."
        f"{folder}"
    )
