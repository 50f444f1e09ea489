"""The quickstart, cut short."""

import json

import pytest

from senet_landmark.cli.app import main

pytestmark = pytest.mark.slow


def run(*arguments):
    return main([str(a) for a in arguments])


def test_quickstart_on_a_few_faces(tmp_path, capsys):
    """The whole of it, cut short; the README's figure comes from the command itself."""
    out = tmp_path / "quickstart"
    assert run("quickstart", "--out", out, "--faces", 20, "--minutes", 0.05) == 0
    text = capsys.readouterr().out
    picture = "portrait_landmarks.jpg"
    for name in (
        "records/contact_sheet.png", f"predictions/{picture}", f"predictions-shipped/{picture}",
        "model.pb",
    ):  # fmt: skip
        assert (out / name).is_file() and str(out / name) in text
    assert json.loads((out / "evaluation" / "metrics.json").read_text())["n"] == 2
