"""Runs a frozen model: OpenCV dnn (no TensorFlow needed) or TensorFlow, behind one function."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, cast

import cv2
import numpy as np

from export.contract import Contract
from senet_landmark.errors import InputError

Engine = Callable[[np.ndarray], np.ndarray]
"""Crops, uint8 or float32 [N, H, W, 3], RGB 0 to 255 -> landmarks, float32 [N, K, 2]."""

EngineName = Literal["opencv", "tensorflow"]


def opencv_engine(model: Path, contract: Contract) -> Engine:
    """The model in OpenCV's dnn module; TensorFlow is not imported.

    Raises:
      InputError: OpenCV cannot read the file, or was built without the TensorFlow importer.
    """
    if not hasattr(cv2.dnn, "readNetFromTensorflow"):
        raise InputError("This OpenCV has no TensorFlow importer; use --engine tensorflow.")
    points = contract.landmark_scheme.points

    def run(crops: np.ndarray) -> np.ndarray:
        # OpenCV keeps TensorFlow graphs in its own channel order: [N, C, H, W]. The one output is
        # not named: OpenCV 5 drops the closing identity that carries the name.
        net.setInput(np.ascontiguousarray(crops.transpose(0, 3, 1, 2), dtype=np.float32))
        return cast(np.ndarray, net.forward()).reshape(-1, points, 2)

    width, height = contract.size
    # OpenCV 5 complains of a fixed batch before it falls back to its older engine, which takes it.
    # OpenCV 4.11 has no `cv2.utils.logging`, and nothing to complain of either.
    logging = getattr(cv2.utils, "logging", None)
    level = logging.getLogLevel() if logging else 0
    if logging:
        logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        net = cv2.dnn.readNetFromTensorflow(str(model))
        # A layer may fail only when it runs.
        run(np.zeros((max(contract.input.shape[0], 1), height, width, 3), np.float32))
    except (cv2.error, ValueError) as error:
        raise InputError(f"{model}: OpenCV cannot run this graph ({error}).") from error
    finally:
        if logging:
            logging.setLogLevel(level)
    return run


def tensorflow_engine(model: Path, contract: Contract) -> Engine:
    """The model in a TensorFlow session.

    Raises:
      InputError: the file is no graph, or lacks the tensors that its contract names.
    """
    import tensorflow.compat.v1 as tf

    graph_def = tf.GraphDef()
    try:
        graph_def.ParseFromString(model.read_bytes())
        with tf.Graph().as_default() as graph:
            tf.import_graph_def(graph_def, name="")
        image = graph.get_tensor_by_name(contract.input.name)
        landmarks = graph.get_tensor_by_name(contract.landmarks.name)
    except Exception as error:  # protobuf's DecodeError has no stable public name
        raise InputError(f"{model}: is not a frozen graph of this project ({error}).") from error
    session = tf.Session(graph=graph)

    def run(crops: np.ndarray) -> np.ndarray:
        return cast(np.ndarray, session.run(landmarks, {image: crops}))

    return run


ENGINES: dict[str, Callable[[Path, Contract], Engine]] = {
    "opencv": opencv_engine,
    "tensorflow": tensorflow_engine,
}


def load_engine(model: Path | str, contract: Contract, name: EngineName = "opencv") -> Engine:
    """The engine called `name`, ready to run `model`. Raises InputError that lists the known."""
    if name not in ENGINES:
        raise InputError(f"Unknown engine {name!r}. Known: {', '.join(ENGINES)}.")
    engine = ENGINES[name](Path(model), contract)
    batch = contract.input.shape[0]
    return engine if batch < 1 else _in_batches(engine, batch)


def _in_batches(engine: Engine, size: int) -> Engine:
    """Feeds a graph that takes exactly `size` crops with any number of them."""

    def run(crops: np.ndarray) -> np.ndarray:
        missing = -len(crops) % size
        padded = np.concatenate([crops, np.zeros((missing, *crops.shape[1:]), crops.dtype)])
        parts = [engine(padded[start : start + size]) for start in range(0, len(padded), size)]
        return np.concatenate(parts)[: len(crops)]

    return run
