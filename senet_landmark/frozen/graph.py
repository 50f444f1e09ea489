"""A `.pb` in TensorFlow."""

from pathlib import Path
from typing import Any

from senet_landmark.errors import InputError
from senet_landmark.frozen.contract import Contract


def import_graph(model: Path, contract: Contract) -> dict[str, Any]:
    """A `.pb` imported into the default graph: `image` and the outputs by their names.

    Raises:
      InputError: the file is no graph, or lacks the tensors that its contract names.
    """
    import tensorflow.compat.v1 as tf

    graph_def = tf.GraphDef()
    try:
        graph_def.ParseFromString(model.read_bytes())
        tf.import_graph_def(graph_def, name="")
        graph = tf.get_default_graph()
        tensors = {"image": graph.get_tensor_by_name(contract.input.name)}
        for name, tensor in contract.outputs.items():
            tensors[name] = graph.get_tensor_by_name(tensor.name)
    except Exception as error:  # protobuf's DecodeError has no stable public name
        raise InputError(f"{model}: is not a frozen graph of this project ({error}).") from error
    return tensors
