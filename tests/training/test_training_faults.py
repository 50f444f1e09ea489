"""Training that is killed, runs out of disk, meets NaN or damaged files; and that is repeated."""

import dataclasses
import json
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import runs
from made_records import damaged_records
from runs import short
from senet_landmark.config import NO_AUGMENTATION, ScheduleConfig
from senet_landmark.errors import InputError
from senet_landmark.training import checkpoints
from senet_landmark.training.run_log import curves
from senet_landmark.training.train import train

pytestmark = pytest.mark.slow

STEPS = 60


def recipe(steps=STEPS, **options):
    """Of one thread: what it computes is the same to the last bit."""
    loop = {"threads": 1, "epochs": 0, "batch_size": 4, "validate_every": 5, "summary_every": 1}
    config = short("tcdcn_landmarks", steps=steps, **(loop | {"ema_decay": 0.9} | options))
    return dataclasses.replace(
        config,
        augment=dataclasses.replace(NO_AUGMENTATION, mirror=True, rotation=20, light=0.3),
        schedule=ScheduleConfig(initial=1e-3, final=1e-4, warmup_steps=5),
    )


def values_of(prefix):
    reader = tf.train.load_checkpoint(str(prefix))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def assert_same_end(one, two):
    """Weights, optimiser, averages, step and state, to the last bit; and one curve of each."""
    ends = [checkpoints.latest_checkpoint(run) for run in (one, two)]
    assert checkpoints.step_of(ends[0]) == checkpoints.step_of(ends[1])
    first, second = (values_of(end) for end in ends)
    assert first.keys() == second.keys()
    assert any("Adam" in name for name in first) and any("Average" in name for name in first)
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)
    states = [dataclasses.replace(checkpoints.load_state(r), minutes=0.0) for r in (one, two)]
    assert states[0] == states[1]
    logged = [curves(run) for run in (one, two)]
    for found in logged:
        found.pop("train/faces_per_second")
    assert logged[0] == logged[1]


_PROCESS = """
import sys
sys.path[:0] = {folders!r}
from senet_landmark.runtime import start_tensorflow
start_tensorflow()
from test_training_faults import recipe
from senet_landmark.training.train import train
train(recipe(), {records!r}, {run!r})
"""


def begin(records, run):
    """A process with the run: one thread needs one, as the threads of a process are made once."""
    text = _PROCESS.format(
        folders=[str(Path(__file__).parent), str(Path(runs.__file__).parent)],
        records=str(records),
        run=str(run),
    )
    return subprocess.Popen([sys.executable, "-c", text], stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def undisturbed(synthetic_records, tmp_path_factory):
    """A run of one session."""
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    assert begin(synthetic_records, run).wait() == 0
    return run


def test_run_killed_at_any_moment_ends_as_an_undisturbed_one(
    undisturbed, synthetic_records, tmp_path
):
    """So too is a second run of one seed the same to the last bit."""
    run, moments = tmp_path / "run", np.random.default_rng()
    killed = 0
    for goal in (12, 35, None):
        process = begin(synthetic_records, run)
        while process.poll() is None and goal is not None:
            if run.exists() and max(curves(run).get("train/loss", {0: 0})) >= goal:
                time.sleep(moments.uniform(0, 0.2))
                process.send_signal(signal.SIGKILL)
                killed += process.wait() == -signal.SIGKILL
            time.sleep(0.01)
        process.wait()
    assert killed >= 1 and process.returncode == 0
    assert_same_end(undisturbed, run)


def test_another_seed_is_another_run(undisturbed, synthetic_records, tmp_path):
    train(recipe(steps=5, seed=1), synthetic_records, tmp_path / "other")
    assert curves(tmp_path / "other")["train/loss"][5] != curves(undisturbed)["train/loss"][5]


class Killed(BaseException):
    """Stands for the end of the process."""


def test_no_checkpoint_is_half_written_wherever_a_save_ends(
    synthetic_records, tmp_path, monkeypatch
):
    """Ends a save before each of its renamings and deletions in turn."""
    run, places = tmp_path / "run", 0
    train(recipe(steps=15), synthetic_records, run)
    real = {name: getattr(Path, name) for name in ("replace", "unlink", "mkdir")}
    while True:
        calls = 0

        def counted(name, places=places):
            def call(self, *arguments, **options):
                nonlocal calls
                if "ckpt" in self.name or ".unfinished" in str(self):
                    if calls == places:
                        raise Killed
                    calls += 1
                return real[name](self, *arguments, **options)

            return call

        before = checkpoints.step_of(checkpoints.latest_checkpoint(run))
        for name in real:
            monkeypatch.setattr(Path, name, counted(name))
        try:
            train(recipe(steps=before + 1), synthetic_records, run)
            break
        except Killed:
            places += 1
        finally:
            for name, method in real.items():
                monkeypatch.setattr(Path, name, method)
        whole = checkpoints.latest_checkpoint(run)
        assert checkpoints.step_of(whole) in (before, before + 1)
        assert values_of(whole)["global_step"] == checkpoints.step_of(whole)
        state = checkpoints.load_state(run, whole)
        assert state.best_step <= checkpoints.step_of(whole)
    assert places >= 8
    kept = sorted(p.name for p in (run / "checkpoints").iterdir())
    assert kept.pop(0) == "checkpoint" and len(kept) == 9, kept


def test_full_disk_keeps_the_last_checkpoint(synthetic_records, tmp_path):
    """A limit on the size of files is a full disk to who writes them."""
    run = tmp_path / "run"
    train(recipe(steps=5), synthetic_records, run)
    before = checkpoints.latest_checkpoint(run)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(
            InputError, match=r"model\.ckpt-10: .*not be written \(File too large"
        ) as error:
            train(recipe(steps=10), synthetic_records, run)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "Make room" in str(error.value) and "model.ckpt-5 stays" in str(error.value)
    assert checkpoints.latest_checkpoint(run) == before
    assert not (run / "checkpoints" / ".unfinished").exists()
    assert train(recipe(steps=10), synthetic_records, run).steps == 10


def test_damaged_checkpoint_is_passed_over(synthetic_records, tmp_path, capsys):
    run, whole = tmp_path / "run", tmp_path / "whole"
    train(recipe(steps=10), synthetic_records, run)
    shutil.copytree(run, whole)
    data = run / "checkpoints" / "model.ckpt-10.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 0xFF
    data.write_bytes(content)
    train(recipe(steps=10), synthetic_records, run)
    assert "model.ckpt-10: the checkpoint is damaged" in capsys.readouterr().err
    assert_same_end(whole, run)


def test_nan_keeps_the_last_good_checkpoint(synthetic_records, tmp_path):
    run = tmp_path / "run"
    config = recipe(steps=5)
    train(config, synthetic_records, run)
    prefix = checkpoints.latest_checkpoint(run)
    with tf.Graph().as_default(), tf.Session() as session:
        values = values_of(prefix)
        name = next(n for n in values if n.endswith("coordinates/biases/Adam"))
        values[name] = np.full_like(values[name], np.nan)  # the next step's weights are NaN
        made = {n: tf.Variable(v, name=n) for n, v in values.items()}
        session.run(tf.global_variables_initializer())
        tf.train.Saver(made).save(session, prefix, write_meta_graph=False, write_state=False)
    with pytest.raises(
        InputError, match=r"no longer finite at step 5\..*checkpoints.*SYNTH/SYNTH_0"
    ):
        train(recipe(steps=6), synthetic_records, run)
    assert checkpoints.latest_checkpoint(run) == prefix


def test_corrupt_records_are_skipped_and_named(synthetic_records, tmp_path, capsys):
    records = damaged_records(synthetic_records, tmp_path / "records", count=2)
    result = train(recipe(steps=5), records, tmp_path / "run")
    assert result.steps == 5 and result.skipped == 2
    listed = json.loads((tmp_path / "run" / "skipped.json").read_text())
    assert len(listed) == 2 and all("train-" in of["path"] for of in listed)
    assert "Skipped 2 corrupt records" in capsys.readouterr().err
    with pytest.raises(InputError, match="2 records are corrupt"):
        train(recipe(steps=5, max_corrupt=1), records, tmp_path / "other")


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


def test_early_stopping(synthetic_records, tmp_path):
    config = recipe(steps=1000, patience=3)
    config = dataclasses.replace(config, schedule=ScheduleConfig(initial=1e-20, final=1e-20))
    result = train(config, synthetic_records, tmp_path / "run")
    assert result.ended == "early_stopped" and result.steps == result.best_step + 15
    assert not result.interrupted


def test_run_starts_from_another(undisturbed, synthetic_records, tmp_path):
    config = recipe(steps=5, start_from=str(undisturbed))
    config = dataclasses.replace(config, schedule=ScheduleConfig(initial=1e-9, final=1e-9))
    result = train(config, synthetic_records, tmp_path / "run")
    began = curves(undisturbed)["validation/nme_inter_ocular"][STEPS]
    assert result.best_nme == pytest.approx(began, rel=1e-3)
    with pytest.raises(InputError, match="nowhere"):
        train(recipe(start_from=str(tmp_path / "nowhere")), synthetic_records, tmp_path / "b")
