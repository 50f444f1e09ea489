"""The README's steps in order, on a few faces."""

import json

import pytest

from senet_landmark.cli.app import main
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait_path

pytestmark = pytest.mark.slow


def run(*arguments):
    return main([str(a) for a in arguments])


def test_every_step_on_a_few_faces(synthetic_tree, tmp_path, capsys):
    """The README's steps in order, with the README's options."""
    records, folder, model = tmp_path / "records", tmp_path / "run", tmp_path / "model.pb"
    assert run("build-records", "--root", synthetic_tree, "--out", records) == 0
    assert "24 faces" in capsys.readouterr().out
    assert run("inspect", records, "--out", tmp_path / "inspection") == 0
    assert "24 faces. Suspects: " in capsys.readouterr().out
    assert (tmp_path / "inspection" / "inspect.html").exists()
    turned = tmp_path / "turned"
    assert run("turn-views", "--root", synthetic_tree, "--out", turned, "--views", 1) == 0
    assert "24 views of 24 photos" in capsys.readouterr().out
    assert run("turn-views", "--root", synthetic_tree, "--out", turned, "--views", 1) == 0
    assert "0 views of 24 photos" in (told := capsys.readouterr().out) and "24 were there" in told
    options = ("--train.batch-size", 4, "--train.validate-every", 4)
    train = ("train", "--records", records, "--run", folder, *options)
    assert run(*train, "--steps", 2) == 0
    assert run(*train, "--steps", 4) == 0  # goes on
    assert "step 4" in capsys.readouterr().out
    assert run("report", "--run", folder) == 0
    assert (folder / "report.html").stat().st_size > 50_000
    five = ("--run", tmp_path / "again", "--train.start-from", folder, "--steps", 1)
    assert run("train", "--records", records, *options, *five) == 0
    assert run("freeze", "--run", folder, "--out", model) == 0
    assert "equal to" in capsys.readouterr().out
    evaluate = ("evaluate", "--model", model, "--dataset", "300w_lp", "--root", synthetic_tree)
    assert run(*evaluate, "--out", tmp_path / "eval") == 0
    assert "model, landmarks boxes: n    24, NME" in capsys.readouterr().out
    assert run("evaluate", "--records", records, "--split", "train", "--out", tmp_path / "e") == 0
    on = f"300w_lp={synthetic_tree}"
    assert run("evaluate", "--model", model, "--on", on, on, "--out", tmp_path / "sets") == 0
    whole, groups = (tmp_path / "sets" / "table.md").read_text().split("\n\n")
    assert whole.count("|") == 3 * 5 and groups.count("| yaw 0-30 ") == 2
    capsys.readouterr()
    assert run("compare", folder, model, "--on", on, "--out", tmp_path / "c", "--rounds", 1) == 0
    assert "| run  " in capsys.readouterr().out
    predict = ("predict", portrait_path(), "--model", model, "--out", tmp_path / "predictions")
    assert run(*predict) == 0
    assert "1 faces in 1 photos" in capsys.readouterr().out
    assert json.loads((tmp_path / "predictions" / "landmarks.json").read_text())
