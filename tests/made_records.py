"""Records made of others, or of nothing, for tests."""

import itertools
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import tensorflow.compat.v1 as tf

from senet_landmark.input_pipeline import RecordStore
from senet_landmark.records import (
    Record,
    encode_example,
    load_records_info,
    parse_example,
    shard_paths,
)
from senet_landmark.tfrecords import HEAD, frames_in, tfrecords_in


def open_store(folder: Path, split: str = "train", **options) -> RecordStore:
    """The records of one split of a folder."""
    return RecordStore(shard_paths(folder, load_records_info(folder), split), **options)


def write_records(path: Path, records: Iterable[Record]) -> Path:
    """One TFRecord file."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(encode_example(record))
    return path


def changed_records(
    folder: Path, out: Path, change: Callable[[str, int, Record], Record], **report
) -> Path:
    """The records of a folder, each changed by (split, number in the split, record), and report."""
    info = load_records_info(folder)
    out.mkdir(parents=True)
    for split, names in info.splits.items():
        number = 0
        for name in names:
            records = []
            for _, data in tfrecords_in(folder / name):
                records.append(change(split, number, parse_example(data)))
                number += 1
            write_records(out / name, records)
    whole = json.loads((folder / "report.json").read_text()) | report
    (out / "report.json").write_text(json.dumps(whole))
    return out


def record_of(landmarks: np.ndarray, scheme: str, pose=(np.nan,) * 3, size=(64, 64)) -> Record:
    """A black crop of (width, height) pixels with landmarks [K, 2] in pixels."""
    width, height = size
    image = cv2.imencode(".png", np.zeros((height, width, 3), np.uint8))[1].tobytes()
    return Record(
        image=image,
        landmarks=np.asarray(landmarks / np.array(size), np.float32),
        visible=np.ones(len(landmarks), bool),
        box=np.array([0.2, 0.2, 0.8, 0.8], np.float32),
        region=np.array([10, 20, 10 + width, 20 + height], np.float32),
        scheme=scheme,
        dataset="made",
        subset="",
        source="made.png",
        identity="made",
        pose=np.array(pose, np.float32),
        attributes=np.zeros(0, np.float32),
    )


def damaged_records(folder: Path, out: Path, count: int) -> Path:
    """The records of a folder, of which the first `count` training ones have a flipped byte."""
    shutil.copytree(folder, out)
    (path,) = shard_paths(out, load_records_info(out), "train")
    data = bytearray(path.read_bytes())
    for frame in itertools.islice(frames_in(path), count):
        data[frame.offset + HEAD + len(frame.data) // 2] ^= 0xFF
    path.write_bytes(data)
    return out
