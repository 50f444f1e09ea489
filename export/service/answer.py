"""The answers of the service: its models, and the faces that they find in a photo."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import HTTPException

from senet_landmark.detectors.interface import SearchOptions
from senet_landmark.detectors.registry import DEFAULT_DETECTOR, FaceDetector, make_detector
from senet_landmark.errors import InputError
from senet_landmark.export.engines.interface import EngineName
from senet_landmark.export.inference.face import Face
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.export.inference.writers import photo_json
from senet_landmark.export.service.input import Limits, check_boxes, decode_upload
from senet_landmark.export.video.tracking import LEAST_CONFIDENCE, is_within
from senet_landmark.face.boxes import LANDMARKS
from senet_landmark.frozen.models import shipped_models


@dataclass(frozen=True)
class Models:
    """The loaded models of the service.

    Attributes:
      predictors: name -> predictor; the first is the default.
      detector: the face detector, shared by all predictors.
    """

    predictors: dict[str, Predictor]
    detector: FaceDetector


def load_models(
    models: Sequence[Path | str] = (),
    engine: EngineName | None = None,
    *,
    detector: str = DEFAULT_DETECTOR,
    detector_model: Path | None = None,
    search: SearchOptions = SearchOptions(),
) -> Models:
    """Loads the models of the service, each once.

    Args:
      models: paths, or names of models that ship; empty: all that ship, the default model first.
      engine: the engine for all of them; None: for each the fastest that is installed.
      detector: name of the face detector, in `senet_landmark.detectors.registry.DETECTORS`.
      detector_model: the detector's file, for `dlib_cnn` and `yunet`.
      search: the smallest face and the most faces.

    Raises:
      InputError: a model cannot be loaded, or two models have the same name.
    """
    if not models:
        models = shipped_models()
    face_detector = make_detector(detector, detector_model, search)
    predictors: dict[str, Predictor] = {}
    for model in models:
        predictor = Predictor(model, engine, detector=face_detector)
        if predictor.name in predictors:
            raise InputError(f"{model}: another model is called {predictor.name}, too. Rename one.")
        predictors[predictor.name] = predictor
    return Models(predictors, face_detector)


def choose_model(models: Models, name: str | None) -> Predictor:
    """The predictor `name`; None: the default. Raises HTTPException 404 for an unknown name."""
    if name is None:
        return next(iter(models.predictors.values()))
    if name not in models.predictors:
        known = ", ".join(models.predictors)
        raise HTTPException(404, f"Unknown model {name[:100]!r}. Known: {known}.")
    return models.predictors[name]


def answer(
    predictor: Predictor,
    detector: FaceDetector,
    photo: bytes,
    boxes: np.ndarray | None,
    limits: Limits,
    roll: np.ndarray | None = None,
    follow: bool = False,
    name: str | None = None,
) -> dict[str, Any]:
    """The answer of `POST /v1/landmarks`: the faces of an encoded photo.

    Args:
      predictor: the model.
      detector: the face detector, the same as the predictor's.
      photo: the file's bytes.
      boxes: [N, 4] in photo pixels; None: the detector finds the faces.
      limits: limits of a photo's size.
      roll: [N], by how many degrees the faces in `boxes` lean clockwise; NaN, and None: unknown.
      follow: answer with `follow`, too: for each face where to look for it in the next frame of a
        video, `box` and `roll` as the parameters `boxes` and `roll` take them; null if it is lost.
      name: the photo's name, which the answer repeats; None: unknown.

    Raises:
      HTTPException, InputError: the photo or a box is not valid (`export/service/input.py`).
    """
    start = time.perf_counter()
    pixels = decode_upload(photo, limits)
    decoded = time.perf_counter()
    box_source: str | None = LANDMARKS
    scores = None
    if boxes is None:
        box_source = detector.box_source
        detections = predictor.detect(pixels)
        boxes, scores, roll = detections
    else:
        check_boxes(boxes, pixels)
    detected = time.perf_counter()
    faces = predictor.faces(pixels, boxes, box_source, scores, roll)
    if scores is not None:
        faces = predictor.verified(faces)
    end = time.perf_counter()
    spans = {
        "decode": decoded - start,
        "detect": detected - decoded,
        "landmarks": end - detected,
        "total": end - start,
    }
    result: dict[str, Any] = photo_json(
        name,
        faces,
        model=predictor.name,
        scheme=predictor.scheme.name,
        size=(pixels.shape[1], pixels.shape[0]),
    )
    result["engine"] = predictor.engine
    result["milliseconds"] = {part: round(1000 * span, 3) for part, span in spans.items()}
    if follow:
        result["follow"] = [_follow(predictor, face, pixels) for face in faces]
    return result


def _follow(predictor: Predictor, face: Face, photo: np.ndarray) -> dict[str, Any] | None:
    """Where to look for a face in the next frame of a video; None if it is lost."""
    box = predictor.canonical_box(face.landmarks)
    if box is None or face.confidence < LEAST_CONFIDENCE or not is_within(box, photo):
        return None
    roll = predictor.roll(face.landmarks)
    return {
        "box": [round(float(edge), 2) for edge in box],
        "roll": round(roll, 1) if math.isfinite(roll) else None,
    }
