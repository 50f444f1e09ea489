"""`senet-landmark predict`: photos and folders -> files of landmarks, and pictures.

Every photo becomes a line of `landmarks.jsonl` as soon as it is done (`lines.py`), and the other
files are made of these lines at the end. An interrupted run, however it ended, goes on where it
stopped.
"""

import contextlib
import dataclasses
import functools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from senet_landmark.errors import InputError
from senet_landmark.export.inference.align import LEAST_CHIP
from senet_landmark.export.inference.batch.inputs import Input, list_inputs
from senet_landmark.export.inference.batch.lines import photo_key
from senet_landmark.export.inference.batch.made_files import MADE, Format
from senet_landmark.export.inference.batch.results import Results, close_folder, results_folder
from senet_landmark.export.inference.batch.work import (
    Job,
    Outcome,
    Task,
    in_this_process,
    in_workers,
    make_predictor,
)
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.io.addresses import Limits
from senet_landmark.signals import stopping

LOG = logging.getLogger(__name__)
"""A record for each photo, for a log file."""

MOST_NAMED = 1000
"""Photos without a face, and skipped photos, that a summary names; the others it only counts."""

PHOTOS_PER_WORKER = 50
"""A further process takes as long to start as it takes to predict on about so many photos."""

Run = Callable[[Iterator[Task], Job, Callable[[], bool]], Iterator[Outcome]]
"""(the photos, what they have in common, whether to stop) -> the outcome of each photo."""


def predict_photos(
    photos: Sequence[Path | str | Input],
    out: Path | str,
    *,
    predictor: Predictor | Mapping[str, Any] | None = None,
    boxes: np.ndarray | None = None,
    write: Sequence[Format] = ("json",),
    pictures: bool = True,
    chip_size: int = 0,
    workers: int = 1,
    overwrite: bool = False,
    run: Run | None = None,
    limits: Limits = Limits(),
    quiet: bool = False,
) -> dict[str, Any]:
    """Finds faces and landmarks in photos and folders of photos.

    A photo whose line is already in `out` is passed over: so an interrupted call is continued, and
    further photos are added. Ctrl-C and SIGTERM finish the photos at work and write what was done.

    Args:
      photos: photos, folders that are searched for photos, and http addresses of photos as texts.
      out: folder for `landmarks.jsonl`, for the files of `write` and, for each photo with a face,
        `NAME_landmarks.jpg` with the points. Subfolders of a folder of photos are made there too.
      predictor: the predictor, or the arguments of one, which several workers need; None: that of
        the default model.
      boxes: [N, 4], face boxes in pixels, in place of a detector's; for a single photo only.
      write: formats of the landmark files.
      pictures: whether to write pictures with the points.
      chip_size: side in pixels of the upright chips `NAME_chip_1.png` … of the faces
        (`export/inference/align.py`); 0: no chips.
      workers: number of processes; 0: one a core, but one for each `PHOTOS_PER_WORKER` photos.
      overwrite: begin anew, and replace files that no run of `predict` wrote.
      run: runs the photos elsewhere (`predict_beam.py`) in place of `workers`.
      limits: what is fetched from addresses.
      quiet: no progress bar.

    Returns:
      {"photos": number read, now or before, "before": how many of them by an earlier call, "faces":
      number found, "without_face": [paths], "without_face_count", "skipped": [{"photo", "reason"}],
      "skipped_count"}. A photo that cannot be read, or whose files cannot be written, is skipped,
      and reported there; `out/landmarks.skipped.jsonl` has all of them. The same call tries them
      again. The two lists end after `MOST_NAMED`.

    Raises:
      InputError: the only path does not exist, or is a folder that holds no photo but what
        `predict` wrote (of several, such a path is skipped); boxes are given for several photos, no
        photo could be read, `out` holds results of other options or files that no run wrote, or the
        disk is full.
      KeyboardInterrupt: the call was interrupted; what was done is written.
    """
    out = Path(out)
    if chip_size and chip_size < LEAST_CHIP:
        raise InputError(f"A face chip has at least {LEAST_CHIP} pixels a side, not {chip_size}.")
    problems: list[str] = []
    several = len(photos) > 1
    note = (lambda _, reason: problems.append(reason)) if several else None
    count = sum(1 for _ in list_inputs(photos, out, note))
    if not count and problems:
        raise InputError(f"No photo could be read. {'; '.join(problems[:3])}")
    if not count:
        raise InputError("What is given are pictures that predict wrote; give photos.")
    if boxes is not None and count > 1:
        raise InputError(f"A face box is of one photo; {count} are given.")
    options: dict[str, Any] = {}
    if not isinstance(predictor, Predictor):
        options = {"model": None, **(predictor or {})}
        predictor = make_predictor(options)
    elif workers > 1:
        raise InputError("Several workers need the arguments of a predictor, not a predictor.")
    job = Job(out.absolute(), options, boxes, "pts" in write, pictures, chip_size, limits)
    workers = worker_count(workers, count) if options else 1
    settings = _settings(predictor, job)
    made = {file: make for name in write for file, make in MADE.get(name, {}).items()}
    summary = _Summary()
    with results_folder(out, settings, made, overwrite) as results, stopping() as stopped:
        order: dict[int, int] = {}
        tasks = _tasks(photos, results, job, order, summary)
        if run:
            outcomes = run(tasks, job, stopped.is_set)
        elif workers > 1:
            outcomes = in_workers(tasks, job, workers, stopped.is_set)
        else:
            outcomes = in_this_process(tasks, predictor, job, stopped.is_set)
        with (
            contextlib.closing(outcomes),  # type: ignore[type-var]  # a generator
            tqdm(total=count, unit="photo", disable=quiet or count < 2, dynamic_ncols=True) as bar,
        ):
            for outcome in outcomes:
                _note(outcome, results, summary)
                bar.update(summary.photos + summary.skipped_count - bar.n)
        if not summary.photos and not stopped.is_set():
            reasons = "; ".join(skip["reason"] for skip in summary.skipped[:3])
            close_folder(results)
            raise InputError(f"No photo could be read. {reasons}")
        lines = functools.partial(results.read, order)
        for file, make in made.items():
            results.install(file, make(lines, predictor.scheme, results.out, results.folder))
        if stopped.is_set():
            raise KeyboardInterrupt
        close_folder(results)
    return vars(summary)


def worker_count(workers: int, photos: int) -> int:
    """The number of processes: `workers`, or for 0 one a core where the photos are many."""
    from senet_landmark.export.engines.interface import cores

    return max(1, workers or min(cores(), photos // PHOTOS_PER_WORKER))


@dataclass
class _Summary:
    photos: int = 0
    before: int = 0
    faces: int = 0
    without_face: list[str] = field(default_factory=list)
    without_face_count: int = 0
    skipped: list[dict[str, str]] = field(default_factory=list)
    skipped_count: int = 0

    def add(self, photo: str, faces: int) -> None:
        self.photos += 1
        self.faces += faces
        if not faces:
            self.without_face_count += 1
            self.without_face += [photo] if len(self.without_face) < MOST_NAMED else []

    def skip(self, photo: str, reason: str) -> None:
        self.skipped_count += 1
        if len(self.skipped) < MOST_NAMED:
            self.skipped.append({"photo": photo, "reason": reason})


def _tasks(
    photos: Sequence[Path | str | Input],
    results: Results,
    job: Job,
    order: dict[int, int],
    summary: _Summary,
) -> Iterator[Task]:
    """The photos that are to be done, each once; the others are counted. Fills `order`."""

    def problem(path: Path | str, reason: str) -> None:
        LOG.info("skipped: %s", reason)
        summary.skip(str(path), reason)
        results.skip(path, reason)

    for photo in list_inputs(photos, results.out, problem):
        key = photo_key(photo.image)
        if key in order:
            continue
        order[key] = len(order)
        if key in results.done:
            summary.before += 1
            summary.add(str(photo.image), results.done[key])
            continue
        name = results.names.give(photo)
        if job.writes_files:
            replace = results.overwrite or results.has_begun(name)
            results.begin(name)
        else:
            replace = False
        yield Task(photo.path, results.image_of(photo.image), name, replace, photo.address)


def _note(outcome: Outcome, results: Results, summary: _Summary) -> None:
    if outcome.ends:
        raise InputError(outcome.reason)
    called = outcome.task.called
    if outcome.reason:
        LOG.info("skipped: %s", outcome.reason)
        summary.skip(called, outcome.reason)
        results.skip(called, outcome.reason)
        return
    results.append(outcome.line)
    LOG.info("%s: %d faces", called, outcome.faces)
    results.done[photo_key(called)] = outcome.faces
    summary.add(called, outcome.faces)


def _settings(predictor: Predictor, job: Job) -> dict[str, Any]:
    """What decides about the results, as the header of the lines has it."""
    return {
        **predictor_settings(predictor, job.options),
        "box": None if job.boxes is None else job.boxes.tolist(),
        "pts": job.pts,
        "pictures": job.pictures,
        "align": job.chip_size,
    }


def predictor_settings(predictor: Predictor, options: Mapping[str, Any]) -> dict[str, Any]:
    """What decides about a predictor's results, as JSON; `options` are its arguments, if known."""
    options = {
        name: value
        for name, value in options.items()
        if name not in _NO_SETTINGS and (value or name not in _LATER)
    }
    detector = options.pop("detector", None) or predictor.detector_source
    return {
        "model": predictor.name,
        "sha256": predictor.contract.sha256,
        "engine": predictor.engine,
        "detector": detector if isinstance(detector, str) else predictor.detector_source,
        **{name: _as_json(value) for name, value in options.items() if value is not None},
    }


def _as_json(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value) if isinstance(value, Path) else value


_LATER = ("max_faces", "min_confidence")
"""Arguments that older folders of results do not have: only in the header where they are given."""

_NO_SETTINGS = ("model", "engine", "threads")
"""Arguments of a predictor that are in the header in another form, or change no result."""
