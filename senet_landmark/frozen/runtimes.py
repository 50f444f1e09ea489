"""A frozen graph in ONNX Runtime or in OpenCV: what the engines and the detectors share."""

import contextlib
import importlib.util
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np

from senet_landmark.errors import InputError
from senet_landmark.frozen.contract import FrozenTensors

Result = TypeVar("Result")

Run = Callable[[np.ndarray], dict[str, np.ndarray]]
"""Images, uint8 or float32 [N, H, W, 3], RGB 0 to 255 -> the outputs by their names in the
contract, float32. Several threads may call it at once."""


def renewed_in_forks(make: Callable[[], Callable[[np.ndarray], Result]]) -> Callable[..., Result]:
    """The function that `make` returns; a process that is forked from this one makes its own.

    A fork has none of the threads of its parent, but their locks: a runtime would wait for good.
    """
    made = {os.getpid(): make()}  # the parent's is kept: to end it would be to wait for its threads

    def run(images: np.ndarray) -> Result:
        function = made.get(os.getpid())
        if function is None:
            function = made[os.getpid()] = make()
        return function(images)

    return run


def onnx_run(model: Path, contract: FrozenTensors) -> Run:
    """An `.onnx` on one thread of ONNX Runtime, or in OpenCV where that is not installed.

    Raises:
      InputError: the runtime cannot read the file.
    """
    if importlib.util.find_spec("onnxruntime"):
        return renewed_in_forks(lambda: onnxruntime_run(model, contract, 1))
    run = renewed_in_forks(lambda: opencv_run(model, contract))
    if takes_any_batch(model, contract):
        return run

    def one_by_one(images: np.ndarray) -> dict[str, np.ndarray]:
        parts = [run(images[index : index + 1]) for index in range(len(images))]
        return {name: np.concatenate([part[name] for part in parts]) for name in contract.outputs}

    return one_by_one


def onnxruntime_run(model: Path, contract: FrozenTensors, threads: int) -> Run:
    """An `.onnx` in ONNX Runtime; its operations use `threads` threads.

    Raises:
      InputError: ONNX Runtime is not installed, or cannot read the file.
    """
    names = [tensor.name for tensor in contract.outputs.values()]
    session = _session(model, threads)

    def run(images: np.ndarray) -> dict[str, np.ndarray]:
        values = session.run(names, {contract.input.name: images.astype(np.float32, copy=False)})
        return dict(zip(contract.outputs, values, strict=True))

    return run


def _session(model: Path, threads: int) -> Any:
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


def opencv_run(model: Path, contract: FrozenTensors) -> Run:
    """A `.pb` or an `.onnx` in OpenCV's dnn module. See `takes_any_batch`.

    Raises:
      InputError: OpenCV cannot run the file.
    """
    onnx = model.suffix == ".onnx"
    outputs = contract.outputs
    names = [tensor.name if onnx else tensor.operation for tensor in outputs.values()]
    lock = threading.Lock()  # a net holds the values of one run

    def run(images: np.ndarray) -> dict[str, np.ndarray]:
        # OpenCV runs TensorFlow graphs in its own channel order: [N, C, H, W].
        ordered = images if onnx else images.transpose(0, 3, 1, 2)
        with lock:
            net.setInput(np.ascontiguousarray(ordered, dtype=np.float32))
            # A single output is taken without its name: in an older `.pb` the name is that of a
            # closing identity operation, which OpenCV 5 drops.
            results = net.forward(names) if len(names) > 1 else [net.forward()]
            # In some releases the arrays are views of the net's own memory.
            return {
                name: np.array(values, np.float32).reshape(len(images), *tensor.shape[1:])
                for (name, tensor), values in zip(outputs.items(), results, strict=True)
            }

    width, height = contract.size
    with quiet():
        try:
            read = cv2.dnn.readNetFromONNX if onnx else cv2.dnn.readNetFromTensorflow
            net = read(str(model))
            # Some layers fail only when they run.
            run(np.zeros((max(contract.input.shape[0], 1), height, width, 3), np.float32))
        except (cv2.error, ValueError) as error:
            raise InputError(f"{model}: OpenCV cannot run this graph ({error}).") from error
    return run


def takes_any_batch(model: Path, contract: FrozenTensors) -> bool:
    """Whether OpenCV runs the file with the batch sizes of its contract.

    When OpenCV 4 reads an .onnx, it fixes the shapes of some operations for one image.
    """
    return not (model.suffix == ".onnx" and contract.input.shape[0] < 1 and opencv_major() < 5)


def opencv_major() -> int:
    """The first number of OpenCV's version."""
    return int(cv2.__version__.partition(".")[0])


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hides OpenCV's own log; a failure still raises an error with a message.

    OpenCV 5, for example, complains about a fixed batch before its older engine reads the graph.
    """
    # OpenCV 4.11 has no `cv2.utils.logging`, and prints no such complaints.
    logging = getattr(cv2.utils, "logging", None)
    if not logging:
        yield
        return
    level = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)
