"""The files of a folder of results that are made of its lines, by the formats of `--write`."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from senet_landmark.export.inference import writers
from senet_landmark.export.inference.annotation.coco import coco_json
from senet_landmark.export.inference.annotation.cvat import cvat_labels, cvat_xml
from senet_landmark.export.inference.annotation.label_studio import (
    label_studio_json,
    labelling_configuration,
)
from senet_landmark.export.inference.annotation.lines import Lines
from senet_landmark.face.schemes import Scheme
from senet_landmark.io import annotation_tools

Format = Literal["json", "csv", "pts", "dlib", "coco", "label-studio", "cvat", "jsonl"]
"""`landmarks.json`, `landmarks.csv`, a `.pts` for each face, dlib's `landmarks.xml`; the files of
annotation tools; and `landmarks.jsonl`, which is always written, alone."""

Maker = Callable[[Lines, Scheme, Path, Path], Iterator[str]]
"""(lines, scheme, folder of the file, folder in which relative paths of the lines start) -> the
content, piece by piece."""

MADE: dict[str, dict[str, Maker]] = {
    "json": {"landmarks.json": lambda lines, *_: writers.landmarks_json(lines())},
    "csv": {"landmarks.csv": lambda lines, *rest: writers.landmarks_csv(lines(), *rest)},
    "dlib": {"landmarks.xml": lambda lines, _, *rest: writers.dlib_xml(lines(), *rest)},
    "coco": {annotation_tools.COCO: coco_json},
    "label-studio": {
        annotation_tools.LABEL_STUDIO: label_studio_json,
        annotation_tools.LABEL_STUDIO_LABELS: lambda _, scheme, *__: iter(
            [labelling_configuration(scheme)]
        ),
    },
    "cvat": {
        annotation_tools.CVAT: cvat_xml,
        annotation_tools.CVAT_LABELS: lambda lines, scheme, *_: iter([cvat_labels(lines, scheme)]),
    },
}
"""Format -> its files, and what makes them of the lines. The other formats are no such files."""
