"""The unit of the record builder's work: one TFRecord file, from its photos to its bytes.

These functions run in worker processes; TensorFlow is imported where it is needed, so that a
worker that only detects faces starts at once.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_tools import face_boxes
from data_tools.datasets.registry import load_sample
from data_tools.samples import Entry, Sample
from senet_landmark import geometry
from senet_landmark.config import RecordsConfig
from senet_landmark.errors import InputError
from senet_landmark.files import read_json, write_json, written_whole
from senet_landmark.geometry import BoxCorrection
from senet_landmark.images import encode_png, read_photo
from senet_landmark.runtime import import_quietly

if TYPE_CHECKING:
    from senet_landmark.records import Record

PARTS = ".parts"
"""Folder, below the records', of what an unfinished build has done; removed at its end."""


@dataclass(frozen=True)
class Shard:
    """One TFRecord file to be: all that a worker needs."""

    name: str
    split: str
    dataset: str
    entries: tuple[Entry, ...]
    config: RecordsConfig
    box_source: face_boxes.BoxSource
    out: Path
    correction: BoxCorrection

    @property
    def boxes_path(self) -> Path:
        """Detected boxes of the shard's faces."""
        return self.out / PARTS / f"{self.name}.boxes.json"

    @property
    def stats_path(self) -> Path:
        """What is known of the shard once its file is whole."""
        return self.out / PARTS / f"{self.name}.stats.json"


def detect_shard(shard: Shard) -> None:
    """Finds each face of the shard; writes box, or null where dlib finds none."""
    if shard.boxes_path.exists():
        return
    boxes: dict[str, Any] = {}
    for entry in shard.entries:
        try:
            sample, photo = _read(shard.dataset, entry)
        except InputError:
            continue  # `write_shard` meets the same error and reports it
        found = face_boxes.find_annotated_face(photo, sample.landmarks)
        tight = geometry.box_from_landmarks(sample.landmarks)
        boxes[entry.source] = {
            "found": None if found is None else found.tolist(),
            "tight": tight.tolist(),
        }
    write_json(shard.boxes_path, boxes)


def _read(dataset: str, entry: Entry) -> tuple[Sample, np.ndarray]:
    sample = load_sample(dataset, entry)
    try:
        geometry.box_from_landmarks(sample.landmarks)
    except InputError as error:
        raise InputError(f"{sample.photo}: {error}") from error
    return sample, read_photo(sample.photo)


def fit_shards(shards: list[Shard]) -> BoxCorrection | None:
    """The correction of detected boxes, fitted on the training split; None without any."""
    pairs = [
        (box["found"], box["tight"])
        for shard in shards
        if shard.split == "train"
        for box in read_json(shard.boxes_path).values()
        if box["found"] is not None
    ]
    if not pairs:
        return None
    source, canonical = (np.array(side) for side in zip(*pairs, strict=True))
    return geometry.fit_correction(source, canonical)


def write_shard(shard: Shard) -> dict[str, Any]:
    """Writes the shard's file and returns what is known of it."""
    import_quietly()
    import tensorflow.compat.v1 as tf

    from senet_landmark.records import encode_example

    path = shard.out / shard.name
    if shard.stats_path.exists() and path.exists():
        return read_json(shard.stats_path)
    detected = read_json(shard.boxes_path) if shard.box_source == "dlib" else {}
    stats: dict[str, Any] = {"faces": 0, "skipped": [], "missed": [], "low": [], "high": []}
    sizes = []
    with written_whole(path) as temporary, tf.io.TFRecordWriter(str(temporary)) as writer:
        for entry in shard.entries:
            try:
                sample, photo = _read(shard.dataset, entry)
                found = detected.get(entry.source, {}).get("found")
                record, side = make_record(
                    sample, photo, shard.config, shard.dataset,
                    None if found is None else np.array(found), shard.correction,
                )  # fmt: skip
            except InputError as error:
                stats["skipped"].append({"photo": str(entry.photo), "reason": str(error)})
                continue
            if shard.box_source == "dlib" and found is None:
                stats["missed"].append(entry.source)
            writer.write(encode_example(record))
            stats["faces"] += 1
            stats["low"].append(float(record.landmarks.min()))
            stats["high"].append(float(record.landmarks.max()))
            sizes.append(side)
    stats["low"], stats["high"] = min(stats["low"], default=0), max(stats["high"], default=0)
    stats["box_sides"] = sizes
    write_json(shard.stats_path, stats)
    return stats


def make_record(
    sample: Sample,
    photo: np.ndarray,
    config: RecordsConfig,
    dataset: str,
    detected: np.ndarray | None = None,
    correction: BoxCorrection = BoxCorrection(),
) -> tuple["Record", float]:
    """One face -> its record, and the longer side of its box in pixels of the photo.

    Args:
      sample: the face.
      photo: RGB uint8 [H, W, 3].
      config: crop, context and size.
      dataset: name of the data set.
      detected: a detector's box in pixels, corrected here; None: the landmarks' box.
      correction: of the detector's boxes.

    Raises:
      InputError: the box has no area, or lies outside a photo that the crop is clipped to.
    """
    from senet_landmark.records import Record

    if detected is None:
        box = geometry.box_from_landmarks(sample.landmarks)
    else:
        box = geometry.correct_box(detected, correction)
    size = (photo.shape[1], photo.shape[0])
    region = geometry.expand(geometry.crop_box(box, config.crop, size), config.context)
    transform = geometry.to_crop(region)
    image = geometry.warp(photo, transform, (config.size, config.size))
    record = Record(
        image=encode_png(image),
        landmarks=geometry.apply(transform, sample.landmarks),
        box=geometry.apply(transform, box.reshape(2, 2)).ravel(),
        region=region,
        scheme=sample.scheme,
        dataset=dataset,
        source=sample.source,
        identity=sample.identity,
        pose=sample.pose,
        attributes=sample.attributes,
    )
    return record, float((box[2:] - box[:2]).max())
