"""Contract files: of another model, of older versions, with other attributes."""

import json
import shutil

import numpy as np
import pytest

from runs import PB_ENGINES
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.errors import InputError
from senet_landmark.evaluation.metrics import nme
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.face import geometry
from senet_landmark.face.schemes import get_scheme
from senet_landmark.frozen.contract import load_contract
from senet_landmark.frozen.models import find_model

pytestmark = pytest.mark.slow


def copy_model(model, folder):
    for path in (model, model.with_suffix(".json")):
        shutil.copy(path, folder)
    return folder / model.name


def test_model_without_or_with_anothers_contract_is_refused(small_run, tmp_path):
    with pytest.raises(InputError, match="no such model"):
        load_contract(tmp_path / "model.pb")
    model = copy_model(small_run.model, tmp_path)
    model.write_bytes(model.read_bytes() + b"\n")
    with pytest.raises(InputError, match="belongs to another model"):
        load_contract(model)
    path = model.with_suffix(".json")
    values = json.loads(path.read_text())
    for text, message in (
        ("{", "not valid JSON"),
        ("[]", "format version None"),
        (json.dumps(values | {"format_version": 7}), "format version 7"),
        (json.dumps(values | {"colour": "RGB"}), "unknown field"),
        (json.dumps({"format_version": 1, "sha256": "0"}), "incomplete"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            load_contract(model)
    path.unlink()
    with pytest.raises(InputError, match=r"model\.json: absent"):
        load_contract(model)


def test_contract_from_before_further_outputs_still_loads(tmp_path):
    model = copy_model(find_model("senet-68"), tmp_path)
    values = json.loads(model.with_suffix(".json").read_text())
    added = ("variance", "depth", "pose", "attributes", "confidence", "expected_error")
    for later in (*added, "conversions"):
        values.pop(later, None)
    model.with_suffix(".json").write_text(json.dumps(values))
    contract = load_contract(model)
    assert list(contract.outputs) == ["landmarks"] and contract.attribute_names == ()
    photo, truth = portrait()
    box = geometry.box_from_landmarks(truth)[None]
    for name in PB_ENGINES:
        predictor = Predictor(model, name)
        outputs = predictor.outputs(photo, box, "landmarks")
        assert list(outputs) == ["landmarks"]
        assert nme(outputs["landmarks"], truth[None], get_scheme("300w_68"))[0] < 0.04
        (face,) = predictor.predict(photo)  # how sure the model is was not fitted
        assert np.isnan(face.confidence) and np.isnan(face.uncertainty).all()


def test_contract_with_other_attributes_than_its_model_is_refused(full_run, tmp_path):
    model = copy_model(full_run.model, tmp_path)
    path = model.with_suffix(".json")
    values = json.loads(path.read_text())
    for change, message in (
        ({"attribute_names": ["gender", "smile"]}, r"full\.json: .*have 4 classes, .* has 11"),
        ({"attribute_names": ["gender", "beard"]}, "Unknown attribute 'beard'"),
        ({"attributes": None}, "have 11 classes, .* has 0"),
    ):
        path.write_text(json.dumps(values | change))
        with pytest.raises(InputError, match=message):
            load_contract(model)


def test_contract_from_before_whole_photos_is_of_faces(tmp_path):
    model = copy_model(find_model("senet-68"), tmp_path)
    values = json.loads(model.with_suffix(".json").read_text())
    values["crop"] = {"margins": [0.125] * 4, "square": True, "clip": False}
    model.with_suffix(".json").write_text(json.dumps(values))
    assert load_contract(model).crop == geometry.CropSpec(of="face", fit="around")
