"""Averages the weights of a model and of the same model trained on (`train --train.start-from`).

Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022 (WiSE-FT): between the two lie
weights that keep what the first could and have learnt what the second was trained on.

python benchmarks/shipped/average_models.py before.pb after.pb --out mean.pb --records records-ytf

The contract is that of the second; confidence and expected error are fitted anew to held-out faces
of the records, as `freeze` does.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.python.framework import tensor_util

from senet_landmark.errors import InputError
from senet_landmark.export.engines.registry import load_engine
from senet_landmark.export.freezing.calibration import (
    annotated_faces,
    with_confidence,
    with_expected_error,
)
from senet_landmark.frozen.contract import load_contract, save_contract
from senet_landmark.frozen.models import find_model
from senet_landmark.io.files import sha256, write_bytes


def read_graph(path: Path) -> tf.GraphDef:
    """The graph of a `.pb`."""
    graph = tf.GraphDef()
    graph.ParseFromString(path.read_bytes())
    return graph


def weights_in(graph: tf.GraphDef) -> dict[str, np.ndarray]:
    """The float32 constants of a frozen graph with more than one number, by their names."""
    return {
        node.name: values
        for node in graph.node
        if node.op == "Const"
        and node.attr["dtype"].type == tf.float32.as_datatype_enum
        and (values := tensor_util.MakeNdarray(node.attr["value"].tensor)).size > 1
    }


def averaged(before: tf.GraphDef, after: tf.GraphDef, share: float) -> tf.GraphDef:
    """The graph `after` with `share` of its own weights and the rest of those of `before`.

    Raises:
      InputError: the two are not the same network.
    """
    first, second = weights_in(before), weights_in(after)
    if {n: v.shape for n, v in first.items()} != {n: v.shape for n, v in second.items()}:
        raise InputError("The two models are not the same network: their weights differ in shape.")
    graph = tf.GraphDef()
    graph.CopyFrom(after)
    for node in graph.node:
        if node.name in second:
            mean = (1 - share) * first[node.name] + share * second[node.name]
            node.attr["value"].tensor.CopyFrom(
                tensor_util.make_tensor_proto(mean.astype(np.float32))
            )
    return graph


def main() -> None:
    """Writes the model and its contract."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", help="the model that the training started from")
    parser.add_argument("after", help="the model that it ended with")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--share", type=float, default=0.5, help="of the second; 0 to 1")
    parser.add_argument("--records", nargs="+", type=Path, required=True)
    options = parser.parse_args()
    before, after = find_model(options.before), find_model(options.after)
    graph = averaged(read_graph(before), read_graph(after), options.share)
    write_bytes(options.out, graph.SerializeToString())
    contract = replace(load_contract(after), sha256=sha256(options.out), conversions={}, metrics={})
    save_contract(options.out, contract)
    engine = load_engine(options.out, contract, "tensorflow")
    annotated = annotated_faces(options.records, contract)
    contract = with_confidence(contract, engine, annotated[0])
    contract, count = with_expected_error(contract, engine, annotated)
    save_contract(options.out, contract)
    print(f"{options.out}: expected error fitted to {count} held-out faces")


if __name__ == "__main__":
    main()
