"""A simple format for your own data: one or more `.csv` files (UTF-8) beside the photos.

    ROOT/NAME.csv
    ROOT/PHOTO          path as in the file, relative to the file's folder

The first line names the columns, in any order. Fields are separated by commas, semicolons or tabs;
a field that holds the separator is put in double quotes. Numbers have a point or a decimal comma.
Columns without a name, as an index, and empty lines are not read:

    photo               path of the photo, required
    x0, y0, x1, y1, …   landmarks in 0-based pixels, required; empty where unknown
    visible0, …         1 if the landmark is visible, else 0; 1 if the column is absent
    identity            person or source photo: faces of one identity stay in one split; by default
                        the photo, with its copies
    split               `test` for faces that are only for testing; else for training
    subset              a name for which figures are reported
    left, top, right, bottom      face box in pixels
    yaw, pitch, roll    degrees, signs as in `senet_landmark.face.pose`
    z0, z1, …           depth of the landmarks in pixels, growing away from the camera, as
                        `senet_landmark.face.depth`; empty where unknown
    gender, smile, …    any name in `senet_landmark.face.attributes`, its class from 0; empty
                        where unknown
    score, confidence, eye_aspect_left, …   as `predict --write csv` writes them, the latter being
                        `MEASURES` of `senet_landmark.face.expressions`; not read, nor is `index`

The number of landmarks decides the scheme. 68 points are `300w_68`, whose contour follows the
visible cheek. With `--points 300w_68_3d`, or where their depth is known, it is the true jaw. A
photo may have several lines, one for each face.

Without columns z0, …, the depth may be in a file `depth.npz` beside the table: `photo` [N], paths
as in the table, and `z` [N, K], pixels, growing TOWARDS the camera, as in AFLW2000-3D. A photo with
several faces has a row for each, in the order of the lines; a photo without one has unknown depth.
"""

import csv
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from senet_landmark.data_tools.datasets.reading.files import (
    annotation_of,
    changed_at,
    faces_in,
    files_with,
    line_at,
    lines_of,
    name_of,
    numbers,
    photo_at,
    scheme_with,
)
from senet_landmark.data_tools.datasets.samples import (
    Entry,
    Sample,
    identity_of,
    numbered,
    sample_of,
)
from senet_landmark.errors import InputError
from senet_landmark.face.attributes import ATTRIBUTES, get_attribute
from senet_landmark.face.expressions import MEASURES
from senet_landmark.face.schemes import TRUE_JAW, get_scheme
from senet_landmark.io.columns import BOX, POSE
from senet_landmark.io.files import printable, read_json

SEPARATORS = (",", ";", "\t")
TEXTS = ("photo", "identity", "split", "subset")
UNREAD = ("score", "confidence", "index", *MEASURES)
_UNNAMED = re.compile(r"Unnamed: [0-9]+$")
"""How pandas calls a column without a name when it saves a table again."""


DEPTH = "depth.npz"
"""File beside the tables with the landmarks' depth."""


def entries(root: Path, points: str = "auto") -> Iterator[Entry]:
    """The faces of the `.csv` files in `root`, in the order of files and lines."""
    photo_counts: dict[str, int] = {}

    def faces_of(path: Path) -> Iterator[Entry]:
        table = _table(path)
        scheme = scheme_with(table.points, str(path))
        if scheme == "300w_68":
            deep = "z0" in table.columns or path.with_name(DEPTH).is_file()
            scheme = points if points != "auto" else TRUE_JAW if deep else scheme
        for line, offset, text in lines_of(path):
            if offset <= table.offset:
                continue
            row = dict(zip(table.columns, table.fields(text), strict=False))
            photo = photo_at(path.parent, row.get("photo", ""))
            source = name_of(photo, root)
            yield Entry(
                photo=photo,
                source=numbered(source, photo_counts),
                identity=printable(row.get("identity", "")) or identity_of(source),
                annotations=(path,),
                scheme=scheme,
                offset=offset,
                line=line,
                given=bool(row.get("identity")),
                subset=printable(row.get("subset", "")),
                test=row.get("split", "").lower() == "test",
            )

    return faces_in(files_with(root, ".csv"), faces_of)


@dataclass(frozen=True)
class _Table:
    """How the lines of a file are read.

    Attributes:
      separator: what separates the fields.
      columns: the names of the columns; empty for one that is not read.
      offset: the byte at which the line with these names begins.
      points: number of landmarks.
    """

    separator: str
    columns: list[str]
    offset: int
    points: int

    def fields(self, text: str) -> list[str]:
        """The fields of a line. Spreadsheets add empty ones, other programs a row's number."""
        fields = _split(text, self.separator)
        while len(fields) > len(self.columns) and not fields[-1]:
            fields.pop()
        if len(fields) == len(self.columns) + 1 and fields[0].isdigit():
            fields.pop(0)
        return fields


def _table(path: Path) -> _Table:
    return _table_once(path, changed_at(path))


@functools.lru_cache(maxsize=64)
def _table_once(path: Path, changed: int) -> _Table:
    """Reads the names of a file's columns; kept for the file's time of change."""
    offset, text = next(
        ((o, t) for _, o, t in lines_of(path) if not re.fullmatch(r"sep=.", t.strip())), (0, "")
    )
    for separator in SEPARATORS:
        columns = ["" if _UNNAMED.match(c) else c for c in _split(text, separator)]
        if "photo" in columns:
            count = sum(name[:1] == "x" and name[1:].isdigit() for name in columns)
            _check(path, [name for name in columns if name], count)
            return _Table(separator, columns, offset, count)
    raise InputError(
        f"{path}: the first line must name the columns, `photo` among them, separated by commas, "
        "semicolons or tabs."
    )


def labelled_dataset(entry: Entry) -> str:
    """The data set whose photos `pseudo-label` labelled, from its report; else empty."""
    path = annotation_of(entry).parent / "report.json"
    report = read_json(path) if path.is_file() else {}
    return str(report["dataset"]) if isinstance(report, dict) and "labelled" in report else ""


def load(entry: Entry) -> Sample:
    """Reads one line. Raises InputError that names the file and the line."""
    path = annotation_of(entry)
    table = _table(path)
    fields = table.fields(line_at(path, entry.offset))
    if len(fields) != len(table.columns):
        raise InputError(
            f"{entry.where}: has {len(fields)} fields, the header {len(table.columns)}."
        )
    row = dict(zip(table.columns, fields, strict=True))

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
        depth=values([f"z{i}" for i in range(count)]) if "z0" in row else _depth_of(entry, count),
    )


def _depth_of(entry: Entry, count: int) -> np.ndarray | None:
    """The landmarks' depth [count] in `DEPTH`; None without it, or without the face.

    Raises:
      InputError: the file is damaged, or of other landmarks.
    """
    path = annotation_of(entry).with_name(DEPTH)
    if not path.is_file():
        return None
    rows = _depths(path, changed_at(path)).get(entry.photo, [])
    name = re.escape(name_of(entry.photo, entry.photo.parent))
    further = re.search(rf"{name}#(\d+)$", entry.source)  # as `numbered` names a photo's faces
    number = int(further[1]) if further else 0
    if number >= len(rows):
        return None
    if rows[number].shape != (count,):
        raise InputError(
            f"{path}: has {rows[number].size} depths a face, {count} landmarks need as many."
        )
    return -rows[number]


@functools.lru_cache(maxsize=8)
def _depths(path: Path, changed: int) -> dict[Path, list[np.ndarray]]:
    """Photo -> depths [K] of its faces, as the file has them; kept for its time of change."""
    try:
        with np.load(path) as arrays:
            photos, depths = arrays["photo"].astype(str), arrays["z"].astype(np.float64)
        if photos.ndim != 1 or depths.ndim != 2 or len(photos) != len(depths):
            raise ValueError(f"photo is {photos.shape}, z is {depths.shape}")
    except Exception as error:  # of a damaged archive NumPy raises many types
        raise InputError(
            f"{path}: is not an archive of `photo` [N] and `z` [N, K] ({error}). Mend it or delete "
            "it if the depth does not matter."
        ) from error
    rows: dict[Path, list[np.ndarray]] = {}
    for photo, depth in zip(photos.tolist(), depths, strict=True):
        rows.setdefault(photo_at(path.parent, photo), []).append(depth)
    return rows


def _split(line: str, separator: str) -> list[str]:
    return [field.strip() for field in next(csv.reader([line], delimiter=separator), [])]


def _check(path: Path, columns: list[str], count: int) -> None:
    points = {f"{axis}{i}" for i in range(count) for axis in "xy"}
    visible = {f"visible{i}" for i in range(count)}
    depths = {f"z{i}" for i in range(count)}
    known = {*TEXTS, *UNREAD, *BOX, *POSE, *ATTRIBUTES, *points, *visible, *depths}
    if missing := points - set(columns):
        raise InputError(f"{path}: has no column {min(missing)!r}.")
    if unknown := [name for name in columns if name not in known]:
        names = ", ".join((*TEXTS, *BOX, *POSE, *ATTRIBUTES))
        raise InputError(
            f"{path}: unknown column {unknown[0]!r}; known: x0, y0, …, visible0, …, z0, …, {names}."
        )
    if len(set(columns)) != len(columns):
        raise InputError(f"{path}: a column is named twice.")
