"""The page: tables, charts and suspects in one HTML file that contains all its pictures."""

from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from senet_landmark.data_tools.inspection import charts
from senet_landmark.data_tools.inspection.survey import Shape, Survey
from senet_landmark.data_tools.inspection.suspects import KINDS, Suspect
from senet_landmark.data_tools.records.report import HIDDEN, SHEET_CELL, draw_record
from senet_landmark.face import geometry
from senet_landmark.visualisation.drawing import (
    DARK,
    YELLOW,
    contact_sheet,
    draw_box,
    mark_points,
)
from senet_landmark.visualisation.pages import data_uri, jpeg_uri
from senet_landmark.visualisation.pages import render as render_page

SIDE = 240
"""Side of a suspect's picture in pixels."""
A_PERSON = 2
"""Largest number of suspects of one kind and one identity on the page; the CSV has all."""
SKIPPED = 20
"""Number of reasons for skipped faces that the page lists."""
WHITE = (255, 255, 255)
"""Colour of a suspicious landmark and of the line to where it is expected."""


def render(
    survey: Survey,
    suspects: dict[str, list[Suspect]],
    figures: dict[str, Any],
    *,
    most: int,
    sheet: int,
    seed: int,
) -> str:
    """Renders the HTML of the page.

    Args:
      survey: the survey of the faces.
      suspects: kind -> suspects, the most suspicious first.
      figures: figures from `figures.figures_of`.
      most: number of suspects of a kind that are shown.
      sheet: number of faces on a contact sheet.
      seed: seed of the choice of faces on the contact sheets.
    """
    return render_page(
        Path(__file__).parent / "templates" / "inspect.html",
        figures=figures,
        skipped_most=SKIPPED,
        a_person=A_PERSON,
        sheets=_sheets(survey, sheet, seed),
        shapes=[
            {
                "name": shape.scheme.name,
                "faces": len(shape.faces),
                "chart": data_uri(charts.mean_face(shape), "svg+xml"),
                "shapes_judged": bool(np.isfinite(shape.offsets).any()),
                "pictures_judged": bool(np.isfinite(survey.similarity[shape.faces]).any()),
            }
            for shape in survey.shapes
        ],
        poses=_poses(survey),
        sizes=_sizes(survey),
        attributes=_attributes(figures),
        kinds=[_kind(survey, name, listed, most) for name, listed in suspects.items()],
    )


def _sheets(survey: Survey, most: int, seed: int) -> list[dict[str, Any]]:
    sheets = []
    for side, numbers in survey.sides().items():
        generator = np.random.default_rng(seed)
        chosen = sorted(generator.permutation(numbers)[:most])
        # Each picture is made small at once, so that memory holds only one sheet of pixels.
        cells = [draw_record(survey.faces[i].record, survey.faces[i].picture()) for i in chosen]
        sheets.append(
            {
                "name": survey.name_of(side),
                "shown": len(chosen),
                "faces": len(numbers),
                "picture": jpeg_uri(contact_sheet(cells, 8, SHEET_CELL)),
                "mean": jpeg_uri(survey.mean_pictures[side]),
            }
        )
    return sheets


def _poses(survey: Survey) -> str:
    sides = {survey.name_of(side): survey.stats.pose[n] for side, n in survey.sides().items()}
    ranges = ((-90.0, 90.0), (-60.0, 60.0), (-60.0, 60.0))
    panels = [
        (f"{name}, degrees", {side: poses[:, n] for side, poses in sides.items()}, ranges[n])
        for n, name in enumerate(("yaw", "pitch", "roll"))
    ]
    return data_uri(charts.histograms(panels, "faces"), "svg+xml")


def _sizes(survey: Survey) -> list[tuple[str, str]]:
    """(title, picture) of the charts of sizes and of identities."""
    sides = {survey.name_of(side): numbers for side, numbers in survey.sides().items()}
    boxes = {name: np.array([survey.faces[i].side for i in n]) for name, n in sides.items()}
    faces_of_identity = {
        name: np.array(
            list(Counter(survey.faces[i].record.identity for i in numbers).values()), np.float64
        )
        for name, numbers in sides.items()
    }
    first = charts.histograms([("face box, pixels of the photo", boxes, None)], "faces")
    second = charts.histograms(
        [("faces of an identity", faces_of_identity, None)], "identities", whole=True
    )
    return [
        ("the face boxes' sides in pixels of the photo", data_uri(first, "svg+xml")),
        ("the number of faces of an identity", data_uri(second, "svg+xml")),
    ]


def _attributes(figures: dict[str, Any]) -> list[dict[str, str]]:
    """A chart for each attribute, with the splits that have it."""
    names = {name: None for split in figures["splits"] for name in split["attributes"]}
    attributes = []
    for name in names:
        sides = {
            s["name"]: s["attributes"][name] for s in figures["splits"] if name in s["attributes"]
        }
        classes = {c: None for shares in sides.values() for c in shares}
        rows = [(c, {side: 100 * v.get(c, 0.0) for side, v in sides.items()}) for c in classes]
        attributes.append({"name": name, "chart": data_uri(charts.bars(rows), "svg+xml")})
    return attributes


def _kind(survey: Survey, name: str, suspects: list[Suspect], most: int) -> dict[str, Any]:
    shown: list[Suspect] = []
    people: Counter[str] = Counter()
    for suspect in suspects:
        identity = survey.faces[suspect.face].record.identity
        if people[identity] < A_PERSON and len(shown) < most:
            people[identity] += 1
            shown.append(suspect)
    return {
        "id": name,
        "title": KINDS[name].title,
        "about": KINDS[name].about,
        "count": len(suspects),
        "cards": [_card(survey, suspect) for suspect in shown],
    }


def _card(survey: Survey, suspect: Suspect) -> dict[str, Any]:
    face = survey.faces[suspect.face]
    shown = [suspect.face] if suspect.partner < 0 else [suspect.partner, suspect.face]
    pictures = [_picture(survey, number, suspect) for number in shown]
    return {
        "pictures": [jpeg_uri(picture) for picture in pictures],
        "alts": [f"Face {survey.faces[number].record.source}" for number in shown],
        "source": face.record.source,
        "where": f"{survey.side_name(suspect.face)}, {face.shard.name}, {face.index}",
        "value": f"{suspect.value:.3g}",
        "why": suspect.why,
    }


WHOLE = ("blank", "outside", "copy", "identity")
"""Kinds whose pictures show the whole recorded crop, not only the face."""


def _picture(survey: Survey, number: int, suspect: Suspect) -> np.ndarray:
    """Draws a suspect's face with its points; lines lead to their expected positions."""
    face = survey.faces[number]
    record = face.record
    view = np.array([0.0, 0.0, 1.0, 1.0])
    known = np.isfinite(record.landmarks).all(axis=1)
    points = record.landmarks.astype(np.float64)
    if suspect.kind not in WHOLE:
        low = np.minimum(record.box[:2], points[known].min(0))
        high = np.maximum(record.box[2:], points[known].max(0))
        half = min(0.6 * float((high - low).max()), 0.6)
        centre = (low + high) / 2
        view = np.concatenate([centre - half, centre + half]).astype(np.float64)
    picture = face.picture()
    shape = np.array(picture.shape[1::-1])
    inside = geometry.to_crop(np.tile(shape, 2) * view - 0.5)
    drawn = geometry.warp(picture, inside, (SIDE, SIDE))

    def to_pixels(normalised: np.ndarray) -> np.ndarray:
        return geometry.apply(inside, normalised * shape - 0.5) * SIDE - 0.5

    drawn = draw_box(drawn, to_pixels(record.box.astype(np.float64).reshape(2, 2)).ravel(), YELLOW)
    pixels = to_pixels(points)
    if suspect.face == number:
        for k in suspect.worst:
            expected = to_pixels(_expected(survey, number, k))
            drawn = _line(drawn, pixels[k], expected)
    radius = 1.6 if len(points) > 30 else 2.4
    drawn = mark_points(drawn, pixels[~record.visible], HIDDEN, radius)
    drawn = mark_points(drawn, pixels[record.visible], radius=radius)
    if suspect.face == number and suspect.worst:
        drawn = mark_points(drawn, pixels[list(suspect.worst)], WHITE, radius + 0.6)
    return drawn


def _expected(survey: Survey, number: int, landmark: int) -> np.ndarray:
    """The expected position of a landmark, float64 [2], normalised by the recorded crop."""
    face = survey.faces[number]
    shape, row = next(
        (s, int(np.flatnonzero(s.faces == number)[0])) for s in survey.shapes if number in s.faces
    )
    index = _index_in(shape, row, landmark)
    move = shape.offsets[row, index] / shape.aligned.turn[row]
    region = face.record.region.astype(np.float64)
    expected = face.points[landmark] - (move.real, move.imag)
    return (expected - region[:2]) / (region[2:] - region[:2])


def _index_in(shape: Shape, row: int, landmark: int) -> int:
    """The index in `offsets`, where mirrored faces are corrected, of an annotated landmark."""
    return int(shape.scheme.mirror[landmark]) if shape.mirrored[row] else landmark


def _line(picture: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    ends = [tuple(round(float(v) * 16) for v in end) for end in (first, second)]
    picture = np.ascontiguousarray(picture).copy()
    for colour, width in ((DARK, 3), (WHITE, 1)):
        cv2.line(picture, ends[0], ends[1], colour, width, cv2.LINE_AA, shift=4)
    return picture
