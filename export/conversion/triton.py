"""A frozen graph in a model repository of NVIDIA's Triton Inference Server, as ONNX.

The repository's layout is that of Triton's "Model Repository", `config.pbtxt` the message
`inference.ModelConfig` of its `model_config.proto`, in protobuf's text format.
"""

import json
from dataclasses import replace
from pathlib import Path

from senet_landmark.config import to_json
from senet_landmark.errors import InputError
from senet_landmark.face.attributes import get_attribute
from senet_landmark.frozen.contract import Contract, TensorSpec
from senet_landmark.io.files import sha256, write_json

CONFIG = "config.pbtxt"
CONTRACT = "contract.json"
LABELS = "attributes.txt"
"""Labels of the output `attributes`, one a line, for Triton's classification extension."""

MODEL = Path("1", "model.onnx")
"""The model's file; Triton wants a folder for each version, and this name."""

MOST_FACES = 64
"""Largest batch: beyond that a face costs no less (docs/speed.md)."""

WAIT_MICROSECONDS = 1000
"""How long a request may wait for others to share its batch: about what one face takes."""

TYPES = {"float32": "TYPE_FP32"}


def check_model_folder(folder: Path) -> None:
    """Raises InputError if the model's folder in the repository holds anything but a model."""
    for path in (folder.parent, folder):
        if path.exists() and not path.is_dir():
            raise InputError(f"{path}: is a file. Give the folder of Triton's model repository.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / CONFIG).is_file():
        raise InputError(
            f"{folder}: exists, and has no {CONFIG}: it is no model of Triton's. Give another "
            "repository, or remove it."
        )


def write_around_onnx(folder: Path, name: str, contract: Contract) -> None:
    """Writes what stands beside the model's file (`MODEL`), which is there already.

    Args:
      folder: the model's folder.
      name: of the model in Triton; its folder must be called so.
      contract: the model's.
    """
    (folder / CONFIG).write_text(config_text(name, contract), encoding="utf-8")
    digest = sha256(folder / MODEL)
    write_json(folder / CONTRACT, to_json(replace(contract, conversions={".onnx": digest})))
    if labels := _labels(contract):
        (folder / LABELS).write_text("\n".join(labels) + "\n", encoding="utf-8")


def config_text(name: str, contract: Contract) -> str:
    """The text of `config.pbtxt`."""
    fixed = contract.input.shape[0] > 0
    lines = [
        f"# {contract.colour_order} crops, {contract.value_range[0]:g} to "
        f"{contract.value_range[1]:g}; how to crop is in {CONTRACT}.",
        f"name: {json.dumps(name)}",
        'backend: "onnxruntime"',
        f"max_batch_size: {0 if fixed else MOST_FACES}",
        *_tensor("input", contract.input, fixed),
    ]
    for output, tensor in contract.outputs.items():
        lines += _tensor("output", tensor, fixed, LABELS if output == "attributes" else "")
    if not fixed:
        lines.append(f"dynamic_batching {{ max_queue_delay_microseconds: {WAIT_MICROSECONDS} }}")
    return "\n".join(lines) + "\n"


def _tensor(kind: str, tensor: TensorSpec, fixed: bool, labels: str = "") -> list[str]:
    """An entry of `input` or `output`; `dims` are without the batch if Triton makes batches."""
    dims = tensor.shape if fixed else tensor.shape[1:]
    return [
        f"{kind} {{",
        f"  name: {json.dumps(tensor.name)}",
        f"  data_type: {TYPES[tensor.dtype]}",
        f"  dims: {list(dims)}",
        *([f"  label_filename: {json.dumps(labels)}"] if labels else []),
        "}",
    ]


def _labels(contract: Contract) -> list[str]:
    """`gender: female`, … for each class of the output `attributes`."""
    return [
        f"{name}: {label}"
        for name in contract.attribute_names
        for label in get_attribute(name).classes
    ]
