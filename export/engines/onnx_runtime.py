"""ONNX Runtime: an `.onnx`."""

from pathlib import Path
from typing import Any

import numpy as np

from senet_landmark.errors import InputError
from senet_landmark.export.engines.interface import Engine, Outputs, cores, over_threads
from senet_landmark.frozen.contract import Contract


def onnxruntime_engine(model: Path, contract: Contract, threads: int = 0) -> Engine:
    """An `.onnx` in ONNX Runtime.

    Args:
      model: the `.onnx`.
      contract: the model's.
      threads: processor cores for a batch; 0: all, but one for a single face.

    Raises:
      InputError: ONNX Runtime is not installed, or cannot read the file.
    """
    names = [tensor.name for tensor in contract.outputs.values()]

    def start(threads: int) -> Engine:
        session = _session(model, threads)

        def run(crops: np.ndarray) -> Outputs:
            values = session.run(names, {contract.input.name: crops.astype(np.float32, copy=False)})
            return dict(zip(contract.outputs, values, strict=True))

        return run

    if contract.input.shape[0] > 0:  # a graph with a fixed batch cannot take parts of a batch
        return start(threads or cores())
    return over_threads(start, threads)


def _session(model: Path, threads: int = 1) -> Any:
    """A session of ONNX Runtime with the file; its operations use `threads` threads.

    Raises:
      InputError: as `onnxruntime_engine`.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(
            f"{model}: needs ONNX Runtime. Install it with `pip install onnxruntime`."
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Threads that spin while they wait would take the processor from other programs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no public base class
        raise InputError(f"{model}: ONNX Runtime cannot read this file ({error}).") from error
