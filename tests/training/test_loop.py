"""The training loop: what a run writes, how it ends, and what it refuses."""

import dataclasses
import json
import os
import signal
import threading
import time

import pytest

from made_records import open_store
from repeated import recipe
from run_summaries import scalars
from runs import plain, short
from senet_landmark.cli.app import main
from senet_landmark.config import NetworkConfig, ScheduleConfig
from senet_landmark.errors import InputError
from senet_landmark.evaluation.metrics import NORMALISERS
from senet_landmark.evaluation.statistics import SQUARED
from senet_landmark.presets import get_preset
from senet_landmark.training import checkpoints
from senet_landmark.training.train import train

pytestmark = pytest.mark.slow


def test_run_writes_what_it_should(small_run):
    run = small_run.run
    for name in ("config.json", "records.json", "state.json", "result.json"):
        assert (run / name).exists()
    result = json.loads((run / "result.json").read_text())
    assert result["steps"] == 6 and result["best_nme"] > 0 and result["ended"] == "done"
    assert set(scalars(run)) == {
        "train/loss",
        "train/learning_rate",
        "train/faces_per_second",
        "train/loss_landmarks",
        "validation/predictions",
        *(f"validation/{of}" for of in ("mse_pixels", "loss", *SQUARED)),
        *(f"validation/nme_{kind}" for kind in NORMALISERS),
        *(f"validation/{of}_{at}" for of in ("auc", "failure_rate") for at in ("0.08", "0.10")),
    }


def test_steps_are_counted_in_epochs_where_there_are_such(synthetic_records, tmp_path):
    def config(epochs):
        options = {"batch_size": 8, "validate_every": 50}
        return dataclasses.replace(
            plain(steps=1, epochs=epochs, **options),
            schedule=ScheduleConfig(initial=1e-4, final=1e-4),
        )

    assert len(open_store(synthetic_records)) == 22
    assert train(config(1), synthetic_records, tmp_path / "run").steps == 3
    assert train(config(2), synthetic_records, tmp_path / "run").steps == 6  # 44 faces by 8


def test_steps_asked_for_take_the_place_of_a_presets_epochs(monkeypatch, tmp_path, capsys):
    lengths = []

    def note(config, *_):
        lengths.append((config.train.steps, config.train.epochs))
        raise InputError("seen")

    monkeypatch.setattr("senet_landmark.training.train.train", note)
    command = ["train", "--preset", "cnn", "--records", "r", "--run", str(tmp_path / "run")]
    preset = get_preset("cnn").train
    for options, wanted in (
        ([], (preset.steps, 10)),
        (["--steps", "7"], (7, 0)),
        (["--train.epochs", "3"], (preset.steps, 3)),
        (["--steps", "7", "--train.epochs", "0"], (7, 0)),
    ):
        assert main(command + options) == 2
        assert lengths.pop() == wanted
    assert main([*command, "--steps", "7", "--train.epochs", "3"]) == 2
    assert "two lengths of one run. Give one of them" in capsys.readouterr().err
    assert not lengths


def test_option_that_the_network_does_not_heed_ends_a_run(synthetic_records, tmp_path):
    config = dataclasses.replace(short(), network=NetworkConfig(batch_norm=True))
    with pytest.raises(InputError, match=r"no use for network\.batch_norm"):
        train(config, synthetic_records, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_finished_run_does_nothing_more(synthetic_records, tmp_path):
    run = tmp_path / "run"
    train(plain(steps=6), synthetic_records, run)
    before = checkpoints.latest_checkpoint(run)
    result = train(plain(steps=6), synthetic_records, run)
    assert result.steps == 6 and checkpoints.latest_checkpoint(run) == before
    assert result.loss is None and "NaN" not in (run / "result.json").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_saves_and_ends(synthetic_records, tmp_path, number):
    config = plain(steps=100_000, validate_every=100_000, summary_every=1)

    def kill_once_it_trains():
        # The first summary is flushed some steps after the first one is written.
        while not any(p.stat().st_size > 500 for p in (tmp_path / "run").glob("events*")):
            time.sleep(0.2)
        os.kill(os.getpid(), number)

    threading.Thread(target=kill_once_it_trains, daemon=True).start()
    result = train(config, synthetic_records, tmp_path / "run")
    assert result.interrupted and 0 < result.steps < 100_000
    latest = checkpoints.latest_checkpoint(tmp_path / "run")
    assert latest and checkpoints.step_of(latest) == result.steps
    assert checkpoints.load_state(tmp_path / "run").minutes > 0


def test_minutes_end_a_run(synthetic_records, tmp_path):
    result = train(plain(steps=10**6, minutes=0.05), synthetic_records, tmp_path / "run")
    assert not result.interrupted and result.steps < 10**6 and result.minutes >= 0.05


def test_nan_loss_stops_and_names_the_photos(synthetic_records, tmp_path):
    config = plain(steps=40)
    schedule = dataclasses.replace(config.schedule, initial=float("inf"), warmup_steps=0)
    config = dataclasses.replace(config, schedule=schedule)
    with pytest.raises(InputError, match=r"loss is no longer finite.*SYNTH/SYNTH_0"):
        train(config, synthetic_records, tmp_path / "run")


def test_damaged_run_is_named(small_run, tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        checkpoints.load_run(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"no config\.json"):
        checkpoints.load_run(tmp_path)
    with pytest.raises(InputError, match="no checkpoint"):
        checkpoints.weights_of(tmp_path)
    (tmp_path / "config.json").write_text("{")
    (tmp_path / "records.json").write_text((small_run.run / "records.json").read_text())
    with pytest.raises(InputError, match="not valid JSON"):
        checkpoints.load_run(tmp_path)


def test_early_stopping(synthetic_records, tmp_path):
    config = recipe(steps=1000, patience=3)
    config = dataclasses.replace(config, schedule=ScheduleConfig(initial=1e-20, final=1e-20))
    result = train(config, synthetic_records, tmp_path / "run")
    assert result.ended == "early_stopped" and result.steps == result.best_step + 15
    assert not result.interrupted
