"""`senet-landmark serve`: starting, ending, and bad arguments."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from senet_landmark.cli.app import main
from senet_landmark.errors import InputError
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.export.inference.writers import face_json
from senet_landmark.export.service import app
from senet_landmark.export.service.answer import load_models
from senet_landmark.frozen.models import DEFAULT_MODEL, PRETRAINED
from served import PHOTO, ask, refused, write_narrow_model


@contextlib.contextmanager
def command(*arguments):
    """(process, address) of `senet-landmark serve` on a free port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "senet_landmark", "serve", "--port", "0", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whatever started the tests may have told its children to ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        line = process.stdout.readline()
        yield process, line, "http" + line.partition("http")[2].split(" ")[0]
    finally:
        process.kill()
        process.communicate()


@pytest.mark.skipif(os.name != "posix", reason="sends a signal as Ctrl-C does")
def test_command_answers_until_it_is_interrupted():
    expected = [face_json(face) for face in Predictor().predict(PHOTO)]
    with command() as (process, line, url):
        assert line.startswith(DEFAULT_MODEL) and urlsplit(url).hostname == "127.0.0.1"
        assert ask(url).json()["faces"] == expected
        peak = peak_memory(process)
        pieces = (bytes(1_000_000) for _ in range(300))
        assert refused(ask(url, pieces), 413, "20 MB")
        assert peak is None or peak_memory(process) - peak < 100
        loaded = Path(f"/proc/{process.pid}/maps")
        assert not loaded.exists() or "tensorflow" not in loaded.read_text()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 130 and errors == "interrupted\n"


def peak_memory(process):
    """The most memory that the process has had, in MB; None where that is not told."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        return None
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def fails(capsys, *arguments):
    assert main(["serve", *map(str, arguments)]) == 2
    return capsys.readouterr().err


def test_bad_arguments_are_told_of(capsys, tmp_path, monkeypatch):
    with app.bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert f"port {port}: cannot be listened on" in fails(capsys, "--port", port)
    assert "70000" in fails(capsys, "--port", 70_000)
    assert "--host is an address" in fails(capsys, "--port", 0, "--host", "192.0.2.1")
    assert "--host is an address" in fails(capsys, "--port", 0, "--host", "no such name")
    assert "no such model" in fails(capsys, "--port", 0, "--model", "none")
    damaged = write_narrow_model(tmp_path)
    damaged.write_bytes(damaged.read_bytes()[:1000])
    assert "SHA-256" in fails(capsys, "--port", 0, "--model", damaged)
    assert "another model is called" in fails(
        capsys, "--port", 0, "--model", DEFAULT_MODEL, DEFAULT_MODEL
    )
    assert "more than 0" in fails(capsys, "--port", 0, "--max-megabytes", 0)
    assert "--detector-model" in fails(capsys, "--port", 0, "--detector", "dlib_cnn")
    monkeypatch.setitem(sys.modules, "fastapi", None)
    for name in [name for name in sys.modules if name.startswith("senet_landmark.export.service.")]:
        monkeypatch.delitem(sys.modules, name)
    assert 'pip install "senet_landmark[serve]"' in fails(capsys, "--port", 0)


def test_all_that_ship_are_served_by_default(monkeypatch, tmp_path):
    """The default one first, whatever its place in the alphabet."""
    for suffix in (".pb", ".json"):
        for name in (DEFAULT_MODEL, "a-model"):
            source = PRETRAINED / f"{DEFAULT_MODEL}{suffix}"
            (tmp_path / f"{name}{suffix}").write_bytes(source.read_bytes())
    monkeypatch.setattr("senet_landmark.frozen.models.PRETRAINED", tmp_path)
    assert list(load_models().predictors) == [DEFAULT_MODEL, "a-model"]


@pytest.mark.parametrize(("host", "warns"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_address_for_others_is_warned_of(host, warns, capsys, monkeypatch):
    monkeypatch.setattr(app, "run", lambda models, bound, limits: None)
    assert main(["serve", "--host", host, "--port", "0"]) == 0
    assert ("warning: 0.0.0.0 is not local" in capsys.readouterr().err) == warns


def test_ipv6_address_is_one():
    try:
        bound = app.bind("::1", 0)
    except InputError:
        pytest.skip("this machine has no IPv6")
    with bound:
        assert app.address(bound).startswith("http://[::1]:")
