"""Pseudo-labels: trained models annotate the photos of a data set that has fewer landmarks.

Lee, "Pseudo-Label", ICML workshop 2013. Each model predicts on the photo and on its mirror image.
The mean of all these predictions is better than a single one; where they disagree, the models are
unsure, and the face is left out. A face is also left out if its labels are far from the landmarks
that the data set has.
"""

import csv
import functools
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from senet_landmark.data_tools.datasets.samples import Entry
from senet_landmark.errors import InputError
from senet_landmark.evaluation.measuring import AnnotatedFace, as_truth, scheme_problem
from senet_landmark.evaluation.metrics import nme
from senet_landmark.export.evaluation.face_sources import Photos, face_source_of
from senet_landmark.export.inference.mirrored import mirrored_points
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.face.attributes import get_attribute
from senet_landmark.face.boxes import LANDMARKS, canonical_box
from senet_landmark.face.geometry import CropSpec, apply, crop_box, to_crop, to_pixels, warp
from senet_landmark.face.schemes import Scheme
from senet_landmark.io.files import write_bytes, write_json
from senet_landmark.io.images import write_picture
from senet_landmark.visualisation.drawing import contact_sheet, mark_points

SHOWN = 64
"""Faces on the contact sheet."""


class Label(NamedTuple):
    """A face and what the models say about it.

    Attributes:
      source: name of the face.
      attributes: attribute -> name of its class; None where it is unknown.
      points: float32 [K, 2], the mean of all predictions, in photo pixels.
      error: mean distance from the data set's landmarks, in percent of the size of their box.
      disagreement: mean distance of the predictions from `points`, likewise.
    """

    source: str
    attributes: Mapping[str, str | None]
    points: np.ndarray
    error: float
    disagreement: float


class Job(NamedTuple):
    """What the labelling of every face needs: the models and the data set."""

    models: tuple[Path | str | None, ...]
    faces: Photos


Run = Callable[[Job, list[Entry], list[dict[str, str]]], Iterator[Label]]
"""(models and data set, faces, list for the skipped ones) -> their labels, in order."""


def write_pseudo_labels(
    models: Sequence[Path | str | None],
    faces: Photos,
    out: Path | str,
    *,
    most_error: float = 6.0,
    most_disagreement: float = 1.0,
    run: Run | None = None,
) -> dict[str, Any]:
    """Annotates a data set's training faces; `build-records --dataset csv` reads what it writes.

    Args:
      models: `.pb`, `.onnx` or `.tflite` files, or names of models that ship; all with the same
        landmark scheme.
      faces: the data set. Faces that it publishes for testing, and other faces of the same
        identity, are left out.
      out: folder for `labels.csv`, `report.json` and `contact_sheet.png`.
      most_error: largest mean distance of a label from the data set's landmarks, in percent of the
        size of the face box.
      most_disagreement: largest mean distance of the single predictions from their mean, in percent
        of the size of the face box.
      run: labels the faces elsewhere (`labels_beam.py`), not in this process.

    Returns:
      The report: number of faces `labelled`, `far` from the data set's landmarks, and `doubtful`
      (the models disagree); `median_error` and `median_disagreement` in percent of the box's size;
      `skipped`: faces that could not be read, with the reason.

    Raises:
      InputError: the models have different landmark schemes, or a scheme that cannot be compared
        with the data set's landmarks; or no face can be labelled.
    """
    predictors = [Predictor(model) for model in models]
    skipped: list[dict[str, str]] = []
    all_entries = faces.entries()
    tested = {entry.identity for entry in all_entries if entry.test}
    training = [entry for entry in all_entries if entry.identity not in tested]
    entries = {entry.source: entry for entry in training}
    face_source = face_source_of(faces, [LANDMARKS], None, [])
    scheme = _common_scheme(predictors, face_source.scheme)
    job = Job(tuple(models), faces)
    labelled: list[Label] = []
    distances: list[tuple[float, float]] = []
    counts = {"labelled": 0, "far": 0, "doubtful": 0}
    labels = run(job, training, skipped) if run else _labels(predictors, job, training, skipped)
    for label in tqdm(labels, total=len(entries), unit="face"):
        distances.append((label.error, label.disagreement))
        if not label.error <= most_error:
            counts["far"] += 1
        elif not label.disagreement <= most_disagreement:
            counts["doubtful"] += 1
        else:
            counts["labelled"] += 1
            labelled.append(label)
    if not labelled:
        raise InputError(
            f"{faces.root}: no face could be labelled ({counts}, {len(skipped)} skipped)."
        )
    step = max(len(entries) // SHOWN, 1)
    pictures = [
        _picture(face_source.photo(label.source), label.points, scheme)
        for label in labelled[step - 1 :: step][:SHOWN]
    ]
    text = io.StringIO()
    rows = _rows(labelled, entries, scheme, Path(out))
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_bytes(Path(out) / "labels.csv", text.getvalue().encode())
    write_picture(Path(out) / "contact_sheet.png", contact_sheet(pictures))
    median_error, median_disagreement = np.nanmedian(distances, axis=0).tolist()
    report = {
        "models": [predictor.name for predictor in predictors],
        "dataset": faces.dataset,
        **counts,
        "median_error": median_error,
        "median_disagreement": median_disagreement,
        "most_error": most_error,
        "most_disagreement": most_disagreement,
        "skipped": skipped,
    }
    write_json(Path(out) / "report.json", report)
    return report


def _common_scheme(predictors: Sequence[Predictor], true_scheme: Scheme) -> Scheme:
    """The scheme of all models. Raises InputError if there is none, or labels cannot be checked."""
    first = predictors[0]
    for predictor in predictors:
        if predictor.scheme.name != first.scheme.name:
            raise InputError(
                f"{predictor.name} predicts {predictor.scheme.name}, {first.name} "
                f"{first.scheme.name}: give models of one landmark scheme."
            )
    if problem := scheme_problem(first.name, first.scheme.name, true_scheme.name):
        raise InputError(f"{problem} Its labels could not be checked.")
    return first.scheme


@dataclass(frozen=True)
class _Some(Photos):
    """Some faces of a data set."""

    chosen: tuple[Entry, ...] = ()

    def entries(self) -> list[Entry]:
        return list(self.chosen)


def label_faces(
    job: Job, entries: Sequence[Entry], skipped: list[dict[str, str]]
) -> Iterator[Label]:
    """The labels of some faces, photo by photo, by models that stay loaded in this process."""
    return _labels(_predictors(job.models), job, entries, skipped)


@functools.lru_cache(maxsize=1)
def _predictors(models: tuple[Path | str | None, ...]) -> list[Predictor]:
    return [Predictor(model, threads=1) for model in models]


def _labels(
    predictors: Sequence[Predictor],
    job: Job,
    entries: Sequence[Entry],
    skipped: list[dict[str, str]],
) -> Iterator[Label]:
    """The labels of some faces; those that cannot be read are added to `skipped`."""
    if not entries:
        return
    faces = _Some(job.faces.dataset, job.faces.root, job.faces.points, chosen=tuple(entries))
    source = face_source_of(faces, [LANDMARKS], None, skipped)
    for photo in source.photos():
        for face in photo:
            label, error, disagreement = _label(predictors, face, source.scheme)
            yield Label(face.source, dict(face.attributes), label, error, disagreement)


def _label(
    predictors: Sequence[Predictor], face: AnnotatedFace, true_scheme: Scheme
) -> tuple[np.ndarray, float, float]:
    """The label [K, 2], the mean of all predictions; its error and their spread in percent."""
    scheme = predictors[0].scheme
    predictions = np.stack([points for one in predictors for points in both_predictions(one, face)])
    label = predictions.mean(axis=0)
    converted = as_truth(label[None], scheme, true_scheme)
    truth = face.truth[None]
    known = np.isfinite(truth).all(axis=-1)
    error = nme(converted, truth, true_scheme, "bbox_size", known, strict=False)
    spread = nme(predictions, np.repeat(label[None], len(predictions), 0), scheme, "bbox_size")
    return label, 100 * float(error[0]), 100 * float(spread.mean())


def both_predictions(predictor: Predictor, face: AnnotatedFace) -> list[np.ndarray]:
    """A model's landmarks [K, 2] on the photo and on its mirror image, in the landmarks' box."""
    box = face.boxes[LANDMARKS]
    assert box is not None
    plain = predictor.landmarks(face.photo, box[None], LANDMARKS)[0]
    mirrored = mirrored_points(predictor, face.photo, box[None], LANDMARKS)
    return [plain, mirrored.landmarks[0]]


def _rows(
    labelled: Sequence[Label],
    entries: dict[str, Entry],
    scheme: Scheme,
    out: Path,
) -> Iterator[list[object]]:
    """The lines of `labels.csv`, with the attributes that the data set has."""
    names = list(dict.fromkeys(name for label in labelled for name in label.attributes))
    points = [f"{axis}{i}" for i in range(scheme.points) for axis in "xy"]
    yield ["photo", "identity", "subset", *names, *points]
    for label in labelled:
        entry = entries[label.source]
        classes = [
            get_attribute(name).classes.index(class_name)
            if (class_name := label.attributes.get(name))
            else ""
            for name in names
        ]
        photo = os.path.relpath(entry.photo, out)
        numbers = np.round(label.points.astype(float), 2).ravel().tolist()
        yield [photo, entry.identity, entry.subset, *classes, *numbers]


def _picture(photo: np.ndarray, label: np.ndarray, scheme: Scheme) -> np.ndarray:
    box = canonical_box(label, scheme.name)
    transform = to_crop(crop_box(box, CropSpec(), (photo.shape[1], photo.shape[0])))
    size = (160, 160)
    return mark_points(
        warp(photo, transform, size), apply(to_pixels(size), apply(transform, label))
    )
