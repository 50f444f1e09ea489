"""Pseudo-labels: trained models annotate the photos of a data set that has fewer landmarks.

Lee, "Pseudo-Label", ICML workshop 2013. Each model predicts on the photo and on its mirror image.
The mean of all these predictions is better than a single one; where they disagree, the models are
unsure, and the face is left out. A face is also left out if its labels are far from the landmarks
that the data set has.
"""

import csv
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from senet_landmark.data.augment import mirror_landmarks
from senet_landmark.data_tools.datasets.samples import Entry
from senet_landmark.errors import InputError
from senet_landmark.evaluation.measuring import AnnotatedFace, as_truth, scheme_problem
from senet_landmark.evaluation.metrics import nme
from senet_landmark.export.evaluation.face_sources import Photos, face_source_of
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.face.attributes import get_attribute
from senet_landmark.face.boxes import LANDMARKS, canonical_box
from senet_landmark.face.geometry import CropSpec, apply, crop_box, to_crop, to_pixels, warp
from senet_landmark.face.schemes import Scheme
from senet_landmark.io.files import write_bytes, write_json
from senet_landmark.io.images import write_picture
from senet_landmark.visualisation.drawing import contact_sheet, draw_points

SHOWN = 64
"""Faces on the contact sheet."""


def write_pseudo_labels(
    models: Sequence[Path | str | None],
    faces: Photos,
    out: Path | str,
    *,
    most_error: float = 6.0,
    most_disagreement: float = 1.0,
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
    entries = {entry.source: entry for entry in all_entries if entry.identity not in tested}
    face_source = face_source_of(faces, [LANDMARKS], None, skipped)
    scheme = _common_scheme(predictors, face_source.scheme)
    labelled: list[tuple[AnnotatedFace, np.ndarray]] = []
    pictures: list[np.ndarray] = []
    distances: list[tuple[float, float]] = []
    counts = {"labelled": 0, "far": 0, "doubtful": 0}
    faces_to_label = _listed_faces(face_source.photos(), entries)
    for face in tqdm(faces_to_label, total=len(entries), unit="face"):
        label, error, disagreement = _label(predictors, face, face_source.scheme)
        distances.append((error, disagreement))
        if not error <= most_error:
            counts["far"] += 1
        elif not disagreement <= most_disagreement:
            counts["doubtful"] += 1
        else:
            counts["labelled"] += 1
            labelled.append((replace(face, photo=np.empty(0)), label))
            if len(pictures) < SHOWN and len(labelled) % max(len(entries) // SHOWN, 1) == 0:
                pictures.append(_picture(face.photo, label, scheme))
    if not labelled:
        raise InputError(
            f"{faces.root}: no face could be labelled ({counts}, {len(skipped)} skipped)."
        )
    text = io.StringIO()
    rows = _rows(labelled, entries, scheme, Path(out))
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_bytes(Path(out) / "labels.csv", text.getvalue().encode())
    write_picture(Path(out) / "contact_sheet.png", contact_sheet(pictures))
    median_error, median_disagreement = np.median(distances, axis=0).tolist()
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


def _label(
    predictors: Sequence[Predictor], face: AnnotatedFace, true_scheme: Scheme
) -> tuple[np.ndarray, float, float]:
    """The label [K, 2], the mean of all predictions; its error and their spread in percent."""
    scheme = predictors[0].scheme
    predictions = np.stack([points for one in predictors for points in both_predictions(one, face)])
    label = predictions.mean(axis=0)
    converted = as_truth(label[None], scheme, true_scheme)
    error = nme(converted, face.truth[None], true_scheme, "bbox_size")
    spread = nme(predictions, np.repeat(label[None], len(predictions), 0), scheme, "bbox_size")
    return label, 100 * float(error[0]), 100 * float(spread.mean())


def _listed_faces(
    photos: Iterator[list[AnnotatedFace]], entries: dict[str, Entry]
) -> Iterator[AnnotatedFace]:
    """The faces that are in `entries`."""
    return (face for faces in photos for face in faces if face.source in entries)


def both_predictions(predictor: Predictor, face: AnnotatedFace) -> list[np.ndarray]:
    """A model's landmarks [K, 2] on the photo and on its mirror image, in the landmarks' box."""
    box = face.boxes[LANDMARKS]
    assert box is not None
    width = face.photo.shape[1]
    plain = predictor.landmarks(face.photo, box[None], LANDMARKS)[0]
    mirrored_box = np.array([width - 1 - box[2], box[1], width - 1 - box[0], box[3]])
    mirrored = predictor.landmarks(cv2.flip(face.photo, 1), mirrored_box[None], LANDMARKS)
    size = np.array([width, face.photo.shape[0]], np.float32)
    back = mirror_landmarks((mirrored + 0.5) / size, predictor.scheme) * size - 0.5
    return [plain, back[0].astype(np.float32)]


def _rows(
    labelled: Sequence[tuple[AnnotatedFace, np.ndarray]],
    entries: dict[str, Entry],
    scheme: Scheme,
    out: Path,
) -> Iterator[list[object]]:
    """The lines of `labels.csv`, with the attributes that the data set has."""
    names = list(dict.fromkeys(name for face, _ in labelled for name in face.attributes))
    points = [f"{axis}{i}" for i in range(scheme.points) for axis in "xy"]
    yield ["photo", "identity", "subset", *names, *points]
    for face, label in labelled:
        entry = entries[face.source]
        classes = [
            get_attribute(name).classes.index(class_name)
            if (class_name := face.attributes.get(name))
            else ""
            for name in names
        ]
        photo = os.path.relpath(entry.photo, out)
        numbers = np.round(label.astype(float), 2).ravel().tolist()
        yield [photo, entry.identity, entry.subset, *classes, *numbers]


def _picture(photo: np.ndarray, label: np.ndarray, scheme: Scheme) -> np.ndarray:
    box = canonical_box(label, scheme.name)
    transform = to_crop(crop_box(box, CropSpec(), (photo.shape[1], photo.shape[0])))
    size = (160, 160)
    return draw_points(
        warp(photo, transform, size), apply(to_pixels(size), apply(transform, label))
    )
