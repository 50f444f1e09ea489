"""A frozen graph as an `.onnx`."""

from pathlib import Path

from senet_landmark.errors import InputError
from senet_landmark.frozen.contract import FrozenTensors
from senet_landmark.frozen.graph import read_graph

OPSET = 10
"""Version of ONNX's operators: the newest with which OpenCV before 4.8 reads all networks. In later
versions the limits of a Clip and the axes of a Squeeze are inputs."""

BATCH = "batch"
"""Name of the free first dimension in the file."""


def write_onnx(model: Path, contract: FrozenTensors, out: Path) -> None:
    """Converts a `.pb` with tf2onnx.

    The tensors keep their names (`image:0`, `landmarks:0`), and the input its order [N, H, W, 3].

    Raises:
      InputError: tf2onnx is not installed.
    """
    try:
        import tf2onnx
    except ImportError as error:
        raise InputError(
            "ONNX needs tf2onnx: install the extra with `pip install '.[onnx]'`."
        ) from error
    converted, _ = tf2onnx.convert.from_graph_def(
        read_graph(model, contract),
        input_names=[contract.input.name],
        output_names=[tensor.name for tensor in contract.outputs.values()],
        opset=OPSET,
    )
    for tensor in (*converted.graph.input, *converted.graph.output):
        first = tensor.type.tensor_type.shape.dim[0]
        if first.dim_param:  # tf2onnx gives it a new number at each call
            first.dim_param = BATCH
    out.write_bytes(converted.SerializeToString(deterministic=True))
