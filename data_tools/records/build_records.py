"""Data set -> boxes -> crops -> sharded TFRecords, with a report and a contact sheet.

A plan assigns the faces to shards before the work starts. So the content of a shard does not depend
on the number of workers, and a complete shard is not built again after an interruption. Workers
read, detect and crop photo by photo; this process writes their results in order, as they arrive. A
build makes a plan, passes over some photos to fit the boxes, passes over all photos to write the
records, and finishes with a report; `beam.py` runs the two passes on a cluster.
"""

import contextlib
import hashlib
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout
from tqdm import tqdm

from senet_landmark.config import RecordsConfig
from senet_landmark.data.identities import save_identities
from senet_landmark.data_tools.datasets.registry import check_photos_of, list_entries
from senet_landmark.data_tools.datasets.samples import Entry, by_photo
from senet_landmark.data_tools.parallel import in_order, worker_count
from senet_landmark.data_tools.records.copies import joined_copies
from senet_landmark.data_tools.records.photos import (
    FoundBox,
    Job,
    Photo,
    lost_faces,
    photo_boxes,
    photo_faces,
)
from senet_landmark.data_tools.records.report import draw_contact_sheet, make_report
from senet_landmark.data_tools.records.shards import (
    PARTS,
    Shard,
    fit_boxes,
    identities_of,
    read_boxes,
    work_of,
    write_boxes,
    write_faces,
)
from senet_landmark.data_tools.records.split import split_entries
from senet_landmark.detectors.registry import DETECTORS, default_corrections, get_detector
from senet_landmark.errors import InputError
from senet_landmark.face.boxes import LANDMARKS
from senet_landmark.face.geometry import BoxCorrection
from senet_landmark.io.files import read_json, write_json
from senet_landmark.io.temporaries import remove_leftovers

Result = TypeVar("Result")

FIT_FACES = 1000
"""Approximate number of training faces to which a box correction, made of medians, is fitted."""

JOB = "job.json"
"""File in `PARTS` with the digest of the unfinished build."""


def build_records(
    dataset: str,
    root: Path | str,
    out: Path | str,
    config: RecordsConfig = RecordsConfig(),
    *,
    boxes: str = LANDMARKS,
    detector_model: Path | None = None,
    points: str = "auto",
    workers: int = 0,
) -> dict[str, Any]:
    """Builds the records of a data set.

    Args:
      dataset: name of the data set in `datasets.registry`.
      root: folder of the data set.
      out: folder for the records; made if absent. An interrupted build continues there.
      config: options of crops, split and shards.
      boxes: source of the face boxes. From a detector the detection that fits the annotation is
        used. A face that the detector misses, or that has no annotated box, gets the box of its
        landmarks and is counted as missed.
      detector_model: the detector's file, for "dlib_cnn" and "yunet".
      points: which of the data set's annotations is used; with "auto" the reader chooses.
      workers: number of processes; 0: one a core.

    Returns:
      The report, as written to `out/report.json`. `out/contact_sheet.png` shows some faces, and
      `out/identities.json` has the identities of all faces.

    Raises:
      InputError: there is nothing to build, `out` holds other records, another build runs there, or
        no face could be used.
      OSError: a file could not be written. Finished work is kept; the same call continues it.
    """
    plan = plan_build(dataset, root, out, config, boxes, detector_model, points, workers)
    workers = worker_count(workers, sum(len(shard.photos) for shard in plan.shards))
    with building(plan):
        shards = plan.shards
        if fitted := shards_to_fit(plan):
            todo = [shard for shard in fitted if not shard.is_boxed]
            boxes_work = _work(photo_boxes, todo, workers, "fitting boxes", lambda *_: {})
            for shard, found_boxes in boxes_work:
                write_boxes(shard, found_boxes)
            shards = corrected(shards, fitted)
        todo = [shard for shard in shards if not shard.is_written]
        for shard, faces in _work(photo_faces, todo, workers, "writing records", lost_faces):
            write_faces(shard, faces)
        return finish(plan, shards)


@dataclass(frozen=True)
class Plan:
    """A build before it begins.

    Attributes:
      root: folder of the data set.
      out: folder for the records.
      job: data of the build that every worker needs.
      shards: the shards to be written.
      leaking: entries that the split leaves out.
      copies: sources of the photos of each group of copies.
      digest: digest of the options and the faces; an interrupted build needs the same to continue.
      began: `time.monotonic()` at the beginning.
    """

    root: Path
    out: Path
    job: Job
    shards: list[Shard]
    leaking: list[Entry]
    copies: list[list[str]]
    digest: str
    began: float


def plan_build(
    dataset: str,
    root: Path | str,
    out: Path | str,
    config: RecordsConfig = RecordsConfig(),
    boxes: str = LANDMARKS,
    detector_model: Path | None = None,
    points: str = "auto",
    workers: int = 0,
) -> Plan:
    """Lists the faces, splits them, and assigns each one to a shard.

    Copies of a photo become one identity first, unless the split is by view.

    Raises:
      InputError: there is nothing to build, a detector lacks its model, whole photos are to be
        recorded by another box source than the landmarks, or `photos_of` is no name or does not
        go with the data set.
    """
    began = time.monotonic()
    if boxes != LANDMARKS and config.crop.of == "photo":
        raise InputError(
            f"Records of whole photos (records.crop.of) use no face boxes: leave --boxes {boxes} "
            "out, or build crops of faces with --records.crop.of face."
        )
    if boxes in DETECTORS:
        get_detector(boxes, detector_model)
    check_photos_of(dataset, config.photos_of)
    entries = list_entries(dataset, root, points)
    crowded: frozenset[tuple[Path, int]] = frozenset()
    if config.crop.of == "photo":
        crowded = frozenset(photo[0].shot for photo in by_photo(entries) if len(photo) > 1)
    copies: list[list[str]] = []
    if config.split_by == "source":
        entries, copies = joined_copies(dataset, entries, workers)
    split = split_entries(
        entries,
        config.held_out,
        test=config.test,
        held_out_name=config.held_out_name,
        by=config.split_by,
        seed=config.seed,
    )
    correction = default_corrections().get(boxes, BoxCorrection())
    job = Job(dataset, config, boxes, correction, detector_model, crowded)
    shards = [
        Shard(name=name, split=side, photos=tuple(part), out=Path(out), job=job)
        for side, entries in split.sides.items()
        for name, part in _parts(side, by_photo(entries), config.shard_size)
    ]
    return Plan(
        root=Path(root),
        out=Path(out),
        job=job,
        shards=shards,
        leaking=split.leaking,
        copies=copies,
        digest=_digest(shards, points),
        began=began,
    )


def _parts(split: str, photos: list[Photo], size: int) -> Iterator[tuple[str, list[Photo]]]:
    if not photos:
        return
    if not size:
        yield f"{split}.tfrecords", photos
        return
    count = -(-sum(len(photo) for photo in photos) // size)
    for index in range(count):
        # Every count-th photo, so that all shards have nearly the same size.
        if part := photos[index::count]:
            yield f"{split}-{index:05d}-of-{count:05d}.tfrecords", part


def _digest(shards: list[Shard], points: str) -> str:
    """Digest of options and faces, which must be equal to continue an interrupted build."""
    job = shards[0].job if shards else None
    digest = hashlib.sha256(
        repr((job and (job.dataset, job.box_source, asdict(job.config)), points)).encode()
    )
    for shard in shards:
        digest.update(shard.name.encode())
        for photo in shard.photos:
            for entry in photo:
                digest.update(entry.source.encode() + b"\0")
    return digest.hexdigest()


@contextlib.contextmanager
def building(plan: Plan) -> Iterator[None]:
    """Locks the folder of the records for this build while the block runs.

    Raises:
      InputError: the folder holds finished records or those of another build, or another build
        runs there.
    """
    out = plan.out
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; give a folder for the records.")
    if (out / "report.json").exists():
        raise InputError(f"{out}: already holds finished records. Delete it or give another --out.")
    if not (out / PARTS / JOB).exists() and any(out.glob("*.tfrecords")):
        raise InputError(f"{out}: holds TFRecords that are not of this build. Give another --out.")
    (out / PARTS).mkdir(parents=True, exist_ok=True)
    # The system releases the lock of a killed process.
    lock = FileLock(out / PARTS / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(
            f"{out}: another build is at work on this folder. Wait for it, or give another --out."
        ) from error
    try:
        _claim(plan)
        yield
    finally:
        lock.release()


def _claim(plan: Plan) -> None:
    out, job = plan.out, plan.out / PARTS / JOB
    if (out / "report.json").exists():
        raise InputError(f"{out}: another build has just finished these records.")
    if job.exists():
        if read_json(job) != plan.digest:
            raise InputError(
                f"{out}: holds an unfinished build of other options or photos. Give the same "
                "options to continue it, delete it, or give another --out."
            )
        for folder in (out, out / PARTS):
            remove_leftovers(folder)
        return
    write_json(job, plan.digest)


def _work(
    function: Callable[[Job, Photo, dict[str, FoundBox] | None], Result],
    shards: list[Shard],
    workers: int,
    what: str,
    lost: Callable[[Job, Photo, dict[str, FoundBox] | None], Result],
) -> Iterator[tuple[Shard, Iterator[Result]]]:
    """Gives each shard with the results of its photos, in their order, as they are ready.

    `lost` gives the result of a photo that kills the processes at work on it.
    """
    total = sum(shard.faces for shard in shards)
    with tqdm(total=total, desc=what, unit="face", dynamic_ncols=True) as bar:
        photos = (work for shard in shards for work in work_of(shard))
        results = in_order(function, photos, workers, lost)

        def results_of(shard: Shard) -> Iterator[Result]:
            for photo in shard.photos:
                yield next(results)
                bar.update(len(photo))

        for shard in shards:
            yield shard, results_of(shard)


def shards_to_fit(plan: Plan) -> list[Shard]:
    """The training shards, with about `FIT_FACES` faces, to whose boxes the correction is fitted.

    The boxes of the other shards are found when their records are made, so that each of their
    photos is read only once. Empty if the boxes come from the landmarks: these need no correction.
    """
    if plan.job.box_source == LANDMARKS:
        return []
    training = [shard for shard in plan.shards if shard.split == "train"]
    before = itertools.accumulate((shard.faces for shard in training), initial=0)
    return [s for s, faces in zip(training, before, strict=False) if faces < FIT_FACES]


def corrected(shards: list[Shard], fitted: list[Shard]) -> list[Shard]:
    """The shards with the correction fitted to the boxes of `fitted`; unchanged without a box."""
    correction = fit_boxes(box for shard in fitted for box in read_boxes(shard).values())
    if correction is None:
        return shards
    return [replace(s, job=replace(s.job, correction=correction)) for s in shards]


def finish(plan: Plan, shards: list[Shard]) -> dict[str, Any]:
    """Writes contact sheet, identities and report beside the shards, and deletes temporary files.

    The report is written last: a folder with a report is finished.

    Raises:
      InputError: no face could be used; the folder is then restored to its state before.
    """
    report = make_report(shards, plan.leaking, plan.copies, time.monotonic() - plan.began)
    if not report["faces"]:
        for shard in shards:
            shard.path.unlink()
        _clear_parts(plan.out)
        reasons = "; ".join(skip["reason"] for skip in report["skipped"][:3])
        raise InputError(f"{plan.root}: no face could be used. First reasons: {reasons}")
    draw_contact_sheet(plan.out, report)
    save_identities(plan.out, identities_of(shards))
    write_json(plan.out / "report.json", report)
    _clear_parts(plan.out)
    return report


def _clear_parts(out: Path) -> None:
    for path in (out / PARTS).iterdir():
        path.unlink()
    (out / PARTS).rmdir()
