"""Fine-tuning from a frozen model."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from fine_tuned import (
    FULL,
    MAPS,
    NORMALISED,
    PFLD,
    TCDCN,
    faces_of,
    maker_of,
    predict,
    records_with,
    save_run,
)
from made_records import changed_records
from senet_landmark.config import NetworkConfig, TrainConfig
from senet_landmark.data.records import load_records_info
from senet_landmark.errors import InputError
from senet_landmark.export.engines.registry import load_engine
from senet_landmark.export.freezing.freeze import freeze
from senet_landmark.face.scheme_conversion import convert
from senet_landmark.frozen.contract import load_contract
from senet_landmark.frozen.models import DEFAULT_MODEL, find_model
from senet_landmark.networks.model import build_model
from senet_landmark.training import fine_tuning
from senet_landmark.training.fine_tuning import assign_start, initial_weights

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def frozen(runs, synthetic_records, tmp_path_factory):
    """network -> the `.pb` of its run."""
    made = {}

    def model_of(network: NetworkConfig) -> Path:
        if network not in made:
            made[network] = tmp_path_factory.mktemp("frozen") / "model.pb"
            freeze(runs(network), made[network], records=synthetic_records)
        return made[network]

    return model_of


@pytest.mark.parametrize("network", [MAPS, PFLD, NORMALISED], ids=lambda n: n.name)
def test_frozen_model_begins_where_its_run_ended(
    runs, frozen, synthetic_records, monkeypatch, network
):
    monkeypatch.setattr(fine_tuning, "SAMPLE_FACES", 4)  # one batch, so that it is what is averaged
    maker, model = maker_of(synthetic_records, network), frozen(network)
    weights, report = initial_weights(network, maker, model)
    from_run, of_run = initial_weights(network, maker, runs(network))
    assert (report.copied, report.initialised) == (of_run.copied, of_run.initialised)
    assert (report.step, report.checkpoint) == (0, str(model))
    images = maker.batch(0)["image"]
    before, after = (predict(network, 68, w, images)["landmarks"] for w in (from_run, weights))
    np.testing.assert_allclose(before, after, atol=1e-5 * max(1, np.abs(before).max()))
    # Batch norm really normalises: by the batch, as in training, it tells the same.
    with tf.Graph().as_default(), tf.Session() as session:
        given = tf.constant(images)
        training = build_model(network, 68, is_training=True, image=given)
        session.run(tf.global_variables_initializer())
        assign_start(session, weights, None)
        np.testing.assert_allclose(session.run(training.landmarks), after, atol=1e-4)
        assert any("gamma" in name for name in weights)


def test_frozen_model_starts_another_scheme(runs, frozen, synthetic_records, tmp_path):
    images, truth = faces_of(synthetic_records, MAPS)
    five = records_with(
        synthetic_records, tmp_path / "five", "mtfl_5", convert(truth, "300w_68", "mtfl_5")
    )
    weights, report = initial_weights(MAPS, maker_of(five, MAPS), frozen(MAPS))
    assert set(report.origins) == {"table"} and report.converted
    from_run, _ = initial_weights(MAPS, maker_of(five, MAPS), runs(MAPS))
    found = [predict(MAPS, 5, w, images[:4])["landmarks"] for w in (weights, from_run)]
    np.testing.assert_allclose(*found, atol=1e-5)


def test_shipped_model_starts_by_its_name_and_hands_on_its_terms(synthetic_records, tmp_path):
    network, run = NetworkConfig(), tmp_path / "run"
    maker = maker_of(synthetic_records, network)
    weights, _ = initial_weights(network, maker, DEFAULT_MODEL)
    images, _ = faces_of(synthetic_records, network)
    model = find_model(DEFAULT_MODEL)
    contract = load_contract(model)
    found = predict(network, 68, weights, images[:4])["landmarks"]
    shipped = load_engine(model, contract, "tensorflow")(images[:4])["landmarks"]
    np.testing.assert_allclose(found, shipped, atol=1e-5)
    save_run(run, TCDCN, synthetic_records, TrainConfig(start_from=DEFAULT_MODEL))
    freeze(run, tmp_path / "model.pb", records=synthetic_records)
    handed_on = load_contract(tmp_path / "model.pb")
    assert "research only" in contract.licence and "research only" in handed_on.licence
    own, *theirs = str(handed_on.training["dataset"]).split(", ")
    given = str(contract.training["dataset"]).split(", ")
    assert own == load_records_info(synthetic_records).dataset
    assert theirs == [name for name in given if name != own]


def test_pseudo_labels_have_the_terms_of_their_photos(synthetic_records, tmp_path):
    def same(split, number, record):
        return record

    labelled = changed_records(synthetic_records, tmp_path / "records", same, dataset="mtfl (csv)")
    save_run(tmp_path / "run", TCDCN, labelled)
    freeze(tmp_path / "run", tmp_path / "model.pb", records=labelled)
    assert load_contract(tmp_path / "model.pb").licence.endswith("for research only: mtfl.")


def test_runs_that_started_from_each_other_are_frozen(synthetic_records, tmp_path):
    """A folder may hold another run by now than the one that was started from."""
    for name, other in (("a", "b"), ("b", "a")):
        start = TrainConfig(start_from=str(tmp_path / other))
        save_run(tmp_path / name, TCDCN, synthetic_records, start)
    freeze(tmp_path / "a", tmp_path / "model.pb", records=synthetic_records)
    contract = load_contract(tmp_path / "model.pb")
    assert contract.training["dataset"] == load_records_info(synthetic_records).dataset


def test_frozen_start_that_does_not_fit_is_refused(frozen, synthetic_records, tmp_path):
    model = frozen(MAPS)
    for network, message in (
        (TCDCN, r"model\.pb: is of the network senet; a run of tcdcn .* --preset"),
        (
            FULL,
            r"model\.pb: is a frozen model of senet; .*head fc.*senet/fc/hidden/\w+ is not there",
        ),
        (dataclasses.replace(MAPS, width=0.25), r"frozen model of senet; .*width 0\.25.* there, "),
    ):
        with pytest.raises(InputError, match=message):
            initial_weights(network, maker_of(synthetic_records, network), model)
    maker = maker_of(synthetic_records, MAPS)
    with pytest.raises(
        InputError, match=r"senet-69: does not exist\. .*senet-68, .*senet-68-small"
    ):
        initial_weights(MAPS, maker, "senet-69")
    lonely = tmp_path / "lonely.pb"
    lonely.write_bytes(model.read_bytes())
    with pytest.raises(InputError, match=r"lonely\.json: absent"):
        initial_weights(MAPS, maker, lonely)
    with pytest.raises(InputError, match=r"gone\.pb: no such model"):
        initial_weights(MAPS, maker, tmp_path / "gone.pb")
