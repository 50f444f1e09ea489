"""One clear line for each kind of bad input, and photos without a face."""

import json
import shutil

import numpy as np
import pytest

from senet_landmark.cli.app import main
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait_path
from senet_landmark.io.images import write_picture

pytestmark = pytest.mark.slow


def run(*arguments):
    return main([str(a) for a in arguments])


def bad_inputs(tmp_path, small_run):
    """(arguments, words of the message) for each kind of bad input."""
    empty = tmp_path / "empty"
    empty.mkdir()
    gone = tmp_path / "gone"
    photo = portrait_path()
    lonely = tmp_path / "lonely.pb"
    shutil.copy(small_run.model, lonely)
    model, out = small_run.model, tmp_path / "out"
    return [
        (("build-records", "--root", gone, "--out", out), "does not exist"),
        (("build-records", "--root", photo, "--out", out), "is a file, not a folder"),
        (("build-records", "--root", empty, "--out", out), "holds no photo"),
        (("train", "--records", empty, "--run", out), "no report.json"),
        (("train", "--records", small_run.records, "--run", out, "--network.name", "x"), "Unknown"),
        (("train", "--records", small_run.records, "--run", out, "--loss.name", "x"), "Unknown"),
        (
            ("build-records", "--root", empty, "--out", out, "--boxes", "dlib_cnn"),
            "--detector-model",
        ),
        (("build-records", "--root", empty, "--out", out, "--points", "x"), "pts_3d"),
        (("evaluate", "--out", out), "either the --root"),
        (("evaluate", "--on", "300w", "--out", out), "DATASET=FOLDER"),
        (("evaluate", "--records", empty, "--model", model, "--out", out), "no report.json"),
        (("compare", "--out", out), "at least one training run"),
        (("compare", empty, "--out", out), "No model can be compared"),
        (("inspect", empty, "--out", out), "no report.json"),
        (("inspect", "--out", out), "at least one folder"),
        (("turn-views", "--root", empty, "--out", out), "no SUBSET/NAME_0.jpg"),
        (("turn-views", "--root", empty, "--out", empty), "neither"),
        (("freeze", "--run", empty, "--out", tmp_path / "m.pb"), "no config.json"),
        (("freeze", "--run", small_run.run, "--out", tmp_path / "m.onnx"), "ends in .pb"),
        (("predict", photo, "--model", gone, "--out", out), "no such model"),
        (("predict", photo, "--model", lonely, "--out", out), "lonely.json: absent"),
        (("predict", gone, "--model", model, "--out", out), "does not exist"),
        (("predict", empty, "--model", model, "--out", out), "no photo in this folder"),
        (("predict", lonely, "--model", model, "--out", out), "does not decode"),
        (("predict", "--model", model, "--out", out), "at least one photo"),
        (("evaluate", "--model", model, "--root", empty, "--out", out), "holds no photo"),
        (("quickstart", "--out", small_run.run), "holds something already"),
        (("train", "--preset", "best", "--records", empty, "--run", out), "Unknown preset"),
    ]


def test_bad_input_is_one_clear_line(small_run, tmp_path, capsys):
    for arguments, words in bad_inputs(tmp_path, small_run):
        capsys.readouterr()
        assert run(*arguments) == 2, arguments
        message = capsys.readouterr().err
        assert "error: " in message and words in message, (arguments, message)
        assert "Traceback" not in message
    assert not [p for p in (tmp_path / "out").rglob("*") if p.is_file()]


def test_unknown_choice_lists_the_known_ones(capsys):
    with pytest.raises(SystemExit) as exit:
        run("build-records", "--root", "a", "--out", "b", "--dataset", "300W")
    assert exit.value.code == 2 and "aflw2000" in "".join(capsys.readouterr())


def test_photo_without_a_face_is_no_error(small_run, tmp_path, capsys):
    photo = tmp_path / "wall.png"
    write_picture(photo, np.full((120, 160, 3), 200, np.uint8))
    assert run("predict", photo, "--model", small_run.model, "--out", tmp_path / "out") == 0
    assert "no face found" in capsys.readouterr().out
    (result,) = json.loads((tmp_path / "out" / "landmarks.json").read_text())
    assert result["faces"] == []


def test_folder_that_cannot_be_written_is_an_error(small_run, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "below"
    assert run("predict", portrait_path(), "--model", small_run.model, "--out", out) == 2
    assert "error: " in capsys.readouterr().err
