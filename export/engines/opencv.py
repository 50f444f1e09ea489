"""OpenCV's dnn module: a `.pb` through its TensorFlow importer, or an `.onnx`."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from senet_landmark.errors import InputError
from senet_landmark.export.engines.interface import Engine, Outputs, in_batches
from senet_landmark.frozen.contract import Contract


def reads_tensorflow() -> bool:
    """Whether this OpenCV has the TensorFlow importer, which newer releases drop."""
    return hasattr(cv2.dnn, "readNetFromTensorflow")


def suffixes() -> tuple[str, ...]:
    """The suffixes of the files that this OpenCV runs, the better one first.

    In OpenCV 5 the ONNX importer is newer and faster; that of OpenCV 4 needs a fixed batch.
    """
    if not reads_tensorflow():
        return (".onnx",)
    return (".onnx", ".pb") if _major() >= 5 else (".pb", ".onnx")


def opencv_engine(model: Path, contract: Contract, threads: int = 0) -> Engine:
    """The model in OpenCV's dnn module; TensorFlow is not imported.

    Args:
      model: a `.pb` or an `.onnx`.
      contract: the model's.
      threads: OpenCV has one number of threads for the whole process; it is set if this is not 0.

    Raises:
      InputError: OpenCV cannot read the file, or was built without the TensorFlow importer.
    """
    onnx = model.suffix == ".onnx"
    if not onnx and not reads_tensorflow():
        raise InputError(
            f"{model}: this OpenCV ({cv2.__version__}) has no TensorFlow importer. Make an .onnx "
            "from it: `senet-landmark convert --to onnx`."
        )
    outputs = contract.outputs
    names = [tensor.name if onnx else tensor.operation for tensor in outputs.values()]
    lock = threading.Lock()  # a net holds the values of one run

    def run(crops: np.ndarray) -> Outputs:
        # OpenCV runs TensorFlow graphs in its own channel order: [N, C, H, W].
        ordered = crops if onnx else crops.transpose(0, 3, 1, 2)
        with lock:
            net.setInput(np.ascontiguousarray(ordered, dtype=np.float32))
            # A single output is taken without its name: in an older `.pb` the name is that of a
            # closing identity operation, which OpenCV 5 drops.
            results = net.forward(names) if len(names) > 1 else [net.forward()]
            # In some releases the arrays are views of the net's own memory.
            return {
                name: np.array(values, np.float32).reshape(len(crops), *tensor.shape[1:])
                for (name, tensor), values in zip(outputs.items(), results, strict=True)
            }

    free_batch = contract.input.shape[0] < 1
    width, height = contract.size
    if threads:
        cv2.setNumThreads(threads)
    with quiet():
        try:
            read = cv2.dnn.readNetFromONNX if onnx else cv2.dnn.readNetFromTensorflow
            net = read(str(model))
            # Some layers fail only when they run.
            run(np.zeros((max(contract.input.shape[0], 1), height, width, 3), np.float32))
        except (cv2.error, ValueError) as error:
            raise InputError(f"{model}: OpenCV cannot run this graph ({error}).") from error
    # When OpenCV 4 reads an .onnx, it fixes the shapes of some operations for one crop.
    return in_batches(run, 1) if onnx and free_batch and _major() < 5 else run


def _major() -> int:
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
