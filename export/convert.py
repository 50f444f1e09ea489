"""`.pb` -> ONNX or TFLite, each checked against the `.pb` before it is written."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from export.contract import Contract, load_contract, save_contract
from export.engines import load_engine
from senet_landmark.errors import InputError
from senet_landmark.files import sha256, written_whole

TOLERANCE = 1e-4
"""Largest difference between a converted model and the `.pb`, as a share of the crop."""


def convert(model: Path | str, out: Path | str, crops: np.ndarray) -> float:
    """Converts a frozen model to the format that the suffix of `out` names.

    The contract beside the model is brought to know the new file, which must lie beside it under
    the same name.

    Args:
      model: a `.pb` with its `.json`.
      out: `MODEL.onnx` or `MODEL.tflite` beside it.
      crops: uint8 [N, H, W, 3] that both are run on.

    Returns:
      The largest difference of a landmark, as a share of the crop.

    Raises:
      InputError: another suffix or place, the converter is not installed, or the two models differ
        by more than `TOLERANCE`; nothing is written then.
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
        difference = float(np.abs(found - expected).max())
        if not difference <= TOLERANCE:  # also when it is NaN
            raise InputError(
                f"{out}: not written. It differs from {model} by {difference:.2g} of the crop, "
                f"more than {TOLERANCE:g}."
            )
    save_contract(model, contract)
    return difference


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
        graph, input_names=[contract.input.name], output_names=[contract.landmarks.name], opset=15
    )
    out.write_bytes(converted.SerializeToString())


def _write_tflite(model: Path, contract: Contract, out: Path) -> None:
    import tensorflow.compat.v1 as tf

    names = [contract.input.name.split(":")[0]], [contract.landmarks.name.split(":")[0]]
    shape = {names[0][0]: [1, *contract.input.shape[1:]]}
    converter = tf.lite.TFLiteConverter.from_frozen_graph(str(model), *names, input_shapes=shape)
    out.write_bytes(converter.convert())


_WRITERS = {".onnx": _write_onnx, ".tflite": _write_tflite}
