"""The report of a build, `report.json`, and its contact sheet."""

from pathlib import Path
from typing import Any

import numpy as np

from senet_landmark.config import to_json
from senet_landmark.data.records import SCHEMA_VERSION, Record, parse_example
from senet_landmark.data.tfrecords import tfrecords_in
from senet_landmark.data_tools.datasets.registry import get_dataset, recorded_name
from senet_landmark.data_tools.datasets.samples import Entry
from senet_landmark.data_tools.records.shards import Shard, read_stats
from senet_landmark.detectors.registry import default_corrections
from senet_landmark.face.pose import yaw_band
from senet_landmark.io.files import printable
from senet_landmark.io.images import decode_photo, write_picture
from senet_landmark.visualisation.drawing import (
    PREDICTION,
    YELLOW,
    contact_sheet,
    draw_box,
    fit_into,
    mark_points,
)

SHEET_CELL = 160
"""Side in pixels of a face on a contact sheet."""

HIDDEN = PREDICTION
"""Colour of landmarks that are annotated as hidden; records have no predictions."""


def make_report(
    shards: list[Shard], leaking: list[Entry], joined: list[list[str]], seconds: float
) -> dict[str, Any]:
    """The report of a build whose shards are all written.

    Args:
      shards: all shards of the build.
      leaking: entries that the split left out.
      joined: sources of the photos of each group of copies, exact, near or mirrored, that were made
        one identity.
      seconds: duration of the build in this session.
    """
    job = shards[0].job
    splits: dict[str, list[str]] = {shard.split: [] for shard in shards}
    by_split = dict.fromkeys(splits, 0)
    bands: dict[str, dict[str, int]] = {}
    skipped = [
        {
            "photo": printable(entry.photo),
            "face": entry.source,
            "reason": f"{printable(entry.photo)}: its identity, {entry.identity}, is in the "
            "published test part; left out of training.",
        }
        for entry in leaking
    ]
    missed: list[str] = []
    sides: list[float] = []
    copies: dict[str, dict[str, str]] = {}
    low, high = np.inf, -np.inf
    for shard in shards:
        stats = read_stats(shard)
        skipped += stats.skipped
        missed += stats.missed
        sides += stats.sides
        missed_sources = set(stats.missed)
        for source, yaw, digest in zip(stats.sources, stats.yaws, stats.digests, strict=True):
            band = bands.setdefault(yaw_band(yaw), {"faces": 0, "missed": 0})
            band["faces"] += 1
            band["missed"] += source in missed_sources
            if digest:
                copies.setdefault(digest, {})[source] = shard.split
        if stats.sources:
            splits[shard.split].append(shard.name)
            by_split[shard.split] += len(stats.sources)
            low, high = min(low, stats.low), max(high, stats.high)
    duplicates = [photos for photos in copies.values() if len(photos) > 1]
    used = [shard for shard in shards if shard.photos]
    corrections = {**default_corrections(), job.box_source: job.correction}
    faces = sum(by_split.values())
    return {
        "schema_version": SCHEMA_VERSION,
        "dataset": recorded_name(job.dataset, used[0].photos[0][0], job.config.photos_of),
        "scheme": used[0].photos[0][0].scheme,
        "attributes": list(get_dataset(job.dataset).attributes),
        "records": to_json(job.config),
        "splits": splits,
        "held_out": job.config.held_out_name,
        "box_source": job.box_source,
        "box_corrections": {name: to_json(c) for name, c in sorted(corrections.items())},
        "faces": faces,
        "faces_by_split": by_split,
        "faces_by_yaw": {band: bands[band] for band in sorted(bands)},
        "missed_count": len(missed),
        "missed": sorted(missed),
        "skipped_count": len(skipped),
        "skipped": skipped,
        "duplicate_photos": len(duplicates),
        "duplicates": [sorted(photos) for photos in duplicates],
        "duplicates_across_splits": [
            sorted(photos) for photos in duplicates if len(set(photos.values())) > 1
        ],
        "joined_photos": sum(map(len, joined)),
        "joined": joined,
        "box_side_pixels": _range_of(sides),
        "landmark_range": [round(low, 3), round(high, 3)] if faces else [0.0, 0.0],
        "seconds": round(seconds, 1),
        "faces_per_second": round(faces / max(seconds, 1e-6), 1),
    }


def _range_of(values: list[float]) -> dict[str, float]:
    numbers = np.array(values or [0.0])
    return {
        "min": round(float(numbers.min()), 1),
        "median": round(float(np.median(numbers)), 1),
        "max": round(float(numbers.max()), 1),
    }


def draw_contact_sheet(out: Path, report: dict[str, Any], most: int = 48) -> None:
    """Draws some faces of the first shard to `contact_sheet.png`."""
    names = [name for split in report["splits"].values() for name in split]
    pictures = []
    for _, data in tfrecords_in(out / names[0]):
        pictures.append(draw_record(parse_example(data)))
        if len(pictures) == most:
            break
    write_picture(out / "contact_sheet.png", contact_sheet(pictures))


def draw_record(
    record: Record, image: np.ndarray | None = None, side: int = SHEET_CELL
) -> np.ndarray:
    """Draws the canonical box and the landmarks, hidden ones in orange, on the crop.

    Args:
      record: the record.
      image: its picture, RGB uint8 [H, W, 3]; by default it is decoded.
      side: side of the result in pixels.

    Returns:
      RGB uint8 [side, side, 3].
    """
    image = decode_photo(record.image) if image is None else image
    size = np.array(image.shape[1::-1])
    picture, box, points = fit_into(
        image, side, record.box.reshape(2, 2) * size - 0.5, record.landmarks * size - 0.5
    )
    picture = draw_box(picture, box.ravel(), YELLOW)
    picture = mark_points(picture, points[~record.visible], HIDDEN)
    return mark_points(picture, points[record.visible])
