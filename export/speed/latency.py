"""The latency of a frozen model on one crop, in each engine, in a fresh process."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from senet_landmark.export.engines.interface import EngineName
from senet_landmark.export.engines.registry import load_engine
from senet_landmark.export.engines.timing import Run, alternated
from senet_landmark.export.speed.harness import (
    RunKey,
    answer_job,
    in_fresh_process,
    start_engines,
    with_opencv_threads,
    with_threads,
)
from senet_landmark.frozen.contract import load_contract


def measure_latency(models: Sequence[Path], rounds: int) -> list[dict[str, Any]]:
    """The latency of each model on one crop, in ms, measured in a fresh process.

    In each engine the models, with each number of threads, take turns (`timing.alternated`). A
    graph with a fixed batch runs that batch.

    Args:
      models: `.pb` files with their contracts; ONNX Runtime and LiteRT run the `.onnx` and the
        `.tflite` beside each.
      rounds: timed runs of each model in each engine; at least 1.

    Returns:
      For each model: engine -> `one_thread`, `all_threads` -> the figures of `timing.alternated`;
      or engine -> `error`, why it does not run there, or why the process ended.
    """
    job = {"models": [str(model.resolve()) for model in models], "rounds": rounds}
    try:
        measured: list[dict[str, Any]] = in_fresh_process(
            "senet_landmark.export.speed.latency", job
        )
    except RuntimeError as error:
        # A graph may crash the whole process; the caller's other figures must not be lost.
        return [{engine: {"error": str(error)} for engine in with_threads()} for _ in models]
    return measured


def _measure(job: dict[str, Any]) -> list[dict[str, Any]]:
    models = [Path(model) for model in job["models"]]
    engines = with_threads()
    runs, problems = start_engines(models, engines, _start)
    times: dict[RunKey, dict[str, Any]] = {}
    for engine in engines:
        # One engine after another: in turns, each would find the caches full of another's data.
        runs_of_engine = {key: run for key, run in runs.items() if key[1] == engine}
        times |= alternated(runs_of_engine, job["rounds"])
    figures: list[dict[str, Any]] = [
        {engine: {"error": problem} for engine, problem in problems_of_model.items()}
        for problems_of_model in problems
    ]
    for (number, engine, threads), time in times.items():
        figures[number].setdefault(engine, {})[threads] = time
    return [{engine: latencies[engine] for engine in engines} for latencies in figures]


def _start(model: Path, engine: EngineName, threads: int) -> Run:
    """A run of a model, after one trial run."""
    contract = load_contract(model)
    width, height = contract.size
    shape = (max(contract.input.shape[0], 1), height, width, 3)
    crops = np.random.default_rng(0).integers(0, 256, shape).astype(np.float32)
    forward = load_engine(model, contract, engine, threads)
    run = with_opencv_threads(lambda: forward(crops), threads)
    run()
    return run


if __name__ == "__main__":
    answer_job(_measure)
