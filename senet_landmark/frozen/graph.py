"""Reads a `.pb` with TensorFlow."""

from pathlib import Path
from typing import Any

from senet_landmark.errors import InputError
from senet_landmark.frozen.contract import FrozenTensors


def read_graph(model: Path, contract: FrozenTensors, batch: int = 0) -> Any:
    """A `.pb` as a `tf.GraphDef`.

    Args:
      model: the `.pb`.
      contract: the contract of the model.
      batch: batch size of the input; 0: as in the file.

    Raises:
      InputError: the file is not a graph.
    """
    import tensorflow.compat.v1 as tf

    try:
        graph_def = tf.GraphDef.FromString(model.read_bytes())
    except Exception as error:  # protobuf's DecodeError has no stable public name
        raise _problem(model, error) from error
    for node in graph_def.node:
        if batch and node.name == contract.input.operation:
            node.attr["shape"].shape.dim[0].size = batch
    return graph_def


def import_graph(
    model: Path, contract: FrozenTensors, batch: int = 0, image: Any = None
) -> dict[str, Any]:
    """Imports a `.pb` into the default graph; returns `image` and the outputs by their names.

    Args:
      model: the `.pb`.
      contract: the contract of the model.
      batch: as `read_graph`.
      image: a tensor in the default graph that takes the input's place, and its name.

    Raises:
      InputError: the file is not a graph, or lacks the tensors that its contract names.
    """
    import tensorflow.compat.v1 as tf

    graph_def = read_graph(model, contract, batch)
    replaced = {}
    if image is not None:
        replaced = {contract.input.name: image}
        others = [node for node in graph_def.node if node.name != contract.input.operation]
        del graph_def.node[:]
        graph_def.node.extend(others)
    try:
        tf.import_graph_def(graph_def, input_map=replaced, name="")
        graph = tf.get_default_graph()
        tensors = {
            "image": graph.get_tensor_by_name(contract.input.name) if image is None else image
        }
        for name, tensor in contract.outputs.items():
            tensors[name] = graph.get_tensor_by_name(tensor.name)
    except Exception as error:  # an unknown operation raises one of TensorFlow's own errors
        raise _problem(model, error) from error
    return tensors


def _problem(model: Path, error: Exception) -> InputError:
    return InputError(f"{model}: is not a frozen graph of this project ({error}).")
