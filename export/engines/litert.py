"""LiteRT, formerly TFLite: a `.tflite`."""

import queue
from pathlib import Path
from typing import Any

import numpy as np

from senet_landmark.errors import InputError
from senet_landmark.export.engines.interface import Engine, Outputs, over_threads
from senet_landmark.frozen.contract import Contract


def tflite_engine(model: Path, contract: Contract, threads: int = 0) -> Engine:
    """A `.tflite` in LiteRT, or in TensorFlow's interpreter where that is not installed.

    Args:
      model: the `.tflite`, of batch 1.
      contract: the model's.
      threads: cores for a batch; 0: all. One face is one thread's, unless a number is given.

    Raises:
      InputError: neither is installed, or the file is no model.
    """
    return over_threads(lambda shared: _pool(model, contract, shared), threads)


def _pool(model: Path, contract: Contract, threads: int) -> Engine:
    """An engine of as many interpreters as threads ask for it at once, with `threads` each."""
    first = _interpreter(model, threads)
    try:
        (given,) = first.get_input_details()
        found = {details["name"]: details["index"] for details in first.get_output_details()}
        outputs = {
            name: (found[tensor.operation], tensor.shape[1:])
            for name, tensor in contract.outputs.items()
        }
    except (KeyError, ValueError) as error:
        raise InputError(f"{model}: is not a TFLite model of this project ({error}).") from error
    # An interpreter holds the values of one run: each run takes one, and puts it back.
    idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
    idle.put(first)

    def run(crops: np.ndarray) -> Outputs:
        try:
            interpreter = idle.get_nowait()
        except queue.Empty:
            interpreter = _interpreter(model, threads)
        try:
            results: dict[str, list[np.ndarray]] = {name: [] for name in outputs}
            for crop in crops.astype(np.float32, copy=False):
                interpreter.set_tensor(given["index"], crop[None])
                interpreter.invoke()
                for name, (index, _) in outputs.items():
                    results[name].append(interpreter.get_tensor(index))
        finally:
            idle.put(interpreter)
        return {
            name: np.stack(results[name]).reshape(len(crops), *shape)
            for name, (_, shape) in outputs.items()
        }

    return run


def _interpreter(model: Path, threads: int = 1) -> Any:
    """The file in an interpreter with `threads` threads, ready to run.

    Raises:
      InputError: as `tflite_engine`.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        try:
            from tensorflow.lite import Interpreter
        except ImportError as error:
            raise InputError(
                f"{model}: needs LiteRT. Install it with `pip install ai-edge-litert`."
            ) from error
    try:
        interpreter = Interpreter(model_path=str(model), num_threads=threads)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{model}: is not a TFLite model ({error}).") from error
    return interpreter
