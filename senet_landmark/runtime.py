"""How an entry point starts TensorFlow: graph mode, oneDNN, a quiet log.

Only entry points call this; importing a module of this project never changes TensorFlow.
"""

import os
import warnings


def start_tensorflow() -> None:
    """Sets TensorFlow up for this project; call it before anything imports TensorFlow.

    oneDNN is off by default on processors without AVX-512; with it a training step takes about
    half the time (README, "Speed"). A value that the user set in the environment wins.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow.compat.v1 as tf

    tf.disable_v2_behavior()
    tf.logging.set_verbosity(tf.logging.ERROR)
    # tf-slim 1.1 calls a Keras method that newer releases have renamed.
    warnings.filterwarnings("ignore", message="`layer.apply` is deprecated")
