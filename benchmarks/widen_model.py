"""A wider network with the outputs of a frozen model, to start from (`train --train.start-from`).

Chen, Goodfellow and Shlens, "Net2Net: Accelerating Learning via Knowledge Transfer", ICLR 2016: a
larger network need not be trained from the beginning. Here the new channels of each layer begin at
random and nothing old is computed from them yet, which holds for any width.

python benchmarks/widen_model.py senet-68-small --width 0.41 --out wider.pb
"""

import argparse
from dataclasses import replace
from pathlib import Path

import tensorflow.compat.v1 as tf
import tf_slim as slim

from senet_landmark.config import NetworkConfig
from senet_landmark.errors import InputError
from senet_landmark.export.freezing.freeze import frozen_graph
from senet_landmark.frozen.contract import load_contract, save_contract
from senet_landmark.frozen.models import find_model
from senet_landmark.frozen.thaw import thaw
from senet_landmark.io.files import sha256, write_bytes
from senet_landmark.networks.model import build_model
from senet_landmark.networks.weights import Weights


def widened(weights: Weights, network: NetworkConfig, points: int, seed: int = 0) -> Weights:
    """Weights of a wider network with the outputs of the old one.

    Args:
      weights: of the old network: its channels are the first ones of each layer of the new.
      network: the new network.
      points: number of landmarks.
      seed: of the new channels.

    Raises:
      InputError: a layer of the new network has fewer channels.
    """
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(seed)
        build_model(network, points, is_training=False)
        session.run(tf.global_variables_initializer())
        wide = session.run({v.op.name: v for v in slim.get_model_variables()})
    for name, value in wide.items():
        old = weights[name]
        if any(new < before for new, before in zip(value.shape, old.shape, strict=True)):
            raise InputError(f"{name} is {value.shape}, narrower than {old.shape}.")
        if value.ndim == 4 and "depthwise" not in name:  # [height, width, inputs, outputs]
            value[:, :, old.shape[2] :, : old.shape[3]] = 0
        value[tuple(map(slice, old.shape))] = old
    return wide


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
    network = NetworkConfig(name=contract.network, width=options.width)
    weights, _ = thaw(model, network)
    graph = frozen_graph(network, points, widened(weights, network, points), str(model))
    write_bytes(options.out, graph.SerializeToString())
    save_contract(options.out, replace(contract, sha256=sha256(options.out), conversions={}))


if __name__ == "__main__":
    main()
