"""What a frozen graph costs: its constants and FLOPs."""

from pathlib import Path
from typing import Any

import numpy as np

from senet_landmark.frozen.contract import Contract
from senet_landmark.frozen.graph import import_graph


def load_graph(model: Path, contract: Contract) -> tuple[Any, int]:
    """A `.pb` as a TensorFlow graph, and the number of faces in its batch.

    A graph with a free batch size gets batch 1, so that the profiler knows every shape.

    Raises:
      InputError: the file holds no graph.
    """
    import tensorflow.compat.v1 as tf

    batch = max(contract.input.shape[0], 1)
    with tf.Graph().as_default() as graph:
        import_graph(model, contract, batch)
    return graph, batch


def count_constants(graph: Any) -> int:
    """How many float constants the graph holds: weights, biases, fixed values such as grids."""
    import tensorflow.compat.v1 as tf

    constants = [op for op in graph.get_operations() if op.type == "Const"]
    return sum(
        int(np.prod(op.outputs[0].shape.as_list()))
        for op in constants
        if op.outputs[0].dtype == tf.float32
    )


def count_flops(graph: Any) -> int | None:
    """FLOPs of the graph by TensorFlow's profiler; a multiplication and an addition are two.

    Returns:
      None if a convolution or a matrix product has an unknown shape: the profiler would skip it.
    """
    import tensorflow.compat.v1 as tf

    heavy = ("Conv2D", "DepthwiseConv2dNative", "MatMul", "BatchMatMul", "BatchMatMulV2")
    for op in graph.get_operations():
        if op.type in heavy and not op.outputs[0].shape.is_fully_defined():
            return None
    options = tf.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    return int(tf.profiler.profile(graph, options=options).total_float_ops)
