"""OpenCV's dnn module: a `.pb` through its TensorFlow importer, or an `.onnx`."""

from pathlib import Path

import cv2

from senet_landmark.errors import InputError
from senet_landmark.export.engines.interface import Engine, in_batches
from senet_landmark.frozen.contract import FrozenTensors
from senet_landmark.frozen.runtimes import opencv_major, opencv_run, takes_any_batch


def reads_tensorflow() -> bool:
    """Whether this OpenCV has the TensorFlow importer, which newer releases drop."""
    return hasattr(cv2.dnn, "readNetFromTensorflow")


def suffixes() -> tuple[str, ...]:
    """The suffixes of the files that this OpenCV runs, the better one first.

    In OpenCV 5 the ONNX importer is newer and faster; that of OpenCV 4 needs a fixed batch.
    """
    if not reads_tensorflow():
        return (".onnx",)
    return (".onnx", ".pb") if opencv_major() >= 5 else (".pb", ".onnx")


def opencv_engine(model: Path, contract: FrozenTensors, threads: int = 0) -> Engine:
    """The model in OpenCV's dnn module; TensorFlow is not imported.

    Args:
      model: a `.pb` or an `.onnx`.
      contract: the model's.
      threads: OpenCV has one number of threads for the whole process; it is set if this is not 0.

    Raises:
      InputError: OpenCV cannot read the file, or was built without the TensorFlow importer.
    """
    if model.suffix != ".onnx" and not reads_tensorflow():
        raise InputError(
            f"{model}: this OpenCV ({cv2.__version__}) has no TensorFlow importer. Make an .onnx "
            "from it: `senet-landmark convert --to onnx`."
        )
    if threads:
        cv2.setNumThreads(threads)
    run = opencv_run(model, contract)
    return run if takes_any_batch(model, contract) else in_batches(run, 1)
