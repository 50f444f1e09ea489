"""Models + annotated faces -> metrics. Models and faces are handed in, whatever they are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from senet_landmark.error_statistics import summarise
from senet_landmark.errors import InputError
from senet_landmark.files import write_json
from senet_landmark.metrics import NORMALISERS, nme
from senet_landmark.schemes import Scheme

Predict = Callable[[np.ndarray, np.ndarray, str], np.ndarray]
"""(photo, boxes [N, 4], their source) -> [N, K, 2] in photo pixels; NaN where nothing is found."""


@dataclass(frozen=True)
class AnnotatedFace:
    """One face to be measured.

    Attributes:
      photo: RGB uint8 [H, W, 3].
      truth: float32 [K, 2] in photo pixels; NaN where unknown.
      boxes: source of a face box -> the box in photo pixels, float64 [4]; None where the source
        has none, a detector that missed the face for one.
      source: names the face.
      subset: the part of the data set that it is of; empty for none.
      yaw: degrees; None where unknown.
      attributes: name -> class; None where unknown.
    """

    photo: np.ndarray
    truth: np.ndarray
    boxes: Mapping[str, np.ndarray | None]
    source: str = ""
    subset: str = ""
    yaw: float | None = None
    attributes: Mapping[str, str | None] = field(default_factory=dict)


@dataclass
class Measured:
    """What one model made of the faces, with the boxes of one source.

    Attributes:
      name: of the model.
      boxes: source of the face boxes.
      points: the landmarks of the scheme that the model predicts.
      faces: those measured; their `photo` is not kept.
      predicted: [N, K, 2] in photo pixels.
      missed: the faces without a box, or in which the model found nothing.
    """

    name: str
    boxes: str
    points: tuple[int, ...]
    faces: list[AnnotatedFace] = field(default_factory=list)
    predicted: list[np.ndarray] = field(default_factory=list)
    missed: list[AnnotatedFace] = field(default_factory=list)

    def add(self, face: AnnotatedFace, predicted: np.ndarray | None) -> None:
        """Counts one face; `predicted` None: missed."""
        if predicted is None or not np.isfinite(predicted[list(self.points)]).all():
            self.missed.append(face)
            return
        self.faces.append(face)
        self.predicted.append(predicted)

    @property
    def mask(self) -> np.ndarray:
        """Which landmarks count, bool [N, K]: predicted by the model, and known."""
        truth = np.stack([face.truth for face in self.faces])
        mask = np.zeros(truth.shape[:2], bool)
        mask[:, list(self.points)] = True
        return mask & np.isfinite(truth).all(axis=-1)

    def errors(self, scheme: Scheme) -> dict[str, np.ndarray]:
        """`nme_…` of each normaliser -> of each face, as shares; of faces of which there are."""
        predicted, truth = np.stack(self.predicted), np.stack([f.truth for f in self.faces])
        names = [face.source for face in self.faces]
        return {
            f"nme_{kind}": nme(predicted, truth, scheme, kind, self.mask, names)
            for kind in NORMALISERS
        }


def metrics_of(measured: Measured, scheme: Scheme) -> dict[str, Any]:
    """The figures of one model, of `error_statistics.summarise`, and:

    Returns:
      by_attribute: attribute -> class -> as `by_subset`; missed: names of the missed faces.

    Raises:
      InputError: no face, every face missed, schemes that differ, or a degenerate truth.
    """
    faces = measured.faces
    missed = len(measured.missed)
    if not faces:
        what = f"the detector missed all {missed} faces" if missed else "there is no face"
        raise InputError(f"Nothing to measure: {what}.")
    predicted, truth = np.stack(measured.predicted), np.stack([face.truth for face in faces])
    names = [face.source for face in faces]

    def parts(labels: list[str | None]) -> dict[str, Any]:
        return summarise(
            predicted, truth, scheme, subsets=labels, points=measured.mask, names=names
        )["by_subset"]

    attributes = list(dict.fromkeys(name for face in faces for name in face.attributes))
    subsets = [face.subset for face in faces]
    return {
        **summarise(
            predicted,
            truth,
            scheme,
            yaw=[face.yaw for face in faces],
            subsets=subsets if any(subsets) else None,
            missed=missed,
            points=measured.mask,
            names=names,
        ),
        "by_attribute": {n: parts([face.attributes.get(n) for face in faces]) for n in attributes},
        "missed": [face.source for face in measured.missed],
    }


def write_metrics(out: Path | str, metrics: dict[str, Any]) -> Path:
    """Writes `OUT/metrics.json`, whole or not at all, and returns its path."""
    path = Path(out) / "metrics.json"
    write_json(path, metrics)
    return path
