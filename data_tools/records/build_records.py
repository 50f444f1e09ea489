"""Data set -> boxes -> crops -> sharded TFRecords, with a report and a contact sheet.

Which faces a shard has is known beforehand, so that its content does not depend on the number of
workers, and a shard that is whole is not built again after an interruption. Workers read, detect
and crop photo by photo; this process writes their results as they come, in order. A build is a
plan, two passes over its photos (the first over some of them, to fit the boxes), and an end;
`beam.py` runs the passes on a cluster.
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
from senet_landmark.data_tools.datasets.registry import list_entries
from senet_landmark.data_tools.datasets.samples import Entry, by_photo
from senet_landmark.data_tools.parallel import in_order, worker_count
from senet_landmark.data_tools.records.photos import FoundBox, Job, Photo, photo_boxes, photo_faces
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

Result = TypeVar("Result")

FIT_FACES = 1000
"""Training faces, about, that a correction is fitted to; it is made of medians."""

JOB = "job.json"
"""In `PARTS`: names the build that is unfinished."""


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
      dataset: name in `datasets.registry`.
      root: the data set's folder.
      out: folder for the records; made if absent. An interrupted build goes on there.
      config: crops, split, shards.
      boxes: source of the face boxes. A detector's is the detection that fits the annotation; a
        face that it misses, or that has no annotated box, gets its landmarks' box and is counted.
      detector_model: the file of dlib's CNN detector, for "dlib_cnn".
      points: which of the data set's annotations; "auto" is the reader's choice.
      workers: processes; 0: one a core.

    Returns:
      The report, as written to `out/report.json`; `out/contact_sheet.png` shows some faces, and
      `out/identities.json` says who is on them.

    Raises:
      InputError: nothing to build, `out` holds other records or another build is at work there, or
        no face could be used.
      OSError: a file could not be written; what is done is kept, the same call goes on.
    """
    plan = plan_build(dataset, root, out, config, boxes, detector_model, points)
    workers = worker_count(workers, sum(len(shard.photos) for shard in plan.shards))
    with building(plan):
        shards = plan.shards
        if fitted := shards_to_fit(plan):
            todo = [shard for shard in fitted if not shard.is_boxed]
            for shard, found in _work(photo_boxes, todo, workers, "fitting boxes"):
                write_boxes(shard, found)
            shards = corrected(shards, fitted)
        todo = [shard for shard in shards if not shard.is_written]
        for shard, faces in _work(photo_faces, todo, workers, "writing records"):
            write_faces(shard, faces)
        return finish(plan, shards)


@dataclass(frozen=True)
class Plan:
    """A build before it begins."""

    root: Path
    out: Path
    job: Job
    shards: list[Shard]
    leaking: list[Entry]
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
) -> Plan:
    """Lists the faces, splits them, and says which shard each goes to.

    Raises:
      InputError: nothing to build, or a detector without its model.
    """
    began = time.monotonic()
    if boxes in DETECTORS:
        get_detector(boxes, detector_model)
    split = split_entries(
        list_entries(dataset, root, points),
        config.held_out,
        test=config.test,
        held_out_name=config.held_out_name,
        by=config.split_by,
        seed=config.seed,
    )
    correction = default_corrections().get(boxes, BoxCorrection())
    job = Job(dataset, config, boxes, correction, detector_model)
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
        # Every count-th photo: all shards are of one size, give or take a photo's faces.
        if part := photos[index::count]:
            yield f"{split}-{index:05d}-of-{count:05d}.tfrecords", part


def _digest(shards: list[Shard], points: str) -> str:
    """Names the job: what an interrupted build must share with the one that goes on."""
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
    """Makes the records' folder ours while the block runs.

    Raises:
      InputError: it holds finished records or another build's work, or another build is at it.
    """
    out = plan.out
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; give a folder for the records.")
    if (out / "report.json").exists():
        raise InputError(f"{out}: already holds finished records. Delete it or give another --out.")
    if not (out / PARTS / JOB).exists() and any(out.glob("*.tfrecords")):
        raise InputError(f"{out}: holds TFRecords that are not of this build. Give another --out.")
    (out / PARTS).mkdir(parents=True, exist_ok=True)
    # The system frees the lock of a process that was killed.
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
                "options to go on with it, delete it, or give another --out."
            )
        halves = (".*.tfrecords", ".report-*.json", ".identities-*.json", ".contact_sheet-*.png")
        for left in [*(f for h in halves for f in out.glob(h)), *(out / PARTS).glob(".*.*")]:
            left.unlink(missing_ok=True)  # half-written files of a build that was killed
        return
    write_json(job, plan.digest)


def _work(
    function: Callable[[Job, Photo, dict[str, FoundBox] | None], Result],
    shards: list[Shard],
    workers: int,
    what: str,
) -> Iterator[tuple[Shard, Iterator[Result]]]:
    """Each shard with the function's results for its photos, in their order, as they come."""
    total = sum(shard.faces for shard in shards)
    with tqdm(total=total, desc=what, unit="face", dynamic_ncols=True) as bar:
        results = in_order(function, (work for shard in shards for work in work_of(shard)), workers)

        def of(shard: Shard) -> Iterator[Result]:
            for photo in shard.photos:
                yield next(results)
                bar.update(len(photo))

        for shard in shards:
            yield shard, of(shard)


def shards_to_fit(plan: Plan) -> list[Shard]:
    """The training shards whose boxes the correction is fitted to: the first `FIT_FACES` faces.

    The others' boxes are found as their records are made, which reads each photo once. None where
    the boxes are the landmarks', which need no correction.
    """
    if plan.job.box_source == LANDMARKS:
        return []
    training = [shard for shard in plan.shards if shard.split == "train"]
    before = itertools.accumulate((shard.faces for shard in training), initial=0)
    return [s for s, faces in zip(training, before, strict=False) if faces < FIT_FACES]


def corrected(shards: list[Shard], fitted: list[Shard]) -> list[Shard]:
    """The shards with the correction fitted to the boxes of some; as they are without any box."""
    correction = fit_boxes(box for shard in fitted for box in read_boxes(shard).values())
    if correction is None:
        return shards
    return [replace(s, job=replace(s.job, correction=correction)) for s in shards]


def finish(plan: Plan, shards: list[Shard]) -> dict[str, Any]:
    """Writes what stands beside shards that are all written, and clears what is left.

    The report comes last: a folder that has it is finished.

    Raises:
      InputError: no face could be used; the folder is then as it was before.
    """
    report = make_report(shards, plan.leaking, time.monotonic() - plan.began)
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
