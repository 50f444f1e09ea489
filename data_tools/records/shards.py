"""One TFRecord file of a build: its photos, their boxes, writing it, and its statistics."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from senet_landmark.data.records import encode_example
from senet_landmark.data_tools.records.photos import FoundBox, Job, Photo, RecordedFace
from senet_landmark.face import geometry
from senet_landmark.face.geometry import BoxCorrection
from senet_landmark.io.files import read_json, write_json, written_whole
from senet_landmark.runtime import written_by_tensorflow

PARTS = ".parts"
"""Folder, in that of the records, for intermediate files of a build; removed at its end."""


@dataclass(frozen=True)
class Shard:
    """One TFRecord file to be written: everything that a worker needs for it.

    Attributes:
      name: name of the file.
      split: split of its faces.
      photos: its photos, each with its faces.
      out: folder for the records.
      job: data of the build.
    """

    name: str
    split: str
    photos: tuple[Photo, ...]
    out: Path
    job: Job

    @property
    def faces(self) -> int:
        """Largest number of faces that it may get; some may be skipped."""
        return sum(len(photo) for photo in self.photos)

    @property
    def path(self) -> Path:
        """The TFRecord file."""
        return self.out / self.name

    @property
    def boxes_path(self) -> Path:
        """File of the boxes of its faces, if they do not come from the landmarks."""
        return self.out / PARTS / f"{self.name}.boxes.json"

    @property
    def stats_path(self) -> Path:
        """File of its statistics, written when the TFRecord file is complete."""
        return self.out / PARTS / f"{self.name}.stats.json"

    @property
    def is_boxed(self) -> bool:
        """Whether the file of its boxes exists, from before an interruption."""
        return self.boxes_path.exists()

    @property
    def is_written(self) -> bool:
        """Whether its TFRecord file is complete, from before an interruption."""
        return self.path.exists() and self.stats_path.exists()


def work_of(shard: Shard) -> Iterator[tuple[Job, Photo, dict[str, FoundBox] | None]]:
    """The arguments of `photo_boxes` and `photo_faces` for each photo of a shard, in order."""
    boxes = read_boxes(shard) if shard.is_boxed else None
    for photo in shard.photos:
        photo_boxes = None
        if boxes is not None:
            photo_boxes = {e.source: boxes[e.source] for e in photo if e.source in boxes}
        yield shard.job, photo, photo_boxes


def write_boxes(shard: Shard, photos: Iterable[dict[str, FoundBox]]) -> None:
    """Writes the results of `photo_boxes` for the photos of a shard; `read_boxes` reads them."""
    values = {name: asdict(box) for boxes in photos for name, box in boxes.items()}
    write_json(shard.boxes_path, values)


def read_boxes(shard: Shard) -> dict[str, FoundBox]:
    """Reads the boxes of a shard's faces, by `Entry.source`."""
    values = read_json(shard.boxes_path)
    return {name: FoundBox(v["found"], v["canonical"]) for name, v in values.items()}


def fit_boxes(boxes: Iterable[FoundBox]) -> BoxCorrection | None:
    """Fits the correction of a source's boxes to the canonical ones; None without any box."""
    pairs = [(box.found, box.canonical) for box in boxes if box.found is not None]
    if not pairs:
        return None
    found, canonical = (np.array(boxes) for boxes in zip(*pairs, strict=True))
    return geometry.fit_correction(found, canonical)


def write_faces(shard: Shard, photos: Iterable[list[RecordedFace]]) -> None:
    """Writes the faces of a shard in order, as they arrive, and then its statistics.

    Raises:
      OSError: the file could not be written, e.g. because the disk is full; no part of it is left.
    """
    import tensorflow.compat.v1 as tf

    stats = Stats()
    with (
        written_whole(shard.path) as temporary,
        written_by_tensorflow(shard.path),
        tf.io.TFRecordWriter(os.fsencode(temporary)) as writer,
    ):
        for face in (face for faces in photos for face in faces):
            if face.record is not None:
                writer.write(encode_example(face.record))
            stats.add(face)
        writer.flush()
    write_json(shard.stats_path, asdict(stats))


@dataclass
class Stats:
    """Statistics of a shard's faces.

    Attributes:
      sources, identities, digests, yaws, sides: values of the recorded faces, in their order; see
        `RecordedFace`.
      missed: sources of the recorded faces for which the source of boxes has none.
      skipped: photo, face and reason of each skipped face.
      low, high: smallest and largest coordinate of all landmarks in the recorded crops.
    """

    sources: list[str] = field(default_factory=list)
    identities: list[str] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    yaws: list[float | None] = field(default_factory=list)
    sides: list[float] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    low: float = np.inf
    high: float = -np.inf

    def add(self, face: RecordedFace) -> None:
        """Adds one face."""
        if face.record is None:
            self.skipped.append({"photo": face.photo, "face": face.source, "reason": face.reason})
            return
        self.sources.append(face.source)
        self.identities.append(face.record.identity)
        self.digests.append(face.digest)
        self.yaws.append(None if face.yaw is None else round(face.yaw, 1))
        self.sides.append(round(face.side, 1))
        self.low, self.high = min(self.low, face.low), max(self.high, face.high)
        if face.missed:
            self.missed.append(face.source)


def read_stats(shard: Shard) -> Stats:
    """Reads the statistics that `write_faces` wrote."""
    return Stats(**read_json(shard.stats_path))


def identities_of(shards: Iterable[Shard]) -> dict[str, list[str]]:
    """Name of each written shard with records -> the identities of its faces, in their order."""
    stats = {shard.name: read_stats(shard) for shard in shards}
    # An earlier version of the program, if it wrote some of the shards, stored no identities.
    return {
        name: shard_stats.identities
        for name, shard_stats in stats.items()
        if shard_stats.sources and len(shard_stats.identities) == len(shard_stats.sources)
    }
