"""Pre-annotations for CVAT: "CVAT for images 1.1", and the labels of the task.

https://docs.cvat.ai/docs/manual/advanced/formats/format-cvat/: a face is a skeleton with a point
for each landmark. Coordinates are pixels from the corner of the upright photo. `outside` is a point
that is not there.
"""

import json
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from senet_landmark.export.inference.annotation.lines import Lines, is_inside
from senet_landmark.export.inference.writers import photo_of, printable_xml
from senet_landmark.face.outlines import edges, point_names
from senet_landmark.face.schemes import Scheme
from senet_landmark.io.annotation_tools import FACE, to_corner

COLOUR = "#3cdc3c"


def label_of(scheme: Scheme) -> str:
    """The skeleton's label, which tells the scheme."""
    return f"{FACE}_{scheme.name}"


def cvat_xml(lines: Lines, scheme: Scheme, out: Path, folder: Path = Path()) -> Iterator[str]:
    """`landmarks.cvat.xml`, piece by piece, for CVAT's "Upload annotations" as CVAT 1.1.

    Photos have their path below the folder that holds all of them: CVAT compares it with the end of
    the path that a photo has in the task. A point outside the photo is `outside`. Arguments as of
    `coco_json`.
    """
    del out
    label, names = label_of(scheme), point_names(scheme)
    above = _common_folder(lines, folder)
    yield '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
    for number, line in enumerate(lines()):
        photo = photo_of(line, folder)
        path = photo if isinstance(photo, str) else _below(above, os.path.abspath(photo))
        image = ElementTree.Element(
            "image",
            id=str(number),
            name=printable_xml(path),
            width=str(line["width"]),
            height=str(line["height"]),
        )
        for face in line["faces"]:
            skeleton = ElementTree.SubElement(
                image, "skeleton", label=label, source="auto", z_order="0"
            )
            for name, point in zip(names, face["landmarks"], strict=True):
                x, y = to_corner(point)
                place = {"points": f"{x:.2f},{y:.2f}", "occluded": "0", "source": "auto"}
                outside = "0" if is_inside(point, line) else "1"
                ElementTree.SubElement(skeleton, "points", place, label=name, outside=outside)
        ElementTree.indent(image, level=1)
        yield "  " + ElementTree.tostring(image, encoding="unicode") + "\n"
    yield "</annotations>\n"


def _common_folder(lines: Lines, folder: Path) -> str:
    """The folder that holds all photos that are files; none if they are on several drives."""
    above = ""
    for line in lines():
        photo = photo_of(line, folder)
        if isinstance(photo, str):
            continue
        parent = os.path.dirname(os.path.abspath(photo))
        try:
            above = os.path.commonpath([above, parent]) if above else parent
        except ValueError:  # Windows
            return ""
    return above


def _below(folder: str, path: str) -> str:
    return Path(os.path.relpath(path, folder) if folder else os.path.basename(path)).as_posix()


def cvat_labels(lines: Lines, scheme: Scheme) -> str:
    """`landmarks.cvat_labels.json`: the label for the page "Raw" of a task's or project's labels.

    The skeleton's picture, from which CVAT draws new faces, is the most frontal face of `lines`:
    the one whose eyes are farthest apart for its height. Without a face it is a circle.
    """
    points = _picture(lines, scheme)
    names = point_names(scheme)
    drawn = [_edge(points, one, other) for one, other in edges(scheme)]
    drawn += [_node(points, index, name) for index, name in enumerate(names)]
    label = {
        "name": label_of(scheme),
        "color": COLOUR,
        "type": "skeleton",
        "attributes": [],
        "sublabels": [{"name": name, "type": "points", "attributes": []} for name in names],
        "svg": "".join(drawn),
    }
    return json.dumps([label], indent=2) + "\n"


def _picture(lines: Lines, scheme: Scheme) -> np.ndarray:
    """The points [K, 2] of a face in a square of 100, as CVAT's skeletons are drawn."""
    best, most = None, 0.0
    for line in lines():
        for face in line["faces"]:
            points = np.array(face["landmarks"], np.float64)
            ratio = _frontal(points, scheme)
            if ratio > most:
                best, most = points, ratio
    if best is None:
        angles = np.linspace(0, 2 * np.pi, scheme.points, endpoint=False)
        best = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    low, high = best.min(axis=0), best.max(axis=0)
    return 50 + (best - (low + high) / 2) * (80 / (high - low).max())


def _frontal(points: np.ndarray, scheme: Scheme) -> float:
    left, right = (points[list(eye)].mean(axis=0) for eye in scheme.eyes)
    height = np.ptp(points[:, 1])
    return float(right[0] - left[0]) / height if height else 0.0


def _edge(points: np.ndarray, one: int, other: int) -> str:
    (x1, y1), (x2, y2) = points[one], points[other]
    nodes: Mapping[str, Any] = {"data-node-from": one + 1, "data-node-to": other + 1}
    place = {"x1": f"{x1:.2f}", "y1": f"{y1:.2f}", "x2": f"{x2:.2f}", "y2": f"{y2:.2f}"}
    return _svg("line", {**place, "data-type": "edge", **nodes})


def _node(points: np.ndarray, index: int, name: str) -> str:
    x, y = points[index]
    number = {"data-element-id": index + 1, "data-node-id": index + 1}
    place = {"r": "0.75", "cx": f"{x:.2f}", "cy": f"{y:.2f}", "data-type": "element node"}
    return _svg("circle", {**place, **number, "data-label-name": name})


def _svg(tag: str, attributes: Mapping[str, Any]) -> str:
    """An element with its end tag, as CVAT writes them."""
    texts = {name: str(value) for name, value in attributes.items()}
    element = ElementTree.Element(tag, texts)
    return ElementTree.tostring(element, encoding="unicode", short_empty_elements=False)
