"""Which engine runs a model: the one that is named, or the fastest that is installed."""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from senet_landmark.errors import InputError
from senet_landmark.export.engines import opencv
from senet_landmark.export.engines.interface import Engine, EngineName, Loader, Outputs, in_batches
from senet_landmark.export.engines.litert import tflite_engine
from senet_landmark.export.engines.onnx_runtime import onnxruntime_engine
from senet_landmark.export.engines.tensorflow_graph import tensorflow2_engine, tensorflow_engine
from senet_landmark.frozen.contract import Contract, check_digest
from senet_landmark.frozen.runtimes import renewed_in_forks


class EngineSpec(NamedTuple):
    """One runtime.

    Attributes:
      title: its name as its makers write it.
      load: loads a file into the engine.
      suffixes: () -> suffixes of the files that it runs, the better one first.
      modules: modules; one of them must be installed.
      takes_threads: whether the caller can set its number of threads.
      forks: whether it can be loaded again in a process that is forked.
    """

    title: str
    load: Loader
    suffixes: Callable[[], tuple[str, ...]]
    modules: tuple[str, ...]
    takes_threads: bool = True
    forks: bool = True


ENGINES: dict[EngineName, EngineSpec] = {
    "tflite": EngineSpec("LiteRT", tflite_engine, lambda: (".tflite",), ("ai_edge_litert",)),
    "onnxruntime": EngineSpec(
        "ONNX Runtime", onnxruntime_engine, lambda: (".onnx",), ("onnxruntime",)
    ),
    "opencv": EngineSpec("OpenCV", opencv.opencv_engine, opencv.suffixes, ("cv2",)),
    "tensorflow": EngineSpec(
        "TensorFlow", tensorflow_engine, lambda: (".pb",), ("tensorflow",), forks=False
    ),
    "tensorflow2": EngineSpec(
        "TensorFlow 2", tensorflow2_engine, lambda: (".pb",), ("tensorflow",),
        takes_threads=False, forks=False,
    ),
}  # fmt: skip
"""The fastest first (docs/speed.md): the first that is installed and has a file is chosen."""

MODEL_SUFFIXES = (".pb", ".onnx", ".tflite")


class Choice(NamedTuple):
    """An engine, and the model file that it runs."""

    engine: EngineName
    file: Path


def choose_engine(model: Path | str, contract: Contract, name: EngineName | None = None) -> Choice:
    """Which engine runs a model, and which of its files.

    For a `.pb` the choice includes the `.onnx` and `.tflite` that `convert` wrote beside it, if its
    contract names them; for any other file there is only the file itself.

    Args:
      model: a `.pb`, `.onnx` or `.tflite`.
      contract: the model's.
      name: the engine; None: the first of `ENGINES` that is installed and has a file to run.

    Raises:
      InputError: the engine or the suffix is unknown, or no engine can run the model; the message
        says what to do.
    """
    model = Path(model)
    if model.suffix not in MODEL_SUFFIXES:
        raise InputError(f"{model}: a model ends in {', '.join(MODEL_SUFFIXES)}.")
    if name is not None and name not in ENGINES:
        raise InputError(f"Unknown engine {name!r}. Known: {', '.join(ENGINES)}.")
    files = _files(model, contract)
    for engine in (name,) if name else ENGINES:
        spec = ENGINES[engine]
        suffix = next((s for s in spec.suffixes() if s in files), None)
        if suffix and (name or any(map(importlib.util.find_spec, spec.modules))):
            if files[suffix] != model:
                check_digest(files[suffix], contract)
            return Choice(engine, files[suffix])
    if name is None:
        raise InputError(
            f"{model}: no engine that runs it is installed; `pip install onnxruntime` for an "
            ".onnx, `pip install ai-edge-litert` for a .tflite."
        )
    suffixes = ENGINES[name].suffixes()
    remedy = f"make one: `senet-landmark convert --model {model} --to {suffixes[0][1:]}`"
    if model.suffix != ".pb" or ".pb" in suffixes:
        suitable = [e for e, spec in ENGINES.items() if model.suffix in spec.suffixes()]
        remedy = f"use {' or '.join(suitable)}"
    raise InputError(f"{model}: {name} runs {' and '.join(suffixes)}, not this file; {remedy}.")


def _files(model: Path, contract: Contract) -> dict[str, Path]:
    """Suffix -> file, for all files of the model: itself, and its conversions beside it."""
    files = {model.suffix: model}
    if model.suffix == ".pb":
        for suffix in contract.conversions:
            if (beside := model.with_suffix(suffix)).is_file():
                files[suffix] = beside
    return files


def load_engine(
    model: Path | str, contract: Contract, name: EngineName | None = None, threads: int = 0
) -> Engine:
    """The engine `name`, ready to run `model`; without a name the choice of `choose_engine`.

    Args:
      model: a `.pb`, `.onnx` or `.tflite`.
      contract: the model's.
      name: name of the engine.
      threads: processor cores for a batch; 0: the engine's own choice.

    Raises:
      InputError: as `choose_engine`; or the engine is not installed or cannot run the file.
    """
    chosen = choose_engine(model, contract, name)
    spec = ENGINES[chosen.engine]

    def load() -> Engine:
        return spec.load(chosen.file, contract, threads)

    engine = renewed_in_forks(load) if spec.forks else _refused_in_forks(load(), spec)
    batch = contract.input.shape[0]
    return engine if batch < 1 or chosen.engine == "tflite" else in_batches(engine, batch)


def _refused_in_forks(engine: Engine, spec: EngineSpec) -> Engine:
    process = os.getpid()

    def run(crops: np.ndarray) -> Outputs:
        if os.getpid() != process:
            raise InputError(
                f"{spec.title} does not survive a fork. Load the model in the new process, start "
                "processes by `forkserver` or `spawn`, or use the engine onnxruntime."
            )
        return engine(crops)

    return run
