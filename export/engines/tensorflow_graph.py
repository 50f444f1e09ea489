"""TensorFlow: a `.pb` in a session, or wrapped as a function for TensorFlow 2."""

from pathlib import Path

import numpy as np

from senet_landmark.errors import InputError
from senet_landmark.export.engines.interface import Engine, Outputs
from senet_landmark.frozen.contract import FrozenTensors
from senet_landmark.frozen.graph import import_graph


def tensorflow_engine(model: Path, contract: FrozenTensors, threads: int = 0) -> Engine:
    """The model in a TensorFlow session.

    Args:
      model: a `.pb`.
      contract: the model's.
      threads: threads of the session; 0: one for each core. Unless the environment variable
        TF_OVERRIDE_GLOBAL_THREADPOOL is 1, the first session of a process decides for all.

    Raises:
      InputError: the file holds no graph, or lacks tensors that its contract names.
    """
    import tensorflow.compat.v1 as tf

    from senet_landmark.runtime import session_config

    config = session_config(threads)
    config.use_per_session_threads = threads > 0
    with tf.Graph().as_default() as graph:
        tensors = import_graph(model, contract)
    outputs = contract.outputs
    session = tf.Session(graph=graph, config=config)
    call = session.make_callable([tensors[name] for name in outputs], [tensors["image"]])

    def run(crops: np.ndarray) -> Outputs:
        values = call(crops.astype(np.float32, copy=False))
        return dict(zip(outputs, values, strict=True))

    return run


def tensorflow2_engine(model: Path, contract: FrozenTensors, threads: int = 0) -> Engine:
    """The same graph wrapped as a function, for programs with TensorFlow 2's eager execution.

    Args:
      model: a `.pb`.
      contract: the model's.
      threads: must be 0: TensorFlow 2 has one number of threads for the whole process.

    Raises:
      InputError: as `tensorflow_engine`; or eager execution is off.
    """
    import tensorflow as tf

    if not tf.executing_eagerly():
        raise InputError(
            "The engine tensorflow2 needs eager execution, which this process has switched off; "
            "use the engine tensorflow."
        )
    if threads:
        raise InputError(
            "The engine tensorflow2 takes no number of threads; call "
            "tf.config.threading.set_intra_op_parallelism_threads first, or use tensorflow."
        )
    outputs = contract.outputs
    wrapped = tf.compat.v1.wrap_function(lambda: import_graph(model, contract), [])
    image = wrapped.graph.get_tensor_by_name(contract.input.name)
    function = wrapped.prune(
        image, [wrapped.graph.get_tensor_by_name(tensor.name) for tensor in outputs.values()]
    )

    def run(crops: np.ndarray) -> Outputs:
        values = function(tf.constant(crops, tf.float32))
        return {name: value.numpy() for name, value in zip(outputs, values, strict=True)}

    return run
