"""ONNX Runtime: an `.onnx`."""

from pathlib import Path

from senet_landmark.export.engines.interface import Engine, cores, over_threads
from senet_landmark.frozen.contract import FrozenTensors
from senet_landmark.frozen.runtimes import onnxruntime_run


def onnxruntime_engine(model: Path, contract: FrozenTensors, threads: int = 0) -> Engine:
    """An `.onnx` in ONNX Runtime.

    Args:
      model: the `.onnx`.
      contract: the model's.
      threads: processor cores for a batch; 0: all, but one for a single face.

    Raises:
      InputError: ONNX Runtime is not installed, or cannot read the file.
    """
    if contract.input.shape[0] > 0:  # a graph with a fixed batch cannot take parts of a batch
        return onnxruntime_run(model, contract, threads or cores())
    return over_threads(lambda shared: onnxruntime_run(model, contract, shared), threads)
