"""The page of an evaluation: tables, curves and faces as one HTML file with everything in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_tools import face_boxes
from export import evaluation_charts as charts
from senet_landmark.error_statistics import LIMITS
from senet_landmark.errors import InputError
from senet_landmark.evaluate import AnnotatedFace, Measured
from senet_landmark.files import write_bytes
from senet_landmark.metrics import NORMALISERS
from senet_landmark.pages import data_uri, jpeg_uri
from senet_landmark.pages import render as render_page
from senet_landmark.pose import yaw_band
from senet_landmark.schemes import Scheme

if TYPE_CHECKING:
    from export.face_sources import Source

WORST, MEDIAN, BEST = 12, 6, 6
"""Faces of a model and source of boxes that are shown, from each part of the ranking."""

MISSED = 24
"""Missed faces of a source of boxes that are shown."""

SKIPPED = 20
"""Reasons for skipped faces that the page gives."""

BOXES: dict[str, str] = {
    face_boxes.LANDMARKS: "the tight box of the true landmarks",
    face_boxes.ANNOTATION: "the data set's own box",
    face_boxes.DLIB: "dlib's HOG detection that fits the truth",
    face_boxes.DLIB_CNN: "dlib's CNN detection that fits the truth",
}

LOW = (*(f"nme_{kind}" for kind in NORMALISERS), *(f"failure_rate_{x:.2f}" for x in LIMITS))
HIGH = tuple(f"auc_{x:.2f}" for x in LIMITS)


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
    labels = _labels(results)
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
        rows=_rows(results, figures, labels, source.scheme),
        absent=_absent(results, labels, source.scheme),
        curves=[(box, data_uri(_curves(box, results, errors, labels), "svg+xml")) for box in boxes],
        faces_of_landmarks=_landmarks(results, figures, labels, boxes, source.scheme),
        groups=_by_group(figures, labels),
        parts=_parts(figures, labels),
        rankings=[
            {"label": label, "boxes": result.boxes, "parts": parts}
            for label, result, parts in zip(labels, results, rankings, strict=True)
        ],
        missed=[part for part in missed if part["count"]],
    )


def _labels(results: Sequence[Measured]) -> list[str]:
    """The models' names; files of one name in different folders are numbered."""
    seen: Counter[tuple[str, str]] = Counter()
    labels = []
    for result in results:
        seen[result.name, result.boxes] += 1
        number = seen[result.name, result.boxes]
        labels.append(f"{result.name} ({number})" if number > 1 else result.name)
    return labels


# --- tables ------------------------------------------------------------------------------------


def _rows(
    results: Sequence[Measured],
    figures: Sequence[dict[str, Any]],
    labels: list[str],
    scheme: Scheme,
) -> list[dict[str, Any]]:
    """The rows of the summary. The best are those of the same boxes and the same landmarks."""
    rows = []
    for result, own, label in zip(results, figures, labels, strict=True):
        rivals = [
            other
            for rival, other in zip(results, figures, strict=True)
            if (rival.boxes, rival.points) == (result.boxes, result.points)
        ]
        cells = []
        for key in (*LOW[: len(NORMALISERS)], *HIGH, *LOW[len(NORMALISERS) :]):
            choose = max if key in HIGH else min
            # As printed: what looks equal is equal.
            best = choose(round(rival[key], 2) for rival in rivals)
            cells.append(
                {
                    "value": f"{own[key]:.2f}",
                    "interval": _interval(own["interval_95"][key]),
                    "best": len(rivals) > 1 and round(own[key], 2) == best,
                }
            )
        rows.append(
            {
                "label": label,
                "boxes": result.boxes,
                "points": f"{len(result.points)} of {scheme.points} landmarks",
                "n": own["n"],
                "missed": own["missed_faces"],
                "cells": cells,
            }
        )
    return rows


def _interval(ends: Sequence[float] | None) -> str:
    return "" if ends is None else f"{ends[0]:.2f}–{ends[1]:.2f}"


def _absent(
    results: Sequence[Measured], labels: Sequence[str], scheme: Scheme
) -> list[tuple[str, str]]:
    """Model -> the landmarks that it does not predict, of the models that lack some."""
    absent = {}
    for result, label in zip(results, labels, strict=True):
        lacking = sorted(set(range(scheme.points)) - set(result.points))
        if lacking:
            whole = [g for g, p in scheme.groups.items() if set(p) <= set(lacking)]
            named = f" ({', '.join(whole)})" if whole else ""
            absent[label] = f"{_ranges(lacking)}{named}"
    return list(absent.items())


def _ranges(numbers: Sequence[int]) -> str:
    """`0–16, 20` of ascending numbers."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def _by_group(figures: Sequence[dict[str, Any]], labels: Sequence[str]) -> dict[str, Any]:
    names = list(figures[0]["by_group"])
    rows = [
        {
            "label": label,
            "boxes": own["boxes"],
            "cells": [_number(own["by_group"][name]) for name in names],
        }
        for own, label in zip(figures, labels, strict=True)
    ]
    return {"names": names, "rows": rows}


def _parts(figures: Sequence[dict[str, Any]], labels: Sequence[str]) -> list[dict[str, Any]]:
    """The tables by subset, yaw and each attribute: those that exist."""
    attributes = dict.fromkeys(name for own in figures for name in own["by_attribute"])
    tables = [("subset", "subset", [own["by_subset"] for own in figures])]
    tables += [("yaw", "yaw", [own["by_yaw"] for own in figures])]
    tables += [
        (f"attribute-{number}", name, [own["by_attribute"].get(name, {}) for own in figures])
        for number, name in enumerate(attributes)
    ]
    found = []
    for key, title, tables_of in tables:
        # A detector may have missed all faces of a class.
        names = sorted({name for table in tables_of for name in table})
        rows = [
            {
                "label": label,
                "boxes": own["boxes"],
                "cells": [_part(table.get(name)) for name in names],
            }
            for own, label, table in zip(figures, labels, tables_of, strict=True)
        ]
        if names:
            found.append({"id": key, "title": title, "names": names, "rows": rows})
    return found


def _part(part: dict[str, Any] | None) -> dict[str, str] | None:
    if part is None or not part["n"]:
        return None
    return {
        "value": _number(part["nme_inter_ocular"]),
        "interval": _interval(part["interval_95"]),
        "size": _number(part["nme_bbox_size"]),
        "n": f"{part['n']:,}",
    }


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


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
