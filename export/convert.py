"""`.pb` -> ONNX or TFLite, each checked against the `.pb` before it is written."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from export.contract import Contract, load_contract, save_contract
from export.engines.registry import load_engine
from export.equality import differences
from senet_landmark.errors import InputError
from senet_landmark.files import sha256, written_whole


def convert(model: Path | str, out: Path | str, crops: np.ndarray) -> dict[str, float]:
    """Converts a frozen model to the format that the suffix of `out` names.

    The contract beside the model is brought to know the new file, which must lie beside it under
    the same name.

    Args:
      model: a `.pb` with its `.json`.
      out: `MODEL.onnx` or `MODEL.tflite` beside it.
      crops: uint8 [N, H, W, 3] that both are run on.

    Returns:
      Output -> the largest difference to the `.pb`, in the unit of `equality.TOLERANCES`.

    Raises:
      InputError: another suffix or place, the converter is not installed, or an output of the two
        models differs by more than its tolerance; nothing is written then.
    """
    model, out = Path(model), Path(out)
    contract = load_contract(model)
    if out.with_suffix("") != model.with_suffix("") or out.suffix not in _WRITERS:
        raise InputError(f"{out}: give {model.stem}.onnx or {model.stem}.tflite beside {model}.")
    expected = load_engine(model, contract, "tensorflow")(crops)
    with written_whole(out) as temporary:
        _WRITERS[out.suffix](model, contract, temporary)
        digests = {**contract.conversions, out.suffix: sha256(temporary)}
        contract = replace(contract, conversions=digests)
        found = load_engine(temporary, contract)(crops)
        largest = differences(found, expected, f"{out}: not written. It differs from {model}")
    save_contract(model, contract)
    return largest


def _write_onnx(model: Path, contract: Contract, out: Path) -> None:
    import tensorflow.compat.v1 as tf

    try:
        import tf2onnx
    except ImportError as error:
        raise InputError(
            "ONNX needs tf2onnx: install the extra with `pip install '.[onnx]'`."
        ) from error
    graph = tf.GraphDef.FromString(model.read_bytes())
    converted, _ = tf2onnx.convert.from_graph_def(
        graph,
        input_names=[contract.input.name],
        output_names=[tensor.name for tensor in contract.outputs.values()],
        opset=15,
    )
    out.write_bytes(converted.SerializeToString())


def _write_tflite(model: Path, contract: Contract, out: Path) -> None:
    import tensorflow.compat.v1 as tf

    converter = tf.lite.TFLiteConverter.from_frozen_graph(
        str(model),
        [contract.input.operation],
        [tensor.operation for tensor in contract.outputs.values()],
        input_shapes={contract.input.operation: [1, *contract.input.shape[1:]]},
    )
    out.write_bytes(converter.convert())


_WRITERS = {".onnx": _write_onnx, ".tflite": _write_tflite}
