"""What `bench` and `compare` time engines with: conversions, a fresh process, runs, machine."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import cv2

import senet_landmark
from senet_landmark.environment import processor, release
from senet_landmark.export.engines.interface import EngineName, cores
from senet_landmark.export.engines.registry import ENGINES, EngineSpec
from senet_landmark.export.engines.timing import Run

THREADS = {"one_thread": 1, "all_threads": cores()}
"""What a number of threads is called in files -> the number."""

OWN_THREADS = {"all_threads": 0}
"""The same for an engine that takes no number: its own choice."""

Started = TypeVar("Started")

Place = tuple[int, EngineName, str]
"""Number of a model, engine, key of `threads_of`."""

Engines = Mapping[EngineName, EngineSpec]


def threads_of(spec: EngineSpec) -> Mapping[str, int]:
    """The numbers of threads that an engine is measured with."""
    return THREADS if spec.takes_threads else OWN_THREADS


def with_threads() -> dict[EngineName, EngineSpec]:
    """The engines that take a number of threads: one crop is timed with one and with all."""
    return {name: spec for name, spec in ENGINES.items() if spec.takes_threads}


def add_conversions(model: Path, records: Path | None = None) -> dict[EngineName, str]:
    """Converts a `.pb` to what engines run besides, where that is not beside it yet.

    Args:
      model: the `.pb`.
      records: whose crops the conversions are checked on; None: as `convert`.

    Returns:
      Engine -> why none of the files that it runs could be made; empty where each has one.
    """
    from senet_landmark.export.conversion.convert import SUFFIXES, convert

    problems: dict[str, str] = {}
    for target, suffix in SUFFIXES.items():
        if suffix in problems or model.with_suffix(suffix).is_file():
            continue
        try:
            convert(model, target, records=records)
        except Exception as error:  # a converter raises what it likes; the rest must not be lost
            problems[suffix] = problem_of(error, model)
    missing = {}
    for name, spec in ENGINES.items():
        if all(suffix in problems for suffix in spec.suffixes()):
            missing[name] = problems[spec.suffixes()[0]]
    return missing


def problem_of(error: Exception, model: Path) -> str:
    """What an exception says, without the folder of the model; its kind where it says nothing."""
    return str(error).replace(str(model.parent) + os.sep, "") or type(error).__name__


def start_engines(
    models: Sequence[Path],
    engines: Engines,
    start: Callable[[Path, EngineName, int], Started],
) -> tuple[dict[Place, Started], list[dict[EngineName, str]]]:
    """Starts every model in every engine, with each number of threads.

    Args:
      models: `.pb` files.
      engines: name -> engine.
      start: (model, engine, threads) -> whatever is to be timed of it.

    Returns:
      What was started, by its place; and of each model: engine -> why it does not run there.
    """
    started: dict[Place, Started] = {}
    problems: list[dict[EngineName, str]] = [{} for _ in models]
    for number, model in enumerate(models):
        for engine, spec in engines.items():
            try:
                made = {
                    (number, engine, threads): start(model, engine, count)
                    for threads, count in threads_of(spec).items()
                }
            # Each engine fails with exceptions of its own, and the other figures must not be lost.
            except Exception as error:
                problems[number][engine] = problem_of(error, model)
            else:
                started |= made
    return started, problems


def with_opencv_threads(run: Run, threads: int) -> Run:
    """A run before which OpenCV's number of threads, the whole process's, is set; 0: all cores."""
    count = threads or cores()

    def start() -> object:
        if cv2.getNumThreads() != count:
            cv2.setNumThreads(count)
        return run()

    return start


def in_fresh_process(module: str, job: dict[str, Any]) -> Any:
    """Runs a module of this project whose entry point is `answer_job`, in a process of its own.

    Within one process TensorFlow gives all sessions the threads of its first one, unless it is told
    otherwise before that.

    Returns:
      The result, from JSON.

    Raises:
      RuntimeError: the process failed; with the end of what it said.
    """
    environment = project_environment() | {"TF_OVERRIDE_GLOBAL_THREADPOOL": "1"}
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        done = subprocess.run(
            [sys.executable, "-m", module],
            input=json.dumps([job, str(result)]), env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(
                f"The process ended with {done.returncode}: {done.stderr.strip()[-300:]}"
            )
        return json.loads(result.read_text())


def answer_job(measure: Callable[[dict[str, Any]], Any]) -> None:
    """The entry point of a module that `in_fresh_process` runs: job -> result."""
    from senet_landmark.runtime import import_quietly

    job, result = json.loads(sys.stdin.read())
    with contextlib.suppress(ImportError):  # TensorFlow's engines will say so
        import_quietly()
    Path(result).write_text(json.dumps(measure(job)))


def project_environment() -> dict[str, str]:
    """The environment of a process that imports this project, installed or not."""
    root = str(Path(senet_landmark.__file__).parents[1])
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": paths}


def environment() -> dict[str, Any]:
    """What latency depends on: processor, cores, releases of the engines; None: not installed."""
    releases: dict[str, Any] = {
        name: cv2.__version__ if "cv2" in spec.modules else release(spec.modules[0])
        for name, spec in with_threads().items()
    }
    return {"processor": processor(), "cores": cores()} | releases
