"""The timing harness of `bench` and `compare`: conversions, fresh processes, runs, the machine."""

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
"""Name of a number of threads in files -> the number."""

OWN_THREADS = {"all_threads": 0}
"""The same for an engine that takes no number of threads: its own choice."""

Started = TypeVar("Started")

RunKey = tuple[int, EngineName, str]
"""(index of a model, engine, key of `threads_of`): names a run."""

Engines = Mapping[EngineName, EngineSpec]


def threads_of(spec: EngineSpec) -> Mapping[str, int]:
    """The numbers of threads that an engine is measured with."""
    return THREADS if spec.takes_threads else OWN_THREADS


def with_threads() -> dict[EngineName, EngineSpec]:
    """The engines that take a number of threads; they are timed with one thread and with all."""
    return {name: spec for name, spec in ENGINES.items() if spec.takes_threads}


def add_conversions(model: Path, records: Path | None = None) -> dict[EngineName, str]:
    """Converts a `.pb` to the other formats that engines run, unless the file exists.

    Args:
      model: the `.pb`.
      records: records with crops for the parity check; None: as in `convert`.

    Returns:
      Engine -> why no file could be made for it; empty if every engine has a file.
    """
    try:
        from senet_landmark.export.conversion.convert import SUFFIXES, convert
    except ImportError as error:  # TensorFlow is absent: what is already there runs nevertheless
        return {
            name: f"There is no file for it, and none can be made ({error})."
            for name, spec in ENGINES.items()
            if not any(model.with_suffix(suffix).is_file() for suffix in spec.suffixes())
        }

    problems: dict[str, str] = {}
    for target, suffix in SUFFIXES.items():
        if suffix in problems or model.with_suffix(suffix).is_file():
            continue
        try:
            convert(model, target, records=records)
        except Exception as error:  # a converter may raise anything; the others go on
            problems[suffix] = problem_of(error, model)
    missing = {}
    for name, spec in ENGINES.items():
        if all(suffix in problems for suffix in spec.suffixes()):
            missing[name] = problems[spec.suffixes()[0]]
    return missing


def problem_of(error: Exception, model: Path) -> str:
    """An exception's message without the folder of the model; its type if the message is empty."""
    return str(error).replace(str(model.parent) + os.sep, "") or type(error).__name__


def start_engines(
    models: Sequence[Path],
    engines: Engines,
    start: Callable[[Path, EngineName, int], Started],
) -> tuple[dict[RunKey, Started], list[dict[EngineName, str]]]:
    """Starts every model in every engine, with each number of threads.

    Args:
      models: `.pb` files.
      engines: name -> engine.
      start: (model, engine, threads) -> the run or runs to time.

    Returns:
      Key -> what was started; and for each model: engine -> why it does not run there.
    """
    started: dict[RunKey, Started] = {}
    problems: list[dict[EngineName, str]] = [{} for _ in models]
    for number, model in enumerate(models):
        for engine, spec in engines.items():
            try:
                new = {
                    (number, engine, threads): start(model, engine, count)
                    for threads, count in threads_of(spec).items()
                }
            # Engines raise different exceptions; one failure must not stop the other measurements.
            except Exception as error:
                problems[number][engine] = problem_of(error, model)
            else:
                started |= new
    return started, problems


def with_opencv_threads(run: Run, threads: int) -> Run:
    """A run that first sets OpenCV's number of threads, for the whole process; 0: all cores."""
    count = threads or cores()

    def start() -> object:
        if cv2.getNumThreads() != count:
            cv2.setNumThreads(count)
        return run()

    return start


def in_fresh_process(module: str, job: dict[str, Any]) -> Any:
    """Runs a module of this project whose entry point is `answer_job`, in a new process.

    In one process TensorFlow gives all sessions the threads of the first session, unless an
    environment variable is set before it.

    Returns:
      The module's result, from JSON.

    Raises:
      RuntimeError: the process failed; the message has the end of its error output.
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


def answer_job(measure: Callable[[dict[str, Any]], Any], *, tensorflow: bool = True) -> None:
    """The entry point of a module that `in_fresh_process` runs: job -> result.

    Args:
      measure: job -> result.
      tensorflow: import TensorFlow first, without its messages, if it is installed.
    """
    from senet_landmark.runtime import import_quietly

    job, result = json.loads(sys.stdin.read())
    if tensorflow:
        with contextlib.suppress(ImportError):  # TensorFlow's engines report it later
            import_quietly()
    Path(result).write_text(json.dumps(measure(job)))


def project_environment() -> dict[str, str]:
    """The environment variables of a process that imports this project, installed or not."""
    root = str(Path(senet_landmark.__file__).parents[1])
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": paths}


def environment() -> dict[str, Any]:
    """What latency depends on: processor, cores, releases of the engines (None: not installed)."""
    releases: dict[str, Any] = {
        name: cv2.__version__ if "cv2" in spec.modules else release(spec.modules[0])
        for name, spec in with_threads().items()
    }
    return {"processor": processor(), "cores": cores()} | releases
