"""The commands, as a person gives them: help, results, and one line for each kind of bad input."""

import inspect
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from senet_landmark.cli.app import main
from senet_landmark.cli.inference import predict as predict_command
from senet_landmark.cli.model import evaluate as evaluate_command
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait_path
from senet_landmark.export.inference.predictor import PASSES
from senet_landmark.io.files import written_whole
from senet_landmark.io.images import write_picture

pytestmark = pytest.mark.slow

COMMANDS = (
    "quickstart", "turn-views", "build-records", "inspect", "shape-model",
    "find-learning-rate", "train", "report", "freeze", "convert", "predict", "pseudo-label",
    "bench", "serve", "evaluate", "compare",
)  # fmt: skip


def run(*arguments):
    return main([str(a) for a in arguments])


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples(capsys, command):
    with pytest.raises(SystemExit) as end:
        run(command, "--help")
    assert end.value.code == 0
    assert f"senet-landmark {command}" in capsys.readouterr().out.split("For example:")[1]


def test_default_of_the_passes_is_the_predictors():
    # The commands repeat it, as they import the predictor only when they run.
    for command in (predict_command, evaluate_command):
        assert inspect.signature(command).parameters["passes"].default == PASSES


def test_no_command_lists_them(capsys):
    with pytest.raises(SystemExit):
        run()
    text = capsys.readouterr().out
    assert all(command in text for command in COMMANDS)


def test_preset_sets_the_defaults(capsys):
    with pytest.raises(SystemExit):
        run("train", "--preset", "senet_original", "--help")
    text = re.sub(r"[\s│]+", " ", capsys.readouterr().out)
    assert "(default: 150000)" in text and "(default: l2)" in text


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


def test_half_written_files_never_appear(tmp_path):
    path = tmp_path / "whole.json"
    path.write_text("old")
    with pytest.raises(RuntimeError), written_whole(path) as temporary:
        temporary.write_text("new, but")
        raise RuntimeError
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["whole.json"]


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


def test_importing_is_cheap():
    """Neither the package nor what `predict` needs loads TensorFlow (see test_export for that)."""
    import subprocess
    import sys

    names = ("face.geometry", "face.pose", "evaluation.metrics", "cli.app")
    modules = ", ".join(f"senet_landmark.{name}" for name in names)
    program = f"import sys, {modules}; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parent)
