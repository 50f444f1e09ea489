"""The page of an evaluation: tables, curves and faces in one self-contained HTML file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from senet_landmark.detectors.registry import BLAZEFACE, DLIB, DLIB_CNN, YUNET
from senet_landmark.errors import InputError
from senet_landmark.evaluation.measuring import AnnotatedFace, Measured
from senet_landmark.evaluation.metrics import Kind
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
    from senet_landmark.export.evaluation.face_sources import FaceSource

WORST, MEDIAN, BEST = 12, 6, 6
"""How many faces of each part of the ranking the page shows, by model and source of boxes."""

MISSED = 24
"""How many missed faces the page shows for each source of boxes."""

SKIPPED = 20
"""How many skipped faces the page lists with their reason."""

BOXES: dict[str, str] = {
    LANDMARKS: "the tight box of the true landmarks",
    ANNOTATION: "the data set's own box",
    DLIB: "the detection of dlib's HOG detector that fits the true landmarks",
    DLIB_CNN: "the detection of dlib's CNN detector that fits the true landmarks",
    BLAZEFACE: "the detection of BlazeFace that fits the true landmarks",
    YUNET: "the detection of YuNet that fits the true landmarks",
}
"""Source of face boxes -> what the page says about it."""


@dataclass
class Card:
    """A face that the page shows.

    Attributes:
      face: the annotated face.
      box: [4], its box in photo pixels; None where it has none.
      predicted: [K, 2], predicted landmarks in photo pixels; None for a missed face.
      value: the text of its error.
      why: why it was missed.
      picture: the picture as a data URI; empty until it is drawn.
      problem: why there is no picture.
    """

    face: AnnotatedFace
    box: np.ndarray | None
    predicted: np.ndarray | None = None
    value: str = ""
    why: str = ""
    picture: str = ""
    problem: str = ""

    @property
    def about(self) -> str:
        """Yaw and subset, as far as they are known."""
        has_yaw = self.face.yaw is not None and np.isfinite(self.face.yaw)
        yaw = f"yaw {self.face.yaw:.0f}°" if has_yaw else ""
        return ", ".join(text for text in (yaw, self.face.subset) if text)


def write_page(
    path: Path | str, results: list[Measured], metrics: dict[str, Any], face_source: FaceSource
) -> None:
    """Writes the page, whole or not at all.

    Args:
      path: path of the HTML file.
      results: the outputs of each model on the faces with each source of boxes.
      metrics: as `evaluate_models` returns them; `models` is in the order of `results`.
      face_source: reads the photos again.
    """
    write_bytes(path, render(results, metrics, face_source).encode())


def render(results: list[Measured], metrics: dict[str, Any], face_source: FaceSource) -> str:
    """The page's HTML. Args as `write_page`."""
    figures = metrics["models"]
    labels = tables.labels_of(results)
    boxes = list(dict.fromkeys(result.boxes for result in results))
    kind = figures[0]["normaliser"]
    errors = [result.errors(face_source.scheme)[f"nme_{kind}"] for result in results]
    rankings = [_ranking(result, nme) for result, nme in zip(results, errors, strict=True)]
    missed = [_missed(box, results, labels) for box in boxes]
    _draw(
        [card for parts in rankings for part in parts for card in part["cards"]]
        + [card for part in missed for card in part["cards"]],
        face_source,
    )
    return render_page(
        Path(__file__).parent / "templates" / "evaluation.html",
        metrics=metrics,
        scheme=face_source.scheme,
        faces=max(len(result.faces) + len(result.missed) for result in results),
        limits=LIMITS,
        normaliser=tables.TITLES[kind],
        partial=[
            (label, entry["boxes"], text)
            for label, entry in zip(labels, figures, strict=True)
            if (text := tables.about_partial(entry))
        ],
        skipped_most=SKIPPED,
        boxes=[(box, BOXES.get(box, "")) for box in boxes],
        rows=tables.summary(results, figures, labels, face_source.scheme),
        absent=tables.absent(results, labels, face_source.scheme),
        curves=[
            (box, data_uri(chart, "svg+xml"))
            for box in boxes
            if (chart := _curves(box, results, errors, labels, kind))
        ],
        faces_of_landmarks=_landmarks(results, figures, labels, boxes, face_source.scheme),
        groups=tables.by_group(figures, labels),
        differences=tables.beside_first(figures, labels),
        difference_titles=tables.DIFFERENCE_TITLES,
        parts=tables.by_part(figures, labels),
        auxiliary=tables.auxiliary(figures, labels),
        rankings=[
            {"label": label, "boxes": result.boxes, "parts": parts}
            for label, result, parts in zip(labels, results, rankings, strict=True)
        ],
        missed=[part for part in missed if part["count"]],
    )


# --- charts ------------------------------------------------------------------------------------


def _curves(
    box: str,
    results: Sequence[Measured],
    errors: Sequence[np.ndarray],
    labels: Sequence[str],
    kind: Kind,
) -> bytes:
    errors_by_label = {
        label: np.r_[nme[~np.isnan(nme)], np.full(len(result.missed), np.inf)]
        for result, nme, label in zip(results, errors, labels, strict=True)
        if result.boxes == box
    }
    measured = {label: values for label, values in errors_by_label.items() if len(values)}
    return charts.ced_curves(measured, max(LIMITS), tables.TITLES[kind]) if measured else b""


def _landmarks(
    results: Sequence[Measured],
    figures: Sequence[dict[str, Any]],
    labels: Sequence[str],
    boxes: Sequence[str],
    scheme: Scheme,
) -> list[tuple[str, str]]:
    """(source of boxes, chart of each model's errors by landmark); all charts have one scale."""
    # For every model the found and the missed faces together are all faces.
    all_faces = (*results[0].faces, *results[0].missed)
    mean = charts.mean_face(np.stack([face.truth for face in all_faces]), scheme)
    top = max(
        max((e for entry in figures for e in entry["by_landmark"] if e is not None), default=0.0),
        0.01,
    )
    landmark_charts = []
    for box in boxes:
        panels = [
            (label, entry["by_landmark"])
            for entry, label in zip(figures, labels, strict=True)
            if entry["boxes"] == box
        ]
        title = tables.TITLES[figures[0]["normaliser"]]
        chart = charts.landmark_errors(mean, panels, top, title)
        landmark_charts.append((box, data_uri(chart, "svg+xml")))
    return landmark_charts


# --- faces -------------------------------------------------------------------------------------


def _ranking(result: Measured, errors: np.ndarray) -> list[dict[str, Any]]:
    """The worst, median and best faces; all faces if there are no more than these."""
    known = np.flatnonzero(~np.isnan(errors)).tolist()
    order = sorted(known, key=lambda i: (-errors[i], result.faces[i].source))
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
    """The faces that at least one model missed with one source of boxes."""
    of_box = [(r, label) for r, label in zip(results, labels, strict=True) if r.boxes == box]
    faces = {face.source: face for result, _ in of_box for face in result.missed}
    missed_with_box = [
        (label, names)
        for result, label in of_box
        if (names := {face.source for face in result.missed if face.boxes.get(box) is not None})
    ]
    chosen = list(faces.values())
    if len(chosen) > MISSED:
        indices = np.linspace(0, len(chosen) - 1, MISSED).round().astype(int)
        chosen = [chosen[index] for index in indices]
    cards = []
    for face in chosen:
        face_box = face.boxes.get(box)
        models = ", ".join(label for label, names in missed_with_box if face.source in names)
        cards.append(
            Card(
                face,
                face_box,
                why="no box" if face_box is None else f"box, but {models} found nothing",
            )
        )
    bands = Counter(yaw_band(face.yaw) for face in faces.values())
    return {
        "boxes": box,
        "count": len(faces),
        "bands": [f"{band}: {bands[band]}" for band in sorted(bands)],
        "cards": cards,
    }


def _draw(cards: Iterable[Card], face_source: FaceSource) -> None:
    """Draws the pictures of the cards. Each photo is read once; one is in memory at a time."""
    by_photo: dict[str, list[Card]] = {}
    for card in cards:
        by_photo.setdefault(card.face.source, []).append(card)
    for name, cards_of_photo in by_photo.items():
        try:
            photo = face_source.photo(name)
        except InputError as error:
            for card in cards_of_photo:
                card.problem = f"The photo cannot be read any more: {error}"
            continue
        for card in cards_of_photo:
            card.picture = jpeg_uri(
                charts.face_picture(photo, card.face.truth, card.predicted, card.box)
            )
