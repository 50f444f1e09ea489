"""A frozen graph as a TensorFlow SavedModel: a folder with signatures for crops and for photos."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf

from senet_landmark.config import to_json
from senet_landmark.errors import InputError
from senet_landmark.export.conversion.photo_graph import in_photos, photo_crops
from senet_landmark.export.engines.interface import Engine, Outputs, in_batches
from senet_landmark.frozen.contract import Contract
from senet_landmark.frozen.graph import import_graph
from senet_landmark.io.files import folder_written_whole, write_json
from senet_landmark.runtime import written_by_tensorflow

SIGNATURE = tf.saved_model.signature_constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY
"""`serving_default`: input `image`, outputs `landmarks` and the contract's other outputs."""

PHOTOS = "photos"
"""Signature of encoded photos: inputs `photo`, string [N], and `boxes`, float32 [N, F, 4]; outputs
as `in_photos`. A model of whole photos has no `boxes`; with a fixed batch it is left out."""

CONTRACT = Path("assets.extra", "contract.json")
"""Where the contract is in the folder: TensorFlow leaves `assets.extra` to users and copies it with
the model (TensorFlow, "saved_model/README.md")."""

SERVING = [tf.saved_model.tag_constants.SERVING]


@contextlib.contextmanager
def saved_model_written_whole(out: Path, model: Path, contract: Contract) -> Iterator[Path]:
    """Yields a temporary folder with the SavedModel; renames it to `out` if the block succeeds.

    After an exception `out` is unchanged.

    Args:
      out: the folder to write; an older SavedModel there is replaced.
      model: the `.pb`.
      contract: the model's.
    """
    with folder_written_whole(out) as folder:
        with written_by_tensorflow(out):
            _write(folder, model, contract)
        yield folder


def check_folder(out: Path) -> None:
    """Raises InputError if `out` is a file's name, or holds anything but a SavedModel."""
    if out.suffix in (".pb", ".onnx", ".tflite", ".json"):
        raise InputError(
            f"{out}: a SavedModel is a folder; give a name that does not end in {out.suffix}."
        )
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not _is_saved_model(out)):
        raise InputError(f"{out}: exists, and is no SavedModel. Give another name, or remove it.")


def _is_saved_model(folder: Path) -> bool:
    return (folder / "saved_model.pb").is_file()


def saved_model_engine(folder: Path, contract: Contract) -> Engine:
    """The SavedModel's serving signature, run in a session.

    Raises:
      InputError: the folder holds no SavedModel with the signature that the contract describes.
    """
    serve = signature_runner(folder, SIGNATURE)
    size = contract.input.shape[0]

    def run(crops: np.ndarray) -> Outputs:
        outputs = serve({"image": crops.astype(np.float32, copy=False)})
        return {name: outputs[name] for name in contract.outputs}

    return in_batches(run, size) if size > 0 else run


def signature_runner(folder: Path, name: str) -> Callable[[dict[str, Any]], Outputs]:
    """A signature of a SavedModel, run in a session: its inputs by name -> its outputs by name.

    Raises:
      InputError: the folder holds no SavedModel with that signature.
    """
    with tf.Graph().as_default() as graph:
        session = tf.Session(graph=graph)
        try:
            signatures = tf.saved_model.load(session, SERVING, str(folder)).signature_def
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(f"{folder}: is no SavedModel of this project ({error}).") from error
    if name not in signatures:
        raise InputError(f"{folder}: has no signature {name}, only {', '.join(signatures)}.")
    signature = signatures[name]
    inputs = {key: tensor.name for key, tensor in signature.inputs.items()}
    outputs = {key: tensor.name for key, tensor in signature.outputs.items()}

    def run(values: dict[str, Any]) -> Outputs:
        found: Outputs = session.run(outputs, {inputs[key]: v for key, v in values.items()})
        return found

    return run


def _write(folder: Path, model: Path, contract: Contract) -> None:
    with tf.Graph().as_default() as graph, tf.Session(graph=graph) as session:
        image, photo_inputs, regions = _inputs(contract)
        tensors = import_graph(model, contract, image=image)
        image = tensors.pop("image")
        signatures = {SIGNATURE: tf.saved_model.predict_signature_def({"image": image}, tensors)}
        if photo_inputs:
            signatures[PHOTOS] = tf.saved_model.predict_signature_def(
                photo_inputs, in_photos(tensors, regions, contract)
            )
        builder = tf.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(
            session,
            SERVING,
            signatures,
            strip_default_attrs=True,  # TensorFlow 1.15 does not know the newer attributes
        )
        builder.save()
    write_json(folder / CONTRACT, to_json(contract))


def _inputs(contract: Contract) -> tuple[Any, dict[str, Any], Any]:
    """The network's input, the inputs of the signature `photos`, and the regions of its crops.

    The crops of the photos are the value that the network's input has by default: so both
    signatures share one network. (None, {}, None) for a fixed batch.
    """
    if contract.input.shape[0] > 0:
        return None, {}, None
    inputs = {"photo": tf.placeholder(tf.string, [None], "photo")}
    if contract.crop.of == "face":
        inputs["boxes"] = tf.placeholder(tf.float32, [None, None, 4], "boxes")
    crops = photo_crops(inputs["photo"], inputs.get("boxes"), contract)
    width, height = contract.size
    image = tf.placeholder_with_default(
        crops.image, [None, height, width, 3], contract.input.operation
    )
    return image, inputs, crops.regions
