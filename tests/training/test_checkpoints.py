"""Checkpoints are whole, on full disks and after kills, or passed over."""

import resource
import shutil
from pathlib import Path

import pytest

from repeated import assert_same_end, recipe, values_of
from senet_landmark.errors import InputError
from senet_landmark.training import checkpoints
from senet_landmark.training.train import train

pytestmark = pytest.mark.slow


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
