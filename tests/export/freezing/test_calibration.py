"""The expected error is fitted to held-out faces whose labels are not a model's."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from made_records import changed_records, open_store
from senet_landmark.data.records import load_records_info
from senet_landmark.data_tools.datasets.registry import pseudo_labelled
from senet_landmark.errors import InputError
from senet_landmark.export.freezing.calibration import annotated_faces, with_expected_error
from senet_landmark.export.freezing.freeze import freeze
from senet_landmark.face.schemes import TRUE_JAW
from senet_landmark.frozen.contract import ExpectedError, load_contract

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def labelled(synthetic_records, tmp_path_factory):
    """The same photos with the labels of a model: all landmarks in one place."""
    out = tmp_path_factory.mktemp("labelled") / "records"
    return changed_records(
        synthetic_records,
        out,
        lambda _, number, record: replace(record, landmarks=np.full_like(record.landmarks, 0.5)),
        dataset="mtfl (csv)",
    )


def held_out_sources(faces):
    return {faces.store.record(index).source for index in range(len(faces.store))}


def test_names_of_pseudo_labelled_records():
    assert pseudo_labelled("mtfl (csv)") and not pseudo_labelled("csv")


def test_pseudo_labels_and_folders_that_are_gone_are_left_out(
    small_run, synthetic_records, labelled, tmp_path
):
    contract = load_contract(small_run.model)
    folders = [labelled, tmp_path / "gone", synthetic_records, synthetic_records]
    (faces,) = annotated_faces(folders, contract)
    assert faces.store.record(0).dataset == "300w_lp"
    held_out = open_store(synthetic_records, load_records_info(synthetic_records).held_out)
    assert len(faces.store) == len(held_out)
    assert annotated_faces([labelled], contract) == []


def test_faces_that_another_folder_trains_on_are_left_out(small_run, synthetic_records, tmp_path):
    info = load_records_info(synthetic_records)
    held_out = open_store(synthetic_records, info.held_out)
    known = held_out.record(0).identity

    def trains_on_it(split, number, record):
        return replace(record, identity=known) if (split, number) == ("train", 0) else record

    other = changed_records(synthetic_records, tmp_path / "other", trains_on_it)
    contract = load_contract(small_run.model)
    both = annotated_faces([synthetic_records, other], contract)
    assert len(both) == 2
    for faces in both:
        assert held_out.record(0).source not in held_out_sources(faces)
        assert len(faces.store) == len(held_out) - 1


def test_a_model_of_pseudo_labels_knows_no_expected_error(small_run, labelled, tmp_path):
    """Not a small one: the distance from its teacher's labels says nothing about the truth."""
    result = freeze(small_run.run, tmp_path / "model.pb", records=labelled)
    contract = load_contract(tmp_path / "model.pb")
    assert result.fitted == 0 and contract.expected_error is None and contract.confidence


def test_pseudo_labels_of_the_run_do_not_change_the_fit(
    small_run, synthetic_records, labelled, tmp_path
):
    """A run on pseudo-labels, with annotated faces in its further records."""
    run = tmp_path / "run"
    shutil.copytree(small_run.run, run)
    config = json.loads((run / "config.json").read_text())
    config["train"]["more_records"] = [str(synthetic_records)]
    (run / "config.json").write_text(json.dumps(config))
    description = json.loads((run / "records.json").read_text())
    (run / "records.json").write_text(json.dumps(description | {"folder": str(labelled)}))
    result = freeze(run, tmp_path / "model.pb")
    curve = load_contract(tmp_path / "model.pb").expected_error
    info = load_records_info(synthetic_records)
    assert result.fitted == len(open_store(synthetic_records, info.held_out))
    assert curve == load_contract(small_run.model).expected_error and len(curve.factors) == 68


def test_faces_without_a_known_landmark_give_no_curve(small_run, synthetic_records, tmp_path):
    def unknown(_, number, record):
        return replace(record, landmarks=np.full_like(record.landmarks, np.nan))

    contract = load_contract(small_run.model)
    faces = annotated_faces([changed_records(synthetic_records, tmp_path / "r", unknown)], contract)
    outputs = {"landmarks": np.zeros((1, 68, 2)), "variance": np.ones((1, 68))}

    def engine(crops):
        return {name: np.repeat(values, len(crops), 0) for name, values in outputs.items()}

    assert with_expected_error(contract, engine, faces) == (
        replace(contract, expected_error=None),
        0,
    )


def test_contract_with_factors_of_other_landmarks_is_refused(small_run, tmp_path):
    model = tmp_path / "model.pb"
    shutil.copy(small_run.model, model)
    values = json.loads(small_run.model.with_suffix(".json").read_text())
    for factors in ([], [1.0] * 68, [1.0] * 5):
        values["expected_error"] = {"scale": 1.0, "exponent": 2.0, "factors": factors}
        model.with_suffix(".json").write_text(json.dumps(values))
        if len(factors) == 5:
            with pytest.raises(InputError, match="5 factors for 68 landmarks"):
                load_contract(model)
        else:
            assert load_contract(model).expected_error == ExpectedError(1.0, 2.0, tuple(factors))


def test_records_of_the_other_contour_count_without_it(small_run, synthetic_records):
    """As in training: a run of the true jaw may have more records that follow the cheek."""
    contract = load_contract(small_run.model)
    (own,) = annotated_faces([synthetic_records], contract)
    (other,) = annotated_faces([synthetic_records], replace(contract, scheme=TRUE_JAW))
    assert np.isnan(other.landmarks(3)[:, :17]).all()
    np.testing.assert_array_equal(other.landmarks(3)[:, 17:], own.landmarks(3)[:, 17:])
    assert other.store.record(0).scheme == TRUE_JAW
    with pytest.raises(InputError, match="has scheme 300w_68, the model has jd_106"):
        annotated_faces([synthetic_records], replace(contract, scheme="jd_106"))
