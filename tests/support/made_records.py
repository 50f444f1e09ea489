"""Records made of others, or of nothing, for tests."""

import itertools
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import tensorflow.compat.v1 as tf

from senet_landmark.data.input_pipeline import RecordStore
from senet_landmark.data.records import (
    Record,
    encode_example,
    load_records_info,
    parse_example,
    shard_paths,
)
from senet_landmark.data.tfrecords import HEAD, raw_records, tfrecords_in


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
        depth=np.full(len(landmarks), np.nan, np.float32),
    )


def damaged_records(folder: Path, out: Path, count: int) -> Path:
    """The records of a folder, of which the first `count` training ones have a flipped byte."""
    shutil.copytree(folder, out)
    (path,) = shard_paths(out, load_records_info(out), "train")
    data = bytearray(path.read_bytes())
    for frame in itertools.islice(raw_records(path), count):
        data[frame.offset + HEAD + len(frame.data) // 2] ^= 0xFF
    path.write_bytes(data)
    return out


def example_record():
    generator = np.random.default_rng(0)
    return Record(
        image=b"\x89PNG",
        landmarks=generator.normal(size=(68, 2)).astype(np.float32),
        visible=np.arange(68) % 3 > 0,
        box=np.array([0.2, 0.2, 0.8, 0.8], np.float32),
        region=np.array([-3, 5, 90, 98], np.float32),
        scheme="300w_68",
        dataset="300w_lp",
        subset="HELEN",
        source="HELEN/ümlaut_0.jpg",
        identity="HELEN/ümlaut",
        pose=np.array([1, np.nan, 3], np.float32),
        attributes=np.zeros(0, np.float32),
        depth=np.where(np.arange(68) % 5, generator.normal(size=68), np.nan).astype(np.float32),
    )


def write_csv(folder, rows):
    """Records of the portrait under several names; rows: (photo, identity, split)."""
    from senet_landmark.data_tools.synthesis.synthetic_tree import portrait, portrait_path

    folder.mkdir()
    truth = portrait()[1]
    names = ",".join(f"x{i},y{i}" for i in range(68))
    values = ",".join(str(v) for v in truth.ravel())
    lines = [f"{photo},{identity},{split},{values}" for photo, identity, split in rows]
    (folder / "a.csv").write_text("\n".join([f"photo,identity,split,{names}", *lines]))
    for photo, _, _ in rows:
        shutil.copy(portrait_path(), folder / photo)
    return folder


def copy_tree(tree, tmp_path, count=8):
    """A tree of the first photos that a test may spoil."""
    tmp_path.mkdir()
    for photo in sorted((tree / "SYNTH").glob("*.jpg"))[:count]:
        for path in (photo, photo.with_suffix(".mat")):
            (tmp_path / "SYNTH").mkdir(exist_ok=True)
            shutil.copy(path, tmp_path / "SYNTH")
        (tmp_path / "landmarks" / "SYNTH").mkdir(parents=True, exist_ok=True)
        points = tree / "landmarks" / "SYNTH" / f"{photo.stem}_pts.mat"
        shutil.copy(points, tmp_path / "landmarks" / "SYNTH")
    return tmp_path


def parse(folder, split="train"):
    paths = shard_paths(folder, load_records_info(folder), split)
    return [parse_example(d) for path in paths for d in tf.io.tf_record_iterator(str(path))]
