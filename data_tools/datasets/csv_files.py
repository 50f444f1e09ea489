"""A simple format for your own data: one or more `.csv` files (UTF-8) beside the photos.

    ROOT/NAME.csv
    ROOT/PHOTO          path as in the file, relative to the file's folder

The first line names the columns, in any order. Fields are separated by commas; a field that holds a
comma is put in double quotes:

    photo               path of the photo, required
    x0, y0, x1, y1, …   landmarks in 0-based pixels, required; empty where unknown
    visible0, …         1 if the landmark is visible, else 0; 1 if the column is absent
    identity            person or source photo: faces of one identity stay in one split; by default
                        the photo
    split               `test` for faces that are only for testing; else for training
    subset              a name for which figures are reported
    left, top, right, bottom      face box in pixels
    yaw, pitch, roll    degrees, signs as in `senet_landmark.face.pose`
    gender, smile, …    any name in `senet_landmark.face.attributes`, its class from 0; empty
                        where unknown
    score, confidence   as `predict --write csv` writes them; not read

The number of landmarks decides the scheme. A photo may have several lines, one for each face.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from senet_landmark.data_tools.datasets.files import (
    annotation_of,
    line_at,
    lines_of,
    numbers,
    scheme_with,
)
from senet_landmark.data_tools.datasets.samples import Entry, Sample, numbered, sample_of
from senet_landmark.errors import InputError
from senet_landmark.face.attributes import ATTRIBUTES, get_attribute
from senet_landmark.face.schemes import get_scheme
from senet_landmark.io.columns import BOX, POSE
from senet_landmark.io.files import read_json

TEXTS = ("photo", "identity", "split", "subset")
UNREAD = ("score", "confidence")


def entries(root: Path, points: str = "auto") -> Iterator[Entry]:
    """The faces of the `.csv` files in `root`, in the order of files and lines."""
    del points
    photo_counts: dict[str, int] = {}
    for path in sorted(root.glob("*.csv")):
        lines = lines_of(path)
        columns = _header(path, next(lines, (1, 0, ""))[2])
        count = sum(name[0] == "x" and name[1:].isdigit() for name in columns)
        scheme = scheme_with(count, str(path))
        _check(path, columns, count)
        for line, offset, text in lines:
            row = dict(zip(columns, _fields(text), strict=False))
            name = row.get("photo", "")
            yield Entry(
                photo=path.parent / name,
                source=numbered(name, photo_counts),
                identity=row.get("identity") or name,
                annotations=(path,),
                scheme=scheme,
                offset=offset,
                line=line,
                subset=row.get("subset", ""),
                test=row.get("split", "") == "test",
            )


def labelled_dataset(entry: Entry) -> str:
    """The data set whose photos `pseudo-label` labelled, from its report; else empty."""
    path = annotation_of(entry).parent / "report.json"
    report = read_json(path) if path.is_file() else {}
    return str(report["dataset"]) if isinstance(report, dict) and "labelled" in report else ""


def load(entry: Entry) -> Sample:
    """Reads one line. Raises InputError that names the file and the line."""
    path = annotation_of(entry)
    columns, fields = _header(path, line_at(path, 0)), _fields(line_at(path, entry.offset))
    if len(fields) != len(columns):
        raise InputError(f"{entry.where}: has {len(fields)} fields, the header {len(columns)}.")
    row = dict(zip(columns, fields, strict=True))

    def values(names: list[str], unknown: float = np.nan) -> np.ndarray:
        fields = [row.get(name, "") or str(unknown) for name in names]
        return numbers(fields, entry.where)

    count = get_scheme(entry.scheme).points
    landmarks = values([f"{axis}{i}" for i in range(count) for axis in "xy"]).reshape(count, 2)
    visible = values([f"visible{i}" for i in range(count)], 1) > 0
    attributes = values(list(ATTRIBUTES))
    for name, value in zip(ATTRIBUTES, attributes, strict=True):
        classes = get_attribute(name).classes
        if np.isfinite(value) and value not in range(len(classes)):
            raise InputError(f"{entry.where}: {name} is {value:g}, not 0 to {len(classes) - 1}.")
    box = values(list(BOX))
    return sample_of(
        entry,
        landmarks,
        visible=visible & np.isfinite(landmarks).all(axis=1),
        box=box if np.isfinite(box).all() else None,
        pose=values(list(POSE)),
        attributes=attributes,
    )


def _fields(line: str) -> list[str]:
    return [field.strip() for field in next(csv.reader([line]), [])]


def _header(path: Path, line: str) -> list[str]:
    columns = _fields(line)
    if "photo" not in columns:
        raise InputError(f"{path}: the first line must name the columns, `photo` among them.")
    return columns


def _check(path: Path, columns: list[str], count: int) -> None:
    points = {f"{axis}{i}" for i in range(count) for axis in "xy"}
    visible = {f"visible{i}" for i in range(count)}
    known = {*TEXTS, *UNREAD, *BOX, *POSE, *ATTRIBUTES, *points, *visible}
    if missing := points - set(columns):
        raise InputError(f"{path}: has no column {min(missing)!r}.")
    if unknown := [name for name in columns if name not in known]:
        names = ", ".join((*TEXTS, *BOX, *POSE, *ATTRIBUTES))
        raise InputError(
            f"{path}: unknown column {unknown[0]!r}; known: x0, y0, …, visible0, …, {names}."
        )
    if len(set(columns)) != len(columns):
        raise InputError(f"{path}: a column is named twice.")
