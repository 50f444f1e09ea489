"""`.pb` -> weights that training can go on from: the inverse of `freeze.py`.

Freezing folds batch norm into the convolution before it, so that its four values a channel are
gone. `thaw` puts one in its place that changes nothing. `with_batch_norm` then gives it the mean
and the variance of what its convolution makes of faces, and the scale and offset that undo them:
the network tells the same as the `.pb`, and in training, where it normalises by the batch, about
that.
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
    """A batch norm and the convolution before it: an operation, and names of variables."""

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
      model: a `.pb` that `freeze` wrote, its contract beside it.
      network: that is to go on from it.

    Returns:
      All constants of the `.pb` by their names, which are the variables'; a folded convolution
      under the names of its own and of a batch norm that changes nothing. And the landmark scheme.

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
        for place in _batch_norms():
            name = place.convolution.name  # `optimize_for_inference` names what it folds by this
            folded, offset = (weights.get(f"{name}_{part}") for part in ("weights", "bn_offset"))
            if folded is not None and offset is not None:
                weights[place.weights], weights[place.beta] = folded, offset
                weights[place.gamma] = np.ones_like(offset)
                weights[place.mean] = np.zeros_like(offset)
                weights[place.variance] = np.full_like(offset, 1 - place.epsilon)
    return weights, contract.scheme


def with_batch_norm(
    weights: Weights,
    network: NetworkConfig,
    points: int,
    images: Sequence[np.ndarray],
    threads: int = 0,
) -> Weights:
    """The weights of `thaw` with batch norm that normalises, and the same landmarks.

    Args:
      weights: all that the network's landmarks need.
      network: without further tasks.
      points: landmarks of its scheme.
      images: batches of crops [N, H, W, 3], RGB 0 to 255, all of one size, as training sees them;
        some hundred faces are enough, as training goes on from its own.
      threads: as in `runtime.session_config`.
    """
    found = dict(weights)
    with tf.Graph().as_default(), tf.Session(config=session_config(threads)) as session:
        model = build_model(network, points, is_training=False)
        places = list(_batch_norms())
        assign_weights(session, weights, "the start")
        fetches = [tf.nn.moments(p.convolution.outputs[0], [0, 1, 2]) for p in places]
        seen = [session.run(fetches, {model.image: batch}) for batch in images]
    for place, moments in zip(places, zip(*seen, strict=True), strict=True):
        means, variances = np.moveaxis(np.asarray(moments, np.float32), 1, 0)
        mean = means.mean(axis=0)
        variance = variances.mean(axis=0) + means.var(axis=0)
        found[place.mean], found[place.variance] = mean, variance
        found[place.gamma] = np.sqrt(variance + place.epsilon)
        found[place.beta] = weights[place.beta] + mean
    return found


def _batch_norms() -> Iterator[_BatchNorm]:
    """The batch norms of the default graph that freezing folds."""
    for op in tf.get_default_graph().get_operations():
        if op.type.startswith("FusedBatchNorm"):
            convolution = op.inputs[0].op
            # The convolution's weights and the four values are read through an operation each.
            read = (convolution.inputs[1], *op.inputs[1:5])
            names = (tensor.op.inputs[0].op.name for tensor in read)
            epsilon = np.float32(op.get_attr("epsilon"))
            yield _BatchNorm(convolution, epsilon, *names)
