"""Which engine runs a model: chosen by name, or by what is installed, the fastest first."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from senet_landmark.errors import InputError
from senet_landmark.export.engines import opencv
from senet_landmark.export.engines.interface import Engine, EngineName, Loader, in_batches
from senet_landmark.export.engines.litert import tflite_engine
from senet_landmark.export.engines.onnx_runtime import onnxruntime_engine
from senet_landmark.export.engines.tensorflow_graph import tensorflow2_engine, tensorflow_engine
from senet_landmark.frozen.contract import Contract, check_digest


class EngineSpec(NamedTuple):
    """One runtime.

    Attributes:
      title: as its makers write it.
      load: makes the engine.
      suffixes: () -> what files it runs, the better first.
      modules: packages of which one must be installed.
      takes_threads: whether it can be given a number of threads.
    """

    title: str
    load: Loader
    suffixes: Callable[[], tuple[str, ...]]
    modules: tuple[str, ...]
    takes_threads: bool = True


ENGINES: dict[EngineName, EngineSpec] = {
    "tflite": EngineSpec("LiteRT", tflite_engine, lambda: (".tflite",), ("ai_edge_litert",)),
    "onnxruntime": EngineSpec(
        "ONNX Runtime", onnxruntime_engine, lambda: (".onnx",), ("onnxruntime",)
    ),
    "opencv": EngineSpec("OpenCV", opencv.opencv_engine, opencv.suffixes, ("cv2",)),
    "tensorflow": EngineSpec("TensorFlow", tensorflow_engine, lambda: (".pb",), ("tensorflow",)),
    "tensorflow2": EngineSpec(
        "TensorFlow 2", tensorflow2_engine, lambda: (".pb",), ("tensorflow",), takes_threads=False
    ),
}
"""The fastest first (docs/speed.md): the first that is installed and has a file is chosen."""

MODEL_SUFFIXES = (".pb", ".onnx", ".tflite")


class Choice(NamedTuple):
    """An engine, and the file that it runs."""

    engine: EngineName
    file: Path


def choose_engine(model: Path | str, contract: Contract, name: EngineName | None = None) -> Choice:
    """Which engine runs a model, and which of its files.

    A `.pb` also stands for the `.onnx` and `.tflite` that `convert` wrote beside it, as its
    contract says; any other file stands for itself.

    Args:
      model: a `.pb`, `.onnx` or `.tflite`.
      contract: the model's.
      name: the engine; None: the first of `ENGINES` that is installed and finds a file.

    Raises:
      InputError: an unknown engine or suffix, or none that runs the model; which, and what to do.
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
            f"{model}: nothing is installed that runs it; `pip install onnxruntime` for an .onnx, "
            "`pip install ai-edge-litert` for a .tflite."
        )
    wanted = ENGINES[name].suffixes()
    remedy = f"make one: `senet-landmark convert --model {model} --to {wanted[0][1:]}`"
    if model.suffix != ".pb" or ".pb" in wanted:
        able = [e for e, spec in ENGINES.items() if model.suffix in spec.suffixes()]
        remedy = f"use {' or '.join(able)}"
    raise InputError(f"{model}: {name} runs {' and '.join(wanted)}, not this file; {remedy}.")


def _files(model: Path, contract: Contract) -> dict[str, Path]:
    """Suffix -> file, of all that the model is there as."""
    found = {model.suffix: model}
    if model.suffix == ".pb":
        for suffix in contract.conversions:
            if (beside := model.with_suffix(suffix)).is_file():
                found[suffix] = beside
    return found


def load_engine(
    model: Path | str, contract: Contract, name: EngineName | None = None, threads: int = 0
) -> Engine:
    """The engine called `name`, ready to run `model`; None: as `choose_engine` chooses.

    Args:
      model: a `.pb`, `.onnx` or `.tflite`.
      contract: the model's.
      name: of the engine.
      threads: processor cores for a batch; 0: what the engine thinks best.

    Raises:
      InputError: as `choose_engine`; the engine is not installed; or cannot run the file.
    """
    chosen = choose_engine(model, contract, name)
    engine = ENGINES[chosen.engine].load(chosen.file, contract, threads)
    batch = contract.input.shape[0]
    return engine if batch < 1 or chosen.engine == "tflite" else in_batches(engine, batch)
