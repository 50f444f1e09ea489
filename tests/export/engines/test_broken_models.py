"""Engines and models that are damaged or unknown."""

import pytest

from runs import PB_ENGINES
from senet_landmark.errors import InputError
from senet_landmark.export.engines.registry import load_engine
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.frozen.contract import load_contract
from senet_landmark.frozen.models import find_model

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", PB_ENGINES)
def test_damaged_graph_is_refused(small_run, tmp_path, name):
    contract = load_contract(small_run.model)
    path = tmp_path / "broken.pb"
    path.write_bytes(small_run.model.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"broken\.pb"):
        load_engine(path, contract, name)


def test_unknown_model_and_engine(small_run):
    with pytest.raises(InputError, match="no such model"):
        find_model("senet-unheard-of")
    with pytest.raises(InputError, match="Known: tflite, onnxruntime, opencv, tensorflow"):
        Predictor(small_run.model, "torch")
