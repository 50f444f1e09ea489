"""Pre-annotations for Label Studio: tasks with predictions, and the labelling configuration.

https://labelstud.io/guide/predictions and https://labelstud.io/tags/keypointlabels: coordinates are
percent of the upright photo's width and height. A face is a rectangle, and its points are the
regions below it in the region tree (`parentID`), as Label Studio's own export of keypoints to COCO
wants it. `model_index` is that export's order of the points.
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from senet_landmark.export.inference.annotation.lines import Lines, is_inside, json_items, score_of
from senet_landmark.export.inference.writers import photo_of, relative_path
from senet_landmark.face.outlines import point_names
from senet_landmark.face.schemes import Scheme
from senet_landmark.io.annotation_tools import (
    FACE,
    HIDDEN,
    IMAGE,
    LANDMARK,
    LOCAL_FILES,
    PHOTO,
    SCHEME,
    VISIBILITY,
    to_corner,
)

DOT = 0.015
"""Size of a point's dot, in widths of the face."""

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9")
"""A colour for each facial part, which the colour-blind tell apart: Okabe and Ito, "Color Universal
Design" (2008)."""


def label_studio_json(
    lines: Lines, scheme: Scheme, out: Path, folder: Path = Path()
) -> Iterator[str]:
    """`landmarks.label_studio.json`, piece by piece: a task for each photo.

    `data` has the photo as Label Studio serves local files, by its path from the root of the file
    system, which is Label Studio's own default, or its address; and, for the data set
    `label_studio`, the path relative to `out` and the scheme. A point outside the photo, which
    Label Studio cannot show, is left out. Arguments as of `coco_json`.
    """
    yield "["
    yield from json_items(_task(line, scheme, out, folder) for line in lines())
    yield "\n]\n"


def _task(line: Mapping[str, Any], scheme: Scheme, out: Path, folder: Path) -> dict[str, Any]:
    photo = photo_of(line, folder)
    names = point_names(scheme)
    results: list[dict[str, Any]] = []
    for number, face in enumerate(line["faces"], 1):
        results += _face(face, f"face{number}", names, line)
    prediction: dict[str, Any] = {"model_version": line["model"], "result": results}
    scores = [score for face in line["faces"] if (score := score_of(face)) is not None]
    if scores:
        prediction["score"] = min(scores)  # so that tasks can be sorted, the least sure first
    data = {
        IMAGE: photo if isinstance(photo, str) else _served(photo),
        PHOTO: relative_path(photo, out),
        SCHEME: scheme.name,
    }
    return {"data": data, "predictions": [prediction]}


def _served(photo: Path) -> str:
    """The address by which Label Studio shows a file."""
    photo = photo.resolve()
    below = photo.relative_to(photo.anchor).as_posix()
    return f"{LOCAL_FILES}?d={quote(below, errors='surrogateescape')}"


def _face(
    face: Mapping[str, Any], name: str, names: list[str], line: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """The regions of a face: its rectangle, as far as it is on the photo, and its points."""
    size = np.array([line["width"], line["height"]], np.float64)
    corners = np.clip(to_corner(np.reshape(face["box"], (2, 2))) / size * 100, 0, 100)
    (x, y), (width, height) = corners[0], corners[1] - corners[0]
    if width <= 0 or height <= 0:
        return
    sides = {"x": x, "y": y, "width": width, "height": height}
    yield {
        "id": name,
        **_region("rectanglelabels", FACE, line),
        "value": {**_rounded(sides), "rotation": 0, "rectanglelabels": [FACE]},
    }
    dot = max(width * DOT, 0.05)
    for label, point in zip(names, face["landmarks"], strict=True):
        if is_inside(point, line):
            x, y = to_corner(point) / size * 100
            yield {
                "id": f"{name}_{label}",
                "parentID": name,
                **_region("keypointlabels", LANDMARK, line),
                "value": {**_rounded({"x": x, "y": y, "width": dot}), "keypointlabels": [label]},
            }


def _region(kind: str, tag: str, line: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": kind,
        "from_name": tag,
        "to_name": IMAGE,
        "original_width": line["width"],
        "original_height": line["height"],
        "image_rotation": 0,
    }


def _rounded(shares: Mapping[str, float]) -> dict[str, float]:
    """Percents to a thousandth of a pixel of a photo of 100,000 pixels."""
    return {name: round(float(value), 6) for name, value in shares.items()}


def labelling_configuration(scheme: Scheme) -> str:
    """`landmarks.label_studio.xml`: what a project needs to show and mend the predictions.

    A point that cannot be seen gets the choice `hidden`; one whose place is unknown is deleted.
    """
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Image", name=IMAGE, value=f"${IMAGE}", zoomControl="true")
    boxes = ElementTree.SubElement(view, "RectangleLabels", name=FACE, toName=IMAGE)
    ElementTree.SubElement(boxes, "Label", value=FACE, background="#999999")
    points = ElementTree.SubElement(view, "KeyPointLabels", name=LANDMARK, toName=IMAGE)
    colour_of = dict(zip(scheme.groups, COLOURS, strict=False))
    part_of = {index: part for part, indices in scheme.groups.items() for index in indices}
    for index, name in enumerate(point_names(scheme)):
        colour = colour_of[part_of[index]]
        label = {"value": name, "model_index": str(index), "background": colour}
        ElementTree.SubElement(points, "Label", label)
    choices = {"name": VISIBILITY, "toName": IMAGE, "perRegion": "true", "choice": "multiple"}
    seen = ElementTree.SubElement(view, "Choices", choices, whenTagName=LANDMARK)
    ElementTree.SubElement(seen, "Choice", value=HIDDEN)
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"
