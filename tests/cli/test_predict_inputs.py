"""`senet-landmark predict`: what a folder holds, options that do nothing, and what is said."""

import json
import os
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from senet_landmark.cli.app import main
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait_path
from shifted_clips import write_clip

pytestmark = pytest.mark.slow


def predict(*arguments):
    return main(["predict", *map(str, arguments), "--engine", "opencv"])


@pytest.fixture
def photo(tmp_path):
    return shutil.copy(portrait_path(), tmp_path / "photo.jpg")


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "clip.avi", count=4)


def test_a_folder_means_all_that_is_in_it(tmp_path, capsys):
    folder, out = tmp_path / "in", tmp_path / "in" / "out"
    (folder / "deep").mkdir(parents=True)
    for name in ("a.jfif", "b", "deep/c.jpe"):
        shutil.copy(portrait_path(), folder / name)
    write_clip(folder / "deep" / "clip.avi", count=4)
    (folder / "notes.txt").write_text("no photo")
    (folder / "a.dng").touch()
    (folder / "d.heic").write_bytes(b"\x00\x00\x00\x18ftypheic" + bytes(300))
    assert predict(folder, "--out", out) == 0
    told = capsys.readouterr()
    assert "3 faces in 3 photos" in told.out and "1 people in 4 frames" in told.out
    assert "left out of folders: 1 .dng, 1 .txt" in told.err and "d.heic: is HEIC" in told.err
    assert (out / "deep" / "clip_landmarks.csv").exists()
    # The results are no input of a further run, wherever it writes.
    for again in (out, tmp_path / "other"):
        assert predict(folder, "--out", again) == 0
        told = capsys.readouterr()
        assert "3 faces in 3 photos" in told.out and told.out.count("people in") == 1
    for result in (out / "deep").glob("clip_landmarks.[!c]*"):
        assert predict(result, "--out", tmp_path / "third") == 2
        assert "is what predict wrote" in capsys.readouterr().err


@pytest.mark.parametrize(
    "option", [["--align", "64"], ["--write", "pts", "json"], ["--box", "1", "1", "50", "50"],
               ["--workers", "2"], ["--runner", "DirectRunner"]],
)  # fmt: skip
def test_options_of_photos_are_refused_for_a_video(tmp_path, clip, capsys, option):
    assert predict(clip, "--out", tmp_path / "out", *option) == 2
    assert f"{option[0]} is for photos, and there are none" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", [["--no-smooth"], ["--every", "1"], ["--seconds", "2"]])
def test_options_of_videos_are_refused_for_a_photo(tmp_path, photo, capsys, option):
    assert predict(photo, "--out", tmp_path / "out", *option) == 2
    assert f"{option[0]} is for videos, and there are none" in capsys.readouterr().err


def test_options_that_serve_a_part_are_noted(tmp_path, photo, clip, capsys):
    arguments = [photo, clip, "--out", tmp_path / "out", "--align", "64", "--seconds", "0.01"]
    assert predict(*arguments) == 0
    told = capsys.readouterr().err
    assert "note: --align is for photos alone" in told
    assert "note: --seconds is for videos alone" in told
    box = ["--box", "120", "80", "310", "290", "--min-face", "20"]
    assert predict(photo, "--out", tmp_path / "boxed", *box) == 0
    assert "note: --min-face does nothing with --box" in capsys.readouterr().err


@pytest.mark.parametrize(
    "box, words",
    [
        (".3 .2 .7 .8", "is 0.4 x 0.6 pixels"),
        ("-900 -900 -800 -800", "is outside of it"),
        ("5000 10 5100 90", "is outside of it"),
        ("90 90 10 10", "is -80 x -80 pixels"),
        ("nan 1 100 100", "is nan x 99 pixels"),
        ("-1e9 -1e9 1e9 1e9", "far larger"),
    ],
)
def test_boxes_that_show_no_face_are_refused(tmp_path, photo, capsys, box, words):
    assert predict(photo, "--out", tmp_path / "out", "--box", *box.split()) == 2
    told = capsys.readouterr().err
    assert "photo.jpg: the box" in told and words in told
    assert not (tmp_path / "out" / "landmarks.json").exists()


def test_what_to_try_where_no_face_is_found(tmp_path, capsys):
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((80, 80, 3), 90, np.uint8))
    assert predict(tmp_path / "grey.png", "--out", tmp_path / "out") == 0
    told = capsys.readouterr().out
    assert all(option in told for option in ("--detector", "--min-face", "--box"))


def test_one_bad_input_is_one_that_is_skipped(tmp_path, photo, clip, capsys):
    junk = tmp_path / "junk.mp4"
    junk.write_bytes(b"no video")
    (tmp_path / "nothing").mkdir()
    bad = [tmp_path / "gone.jpg", "rtsp://host/s", "x" * 300 + ".jpg", junk, tmp_path / "nothing"]
    assert predict(*bad, photo, clip, "--out", tmp_path / "out") == 0
    told = capsys.readouterr()
    assert "Skipped 5" in told.err and "rtsp://host/s: cannot be opened" in told.err
    assert "1 faces in 1 photos" in told.out and "1 people in 4 frames" in told.out
    assert predict(*bad, "--out", tmp_path / "none") == 2


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "cp1252"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "C.UTF-8"},
    ],
)
def test_names_and_output_in_any_encoding(tmp_path, environment):
    """Redirected, in a process of its own."""
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in (b"ok.jpg", b"\xd5\xd5\xc6\xac.jpg", "名前.jpg".encode()):
        shutil.copy(portrait_path(), os.path.join(os.fsencode(folder), name))
    write_clip(folder / "clip.avi", count=4).rename(folder / os.fsdecode(b"\xd5.avi"))
    cv2.imwrite(str(folder / "grey.png"), np.full((80, 80, 3), 90, np.uint8))
    (folder / "grey.png").rename(folder / os.fsdecode(b"\xd5.png"))
    program = "import sys; from senet_landmark.cli.app import main; sys.exit(main(sys.argv[1:]))"
    arguments = ["predict", str(folder), "--out", str(out), "--engine", "opencv"]
    arguments += ["--write", "json", "csv", "dlib"]
    run = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        env={**os.environ, **environment},
    )
    assert run.returncode == 0, run.stderr
    assert b"3 faces in 4 photos" in run.stdout and b"1 people in 4 frames" in run.stdout
    assert b"no face found: " in run.stdout and b"\\udcd5" in run.stdout
    assert len(json.loads((out / "landmarks.json").read_text("utf-8"))) == 4
    assert {"landmarks.csv", "landmarks.xml"} <= set(os.listdir(out))
