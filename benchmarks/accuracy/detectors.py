"""What detectors find with the landmark model behind them: missed faces, false ones, NME and time.

    python benchmarks/accuracy/detectors.py --data data --detectors blazeface dlib

DATA is a folder with `300w/helen/testset`, `ytf`, `aflw2000_3d`, `london`, `afw_full` and `groups`;
what is not there is left out. A photo goes through the same functions as in `predict`: the
detector, the model, and the model's verification of what was detected. An annotated face counts as
found if a box that remains has an IoU of at least 0.35 with the box of its landmarks, one box a
face. Detectors take turns on every photo, so that other load affects all of them alike.

NME is divided by the distance of the outer eye corners. `NME over` compares it, on the faces that
both found, with that on dlib's boxes if dlib is among the detectors; for turned photos, with that
of the same detector on upright ones. `turned` turns the HELEN photos about their middle; there, the
box of the predicted landmarks must fit, because a detector's boxes lie along the photo's axes.

False faces are counted on made textures, and on the photos of `afw_full` with every annotated face
painted over: `on paint`, and `elsewhere`, where some are faces that nobody annotated.
"""

import argparse
import json
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from made_photos import SCHEME, Shot, painted, texture, true_box, turned
from senet_landmark.data_tools.datasets.registry import list_entries, load_photo, load_sample
from senet_landmark.data_tools.datasets.samples import by_photo
from senet_landmark.detectors.registry import DLIB
from senet_landmark.detectors.search import assign
from senet_landmark.evaluation.metrics import nme
from senet_landmark.export.inference.face import Face
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.face.boxes import canonical_box
from senet_landmark.face.geometry import Box, iou
from senet_landmark.face.schemes import get_scheme
from senet_landmark.visualisation.tables import markdown_table

FOUND_IOU = 0.35
"""From this overlap with the box of its landmarks on, a face counts as found."""

TURNS = tuple(range(0, 360, 30))
"""Degrees."""

TEXTURES = 100
"""Made photos without a face."""


class FaceSet(NamedTuple):
    """A set of annotated photos: its reader, its folder, and how the subset's name begins."""

    dataset: str
    folder: str
    subset: str = ""


SETS = {
    "helen": FaceSet("300w", "300w/helen/testset"),
    "ytf": FaceSet("ytf", "ytf", "test"),
    "aflw2000_3d": FaceSet("csv", "aflw2000_3d", "exact"),
    "london": FaceSet("csv", "london"),
    "afw_full": FaceSet("csv", "afw_full"),
    "groups": FaceSet("dlib_xml", "groups"),
}

WITH_NME = ("helen", "ytf")

PARTS = (*SETS, "turned", "false")


@dataclass
class Figures:
    """What one detector did on a set of photos.

    Attributes:
      errors: NME of every annotated face; NaN where it was missed.
      missed: names of the photos of missed faces.
      surplus: photo -> boxes that belong to no annotated face.
      detection: ms of the detector for each photo.
      whole: ms of detector, model and verification for each photo.
    """

    errors: list[float] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    surplus: dict[str, list[Box]] = field(default_factory=dict)
    detection: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)


def shots(root: Path, face_set: FaceSet, every: int = 1) -> Iterator[Shot]:
    """Every n-th photo of a set with its faces. Raises InputError as the set's reader does."""
    entries = [
        entry
        for entry in list_entries(face_set.dataset, root / face_set.folder)
        if entry.subset.startswith(face_set.subset)
    ]
    for photo in by_photo(entries)[::every]:
        truths = [load_sample(face_set.dataset, entry).landmarks for entry in photo]
        yield Shot(photo[0].source, load_photo(face_set.dataset, photo[0]), truths)


def measure(
    predictors: dict[str, Predictor], photos: Iterable[Shot], by_landmarks: bool = False
) -> dict[str, Figures]:
    """Detector -> its figures. `by_landmarks`: the box of the predicted landmarks must fit."""
    figures = {name: Figures() for name in predictors}
    names = list(predictors)
    for number, shot in enumerate(photos):
        truths = [true_box(truth) for truth in shot.truths]
        for name in names[number % len(names) :] + names[: number % len(names)]:
            faces, detection, whole = timed(predictors[name], shot.photo)
            result = figures[name]
            result.detection.append(detection)
            result.whole.append(whole)
            boxes = [box_of(face) if by_landmarks else face.box for face in faces]
            matches = {
                truth: box
                for truth, box in assign(boxes, truths).items()
                if iou(boxes[box], truths[truth]) >= FOUND_IOU
            }
            for index, truth in enumerate(shot.truths):
                if index not in matches:
                    result.missed.append(shot.name)
                    result.errors.append(float("nan"))
                    continue
                result.errors.append(error_of(faces[matches[index]].landmarks, truth))
            others = set(range(len(boxes))) - set(matches.values())
            if others:
                result.surplus[shot.name] = [boxes[index] for index in sorted(others)]
    return figures


def timed(predictor: Predictor, photo: np.ndarray) -> tuple[list[Face], float, float]:
    """The faces of a photo, as `predict` finds them; ms of the detector, and of the whole."""
    began = time.perf_counter()
    detected = predictor.detect(photo)
    between = time.perf_counter()
    faces = predictor.verified(
        predictor.faces(
            photo, detected.boxes, predictor.detector_source, detected.scores, detected.roll
        )
    )
    return faces, 1e3 * (between - began), 1e3 * (time.perf_counter() - began)


def box_of(face: Face) -> Box:
    """The box of the predicted landmarks."""
    return canonical_box(face.landmarks, SCHEME)


def error_of(predicted: np.ndarray, truth: np.ndarray) -> float:
    """The NME of one face, as a share; NaN where its outer eye corners are not both known."""
    scheme = get_scheme(SCHEME)
    if not np.isfinite(truth[list(scheme.outer_eye_corners)]).all():
        return float("nan")
    known = np.flatnonzero(np.isfinite(truth).all(axis=1)).tolist()
    return float(nme(predicted[None], truth[None], scheme, "inter_ocular", known)[0])


def _rows(
    name: str, figures: dict[str, Figures], with_nme: bool, others: dict[str, Figures]
) -> list[dict[str, Any]]:
    """For each detector the figures of one set, for the table and the JSON file.

    `others`: detector -> the figures on the same faces whose NME is compared with.
    """
    rows = []
    for detector, result in figures.items():
        errors = np.array(result.errors)
        row = {
            "set": name,
            "detector": detector,
            "photos": len(result.whole),
            "faces": len(errors),
            "missed": len(result.missed),
            "recall": 1 - len(result.missed) / max(len(errors), 1),
            "detection_ms": statistics.median(result.detection),
            "whole_ms": statistics.median(result.whole),
            "missed_in": result.missed,
        }
        if with_nme and np.isfinite(errors).any():
            row["nme"] = 100 * float(np.nanmean(errors))
            other = others.get(detector)
            if other is not None:
                both = np.isfinite(errors) & np.isfinite(other.errors)
                if both.any():
                    ratio = errors[both].mean() / np.array(other.errors)[both].mean()
                    row["nme_over"] = float(ratio)
        rows.append(row)
    return rows


def false_faces(
    predictors: dict[str, Predictor], data: Path, every: int
) -> Iterator[dict[str, Any]]:
    """For each detector the false faces on textures and on photos with painted faces."""
    textures = [texture(number) for number in range(0, TEXTURES, every)]
    for detector, result in measure(predictors, tqdm(textures, "textures")).items():
        yield _false_row("textures", detector, len(textures), result.surplus)
    if not (data / SETS["afw_full"].folder).is_dir():
        return
    pairs = [painted(shot) for shot in shots(data, SETS["afw_full"], every)]
    paint = {shot.name: boxes for shot, boxes in pairs}
    photos = [shot for shot, _ in pairs]
    for detector, result in measure(predictors, tqdm(photos, "painted")).items():
        parts: dict[bool, dict[str, list[Box]]] = {True: {}, False: {}}
        for name, boxes in result.surplus.items():
            for box in boxes:
                centre = (box[:2] + box[2:]) / 2
                inside = any(
                    (other[:2] <= centre).all() and (centre <= other[2:]).all()
                    for other in paint[name]
                )
                parts[inside].setdefault(name, []).append(box)
        for inside, title in ((True, "on paint"), (False, "elsewhere")):
            yield _false_row(f"afw_full, {title}", detector, len(photos), parts[inside])


def _false_row(
    name: str, detector: str, photos: int, surplus: dict[str, list[Box]]
) -> dict[str, Any]:
    boxes = {photo: np.round(boxes, 1).tolist() for photo, boxes in surplus.items()}
    count = sum(len(value) for value in boxes.values())
    return {"set": name, "detector": detector, "photos": photos, "false": count, "boxes": boxes}


def tables(rows: Sequence[dict[str, Any]]) -> str:
    """The figures as two Markdown tables: annotated faces, and photos without faces."""

    def cell(row: dict[str, Any], key: str, form: str) -> str:
        return format(row[key], form) if key in row else "–"

    titles = ["photos of", "detector", "missed", "recall", "NME, %", "NME over"]
    titles += ["detection, ms", "whole, ms"]
    known = [
        [
            row["set"], row["detector"], f"{row['missed']} of {row['faces']}",
            cell(row, "recall", ".3f"), cell(row, "nme", ".2f"), cell(row, "nme_over", ".3f"),
            cell(row, "detection_ms", ".1f"), cell(row, "whole_ms", ".1f"),
        ]
        for row in rows if "missed" in row
    ]  # fmt: skip
    false = [
        [row["set"], row["detector"], str(row["false"]), str(row["photos"])]
        for row in rows
        if "false" in row
    ]
    parts = [markdown_table(titles, known, texts=2)] if known else []
    if false:
        parts.append(markdown_table(["photos", "detector", "false faces", "photos"], false, 2))
    return "\n".join(parts)


def _write(out: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Writes what was measured so far, so that a long run that is ended loses nothing."""
    out.write_text(json.dumps(rows, indent=1) + "\n")


def main() -> None:
    """Measures, prints the tables and writes all figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--detectors", nargs="+", default=["blazeface", DLIB])
    parser.add_argument("--detector-models", nargs="*", default=[], metavar="DETECTOR=FILE")
    parser.add_argument("--model", default="senet-68", help="a model of 68 points")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--every", type=int, default=1, help="use only every n-th photo")
    parser.add_argument("--out", type=Path, default=Path("detectors.json"))
    options = parser.parse_args()
    files = {
        name: Path(file)
        for name, _, file in (text.partition("=") for text in options.detector_models)
    }
    predictors = {
        name: Predictor(options.model, detector=name, detector_model=files.get(name))
        for name in options.detectors
    }
    rows: list[dict[str, Any]] = []
    for name, face_set in SETS.items():
        if name in options.only and (options.data / face_set.folder).is_dir():
            photos = tqdm(shots(options.data, face_set, options.every), name, unit="photo")
            figures = measure(predictors, photos)
            by_dlib = dict.fromkeys(figures, figures[DLIB]) if DLIB in figures else {}
            rows += _rows(name, figures, name in WITH_NME, by_dlib)
            _write(options.out, rows)
    if "turned" in options.only and (options.data / SETS["helen"].folder).is_dir():
        upright: dict[str, Figures] = {}
        for angle in TURNS:
            helen = shots(options.data, SETS["helen"], options.every)
            photos = (turned(shot, angle) for shot in tqdm(helen, f"turned {angle}"))
            figures = measure(predictors, photos, by_landmarks=True)
            upright = upright or figures
            rows += _rows(f"turned by {angle}", figures, True, upright)
            _write(options.out, rows)
    if "false" in options.only:
        rows += false_faces(predictors, options.data, options.every)
    _write(options.out, rows)
    print(tables(rows))
    print(f"Look at {options.out}")


if __name__ == "__main__":
    main()
