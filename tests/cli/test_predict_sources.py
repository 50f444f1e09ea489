"""`senet-landmark predict` on addresses, standard input, lists, sequences and absent cameras."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import cv2
import pytest

from senet_landmark.cli.app import main
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait_path
from shifted_clips import frame_at, rows_of, write_clip
from web_files import PHOTO, web_files

pytestmark = pytest.mark.slow

ALONE = ["--engine", "opencv", "--no-pictures"]


def predict(*arguments):
    return main(["predict", *map(str, arguments), *ALONE])


def lines_of(out):
    return [json.loads(line) for line in (out / "landmarks.jsonl").read_text().splitlines()]


def images_of(out):
    return {line["image"] for line in lines_of(out)}


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with web_files() as server:
        clip = write_clip(tmp_path_factory.mktemp("clips") / "clip.avi", count=4)
        server.files["/clip.avi"] = ("video/avi", clip.read_bytes())
        server.files["/watch"] = ("application/octet-stream", clip.read_bytes())
        yield server


@pytest.fixture
def pipe(monkeypatch):
    """Puts bytes into standard input."""
    return lambda data: monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


# --- addresses -----------------------------------------------------------------------------------


def test_a_batch_goes_on_after_bad_addresses_and_lists_them(server, tmp_path, capsys):
    out, url = tmp_path / "out", server.url
    bad = ["gone.jpg", "page", "junk.jpg", "slow.jpg", "cut.jpg"]
    good = ["photo.jpg", "get?id=1", "get?id=2"]
    sources = [f"{url}/{path}" for path in (*bad, *good)] + [portrait_path(), "ftp://host/a.jpg"]
    assert predict(*sources, "--out", out, "--write", "json", "csv", "dlib", "--timeout", 0.5) == 0
    told = capsys.readouterr()
    assert "4 faces in 4 photos" in told.out and "Skipped 6" in told.err
    for path, words in zip(
        [*bad, ""], ["answers 404", "sends a page", "does not decode", "sends nothing for 0.5 s",
                     "ends after 5000", "addresses of ftp are not read"], strict=True,
    ):  # fmt: skip
        assert f"{url}/{path}: " in told.err or not path
        assert words in told.err
    assert images_of(out) == {f"{url}/{path}" for path in good} | {str(portrait_path())}
    skipped = (out / "landmarks.skipped.jsonl").read_text().splitlines()
    assert {json.loads(line)["photo"] for line in skipped} == {f"{url}/{path}" for path in bad}
    assert {line["name"] for line in lines_of(out)} == {
        "photo", "get", "127.0.0.1/get", portrait_path().stem,
    }  # fmt: skip
    # In the tables, too, a photo is called by its address.
    assert f'file="{url}/photo.jpg"' in (out / "landmarks.xml").read_text()
    assert f"\n{url}/photo.jpg," in (out / "landmarks.csv").read_text()
    # Again: what is done is not fetched again, what failed is.
    server.asked.clear()
    assert predict(*sources, "--out", out, "--write", "json", "csv", "dlib", "--timeout", 0.5) == 0
    assert "(4 were done before)" in capsys.readouterr().out
    assert server.count("/photo.jpg") == 0 and server.count("/gone.jpg") == 1


def test_only_bad_addresses_are_an_error(server, tmp_path, capsys):
    for path, words in (("gone.jpg", "answers 404"), ("page", "sends a page")):
        assert predict(f"{server.url}/{path}", "--out", tmp_path / "out") == 2
        assert words in capsys.readouterr().err
    assert not (tmp_path / "out" / "landmarks.jsonl").exists()


def test_workers_fetch_addresses_too(server, tmp_path, capsys):
    sources = [f"{server.url}/get?id={number}" for number in range(4)]
    arguments = [*sources, f"{server.url}/gone.jpg", "--out", tmp_path / "out", "--workers", 2]
    assert predict(*arguments) == 0
    told = capsys.readouterr()
    assert "4 faces in 4 photos" in told.out and "gone.jpg: the server answers 404" in told.err


def test_passwords_are_in_no_result(server, tmp_path, capsys):
    address = server.url.replace("://", "://me:secret%20word@")
    assert predict(f"{address}/locked", f"{address}/gone.jpg", "--out", tmp_path / "out") == 0
    told = capsys.readouterr()
    assert images_of(tmp_path / "out") == {f"{server.url}/locked"}
    files = [path.read_text() for path in (tmp_path / "out").iterdir()]
    assert not any("secret" in text for text in (told.out, told.err, *files))


def test_clips_are_fetched_once(server, tmp_path, capsys):
    out = tmp_path / "out"
    sources = [f"{server.url}/clip.avi", f"{server.url}/watch", f"{server.url}/gone.mp4"]
    assert predict(*sources, "--out", out) == 0
    told = capsys.readouterr()
    assert told.out.count("1 people in 4 frames") == 2 and "gone.mp4: the server" in told.err
    assert (
        len(rows_of(out / "clip_landmarks.csv")) == len(rows_of(out / "watch_landmarks.csv")) == 4
    )
    assert sorted(os.listdir(out)) == [
        "clip_landmarks.csv", "landmarks.videos.json", "watch_landmarks.csv",
    ]  # fmt: skip
    server.asked.clear()
    assert predict(*sources, "--out", out) == 0
    assert capsys.readouterr().out.count("(done before)") == 2
    assert server.count("/clip.avi") == 0
    assert predict(sources[0], "--out", tmp_path / "small", "--max-megabytes", 0.01) == 2
    assert "larger than 0.01 MB" in capsys.readouterr().err
    server.files["/page.mp4"] = ("video/mp4", bytes(5000))
    assert predict(f"{server.url}/page.mp4", "--out", tmp_path / "small") == 2
    assert "page.mp4: is no video" in capsys.readouterr().err
    assert not list((tmp_path / "small").iterdir())


def test_streams_are_followed_as_cameras_are(server, tmp_path, capsys):
    """The MJPEG of a camera over HTTP, through FFmpeg; each run is another recording."""
    out = tmp_path / "out"
    for _ in range(2):
        assert predict(f"{server.url}/stream", "--out", out) == 0
    told = capsys.readouterr()
    assert told.out.count("people in 8 frames") == 2 and "the camera or stream ended" in told.out
    assert {"stream_landmarks.csv", "stream_2_landmarks.csv"} <= set(os.listdir(out))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("rtsp://me:pw@127.0.0.1:9/live", "rtsp://127.0.0.1:9/live: cannot be opened as a stream"),
        ("/dev/video97", "Camera /dev/video97 cannot be opened"),
        ("97", "Camera 97 cannot be opened"),
        ("file:///etc/passwd", "give the file's path"),
        ("http://[bad/a.jpg", "http://[bad/a.jpg: is no address"),
        ("http://no host/a b.jpg", "http://no host/a b.jpg: cannot be"),
        ("none_%04d.png", "no picture fits this pattern"),
        ("none/*.jpg", "There is no folder none"),
    ],
)
def test_what_cannot_be_opened_is_named(tmp_path, monkeypatch, capsys, source, words):
    monkeypatch.chdir(tmp_path)
    assert predict(source, "--out", tmp_path / "out", "--timeout", 2) == 2
    assert words in capsys.readouterr().err
    assert predict(source, portrait_path(), "--out", tmp_path / "out", "--timeout", 2) == 0
    told = capsys.readouterr()
    assert "1 faces in 1 photos" in told.out and words in told.err and "pw" not in told.err


def test_an_interrupted_batch_of_addresses_goes_on(server, tmp_path):
    """SIGTERM while the server is slow: what was done has its line, the rest is done later."""
    sources = [f"{server.url}/photo.jpg"] + [f"{server.url}/slow.jpg?{n}" for n in range(8)]
    command = [sys.executable, "-m", "senet_landmark.cli.app", "predict", *sources]
    command += ["--out", str(tmp_path / "out"), *ALONE]
    run = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    lines, began = tmp_path / "out" / "landmarks.jsonl", time.monotonic()
    while not (lines.exists() and lines.stat().st_size) and time.monotonic() - began < 120:
        time.sleep(0.05)
    run.send_signal(signal.SIGTERM)
    assert run.wait(60) == 130, run.stderr.read()
    done = len(lines_of(tmp_path / "out"))
    assert 1 <= done < 9
    assert predict(*sources, "--out", tmp_path / "out") == 0
    assert images_of(tmp_path / "out") == set(sources)
    assert len(lines_of(tmp_path / "out")) == 9


# --- standard input and lists --------------------------------------------------------------------


def test_a_photo_through_standard_input(tmp_path):
    """In a process of its own, from a pipe and from a file."""
    command = [sys.executable, "-m", "senet_landmark", "predict", "-", "--quiet", *ALONE]
    run = subprocess.run(
        [*command, "--out", str(tmp_path / "out")], input=PHOTO, capture_output=True
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, b"", b"")
    with open(portrait_path(), "rb") as stream:
        again = subprocess.run([*command, "--out", str(tmp_path / "out")], stdin=stream)
    assert again.returncode == 0
    (line,) = lines_of(tmp_path / "out")
    assert line["image"].startswith("stdin://") and line["name"] == "stdin"
    assert len(line["faces"]) == 1


def test_several_photos_and_another_one_later(tmp_path, pipe, capsys):
    png = cv2.imencode(".png", frame_at(3)[0][..., ::-1])[1].tobytes()
    pipe(PHOTO + png)
    assert predict("-", portrait_path(), "--out", tmp_path / "out") == 0
    assert "3 faces in 3 photos" in capsys.readouterr().out
    pipe(cv2.imencode(".png", frame_at(5)[0][..., ::-1])[1].tobytes())
    assert predict("-", "--out", tmp_path / "out") == 0
    assert [line["name"] for line in lines_of(tmp_path / "out")] == [
        "stdin", "stdin-2", portrait_path().stem, "stdin-3",
    ]  # fmt: skip
    pipe(PHOTO + png)
    assert predict("-", "--out", tmp_path / "clip", "--fps", 5) == 0
    assert "standard input: 1 people in 2 frames, 0.2 s" in capsys.readouterr().out


def test_a_clip_through_standard_input(tmp_path, pipe, capsys):
    data = write_clip(tmp_path / "clip.mkv", "mp4v", 4).read_bytes()
    for before in ("", " (done before)"):
        pipe(data)
        assert predict("-", "--out", tmp_path / "out") == 0
        told = capsys.readouterr().out
        assert f"standard input: 1 people in 4 frames, 0.1 s{before} -> " in told
    assert len(rows_of(tmp_path / "out" / "stdin_landmarks.csv")) == 4


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"a.jpg\nb.jpg\n", "--files-from -"),
        (bytes(range(256)), "does not decode"),
    ],
)
def test_what_is_no_photo_on_standard_input_is_told(tmp_path, pipe, capsys, data, words):
    pipe(data)
    assert predict("-", "--out", tmp_path / "out") == 2
    assert words in capsys.readouterr().err


def test_lists_of_paths_and_addresses(server, tmp_path, pipe, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copy(portrait_path(), "my photo.jpg")
    write_clip(tmp_path / "clip.avi", count=4)
    pipe(b"my photo.jpg\0clip.avi\0gone.jpg\0")
    (tmp_path / "list.txt").write_text(f"\n{server.url}/photo.jpg\r\n")
    assert predict("--files-from", "-", "list.txt", "--out", "out") == 0
    told = capsys.readouterr()
    assert "2 faces in 2 photos" in told.out and "1 people in 4 frames" in told.out
    assert "gone.jpg: does not exist" in told.err
    for arguments, words in (
        (["-", "--files-from", "-"], "can be read once"),
        (["--files-from", "none.txt"], "none.txt: cannot be read"),
        ([], "Give at least one photo"),
    ):
        assert predict(*arguments, "--out", "out") == 2
        assert words in capsys.readouterr().err
    (tmp_path / "list.txt").write_text("-\n")
    assert predict("--files-from", "list.txt") == 2 and "has -" in capsys.readouterr().err


# --- image sequences -----------------------------------------------------------------------------


def test_a_sequence_is_a_clip_and_its_folder_are_photos(tmp_path, capsys):
    folder = tmp_path / "shots"
    folder.mkdir()
    for number in (3, 4, 6):
        cv2.imwrite(str(folder / f"frame_{number:04d}.png"), frame_at(number)[0][..., ::-1])
    assert predict(folder / "frame_%04d.png", "--fps", 10, "--out", tmp_path / "out") == 0
    told = capsys.readouterr().out
    assert "frame_%04d.png: 1 people in 3 frames, 0.3 s" in told
    assert "1 frames are missing or could not be decoded" in told
    times = {row["frame"]: row["time"] for row in rows_of(tmp_path / "out" / "frame_landmarks.csv")}
    assert times == {"0": "0.0000", "1": "0.1000", "3": "0.3000"}
    assert predict(folder / "*.png", "--out", tmp_path / "glob") == 0
    assert "1 people in 3 frames, 0.1 s" in capsys.readouterr().out
    assert (tmp_path / "glob" / "shots_landmarks.csv").exists()
    assert predict(folder, "--out", tmp_path / "photos") == 0
    assert "3 faces in 3 photos" in capsys.readouterr().out
    assert predict(folder, "--out", tmp_path / "photos", "--fps", 10) == 2
    assert "--fps is for videos" in capsys.readouterr().err
