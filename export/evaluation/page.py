"""The page of an evaluation: tables, curves and faces as one HTML file with everything in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from senet_landmark.detectors.registry import DLIB, DLIB_CNN
from senet_landmark.errors import InputError
from senet_landmark.evaluation.measuring import AnnotatedFace, Measured
from senet_landmark.evaluation.statistics import LIMITS
from senet_landmark.export.evaluation import charts as charts
from senet_landmark.export.evaluation import tables as tables
from senet_landmark.face.boxes import ANNOTATION, LANDMARKS
from senet_landmark.face.pose import yaw_band
from senet_landmark.face.schemes import Scheme
from senet_landmark.io.files import write_bytes
from senet_landmark.visualisation.pages import data_uri, jpeg_uri
from senet_landmark.visualisation.pages import render as render_page

if TYPE_CHECKING:
    from senet_landmark.export.evaluation.face_sources import Source

WORST, MEDIAN, BEST = 12, 6, 6
"""Faces of a model and source of boxes that are shown, from each part of the ranking."""

MISSED = 24
"""Missed faces of a source of boxes that are shown."""

SKIPPED = 20
"""Reasons for skipped faces that the page gives."""

BOXES: dict[str, str] = {
    LANDMARKS: "the tight box of the true landmarks",
    ANNOTATION: "the data set's own box",
    DLIB: "dlib's HOG detection that fits the truth",
    DLIB_CNN: "dlib's CNN detection that fits the truth",
}


@dataclass
class Card:
    """A face to be shown; `problem` says why there is no picture."""

    face: AnnotatedFace
    box: np.ndarray | None
    predicted: np.ndarray | None = None
    value: str = ""
    why: str = ""
    picture: str = ""
    problem: str = ""

    @property
    def about(self) -> str:
        """What is known of the face besides its name."""
        known = self.face.yaw is not None and np.isfinite(self.face.yaw)
        yaw = f"yaw {self.face.yaw:.0f}°" if known else ""
        return ", ".join(text for text in (yaw, self.face.subset) if text)


def write_page(
    path: Path | str, results: list[Measured], metrics: dict[str, Any], source: Source
) -> None:
    """Writes the page, whole or not at all.

    Args:
      path: of the HTML file.
      results: what each model made of the faces with each source of boxes.
      metrics: `models` are the figures of `results`, in their order; see `evaluate_models`.
      source: gives the photos again.
    """
    write_bytes(path, render(results, metrics, source).encode())


def render(results: list[Measured], metrics: dict[str, Any], source: Source) -> str:
    """The page's HTML. Args as `write_page`."""
    figures = metrics["models"]
    labels = tables.labels_of(results)
    boxes = list(dict.fromkeys(result.boxes for result in results))
    errors = [result.errors(source.scheme)["nme_inter_ocular"] for result in results]
    rankings = [_ranking(result, own) for result, own in zip(results, errors, strict=True)]
    missed = [_missed(box, results, labels) for box in boxes]
    _draw(
        [card for parts in rankings for part in parts for card in part["cards"]]
        + [card for part in missed for card in part["cards"]],
        source,
    )
    return render_page(
        Path(__file__).parent / "templates" / "evaluation.html",
        metrics=metrics,
        scheme=source.scheme,
        faces=max(len(result.faces) + len(result.missed) for result in results),
        limits=LIMITS,
        skipped_most=SKIPPED,
        boxes=[(box, BOXES.get(box, "")) for box in boxes],
        rows=tables.summary(results, figures, labels, source.scheme),
        absent=tables.absent(results, labels, source.scheme),
        curves=[(box, data_uri(_curves(box, results, errors, labels), "svg+xml")) for box in boxes],
        faces_of_landmarks=_landmarks(results, figures, labels, boxes, source.scheme),
        groups=tables.by_group(figures, labels),
        parts=tables.by_part(figures, labels),
        further=tables.further(figures, labels),
        rankings=[
            {"label": label, "boxes": result.boxes, "parts": parts}
            for label, result, parts in zip(labels, results, rankings, strict=True)
        ],
        missed=[part for part in missed if part["count"]],
    )


# --- charts ------------------------------------------------------------------------------------


def _curves(
    box: str, results: Sequence[Measured], errors: Sequence[np.ndarray], labels: Sequence[str]
) -> bytes:
    every = {
        label: np.r_[own, np.full(len(result.missed), np.inf)]
        for result, own, label in zip(results, errors, labels, strict=True)
        if result.boxes == box
    }
    return charts.ced_curves(every, max(LIMITS))


def _landmarks(
    results: Sequence[Measured],
    figures: Sequence[dict[str, Any]],
    labels: Sequence[str],
    boxes: Sequence[str],
    scheme: Scheme,
) -> list[tuple[str, str]]:
    """Source of boxes -> a chart of the models' landmarks; all on one scale."""
    # The faces and the missed ones are all faces, whichever the model.
    every = (*results[0].faces, *results[0].missed)
    mean = charts.mean_face(np.stack([face.truth for face in every]), scheme)
    top = max(max(e for own in figures for e in own["by_landmark"] if e is not None), 0.01)
    found = []
    for box in boxes:
        panels = [
            (label, own["by_landmark"])
            for own, label in zip(figures, labels, strict=True)
            if own["boxes"] == box
        ]
        found.append((box, data_uri(charts.landmark_errors(mean, panels, top), "svg+xml")))
    return found


# --- faces -------------------------------------------------------------------------------------


def _ranking(result: Measured, errors: np.ndarray) -> list[dict[str, Any]]:
    """The worst, median and best faces; all where there are not more."""
    order = sorted(range(len(errors)), key=lambda i: (-errors[i], result.faces[i].source))
    parts: list[tuple[str, Iterable[int]]] = [("all, the worst first", order)]
    if len(order) > WORST + MEDIAN + BEST:
        middle = max(WORST, (len(order) - MEDIAN) // 2)
        parts = [
            ("worst", order[:WORST]),
            ("median", order[middle : middle + MEDIAN]),
            ("best", order[-BEST:]),
        ]
    return [
        {
            "title": title,
            "cards": [
                Card(
                    result.faces[i],
                    result.faces[i].boxes.get(result.boxes),
                    result.predicted[i],
                    f"{100 * errors[i]:.2f}%",
                )
                for i in chosen
            ],
        }
        for title, chosen in parts
    ]


def _missed(box: str, results: Sequence[Measured], labels: Sequence[str]) -> dict[str, Any]:
    """The faces that one or more models missed with one source of boxes."""
    own = [(r, label) for r, label in zip(results, labels, strict=True) if r.boxes == box]
    faces = {face.source: face for result, _ in own for face in result.missed}
    blind = [
        (label, names)
        for result, label in own
        if (names := {face.source for face in result.missed if face.boxes.get(box) is not None})
    ]
    chosen = list(faces.values())
    if len(chosen) > MISSED:
        places = np.linspace(0, len(chosen) - 1, MISSED).round().astype(int)
        chosen = [chosen[place] for place in places]
    cards = []
    for face in chosen:
        there = face.boxes.get(box)
        models = ", ".join(label for label, names in blind if face.source in names)
        cards.append(
            Card(face, there, why="no box" if there is None else f"box, but {models} found nothing")
        )
    bands = Counter(yaw_band(face.yaw) for face in faces.values())
    return {
        "boxes": box,
        "count": len(faces),
        "bands": [f"{band}: {bands[band]}" for band in sorted(bands)],
        "cards": cards,
    }


def _draw(cards: Iterable[Card], source: Source) -> None:
    """Fills in the pictures. Each photo is read once, and one is held at a time."""
    by_photo: dict[str, list[Card]] = {}
    for card in cards:
        by_photo.setdefault(card.face.source, []).append(card)
    for name, own in by_photo.items():
        try:
            photo = source.photo(name)
        except InputError as error:
            for card in own:
                card.problem = f"The photo cannot be read any more: {error}"
            continue
        for card in own:
            card.picture = jpeg_uri(
                charts.face_picture(photo, card.face.truth, card.predicted, card.box)
            )
