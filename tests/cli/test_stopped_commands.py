"""SIGTERM, a full disk and a folder that nobody may write, in every command that writes."""

import os
import shutil
import signal
import subprocess
import time

import pytest

from senet_landmark.cli import app
from senet_landmark.cli.app import main


def test_sigterm_ends_a_command_as_ctrl_c_does(monkeypatch, capsys):
    def stopped(arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(app, "_run", stopped)
    assert main(["inspect"]) == 130
    assert capsys.readouterr().err == "interrupted\n"
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.fixture(scope="module")
def commands(synthetic_tree, small_run):
    """Name -> its arguments, given the path of what it writes."""
    records, model = small_run.records, small_run.model
    tree = ("--dataset", "300w_lp", "--root", synthetic_tree)
    return {
        "build-records": (*tree, "--workers", "2", "--out"),
        "pseudo-label": (*tree, "--out"),
        "turn-views": ("--root", synthetic_tree, "--workers", "1", "--out"),
        "inspect": (records, "--out"),
        "train": (
            *("--records", records, "--preset", "tcdcn_landmarks", "--steps", "2"),
            *("--train.epochs", "0", "--train.batch-size", "4", "--train.no-report", "--run"),
        ),
        "freeze": ("--run", small_run.run, "--out"),
        "onnx": ("--model", model, "--to", "onnx", "--out"),
        "savedmodel": ("--model", model, "--to", "savedmodel", "--out"),
        "evaluate": ("--model", model, "--records", records, "--split", "validation", "--out"),
        "predict": (synthetic_tree, "--workers", "1", "--out"),
    }


COMMANDS = {
    "build-records": "", "pseudo-label": "", "turn-views": "", "inspect": "", "train": "",
    "freeze": ".pb", "onnx": ".onnx", "savedmodel": "", "evaluate": "", "predict": "",
}  # fmt: skip
"""Name -> suffix of what it writes."""


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_full_disk_and_read_only_folder_are_a_sentence(name, commands, small_disk, capsys):
    if name == "onnx":
        pytest.importorskip("tf2onnx", reason="needs the extra [onnx]")
    out = small_disk / f"out{COMMANDS[name]}"
    command = "convert" if name in ("onnx", "savedmodel") else name
    arguments = [command, *map(str, commands[name]), str(out)]

    def fails(reason):
        assert main(arguments) == 2
        text = capsys.readouterr().err.replace("\r", "\n")
        (sentence,) = [line for line in text.splitlines() if line.startswith("error: ")]
        assert str(out) in sentence and reason in sentence and "/." not in sentence

    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    fails("Read-only file system")
    subprocess.run(["mount", "-o", "remount,rw,size=40k", str(small_disk)], check=True)
    fails("No space left on device")
    assert not list(small_disk.rglob(".*-????????.tmp*"))
    subprocess.run(["mount", "-o", "remount,size=100m", str(small_disk)], check=True)
    assert main(arguments) == 0 and out.exists()
    shutil.rmtree(out) if out.is_dir() else out.unlink()
