"""The TFRecord schema: `encode_example` and `parse_example`, side by side.

A record is one face: its losslessly encoded crop with the context around it, and its annotation.
Coordinates are normalised by the recorded crop's width and height; `region` gives the crop's
position in the photo. The report beside the records (`report.json`) describes the whole set.

TensorFlow is imported only where it is needed: worker processes that make records run without it.
"""

import dataclasses
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from senet_landmark.config import RecordsConfig, from_json
from senet_landmark.errors import InputError
from senet_landmark.face.depth import landmarks_3d
from senet_landmark.face.geometry import BoxCorrection, CropSpec
from senet_landmark.face.scheme_conversion import convert
from senet_landmark.face.schemes import SCHEMES
from senet_landmark.io.files import read_json

SCHEMA_VERSION = 2
REPORT_NAME = "report.json"


@dataclass(frozen=True)
class Record:
    """One face, as it is recorded.

    Attributes:
      image: PNG bytes of the crop with context, RGB.
      landmarks: float32 [K, 2], normalised by the recorded crop; NaN where unknown.
      visible: bool [K]; False where the data set says that the landmark is hidden.
      box: float32 [4], what the crop is taken of, normalised by the recorded crop: the canonical
        face box, or the whole photo's rectangle (`CropSpec.of`).
      region: float32 [4], the recorded crop in photo pixels: left, top, right, bottom.
      scheme: landmark scheme, a key of `schemes.SCHEMES`.
      dataset: name of the data set.
      subset: the published part of the data set that the face belongs to; empty where it has none.
      source: path of the photo below the data set's root, with `#1` … for its other faces.
      identity: the person or source photo, which must be in one split only.
      pose: float32 [3], yaw, pitch, roll in degrees; NaN where unknown.
      attributes: float32 [A], classes of the attributes that the report lists; NaN where unknown.
      depth: float32 [K], the landmarks' depth (`senet_landmark.face.depth`) in widths of the
        recorded crop; NaN where unknown.
    """

    image: bytes
    landmarks: np.ndarray
    visible: np.ndarray
    box: np.ndarray
    region: np.ndarray
    scheme: str
    dataset: str
    subset: str
    source: str
    identity: str
    pose: np.ndarray
    attributes: np.ndarray
    depth: np.ndarray

    def pixel(self, size: tuple[float, float]) -> tuple[float, float]:
        """Width and height, in pixels of the photo, of a pixel of the crop at another size.

        Args:
          size: (width, height) of the recorded crop in pixels of that size.
        """
        left, top, right, bottom = self.region.tolist()
        return (right - left) / size[0], (bottom - top) / size[1]


_ARRAYS = {"landmarks": (-1, 2), "box": (4,), "region": (4,), "pose": (3,), "attributes": (-1,)}
_TEXTS = ("scheme", "dataset", "subset", "source", "identity")


class RecordError(InputError):
    """One record is damaged; the other records of the file may still be good."""


def encode_example(record: Record) -> bytes:
    """Serialises a record as a `tf.train.Example`."""
    import tensorflow.compat.v1 as tf

    def text(value: bytes) -> Any:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    feature = {
        "schema_version": tf.train.Feature(int64_list=tf.train.Int64List(value=[SCHEMA_VERSION])),
        "image": text(record.image),
        "visible": tf.train.Feature(
            int64_list=tf.train.Int64List(value=np.asarray(record.visible, bool).astype(int))
        ),
    }
    for name in _TEXTS:
        feature[name] = text(getattr(record, name).encode())
    for name in _ARRAYS:
        values = np.asarray(getattr(record, name), np.float32).ravel()
        feature[name] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
    if np.isfinite(record.depth).any():  # few data sets have it
        depth = np.asarray(record.depth, np.float32)
        feature["depth"] = tf.train.Feature(float_list=tf.train.FloatList(value=depth))
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    # Otherwise the order of the fields, which are in a hash map, differs between processes.
    return example.SerializeToString(deterministic=True)


def parse_example(data: bytes, where: str = "record") -> Record:
    """Reads back what `encode_example` wrote.

    Raises:
      RecordError: `data` is not an Example, or a field is missing; the message names `where`.
      InputError: it has another schema version; the other records of the set have it too.
    """
    import tensorflow.compat.v1 as tf

    try:
        feature = tf.train.Example.FromString(data).features.feature
    except Exception as error:  # protobuf's DecodeError has no stable public name
        raise RecordError(
            f"{where}: is not a tf.train.Example; build the records again."
        ) from error
    versions = feature["schema_version"].int64_list.value
    if list(versions) != [SCHEMA_VERSION]:
        problem = f"has schema version {versions[0]}" if versions else "has no schema version"
        raise InputError(
            f"{where}: {problem}, this program reads version {SCHEMA_VERSION}. "
            "Build the records again with `senet-landmark build-records`."
        )
    try:
        texts: dict[str, Any] = {
            name: feature[name].bytes_list.value[0].decode() for name in _TEXTS
        }
        arrays: dict[str, Any] = {
            name: np.array(feature[name].float_list.value, np.float32).reshape(shape)
            for name, shape in _ARRAYS.items()
        }
        visible = np.array(feature["visible"].int64_list.value, bool)
        if len(visible) != len(arrays["landmarks"]):
            raise ValueError(f"{len(visible)} of {len(arrays['landmarks'])} visibilities")
        depth = np.array(feature["depth"].float_list.value, np.float32)
        if not len(depth):
            depth = np.full(len(visible), np.nan, np.float32)
        if len(depth) != len(visible):
            raise ValueError(f"{len(depth)} of {len(visible)} depths")
        image = feature["image"].bytes_list.value[0]
        return Record(image=image, visible=visible, depth=depth, **texts, **arrays)
    except (IndexError, ValueError) as error:
        raise RecordError(f"{where}: the record is incomplete ({error}).") from error


FARTHEST = 1000.0
"""Coordinate, in sizes of the crop, from which a record is taken for damaged."""


def check_usable(record: Record, where: str) -> None:
    """Raises RecordError where no batch could be made from the record, or no picture drawn."""
    if record.scheme not in SCHEMES:
        raise RecordError(f"{where}: has the unknown landmark scheme {record.scheme!r}.")
    points = SCHEMES[record.scheme].points
    if len(record.landmarks) != points:
        count = len(record.landmarks)
        raise RecordError(f"{where}: has {count} landmarks, {record.scheme} has {points}.")
    for name, box in (("face box", record.box), ("region", record.region)):
        left, top, right, bottom = box.tolist()
        if not (np.isfinite(box).all() and right > left and bottom > top):
            raise RecordError(f"{where}: its {name} has no area.")
    known = record.landmarks[np.isfinite(record.landmarks)]
    if (np.abs(np.concatenate([known, record.box])) > FARTHEST).any():
        raise RecordError(f"{where}: a landmark or its face box is far outside of the crop.")


def in_scheme(record: Record, scheme: str) -> Record:
    """The record with landmarks and depths of another scheme; NaN where the conversion tells none.

    Raises:
      InputError: the schemes cannot be converted (`scheme_conversion.can_convert`).
    """
    if record.scheme == scheme:
        return record
    points = convert(landmarks_3d(record.landmarks, record.depth), record.scheme, scheme)
    return replace(
        record,
        landmarks=points[:, :2],
        depth=points[:, 2],
        # Of a point that is a mean of others it is not known whether it is visible.
        visible=np.isfinite(points[:, :2]).all(axis=1),
        scheme=scheme,
    )


@dataclass(frozen=True)
class RecordsInfo:
    """The part of `report.json` that readers of records need.

    Attributes:
      schema_version: version of the record's schema.
      dataset: name of the data set.
      scheme: landmark scheme.
      records: settings that the records were made with.
      splits: name of a split -> file names of its shards.
      held_out: name of the held-out split.
      box_source: source of the face boxes.
      box_corrections: box source -> correction to the canonical box, fitted on the training split.
      attributes: names of the attributes, in the order of `Record.attributes`.
    """

    schema_version: int
    dataset: str
    scheme: str
    records: RecordsConfig
    splits: dict[str, tuple[str, ...]]
    held_out: str
    box_source: str
    box_corrections: dict[str, BoxCorrection]
    attributes: tuple[str, ...] = ()

    @property
    def crop(self) -> CropSpec:
        """How a canonical face box becomes the crop that the network takes as input."""
        return self.records.crop


def load_records_info(folder: Path | str) -> RecordsInfo:
    """Reads `report.json` of a records folder.

    Raises:
      InputError: the folder or the report is absent, or has another schema.
    """
    folder = Path(folder)
    path = folder / REPORT_NAME
    if not path.is_file():
        raise InputError(
            f"{folder}: no {REPORT_NAME} here, so this is not a finished folder of records. "
            "Make one with `senet-landmark build-records`."
        )
    report = read_json(path)
    version = report.get("schema_version") if isinstance(report, dict) else None
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{path}: schema version {version}, this program reads version {SCHEMA_VERSION}. "
            "Build the records again with `senet-landmark build-records`."
        )
    names = {f.name for f in dataclasses.fields(RecordsInfo)}
    values: dict[str, Any] = {k: v for k, v in report.items() if k in names}
    if missing := names - set(values):
        raise InputError(f"{path}: lacks {sorted(missing)[0]!r}; build the records again.")
    return from_json(RecordsInfo, values, where=str(path))


def shard_paths(folder: Path | str, info: RecordsInfo, split: str) -> list[Path]:
    """The TFRecord files of one split.

    Raises:
      InputError: there is no such split, it is empty, or one of its files is absent.
    """
    if split not in info.splits or not info.splits[split]:
        have = ", ".join(k for k, v in info.splits.items() if v) or "none"
        raise InputError(f"{folder}: has no records of split {split!r} (it has: {have}).")
    paths = [Path(folder) / name for name in info.splits[split]]
    for path in paths:
        if not path.is_file():
            raise InputError(
                f"{path}: is named in {REPORT_NAME} but absent. Build the records again."
            )
    return paths


def shards_of(paths: list[Path], index: int, count: int) -> list[Path]:
    """The files that worker `index` of `count` reads; each file is read by one worker.

    Raises:
      InputError: there are fewer files than workers.
    """
    if not 0 <= index < count:
        raise ValueError(f"worker {index} of {count}")
    if len(paths) < count:
        folder = paths[0].parent if paths else "records"
        raise InputError(
            f"{folder}: has {len(paths)} files for {count} workers, and each needs one of its own. "
            "Build the records again with a smaller --records.shard-size, or start fewer workers."
        )
    return paths[index::count]
