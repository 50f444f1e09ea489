"""Data set -> boxes -> crops -> sharded TFRecords, with a report and a contact sheet.

The unit of work is a shard: its faces are known beforehand, so that its content does not depend on
the number of workers, and a shard that is already whole is not built again after an interruption.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from tqdm import tqdm

from data_tools import face_boxes
from data_tools.datasets.registry import get_dataset, list_entries
from data_tools.parallel import as_completed, worker_count
from data_tools.samples import Entry
from data_tools.shards import PARTS, Shard, detect_shard, fit_shards, write_shard
from data_tools.split import split_entries
from senet_landmark.config import RecordsConfig, to_json
from senet_landmark.drawing import YELLOW, contact_sheet, draw_box, draw_points
from senet_landmark.errors import InputError
from senet_landmark.files import read_json, write_json
from senet_landmark.geometry import BoxCorrection
from senet_landmark.images import decode_photo, write_picture

T = TypeVar("T")


def build_records(
    dataset: str,
    root: Path | str,
    out: Path | str,
    config: RecordsConfig = RecordsConfig(),
    *,
    boxes: face_boxes.BoxSource = "landmarks",
    points: str = "auto",
    workers: int = 0,
) -> dict[str, Any]:
    """Builds the records of a data set.

    Args:
      dataset: name in `datasets.registry`.
      root: the data set's folder.
      out: folder for the records; made if absent. An interrupted build goes on there.
      config: crops, split, shards.
      boxes: source of the face boxes. "dlib" takes the detection that fits the annotation and,
        where dlib finds none, the landmarks' box; the report counts them.
      points: which of the data set's annotations; "auto" is the reader's choice.
      workers: processes; 0: one a core.

    Returns:
      The report, as written to `out/report.json`; `out/contact_sheet.png` shows some faces.

    Raises:
      InputError: nothing to build, `out` holds other records, or no face could be used.
    """
    began = time.monotonic()
    out = Path(out)
    entries = list_entries(dataset, root, points)
    training, held_out = split_entries(
        entries, config.held_out, by=config.split_by, seed=config.seed
    )
    template = Shard(
        name="", split="", dataset=dataset, entries=(), config=config, box_source=boxes, out=out,
        correction=face_boxes.DEFAULT_CORRECTIONS[boxes],
    )  # fmt: skip
    shards = [
        replace(template, name=name, split=split, entries=tuple(part))
        for split, side in (("train", training), (config.held_out_name, held_out))
        for name, part in _parts(split, side, config.shard_size)
    ]
    _claim(out, _digest(shards, points))
    workers = worker_count(workers, len(shards))
    correction = template.correction
    if boxes == "dlib":
        _work(detect_shard, shards, workers, "finding faces")
        correction = fit_shards(shards) or correction
        shards = [replace(shard, correction=correction) for shard in shards]
    stats = _work(write_shard, shards, workers, "writing records")
    report = _report(dataset, config, boxes, correction, shards, stats)
    report["seconds"] = round(time.monotonic() - began, 1)
    report["faces_per_second"] = round(report["faces"] / max(time.monotonic() - began, 1e-6), 1)
    if not report["faces"]:
        for shard in shards:
            (out / shard.name).unlink()
        _clear_parts(out)
        reasons = "; ".join(skip["reason"] for skip in report["skipped"][:3])
        raise InputError(f"{root}: no face could be used. First reasons: {reasons}")
    _draw_contact_sheet(out, report)
    write_json(out / "report.json", report)
    _clear_parts(out)
    return report


def _parts(split: str, entries: list[Entry], size: int) -> Iterator[tuple[str, list[Entry]]]:
    if not entries:
        return
    if not size:
        yield f"{split}.tfrecords", entries
        return
    count = -(-len(entries) // size)
    for index in range(count):
        # Every count-th entry: all shards are of one size, give or take one face.
        yield f"{split}-{index:05d}-of-{count:05d}.tfrecords", entries[index::count]


def _digest(shards: list[Shard], points: str) -> str:
    """Names the job: what an interrupted build must share with the one that goes on."""
    job = [
        [s.name, s.dataset, s.box_source, asdict(s.config), [e.source for e in s.entries], points]
        for s in shards
    ]
    return hashlib.sha256(json.dumps(job).encode()).hexdigest()


def _claim(out: Path, digest: str) -> None:
    """Makes the folder ours. Raises InputError where it holds another build's work."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; give a folder for the records.")
    job = out / PARTS / "job.json"
    if (out / "report.json").exists():
        raise InputError(f"{out}: already holds finished records. Delete it or give another --out.")
    if job.exists():
        if read_json(job) != digest:
            raise InputError(
                f"{out}: holds an unfinished build of other options or photos. Give the same "
                "options to go on with it, delete it, or give another --out."
            )
        for left in [*out.glob(".*.tfrecords"), *(out / PARTS).glob(".*.json")]:
            left.unlink()  # half-written files of a build that was killed
        return
    if out.exists() and any(out.glob("*.tfrecords")):
        raise InputError(f"{out}: holds TFRecords that are not of this build. Give another --out.")
    write_json(job, digest)


def _work(function: Callable[[Shard], T], shards: list[Shard], workers: int, what: str) -> list[T]:
    """Runs a function over the shards; results in the shards' order."""
    results: dict[int, T] = {}
    total = sum(len(s.entries) for s in shards)
    with tqdm(total=total, desc=what, unit="face", dynamic_ncols=True) as bar:
        for index, result in as_completed(function, shards, workers):
            results[index] = result
            bar.update(len(shards[index].entries))
    return [results[index] for index in range(len(shards))]


def _report(
    dataset: str,
    config: RecordsConfig,
    boxes: str,
    correction: BoxCorrection,
    shards: list[Shard],
    stats: list[dict[str, Any]],
) -> dict[str, Any]:
    from senet_landmark.records import SCHEMA_VERSION

    sides = np.array([side for s in stats for side in s["box_sides"]] or [0.0])
    used = [(shard, s) for shard, s in zip(shards, stats, strict=True) if s["faces"]]
    splits = sorted({shard.split for shard in shards}, key=lambda name: name != "train")
    skipped = [skip for s in stats for skip in s["skipped"]]
    missed = sorted(name for s in stats for name in s["missed"])
    corrections = {**face_boxes.DEFAULT_CORRECTIONS, boxes: correction}
    return {
        "schema_version": SCHEMA_VERSION,
        "dataset": dataset,
        "scheme": get_dataset(dataset).scheme,
        "records": to_json(config),
        "splits": {k: [shard.name for shard, _ in used if shard.split == k] for k in splits},
        "held_out": config.held_out_name,
        "box_source": boxes,
        "box_corrections": {name: to_json(c) for name, c in corrections.items()},
        "faces": sum(s["faces"] for s in stats),
        "faces_by_split": {
            k: sum(s["faces"] for shard, s in used if shard.split == k) for k in splits
        },
        "detector_missed": len(missed),
        "detector_missed_photos": missed,
        "skipped_count": len(skipped),
        "skipped": skipped,
        "box_side_pixels": {
            "min": round(float(sides.min()), 1),
            "median": round(float(np.median(sides)), 1),
            "max": round(float(sides.max()), 1),
        },
        "landmark_range": [
            round(min((s["low"] for _, s in used), default=0.0), 3),
            round(max((s["high"] for _, s in used), default=0.0), 3),
        ],
    }


def _draw_contact_sheet(out: Path, report: dict[str, Any], most: int = 48) -> None:
    """Draws faces of the first training shard, landmarks and canonical box on them."""
    import tensorflow.compat.v1 as tf

    from senet_landmark.records import parse_example

    names = [name for split in report["splits"].values() for name in split]
    pictures = []
    for data in tf.io.tf_record_iterator(str(out / names[0])):
        record = parse_example(data)
        image = decode_photo(record.image)
        size = np.array(image.shape[1::-1])
        box = (record.box.reshape(2, 2) * size - 0.5).ravel()
        pictures.append(draw_points(draw_box(image, box, YELLOW), record.landmarks * size - 0.5))
        if len(pictures) == most:
            break
    write_picture(out / "contact_sheet.png", contact_sheet(pictures))


def _clear_parts(out: Path) -> None:
    for path in (out / PARTS).iterdir():
        path.unlink()
    (out / PARTS).rmdir()
