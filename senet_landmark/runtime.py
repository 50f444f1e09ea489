"""How an entry point starts TensorFlow: graph mode, oneDNN, few log messages.

Only entry points call `start_tensorflow`; importing a module of this project changes nothing.
"""

import contextlib
import importlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from senet_landmark.io.silence import without_stderr


def start_tensorflow() -> None:
    """Sets up TensorFlow for this project; call it before anything imports TensorFlow.

    TensorFlow turns oneDNN off by default on processors without AVX-512; it makes them faster too
    (docs/speed.md). A value that the user set in the environment has priority.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    import_quietly()
    import tensorflow.compat.v1 as tf

    tf.logging.set_verbosity(tf.logging.ERROR)
    tf.disable_v2_behavior()
    # tf-slim 1.1 calls a Keras method that newer releases renamed.
    warnings.filterwarnings("ignore", message="`layer.apply` is deprecated")


def session_config(threads: int = 0, replicas: int = 1) -> Any:
    """TensorFlow's session settings (`tf.ConfigProto`).

    Args:
      threads: cores to use; 0: all.
      replicas: copies of a network that run in parallel (`TrainConfig.replicas`) and share the
        cores. TensorFlow uses the thread count of the first session for the whole process.
    """
    import tensorflow.compat.v1 as tf

    per_operation = threads
    if replicas > 1:
        per_operation = max(1, (threads or os.cpu_count() or 1) // replicas)
    return tf.ConfigProto(
        intra_op_parallelism_threads=per_operation, inter_op_parallelism_threads=threads
    )


class _LazyModule:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self._name), name)


def lazy_module(name: str) -> Any:
    """A placeholder for the module `name`, which is imported when one of its names is used."""
    return _LazyModule(name)


def import_quietly() -> None:
    """Imports TensorFlow without its messages about missing GPUs; for worker processes.

    Its libraries write some while they load, before the log level works. Python's exceptions still
    reach the caller.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with without_stderr():
        import tensorflow  # noqa: F401


@contextlib.contextmanager
def written_by_tensorflow(path: Path) -> Iterator[None]:
    """Turns the error of a file that TensorFlow cannot write, in the block, into an `OSError`."""
    import tensorflow.compat.v1 as tf

    try:
        yield
    except tf.errors.OpError as error:
        reason = error.message.split(";")[-1].strip()
        raise OSError(None, f"the file could not be written ({reason})", str(path)) from error
