"""A frozen graph as a TensorFlow SavedModel: a folder with a serving signature."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow.compat.v1 as tf

from senet_landmark.config import to_json
from senet_landmark.errors import InputError
from senet_landmark.export.engines.interface import Engine, Outputs, in_batches
from senet_landmark.frozen.contract import Contract
from senet_landmark.frozen.graph import import_graph
from senet_landmark.io.files import folder_written_whole, write_json
from senet_landmark.runtime import written_by_tensorflow

SIGNATURE = tf.saved_model.signature_constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY
"""`serving_default`: input `image`, outputs `landmarks` and the contract's other outputs."""

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
    with tf.Graph().as_default() as graph:
        session = tf.Session(graph=graph)
        try:
            loaded = tf.saved_model.load(session, SERVING, str(folder))
            signature = loaded.signature_def[SIGNATURE]
            image = signature.inputs["image"].name
            names = {name: signature.outputs[name].name for name in contract.outputs}
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(f"{folder}: is no SavedModel of this project ({error}).") from error
    size = contract.input.shape[0]

    def run(crops: np.ndarray) -> Outputs:
        outputs: Outputs = session.run(names, {image: crops.astype(np.float32, copy=False)})
        return outputs

    return in_batches(run, size) if size > 0 else run


def _write(folder: Path, model: Path, contract: Contract) -> None:
    with tf.Graph().as_default() as graph, tf.Session(graph=graph) as session:
        tensors = import_graph(model, contract)
        image = tensors.pop("image")
        builder = tf.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(
            session,
            SERVING,
            {SIGNATURE: tf.saved_model.predict_signature_def({"image": image}, tensors)},
            strip_default_attrs=True,  # TensorFlow 1.15 does not know the newer attributes
        )
        builder.save()
    write_json(folder / CONTRACT, to_json(contract))
