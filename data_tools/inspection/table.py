"""The faces of finished records as a table: everything except the pixels."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from senet_landmark.data.records import (
    REPORT_NAME,
    Record,
    RecordsInfo,
    check_usable,
    load_records_info,
    parse_example,
    shard_paths,
)
from senet_landmark.data.tfrecords import HEAD, tfrecords_in
from senet_landmark.data_tools.inspection.pictures import read_picture
from senet_landmark.errors import InputError
from senet_landmark.face.boxes import canonical_box
from senet_landmark.face.geometry import CropSpec
from senet_landmark.io.files import read_json, require_folder


@dataclass(frozen=True)
class Folder:
    """A finished folder of records.

    Attributes:
      path: path of the folder.
      name: short name that no other folder has.
      info: description of its records.
      report: its whole report.
    """

    path: Path
    name: str
    info: RecordsInfo
    report: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TableFace:
    """One face of a folder.

    Attributes:
      folder: number of its folder.
      split: name of its split.
      shard: its TFRecord file.
      index: number of its record in the shard, from 0.
      start, length: position and length of its PNG in the shard, in bytes.
      record: its record, without the image; its box is that of the face, also in whole photos.
      side: longer side of the canonical box, in photo pixels.
    """

    folder: int
    split: str
    shard: Path
    index: int
    start: int
    length: int
    record: Record
    side: float

    @property
    def points(self) -> np.ndarray:
        """Landmarks float64 [K, 2] in photo pixels; NaN where unknown."""
        region = self.record.region.astype(np.float64)
        return self.record.landmarks * (region[2:] - region[:2]) + region[:2]

    @property
    def split_in_folder(self) -> tuple[int, str]:
        """A key that is equal for all faces of one split of one folder."""
        return (self.folder, self.split)

    def picture(self) -> np.ndarray:
        """The recorded crop, RGB uint8 [H, W, 3]; read from the file at each call."""
        return read_picture(self.shard, self.start, self.length, self.record.source)


def open_folders(paths: list[Path]) -> list[Folder]:
    """Reads the reports of records folders.

    Raises:
      InputError: no folder is given, one is given twice, or one does not hold finished records of
        this schema.
    """
    if not paths:
        raise InputError("Give at least one folder of records.")
    if len({path.resolve() for path in paths}) < len(paths):
        raise InputError("The same folder of records is given twice.")
    names = [path.resolve().name for path in paths]
    unique = len(set(names)) == len(names)
    folders = []
    for path, name in zip(paths, names, strict=True):
        info = load_records_info(require_folder(path, "records that build-records made"))
        report = read_json(path / REPORT_NAME)
        folders.append(Folder(path, name if unique else str(path), info, report))
    return folders


def read_faces(folders: list[Folder]) -> list[TableFace]:
    """The faces of all folders, without their pictures.

    Raises:
      InputError: a shard is absent, damaged or of another schema, or the folders hold no face.
    """
    faces = [
        face
        for number, folder in enumerate(folders)
        for split, names in folder.info.splits.items()
        if names
        for shard in shard_paths(folder.path, folder.info, split)
        for face in _read_shard(number, split, shard, folder.info.crop)
    ]
    if not faces:
        raise InputError(f"{folders[0].path}: holds no record.")
    return faces


def _read_shard(folder: int, split: str, shard: Path, crop: CropSpec) -> list[TableFace]:
    faces: list[TableFace] = []
    for offset, data in tfrecords_in(shard):
        where = f"{shard}, record {len(faces)}"
        record = parse_example(data, where)
        check_usable(record, where)
        start = offset + HEAD + data.index(record.image)
        if crop.of == "photo":
            record = _with_face_box(record)
        faces.append(_face(folder, split, shard, len(faces), start, record))
    return faces


def _with_face_box(record: Record) -> Record:
    """The record of a whole photo with the canonical box of its face."""
    size = (record.region[2:] - record.region[:2]).astype(np.float64)
    try:
        box = canonical_box(record.landmarks * size, record.scheme)
    except InputError:  # points that the builder would not have recorded
        return record
    return replace(record, box=(box / np.tile(size, 2)).astype(np.float32))


def _face(
    folder: int, split: str, shard: Path, index: int, start: int, record: Record
) -> TableFace:
    length = len(record.image)
    # The pixels stay in the file: a data set need not fit into memory. Equal names share memory.
    names: dict[str, Any] = {
        name: sys.intern(getattr(record, name)) for name in ("scheme", "dataset", "subset")
    }
    record = replace(record, image=b"", **names)
    region, box = record.region.astype(np.float64), record.box
    side = float(((box[2:] - box[:2]) * (region[2:] - region[:2])).max())
    return TableFace(folder, split, shard, index, start, length, record, side)
