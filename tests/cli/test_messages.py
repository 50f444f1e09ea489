"""`--quiet` and `--log-file`: what is said, and where."""

import logging
import re
import shutil

import pytest

from senet_landmark.cli.app import main
from senet_landmark.cli.messages import messages
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait_path
from senet_landmark.errors import InputError
from shifted_clips import write_clip

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} .+")


def test_results_notes_and_problems(tmp_path, capsys):
    log = tmp_path / "new" / "log.txt"
    with messages(quiet=False, log_file=log) as say:
        say.result("done")
        say.note("good to know")
        say.problem("bad")
    assert capsys.readouterr() == ("done\n", "good to know\nbad\n")
    with messages(quiet=True, log_file=log) as say:
        say.result("done again")
        say.note("so")
        say.problem("worse")
    assert capsys.readouterr() == ("", "worse\n")
    lines = log.read_text().splitlines()
    assert all(map(LINE.fullmatch, lines))
    assert [line[24:] for line in lines] == [
        "done", "good to know", "problem: bad", "done again", "so", "problem: worse",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("error", "words"),
    [(InputError("no such file"), "error: no such file"), (KeyboardInterrupt(), "interrupted"),
     (RuntimeError("a defect"), "RuntimeError: a defect")],
)  # fmt: skip
def test_what_ends_a_command_is_in_the_log(tmp_path, error, words):
    root = logging.getLogger("senet_landmark")
    before = root.level, list(root.handlers)
    with pytest.raises(type(error)), messages(log_file=tmp_path / "log"):
        raise error
    assert words in (tmp_path / "log").read_text()
    assert (root.level, root.handlers) == before


def test_log_file_that_cannot_be_written_is_told(tmp_path, capsys):
    (tmp_path / "file").touch()
    for log in (tmp_path, tmp_path / "file" / "log"):
        assert main(["predict", "photo.jpg", "--log-file", str(log)]) == 2
        assert f"--log-file {log}: cannot be written" in capsys.readouterr().err


@pytest.mark.slow
def test_a_quiet_run_says_only_what_is_wrong(tmp_path, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg"):
        shutil.copy(portrait_path(), folder / name)
    (folder / "bad.jpg").write_bytes(b"no photo")
    (folder / "notes.txt").touch()
    write_clip(folder / "clip.avi", count=3)
    arguments = ["predict", str(folder), "--out", str(tmp_path / "out"), "--engine", "opencv"]
    arguments += ["--align", "64", "--quiet", "--log-file", str(tmp_path / "log")]
    assert main(arguments) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert re.fullmatch(r"Skipped 1:\n  .*bad\.jpg: does not decode.*\n", told.err)
    log = (tmp_path / "log").read_text()
    for words in (
        "left out of folders: 1 .txt", "note: --align is for photos alone",
        f"{folder / 'a.jpg'}: 1 faces", f"skipped: {folder / 'bad.jpg'}: does not decode",
        "clip.avi: 1 people in 3 frames", "2 faces in 2 photos",
    ):  # fmt: skip
        assert words in log, words
    assert main(["predict", str(folder / "gone.jpg"), *arguments[2:]]) == 2
    assert "error: " in capsys.readouterr().err
    assert "gone.jpg: does not exist" in (tmp_path / "log").read_text()
