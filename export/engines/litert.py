"""LiteRT, formerly TFLite: a `.tflite`."""

import queue
from pathlib import Path
from typing import Any

import numpy as np

from senet_landmark.errors import InputError
from senet_landmark.export.engines.interface import Engine, Outputs, over_threads
from senet_landmark.frozen.contract import FrozenTensors


def tflite_engine(model: Path, contract: FrozenTensors, threads: int = 0) -> Engine:
    """A `.tflite` in LiteRT, or in TensorFlow's interpreter if LiteRT is not installed.

    Args:
      model: the `.tflite`, with batch size 1.
      contract: the model's.
      threads: processor cores for a batch; 0: all, but one for a single face.

    Raises:
      InputError: neither is installed, or the file is no TFLite model of this project.
    """
    return over_threads(lambda shared: _pool(model, contract, shared), threads)


def _pool(model: Path, contract: FrozenTensors, threads: int) -> Engine:
    """An engine with one interpreter for each thread that calls it at once; each has `threads`."""
    first = _interpreter(model, threads)
    try:
        (image,) = first.get_input_details()
        indices = {details["name"]: details["index"] for details in first.get_output_details()}
        outputs = {
            name: (indices[tensor.operation], tensor.shape[1:])
            for name, tensor in contract.outputs.items()
        }
    except (KeyError, ValueError) as error:
        raise InputError(f"{model}: is not a TFLite model of this project ({error}).") from error
    # An interpreter holds the values of one run, so each run takes one out and puts it back.
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
                interpreter.set_tensor(image["index"], crop[None])
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
    """An interpreter of the file with `threads` threads, ready to run.

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
