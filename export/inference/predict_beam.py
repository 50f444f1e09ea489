"""The photos of `predict` on Apache Beam: the same function in its workers, and the same lines.

The photos are cut into parts. A part's plan and its outcomes go through files in the folder of
results, which must have the same path on every worker, as the photos and the model must. This
process writes the lines of each part as soon as it is there; so what was done survives a kill.
"""

import functools
import os
import pickle
import threading
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

from senet_landmark.data_tools.beam_pipeline import pipeline_options, run_each
from senet_landmark.export.inference.batch.lines import WORK
from senet_landmark.export.inference.batch.work import (
    Job,
    Outcome,
    Task,
    do_photo,
    make_predictor,
    read_file,
)
from senet_landmark.export.inference.predict import Run
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.io.files import write_bytes

PART = 100
"""Photos of one part: what one worker does at a time."""


def beam_run(runner: str = "DirectRunner", options: list[str] | None = None) -> Run:
    """How `predict_photos` runs its photos on Beam.

    Args:
      runner: name of the Beam runner.
      options: more options of the pipeline, as on Beam's command line.

    Raises:
      InputError: Beam is not installed, or it has no such runner.
    """
    flags = pipeline_options(runner, options)

    def run(tasks: Iterator[Task], job: Job, stop: Callable[[], bool]) -> Iterator[Outcome]:
        folder = job.out / WORK / "beam"
        folder.mkdir(parents=True, exist_ok=True)
        job = Job(**{**vars(job), "options": absolute_options(job.options)})
        plans: list[Path] = []
        for number in count():
            # Workers have a current folder of their own.
            part = [_absolute(task) for task in islice(tasks, PART)]
            if not part or stop():
                break
            plans.append(folder / f"{number:06d}.plan")
            write_bytes(plans[-1], pickle.dumps((job, part)))
        yield from _outcomes(plans, flags, stop)

    return run


def _absolute(task: Task) -> Task:
    if isinstance(task.path, str):  # an address
        return task
    return task._replace(path=Path(os.path.abspath(task.path)))


def _outcomes(plans: list[Path], flags: Any, stop: Callable[[], bool]) -> Iterator[Outcome]:
    """Runs the parts, and gives the outcomes of each as soon as its file is there."""
    if not plans:
        return
    failed: list[BaseException] = []

    def run() -> None:
        try:
            run_each([str(plan) for plan in plans], do_part, flags)
        except BaseException as error:
            failed.append(error)

    # In a thread, because several runners come back only when all is done.
    pipeline = threading.Thread(target=run, daemon=True)
    pipeline.start()
    waiting = plans
    while not stop():
        pipeline.join(0.2)
        ended = not pipeline.is_alive()
        done = {plan for plan in waiting if _results(plan).exists()}
        for plan in sorted(done):
            yield from pickle.loads(_results(plan).read_bytes())
            plan.unlink()
            _results(plan).unlink()
        waiting = [plan for plan in waiting if plan not in done]
        if ended and failed:
            raise failed[0]
        if ended and waiting:
            raise RuntimeError(f"Beam ended without {len(waiting)} of {len(plans)} parts")
        if ended:
            return


def _results(plan: Path) -> Path:
    return plan.with_suffix(".done")


def do_part(plan: str) -> None:
    """Predicts on the photos of a part, in any worker."""
    results = _results(Path(plan))
    if results.exists() or not Path(plan).exists():  # Beam may run an element more than once
        return
    job, tasks = pickle.loads(Path(plan).read_bytes())
    predictor = _predictor(tuple(sorted({**job.options, "threads": 1}.items())))
    outcomes = [do_photo(predictor, job, t, read_file(t.path, job.limits)) for t in tasks]
    write_bytes(results, pickle.dumps(outcomes))


@functools.lru_cache(maxsize=1)
def _predictor(options: tuple[tuple[str, Any], ...]) -> Predictor:
    """One predictor for all parts that a worker does."""
    return make_predictor(dict(options))


def absolute_options(options: dict[str, Any]) -> dict[str, Any]:
    """Arguments of a predictor with files by absolute paths, for workers with another folder."""
    return {
        name: os.path.abspath(value)
        if isinstance(value, str | Path) and name in ("model", "detector_model") and _is_file(value)
        else value
        for name, value in options.items()
    }


def _is_file(value: str | Path) -> bool:
    return Path(value).is_file()
