"""Runs a frozen model, behind one function: OpenCV dnn, ONNX Runtime, LiteRT (TFLite), TensorFlow.

The file's suffix says what it is: `.pb`, `.onnx`, `.tflite`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from export.contract import Contract
from senet_landmark.errors import InputError

Engine = Callable[[np.ndarray], dict[str, np.ndarray]]
"""Crops, uint8 or float32 [N, H, W, 3], RGB 0 to 255 -> the contract's outputs by their names:
landmarks, float32 [N, K, 2], and where the model has them pose [N, 3] and attributes [N, C]."""

EngineName = Literal["opencv", "onnxruntime", "tflite", "tensorflow"]


def opencv_engine(model: Path, contract: Contract) -> Engine:
    """The model in OpenCV's dnn module; TensorFlow is not imported.

    Raises:
      InputError: OpenCV cannot read the file, or was built without the TensorFlow importer.
    """
    if not hasattr(cv2.dnn, "readNetFromTensorflow"):
        raise InputError("This OpenCV has no TensorFlow importer; use --engine tensorflow.")
    outputs = contract.outputs
    names = [tensor.operation for tensor in outputs.values()]

    def run(crops: np.ndarray) -> dict[str, np.ndarray]:
        # OpenCV keeps TensorFlow graphs in its own channel order: [N, C, H, W].
        net.setInput(np.ascontiguousarray(crops.transpose(0, 3, 1, 2), dtype=np.float32))
        # A lone output is not named: an older `.pb` has its name on a closing identity, which
        # OpenCV 5 drops.
        found = net.forward(names) if len(names) > 1 else [net.forward()]
        return {
            name: np.reshape(values, (len(crops), *tensor.shape[1:]))
            for (name, tensor), values in zip(outputs.items(), found, strict=True)
        }

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
        outputs = {
            name: graph.get_tensor_by_name(tensor.name) for name, tensor in contract.outputs.items()
        }
    except Exception as error:  # protobuf's DecodeError has no stable public name
        raise InputError(f"{model}: is not a frozen graph of this project ({error}).") from error
    session = tf.Session(graph=graph)

    def run(crops: np.ndarray) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = session.run(outputs, {image: crops})
        return found

    return run


def onnxruntime_engine(model: Path, contract: Contract) -> Engine:
    """An `.onnx` in ONNX Runtime.

    Raises:
      InputError: ONNX Runtime is not installed, or cannot read the file.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(
            f"{model}: needs ONNX Runtime. Install it with `pip install onnxruntime`."
        ) from error
    try:
        session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no public base class
        raise InputError(f"{model}: ONNX Runtime cannot read this file ({error}).") from error

    names = [tensor.name for tensor in contract.outputs.values()]

    def run(crops: np.ndarray) -> dict[str, np.ndarray]:
        found = session.run(names, {contract.input.name: crops.astype(np.float32)})
        return dict(zip(contract.outputs, found, strict=True))

    return run


def tflite_engine(model: Path, contract: Contract) -> Engine:
    """A `.tflite` in LiteRT, or in TensorFlow's interpreter where that is not installed.

    Raises:
      InputError: neither is installed, or the file is no model.
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
        interpreter = Interpreter(model_path=str(model))
        interpreter.allocate_tensors()
        (given,) = interpreter.get_input_details()
        found = {details["name"]: details["index"] for details in interpreter.get_output_details()}
        outputs = {
            name: (found[tensor.operation], tensor.shape[1:])
            for name, tensor in contract.outputs.items()
        }
    except (KeyError, ValueError) as error:
        raise InputError(f"{model}: is not a TFLite model of this project ({error}).") from error

    def run(crops: np.ndarray) -> dict[str, np.ndarray]:
        results: dict[str, list[np.ndarray]] = {name: [] for name in outputs}
        for crop in crops.astype(np.float32):  # the file's batch is 1
            interpreter.set_tensor(given["index"], crop[None])
            interpreter.invoke()
            for name, (index, _) in outputs.items():
                results[name].append(interpreter.get_tensor(index))
        return {
            name: np.stack(results[name]).reshape(len(crops), *shape)
            for name, (_, shape) in outputs.items()
        }

    return run


ENGINES: dict[str, Callable[[Path, Contract], Engine]] = {
    "opencv": opencv_engine,
    "onnxruntime": onnxruntime_engine,
    "tflite": tflite_engine,
    "tensorflow": tensorflow_engine,
}

SUFFIXES = {".pb": ("opencv", "tensorflow"), ".onnx": ("onnxruntime",), ".tflite": ("tflite",)}
"""What runs a file, the default first."""


def load_engine(model: Path | str, contract: Contract, name: EngineName | None = None) -> Engine:
    """The engine called `name`, ready to run `model`; None: the default of the file's suffix.

    Raises:
      InputError: an unknown engine or suffix, or an engine that does not run such files.
    """
    model = Path(model)
    able = SUFFIXES.get(model.suffix)
    if able is None:
        raise InputError(f"{model}: a model ends in {', '.join(SUFFIXES)}.")
    if name is not None and name not in ENGINES:
        raise InputError(f"Unknown engine {name!r}. Known: {', '.join(ENGINES)}.")
    if name is not None and name not in able:
        raise InputError(f"{model}: {name} does not run {model.suffix}; use {' or '.join(able)}.")
    engine = ENGINES[name or able[0]](model, contract)
    batch = contract.input.shape[0]
    return engine if batch < 1 or model.suffix != ".pb" else _in_batches(engine, batch)


def _in_batches(engine: Engine, size: int) -> Engine:
    """Feeds a graph that takes exactly `size` crops with any number of them."""

    def run(crops: np.ndarray) -> dict[str, np.ndarray]:
        missing = -len(crops) % size
        padded = np.concatenate([crops, np.zeros((missing, *crops.shape[1:]), crops.dtype)])
        parts = [engine(padded[start : start + size]) for start in range(0, len(padded), size)]
        return {
            name: np.concatenate([part[name] for part in parts])[: len(crops)] for name in parts[0]
        }

    return run
