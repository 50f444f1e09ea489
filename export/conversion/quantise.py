"""A frozen graph as a `.tflite`: in 32 bits, or in 8 bits except for its last layers.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", CVPR 2018: weights and activations in 8 bits, their ranges measured on real faces. The
soft argmax stays in float: in 8 bits a softmax over 256 positions is mostly zeros.
"""

import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from senet_landmark.errors import InputError
from senet_landmark.evaluation.metrics import nme
from senet_landmark.export.engines.interface import Engine
from senet_landmark.export.engines.litert import tflite_engine
from senet_landmark.export.engines.timing import alternated
from senet_landmark.export.freezing.recorded_faces import recorded_faces
from senet_landmark.face.schemes import Scheme
from senet_landmark.frozen.contract import Contract, FrozenTensors
from senet_landmark.frozen.graph import read_graph

TOLERANCE = 1.05
"""Largest ratio of the NME with 8 bits to the NME with 32 bits."""

LEAST, MOST = 100, 300
"""Smallest and largest number of training faces for the calibration of the ranges."""

HELD_OUT = 1000
"""Largest number of held-out faces for the NME."""

ROUNDS = 50
"""Timed runs of each file."""

METRICS = ("int8_nme_inter_ocular", "float_nme_inter_ocular")
"""Keys of a contract's `metrics`: the NME of this file on the held-out faces, and the `.pb`'s."""


@dataclass(frozen=True)
class Cost:
    """What 8 bits cost in accuracy, and what they gain in size and speed.

    Attributes:
      nme: inter-ocular NME in percent on `held_out` faces.
      float_nme: the same of the `.pb`.
      held_out: number of held-out faces.
      calibrated_on: number of training faces for the calibration.
      float_megabytes: size of the 32-bit `.tflite` (10^6 bytes).
      latency_ms: median milliseconds of one crop in LiteRT with one thread.
      float_latency_ms: the same of the 32-bit `.tflite`.
    """

    nme: float
    float_nme: float
    held_out: int
    calibrated_on: int
    float_megabytes: float
    latency_ms: float
    float_latency_ms: float

    @property
    def metrics(self) -> dict[str, float]:
        """The two NMEs under their `METRICS` keys."""
        return dict(zip(METRICS, (round(self.nme, 4), round(self.float_nme, 4)), strict=True))


def write_tflite(model: Path, contract: FrozenTensors, out: Path) -> None:
    """Converts a `.pb` to a 32-bit `.tflite`, for one crop at a time."""
    out.write_bytes(_converter(model, contract).convert())


def write_int8(model: Path, contract: Contract, out: Path, records: Path, expect: Engine) -> Cost:
    """Converts a `.pb` to an 8-bit `.tflite` with float32 input and outputs.

    Args:
      model: the `.pb`.
      contract: the model's.
      out: the file to write.
      records: folder of records; the ranges are calibrated on the training split, the NME is
        measured on the held-out split.
      expect: the `.pb`'s engine.

    Raises:
      InputError: there are too few training faces, or the records have another landmark scheme.
    """
    training, held_out = (
        recorded_faces(records, contract.scheme, contract.crop, contract.size, split)
        for split in ("train", None)
    )
    crops = training.crops(MOST)
    if len(crops) < LEAST:
        raise InputError(
            f"{records}: has {len(crops)} training faces; 8 bits need {LEAST} for calibration."
        )
    out.write_bytes(_quantised(_converter(model, contract), crops))
    faces, truth = held_out.crops(HELD_OUT), held_out.landmarks(HELD_OUT)
    scheme = contract.landmark_scheme
    known = np.isfinite(truth[:, list(scheme.outer_eye_corners)]).all((1, 2))
    faces, truth = faces[known], truth[known]
    before = _mean_nme(expect, faces, truth, scheme)
    after = _mean_nme(tflite_engine(out, contract), faces, truth, scheme)
    with tempfile.TemporaryDirectory() as folder:
        float_file = Path(folder) / "float.tflite"
        write_tflite(model, contract, float_file)
        times = _latencies([out, float_file], contract, crops[:1].astype(np.float32))
        size = float_file.stat().st_size
    return Cost(after, before, len(faces), len(crops), round(size / 1e6, 3), times[0], times[1])


def check_cost(cost: Cost, problem: str) -> None:
    """Raises InputError, which begins with `problem`, if the NME grew by more than `TOLERANCE`."""
    if not cost.nme <= TOLERANCE * cost.float_nme:
        raise InputError(
            f"{problem} loses too much: NME on {cost.held_out} held-out faces is {cost.nme:.2f}% "
            f"with 8 bits and {cost.float_nme:.2f}% without, more than {TOLERANCE:g} times that."
        )


def _mean_nme(run: Engine, crops: np.ndarray, truth: np.ndarray, scheme: Scheme) -> float:
    """Inter-ocular NME in percent, in normalised coordinates: correct only for square crops."""
    known = np.isfinite(truth).all(axis=2)
    predicted = run(crops)["landmarks"]
    return 100 * float(nme(predicted, truth, scheme, "inter_ocular", known).mean())


def _converter(model: Path, contract: FrozenTensors) -> Any:
    import tensorflow.compat.v1 as tf

    graph = read_graph(model, contract, batch=1)  # also where the graph has a fixed batch
    with tempfile.TemporaryDirectory() as folder:
        single = Path(folder) / "single.pb"
        single.write_bytes(graph.SerializeToString())
        return tf.lite.TFLiteConverter.from_frozen_graph(
            str(single),
            [contract.input.operation],
            [tensor.operation for tensor in contract.outputs.values()],
        )


def _quantised(converter: Any, crops: np.ndarray) -> bytes:
    """The bytes of the 8-bit file; its ranges are calibrated on `crops`."""
    import tensorflow as tf

    def dataset() -> Iterator[list[np.ndarray]]:
        for crop in crops:
            yield [crop[None].astype(np.float32)]

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = dataset
    tools = tf.lite.experimental
    with warnings.catch_warnings():
        # The converter uses tf.lite.Interpreter, which TensorFlow will remove.
        warnings.filterwarnings("ignore", message="(?s).*tf.lite.Interpreter is deprecated")
        # The only public way to exclude chosen operations.
        debugger = tools.QuantizationDebugger(converter=converter, debug_dataset=dataset)
        debugger.options = tools.QuantizationDebugOptions(
            denylisted_nodes=last_layers(debugger.calibrated_model)
        )
        quantised: bytes = debugger.get_nondebug_quantized_model()
    return quantised


def last_layers(model: bytes) -> list[str]:
    """Names of the outputs of the last operations of a `.tflite`, which stay in float.

    These are all operations after the last fully connected layer. In a network with maps they are
    the softmax, its products with constants, and the convolution that makes the maps.
    """
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    flatbuffer = flatbuffer_utils.convert_bytearray_to_object(bytearray(model))
    graph, kinds = flatbuffer.subgraphs[0], schema.BuiltinOperator
    codes = [max(c.builtinCode, c.deprecatedBuiltinCode) for c in flatbuffer.operatorCodes]
    producer = {tensor: node for node in graph.operators for tensor in node.outputs}

    def kind(tensor: int) -> int | None:
        return codes[producer[tensor].opcodeIndex] if tensor in producer else None

    def comes_from_softmax(tensor: int) -> bool:
        if kind(tensor) in (None, kinds.CONV_2D, kinds.DEPTHWISE_CONV_2D):
            return False
        return kind(tensor) == kinds.SOFTMAX or any(
            map(comes_from_softmax, producer[tensor].inputs)
        )

    last: dict[int, None] = {}  # a set that keeps its order
    waiting = list(graph.outputs)
    while waiting:
        tensor = waiting.pop()
        # The mean of the features, which the head of the depth gets beside the landmarks, ends the
        # network's 8-bit part.
        if kind(tensor) in (None, kinds.MEAN) or tensor in last:
            continue
        inputs = list(producer[tensor].inputs)
        if kind(tensor) == kinds.FULLY_CONNECTED and not any(map(comes_from_softmax, inputs)):
            continue
        last[tensor] = None
        if kind(tensor) not in (kinds.CONV_2D, kinds.DEPTHWISE_CONV_2D):
            waiting += inputs
    return [graph.tensors[tensor].name.decode() for tensor in last]


def _latencies(files: list[Path], contract: Contract, crop: np.ndarray) -> list[float]:
    """Median milliseconds of one crop in LiteRT with one thread; the files take turns."""
    engines = [tflite_engine(file, contract, threads=1) for file in files]
    times = alternated({n: partial(run, crop) for n, run in enumerate(engines)}, ROUNDS)
    return [times[number]["median"] for number in range(len(files))]
