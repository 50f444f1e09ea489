"""`.pb` -> weights for fine-tuning: the inverse of `freeze.py`.

Freezing folds each batch norm into the convolution before it, so that its four values per channel
are lost. `thaw` inserts a batch norm that changes nothing. `with_batch_norm` then gives it the mean
and variance of the convolution's outputs on faces, and the scale and offset that cancel them. The
network then has the same outputs as the `.pb`, and almost the same in training, where batch norm
uses the statistics of the batch.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from senet_landmark.config import NetworkConfig
from senet_landmark.errors import InputError
from senet_landmark.frozen.contract import load_contract
from senet_landmark.frozen.graph import import_graph
from senet_landmark.networks.model import build_model
from senet_landmark.networks.weights import Weights, assign_weights
from senet_landmark.runtime import session_config


class _BatchNorm(NamedTuple):
    """A batch norm: the convolution before it, and the names of their variables."""

    convolution: tf.Operation
    epsilon: np.float32
    weights: str
    gamma: str
    beta: str
    mean: str
    variance: str


def thaw(model: Path, network: NetworkConfig) -> tuple[Weights, str]:
    """The weights in a frozen model, by the names of the network's variables.

    Args:
      model: a `.pb` that `freeze` wrote, with its contract beside it.
      network: the network that will use the weights.

    Returns:
      All constants of the `.pb` by their names, which are the names of the variables, with a batch
      norm that changes nothing for each folded convolution; and the landmark scheme.

    Raises:
      InputError: the model or its contract is absent or damaged, or is of another network.
    """
    contract = load_contract(model)
    if contract.network != network.name:
        raise InputError(
            f"{model}: is of the network {contract.network}; a run of {network.name} cannot start "
            "from it. Give a --preset, or --network.name, of the same network."
        )
    with tf.Graph().as_default() as graph:
        import_graph(model, contract)
        weights = {
            op.name: tf.make_ndarray(op.get_attr("value"))
            for op in graph.get_operations()
            if op.type == "Const"
        }
    with tf.Graph().as_default():
        build_model(network, contract.landmark_scheme.points, is_training=False)
        for norm in _batch_norms():
            name = norm.convolution.name  # `optimize_for_inference` derives its names from this one
            folded, offset = (weights.get(f"{name}_{part}") for part in ("weights", "bn_offset"))
            if folded is not None and offset is not None:
                weights[norm.weights], weights[norm.beta] = folded, offset
                weights[norm.gamma] = np.ones_like(offset)
                weights[norm.mean] = np.zeros_like(offset)
                weights[norm.variance] = np.full_like(offset, 1 - norm.epsilon)
    return weights, contract.scheme


def with_batch_norm(
    weights: Weights,
    network: NetworkConfig,
    points: int,
    images: Sequence[np.ndarray],
    threads: int = 0,
) -> Weights:
    """The weights of `thaw` with batch norms that normalise, and the same landmarks.

    Args:
      weights: all weights that the landmarks need.
      network: the network, without auxiliary tasks.
      points: number of landmarks of its scheme.
      images: batches of crops [N, H, W, 3], RGB 0 to 255, all of one size, as in training. A few
        hundred faces are enough, because training updates the averages.
      threads: as in `runtime.session_config`.
    """
    result = dict(weights)
    with tf.Graph().as_default(), tf.Session(config=session_config(threads)) as session:
        model = build_model(network, points, is_training=False)
        batch_norms = list(_batch_norms())
        assign_weights(session, weights, "the start")
        fetches = [tf.nn.moments(n.convolution.outputs[0], [0, 1, 2]) for n in batch_norms]
        by_batch = [session.run(fetches, {model.image: batch}) for batch in images]
    for norm, moments in zip(batch_norms, zip(*by_batch, strict=True), strict=True):
        means, variances = np.moveaxis(np.asarray(moments, np.float32), 1, 0)
        mean = means.mean(axis=0)
        variance = variances.mean(axis=0) + means.var(axis=0)
        result[norm.mean], result[norm.variance] = mean, variance
        result[norm.gamma] = np.sqrt(variance + norm.epsilon)
        result[norm.beta] = weights[norm.beta] + mean
    return result


def _batch_norms() -> Iterator[_BatchNorm]:
    """The batch norms of the default graph that freezing folds."""
    for op in tf.get_default_graph().get_operations():
        if op.type.startswith("FusedBatchNorm"):
            convolution = op.inputs[0].op
            # Each of these variables is read by an operation of its own.
            reads = (convolution.inputs[1], *op.inputs[1:5])
            names = (tensor.op.inputs[0].op.name for tensor in reads)
            epsilon = np.float32(op.get_attr("epsilon"))
            yield _BatchNorm(convolution, epsilon, *names)
