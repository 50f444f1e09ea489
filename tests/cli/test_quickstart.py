"""The quickstart, cut short."""

import errno
import json

import pytest

from senet_landmark.cli.app import main

pytestmark = pytest.mark.slow


def run(*arguments):
    return main([str(a) for a in arguments])


def test_quickstart_on_a_few_faces(tmp_path, capsys, monkeypatch):
    """The whole of it, cut short, and interrupted; the README's figure is the command's own."""
    from senet_landmark.cli.commands import quickstart

    out = tmp_path / "quickstart"
    command = ["quickstart", "--out", out, "--faces", 20, "--minutes", 0.05]

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", str(out / "model.pb"))

    with monkeypatch.context() as patch:
        patch.setattr(quickstart, "freeze", full)
        assert run(*command) == 2
    assert run(*command[:3], "--faces", 30) == 2  # another one
    assert "holds something already" in capsys.readouterr().err
    assert run(*command) == 0
    text = capsys.readouterr().out
    picture = "portrait_landmarks.jpg"
    for name in (
        "records/contact_sheet.png", f"predictions/{picture}", f"predictions-shipped/{picture}",
        "model.pb",
    ):  # fmt: skip
        assert (out / name).is_file() and str(out / name) in text
    assert json.loads((out / "evaluation" / "metrics.json").read_text())["n"] == 2
