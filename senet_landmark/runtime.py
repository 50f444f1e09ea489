"""How an entry point starts TensorFlow: graph mode, oneDNN, a quiet log.

Only entry points call `start_tensorflow`; importing a module of this project changes nothing.
"""

import contextlib
import importlib
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any


def start_tensorflow() -> None:
    """Sets TensorFlow up for this project; call it before anything imports TensorFlow.

    oneDNN is off by default on processors without AVX-512, where it pays too (docs/speed.md). A
    value that the user set in the environment wins.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    import_quietly()
    import tensorflow.compat.v1 as tf

    tf.logging.set_verbosity(tf.logging.ERROR)
    tf.disable_v2_behavior()
    # tf-slim 1.1 calls a Keras method that newer releases have renamed.
    warnings.filterwarnings("ignore", message="`layer.apply` is deprecated")


def session_config(threads: int = 0, replicas: int = 1) -> Any:
    """TensorFlow's session settings (`tf.ConfigProto`).

    Args:
      threads: cores to use; 0: all.
      replicas: of a network that run side by side (`TrainConfig.replicas`): they share the cores.
        TensorFlow keeps the first session's threads of an operation for the whole process.
    """
    import tensorflow.compat.v1 as tf

    within = threads
    if replicas > 1:
        within = max(1, (threads or os.cpu_count() or 1) // replicas)
    return tf.ConfigProto(intra_op_parallelism_threads=within, inter_op_parallelism_threads=threads)


class _LazyModule:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self._name), name)


def lazy_module(name: str) -> Any:
    """A stand-in for the module called `name`, which is imported when one of its names is used."""
    return _LazyModule(name)


def import_quietly() -> None:
    """Imports TensorFlow without what its libraries say of absent GPUs; for worker processes."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _native_log_hidden():
        import tensorflow  # noqa: F401


@contextlib.contextmanager
def _native_log_hidden() -> Iterator[None]:
    """Hides what TensorFlow's libraries say while they load, before their log level counts.

    It is about GPUs that are not there and about rounding. Python's exceptions come through.
    """
    try:
        stream = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # no real standard error, as under a test
        yield
        return
    kept = os.dup(stream)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), stream)
    try:
        yield
    finally:
        os.dup2(kept, stream)
        os.close(kept)
