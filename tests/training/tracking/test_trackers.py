"""The hook of experiment tracking: what trackers are told, and that none can end a training."""

import dataclasses
import re
import subprocess
import threading
import time

import numpy as np
import pytest

from repeated import recipe
from runs import plain
from senet_landmark.cli.app import main
from senet_landmark.config import Config
from senet_landmark.errors import InputError
from senet_landmark.io.files import read_json
from senet_landmark.io.images import decode_photo
from senet_landmark.training.run_log import curves, logged_picture, read_log
from senet_landmark.training.tracking import tracking as hook
from senet_landmark.training.tracking.tracker import TRACKERS
from senet_landmark.training.tracking.tracking import Tracking
from senet_landmark.training.train import train
from tracked import Recorder


def one_session(run, *trackers, steps=(2, 4)):
    tracking = Tracking(run, Config(), trackers)
    tracking.begin(1)
    for step in steps:
        tracking.log(step, {"train/loss": float(step)})
    tracking.end("done")


def test_calls_come_in_order_from_one_thread(tmp_path):
    recorder = Recorder()
    one_session(tmp_path, recorder)
    assert recorder.calls == [
        ("begin", 1, ""), ("log", 2, "train/loss"), ("log", 4, "train/loss"), ("end", "done"),
    ]  # fmt: skip
    (thread,) = recorder.threads
    assert thread is not threading.current_thread()
    thread.join(5)
    assert not thread.is_alive()


def test_next_session_goes_on_with_the_tracked_run(tmp_path):
    one_session(tmp_path, Recorder("a"))
    recorders = [Recorder("a"), Recorder("b")]
    one_session(tmp_path, *recorders)
    identifiers = {name: f"{name}-{tmp_path.name}-senet" for name in "ab"}
    assert [r.calls[0] for r in recorders] == [("begin", 1, identifiers["a"]), ("begin", 1, "")]
    assert read_json(tmp_path / "trackers.json") == identifiers


@pytest.mark.parametrize("content", ["{", "[1]"])
def test_damaged_identifiers_are_a_new_tracked_run(tmp_path, capsys, content):
    (tmp_path / "trackers.json").write_text(content)
    recorder = Recorder()
    one_session(tmp_path, recorder)
    assert recorder.calls[0] == ("begin", 1, "")
    assert "does not hold the identifiers" in capsys.readouterr().err
    assert list(read_json(tmp_path / "trackers.json")) == ["recorder"]


@pytest.mark.parametrize(
    ("fails", "told", "says"),
    [
        ("begin", ["begin"], "no answer to begin\nThis session is not tracked there"),
        ("log", ["begin", "log", "log", "end"], "no answer to log\nStep 2 is left out"),
        ("end", ["begin", "log", "log", "end"], "no answer to end\nThe end is left out"),
    ],
)
def test_fault_is_one_warning(tmp_path, capsys, fails, told, says):
    failing, sound = Recorder("failing", [fails]), Recorder("sound")
    one_session(tmp_path, failing, sound)
    assert [call[0] for call in failing.calls] == told
    assert [call[0] for call in sound.calls] == ["begin", "log", "log", "end"]
    printed = capsys.readouterr().err
    assert printed.count("warning: ") == 1 and f"failing: ConnectionError: {says}" in printed
    assert curves(tmp_path) == {"train/loss": {2: 2.0, 4: 4.0}}


def test_nobody_waits_for_a_tracker_that_hangs(tmp_path, capsys, monkeypatch):
    """Its calls are kept up to a number; the end gives up."""
    monkeypatch.setattr(hook, "MOST_WAITING", 3)
    monkeypatch.setattr(hook, "LAST_SECONDS", 0.2)
    answers = threading.Event()

    class Hangs(Recorder):
        def log(self, step, scalars, pictures):
            answers.wait(60)
            super().log(step, scalars, pictures)

    hangs, began = Hangs(), time.monotonic()
    one_session(tmp_path, hangs, steps=range(2, 9))
    assert time.monotonic() - began < 20
    assert [call[0] for call in hangs.calls] == ["begin"]
    assert curves(tmp_path)["train/loss"].keys() == set(range(2, 9))
    assert capsys.readouterr().err.count("3 calls wait for it") == 1
    answers.set()


def test_end_of_a_session_waits_only_so_long(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(hook, "LAST_SECONDS", 0.2)
    answers = threading.Event()

    class Hangs(Recorder):
        def end(self, ended):
            answers.wait(60)

    one_session(tmp_path, Hangs())
    assert "recorder: no answer after 0 s\nThe end is left out" in capsys.readouterr().err
    answers.set()


def test_curves_go_on_after_a_full_disk(small_disk, capsys):
    """What could not be written is missing; the rest is one curve."""
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 256, (2, 400, 400, 3), np.uint8)
    tracking = Tracking(small_disk, Config())
    tracking.begin(0)
    tracking.log(1, {"train/loss": 1.0})
    for step, picture in enumerate(noise, 2):  # 480 kB each as PNG
        tracking.log(step, {"train/loss": float(step)}, {"noise": picture})
    assert capsys.readouterr().err.count("warning: event file: ") == 1
    remount = ["mount", "-o", "remount,size=20m", str(small_disk)]
    subprocess.run(remount, check=True)
    tracking.log(4, {"train/loss": 4.0}, {"noise": noise[0]})
    tracking.log(5, {"train/loss": 5.0})
    tracking.end("done")
    log = read_log(small_disk)
    assert log.curves["train/loss"] == {1: 1.0, 4: 4.0, 5: 5.0}
    np.testing.assert_array_equal(logged_picture(log.pictures["noise"][4], "noise"), noise[0])


def test_tensorboard_reads_what_two_sessions_wrote(tmp_path):
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="needs TensorBoard"
    )
    one_session(tmp_path, steps=(2, 3, 4))
    picture = np.full((20, 30, 3), 200, np.uint8)
    tracking = Tracking(tmp_path, Config())
    tracking.begin(2)
    tracking.log(3, {"train/loss": 30.0}, {"faces": picture})
    tracking.end("")
    shown = accumulator.EventAccumulator(str(tmp_path))
    shown.Reload()
    assert [(event.step, event.value) for event in shown.Scalars("train/loss")] == [(2, 2), (3, 30)]
    (image,) = shown.Images("faces")
    assert (image.step, image.width, image.height) == (3, 30, 20)
    np.testing.assert_array_equal(decode_photo(image.encoded_image_string, "faces"), picture)


# --- runs ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_tracker_of_ones_own_gets_what_the_event_files_hold(synthetic_records, tmp_path):
    run = tmp_path / "run"
    recorder = Recorder()
    train(plain(steps=4), synthetic_records, run, trackers=[recorder])
    train(plain(steps=6), synthetic_records, run, trackers=[recorder])
    begun = [call for call in recorder.calls if call[0] in ("begin", "end")]
    tracked = "recorder-run-tcdcn_landmarks"
    assert begun == [("begin", 0, ""), ("end", "done"), ("begin", 4, tracked), ("end", "done")]
    log = read_log(run)
    assert recorder.curves.keys() == log.curves.keys()
    for tag, curve in log.curves.items():
        assert recorder.curves[tag] == pytest.approx(curve, rel=1e-6), tag
    places = log.pictures["validation/predictions"]
    assert list(places) == [3, 4, 6] == list(recorder.pictures["validation/predictions"])
    for step, place in places.items():
        picture = recorder.pictures["validation/predictions"][step]
        np.testing.assert_array_equal(picture, logged_picture(place, "validation/predictions"))


@pytest.mark.slow
def test_training_ends_well_with_failing_trackers(synthetic_records, tmp_path, capsys):
    trackers = [Recorder(name, fails=[name]) for name in ("begin", "log", "end")]
    result = train(recipe(steps=5), synthetic_records, tmp_path / "run", trackers=trackers)
    assert (result.steps, result.ended) == (5, "done")
    warnings = re.findall(
        r"^warning: (\w+): ConnectionError", capsys.readouterr().err, re.MULTILINE
    )
    assert sorted(warnings) == ["begin", "end", "log"]
    assert list(curves(tmp_path / "run")["train/loss"]) == [1, 2, 3, 4, 5]


@pytest.mark.slow
def test_faulty_training_tells_its_trackers(synthetic_records, tmp_path):
    recorder = Recorder()
    config = plain(steps=40)
    schedule = dataclasses.replace(config.schedule, initial=float("inf"), warmup_steps=0)
    config = dataclasses.replace(config, schedule=schedule)
    with pytest.raises(InputError, match="no longer finite"):
        train(config, synthetic_records, tmp_path / "run", trackers=[recorder])
    assert recorder.calls[-1] == ("end", "")


@pytest.mark.slow
def test_names_are_checked_before_anything_is_written(synthetic_records, tmp_path, capsys):
    run = tmp_path / "run"
    arguments = ["train", "--records", str(synthetic_records), "--run", str(run)]
    assert main([*arguments, "--train.trackers", "tensorboard"]) == 2
    says = "'tensorboard' is not one of wandb, mlflow. TensorBoard needs none"
    assert says in capsys.readouterr().err
    with pytest.raises(InputError, match="a: two trackers have this name"):
        train(plain(), synthetic_records, run, trackers=[Recorder("a"), Recorder("a")])
    assert not run.exists()


def test_help_lists_the_trackers(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = " ".join(re.sub(r"[│╭╮╰╯─]", " ", capsys.readouterr().out).split())
    assert f"--train.trackers {{{','.join(TRACKERS)}}}" in text
