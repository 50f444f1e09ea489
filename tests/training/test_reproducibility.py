"""Seeds, what a run was made with, and runs that start from others."""

import dataclasses
import json

import pytest
import tensorflow.compat.v1 as tf

from made_records import damaged_records
from repeated import STEPS, recipe
from senet_landmark.config import ScheduleConfig
from senet_landmark.errors import InputError
from senet_landmark.training.run_log import curves
from senet_landmark.training.train import train

pytestmark = pytest.mark.slow


def test_another_seed_is_another_run(undisturbed, synthetic_records, tmp_path):
    train(recipe(steps=5, seed=1), synthetic_records, tmp_path / "other")
    assert curves(tmp_path / "other")["train/loss"][5] != curves(undisturbed)["train/loss"][5]


def test_what_a_run_was_made_with_is_written(undisturbed, synthetic_records, tmp_path):
    about = json.loads((undisturbed / "environment.json").read_text())
    assert about["packages"]["tensorflow"] == tf.__version__
    assert about["workers"] == 1 and about["cores"] >= 1
    assert len(about["records_digest"]) == 64
    # Other records under the same name are noticed.
    records = damaged_records(synthetic_records, tmp_path / "records", count=1)
    run = tmp_path / "run"
    train(recipe(steps=5), synthetic_records, run)
    with pytest.raises(InputError, match="not the records that"):
        train(recipe(steps=10), records, run)


def test_run_starts_from_another(undisturbed, synthetic_records, tmp_path):
    config = recipe(steps=5, start_from=str(undisturbed))
    config = dataclasses.replace(config, schedule=ScheduleConfig(initial=1e-9, final=1e-9))
    result = train(config, synthetic_records, tmp_path / "run")
    began = curves(undisturbed)["validation/nme_inter_ocular"][STEPS]
    assert result.best_nme == pytest.approx(began, rel=1e-3)
    with pytest.raises(InputError, match="nowhere"):
        train(recipe(start_from=str(tmp_path / "nowhere")), synthetic_records, tmp_path / "b")
