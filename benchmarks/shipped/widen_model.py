"""A wider network with the outputs of a frozen model, to start from (`train --train.start-from`).

Chen, Goodfellow and Shlens, "Net2Net: Accelerating Learning via Knowledge Transfer", ICLR 2016: a
larger network need not be trained from the beginning. Here the new channels of each layer begin at
random and nothing old is computed from them yet.

python benchmarks/shipped/widen_model.py senet-68-small --width 0.41 --out wider.pb

Not for networks that flatten maps or join features before a layer, such as the depth's: the outputs
are compared on noise before the model is written.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

from senet_landmark.config import NetworkConfig
from senet_landmark.errors import InputError
from senet_landmark.export.engines.registry import load_engine
from senet_landmark.export.freezing.freeze import frozen_graph
from senet_landmark.export.freezing.parity import described, differences
from senet_landmark.frozen.contract import Contract, load_contract, save_contract
from senet_landmark.frozen.models import find_model
from senet_landmark.frozen.thaw import thaw
from senet_landmark.io.files import sha256, written_whole
from senet_landmark.networks.model import build_model
from senet_landmark.networks.weights import Weights

CROPS = 8
"""Crops of noise that both models are compared on."""


def widened(weights: Weights, network: NetworkConfig, points: int) -> Weights:
    """Weights of a wider network with the outputs of the old one.

    Args:
      weights: of the old network: its channels are the first ones of each layer of the new.
      network: the new network.
      points: number of landmarks.

    Raises:
      InputError: a layer of the new network has fewer channels, or is not in the old one.
    """
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(0)
        build_model(network, points, is_training=False)
        session.run(tf.global_variables_initializer())
        wide: Weights = session.run({v.op.name: v for v in slim.get_model_variables()})
    for name, value in wide.items():
        old = weights.get(name)
        if old is None or old.ndim != value.ndim:
            raise InputError(f"{name}: is no layer of the old network.")
        if (np.array(value.shape) < old.shape).any():
            raise InputError(f"{name}: {value.shape} is narrower than {old.shape}.")
        if value.ndim >= 2 and "depthwise" not in name:  # [..., inputs, outputs]
            value[..., old.shape[-2] :, : old.shape[-1]] = 0
        value[tuple(map(slice, old.shape))] = old
    return wide


def network_of(contract: Contract, width: float) -> NetworkConfig:
    """The network of a contract with another width."""
    return NetworkConfig(
        name=contract.network,
        width=width,
        pose=contract.pose is not None,
        depth=contract.depth is not None,
        attributes=contract.attribute_names,
    )


def main() -> None:
    """Writes the model and its contract."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="path of a .pb or name of a model that ships")
    parser.add_argument("--width", type=float, required=True, help="above that of the model")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    model = find_model(options.model)
    contract = load_contract(model)
    points = contract.landmark_scheme.points
    network = network_of(contract, options.width)
    weights = widened(thaw(model, network)[0], network, points)
    width, height = contract.size
    crops = np.random.default_rng(0).integers(0, 256, (CROPS, height, width, 3), dtype=np.uint8)
    with written_whole(options.out) as temporary:
        graph = frozen_graph(network, points, weights, str(model))
        temporary.write_bytes(graph.SerializeToString())
        wider = replace(contract, sha256=sha256(temporary), conversions={}, metrics={})
        expected = load_engine(model, contract, "tensorflow")(crops)
        outputs = load_engine(temporary, wider, "tensorflow")(crops)
        problem = f"{options.out}: not written. It differs from {model}"
        largest = differences(outputs, expected, problem)
    save_contract(options.out, wider)
    print(f"{options.out}: equal to {model.name}, {described(largest)}")


if __name__ == "__main__":
    main()
