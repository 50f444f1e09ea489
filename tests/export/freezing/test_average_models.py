"""`benchmarks/shipped/average_models.py`: a model between two."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from tensorflow.python.framework import tensor_util

import average_models
from senet_landmark.errors import InputError
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.frozen.contract import load_contract, save_contract
from senet_landmark.frozen.models import find_model
from senet_landmark.io.files import sha256

pytestmark = pytest.mark.slow


@pytest.fixture
def trained_on(small_run, tmp_path) -> Path:
    """The small model, as if its training had gone on: every weight is a tenth larger."""
    graph = average_models.read_graph(small_run.model)
    for node in graph.node:
        if node.name in average_models.weights_in(graph):
            values = tensor_util.MakeNdarray(node.attr["value"].tensor)
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(1.1 * values))
    path = tmp_path / "after.pb"
    path.write_bytes(graph.SerializeToString())
    save_contract(path, replace(load_contract(small_run.model), sha256=sha256(path)))
    return path


def test_weights_lie_between_and_the_model_runs(small_run, trained_on, tmp_path, monkeypatch):
    out = tmp_path / "mean.pb"
    arguments = [small_run.model, trained_on, "--out", out, "--records", small_run.records]
    monkeypatch.setattr(sys, "argv", ["average_models.py", *map(str, arguments)])
    average_models.main()
    before, mean = (
        average_models.weights_in(average_models.read_graph(p)) for p in (small_run.model, out)
    )
    assert before.keys() == mean.keys() and len(mean) > 50
    for name, values in before.items():
        np.testing.assert_allclose(mean[name], 1.05 * values, rtol=1e-5, atol=1e-7)
    contract = load_contract(out)
    assert contract.expected_error and contract.confidence and contract.sha256 == sha256(out)
    assert "validation_nme_inter_ocular" not in contract.metrics
    photo = np.zeros((90, 90, 3), np.uint8)
    points = Predictor(out).landmarks(photo, np.array([[20.0, 20, 70, 70]]), "landmarks")
    assert np.isfinite(points).all()


def test_other_network_is_refused(small_run):
    graphs = map(average_models.read_graph, (small_run.model, find_model("senet-68-3d")))
    with pytest.raises(InputError, match="not the same network"):
        average_models.averaged(*graphs, 0.5)
