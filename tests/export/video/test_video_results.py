"""Results of videos never vanish: names, second runs, other people's files, kills, full disks."""

import contextlib
import errno
import itertools
import json
import os
import signal
import subprocess
import sys
import time

import cv2
import pytest

from senet_landmark.errors import InputError
from senet_landmark.export.inference.batch.inputs import Input
from senet_landmark.export.inference.batch.lines import VIDEOS, WORK
from senet_landmark.export.inference.batch.results import locked_folder
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.export.video import video
from senet_landmark.export.video.stream import VideoFile
from senet_landmark.export.video.tracking import Tracker
from senet_landmark.export.video.video import Clip, predict_video
from shifted_clips import RATE, frame_at, interrupt, rows_of, write_clip

pytestmark = pytest.mark.slow

COUNT = 8


@pytest.fixture(scope="module")
def predictor():
    return Predictor(engine="opencv")


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "in" / "a.avi", count=COUNT)


def read_again(path):
    return len(list(Clip(path)))


def files_in(out):
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def test_videos_of_one_name_keep_their_results(tmp_path, predictor):
    out, counts = tmp_path / "out", {"cam1/a.avi": 3, "cam2/a.avi": 4, "cam1/a.mkv": 5}
    for name, count in counts.items():
        clip = write_clip(tmp_path / name, count=count)
        found = predict_video(clip, out, predictor=predictor, pictures=False)
        assert len(rows_of(found["csv"])) == count
    tables = {name: len(rows_of(out / name)) for name in files_in(out) if name.endswith(".csv")}
    assert tables == {
        "a_landmarks.csv": 3, "cam2/a_landmarks.csv": 4, "a.mkv_landmarks.csv": 5,
    }  # fmt: skip


def test_subfolders_are_mirrored(tmp_path, clip, predictor):
    place = Input(clip, clip.relative_to(tmp_path), tmp_path)
    found = predict_video(clip, tmp_path / "out", predictor=predictor, place=place)
    assert files_in(tmp_path / "out")[:1] == ["in/a_landmarks.csv"]
    assert read_again(found["video"]) == COUNT


def test_a_second_run_adds_or_refuses(tmp_path, clip, predictor):
    first = predict_video(clip, tmp_path, predictor=predictor)
    state = {name: (tmp_path / name).stat().st_mtime_ns for name in files_in(tmp_path)}
    again = predict_video(clip, tmp_path, predictor=predictor)
    assert again == {**first, "before": True} and not first["before"]
    with pytest.raises(InputError, match=r"results of other options.*--overwrite"):
        predict_video(clip, tmp_path, predictor=predictor, smooth=False)
    assert state == {name: (tmp_path / name).stat().st_mtime_ns for name in files_in(tmp_path)}
    (tmp_path / "a_landmarks.csv").unlink()  # so it is not done
    assert not predict_video(clip, tmp_path, predictor=predictor)["before"]
    anew = predict_video(clip, tmp_path, predictor=predictor, smooth=False, overwrite=True)
    assert anew["frames"] == COUNT and not anew["before"]


@pytest.mark.parametrize("name", ["a_landmarks.csv", "a_landmarks.webm"])
def test_files_by_other_hands_stay(tmp_path, clip, predictor, name, monkeypatch):
    monkeypatch.setattr(video, "choose_encoder", lambda: video.Encoder("VP80", ".webm"))
    (tmp_path / name).write_text("by hand")
    with pytest.raises(InputError, match=f"{name}: is there already.*--overwrite"):
        predict_video(clip, tmp_path, predictor=predictor)
    assert (tmp_path / name).read_text() == "by hand"
    assert not (tmp_path / WORK).exists() and not (tmp_path / VIDEOS).exists()


def test_a_stopped_video_is_done_again_and_a_corrected_table_stays(tmp_path, clip, predictor):
    def stopped_after(count):
        calls = itertools.count()

        def find(frame):
            if next(calls) == count:
                interrupt()
            return predictor.detect(frame)

        detector = Predictor(engine="opencv", detector=find)
        return predict_video(clip, tmp_path / "out", predictor=detector, every=0.01)

    table = tmp_path / "out" / "a_landmarks.csv"
    assert stopped_after(4)["interrupted"] and len(rows_of(table)) == 5
    assert stopped_after(1)["interrupted"]
    assert len(rows_of(table)) == 5, "the longer table is kept"
    table.write_text(table.read_text() + "corrected\n")
    with pytest.raises(InputError, match="is not as predict wrote it"):
        stopped_after(100)
    table.write_text(table.read_text().removesuffix("corrected\n"))
    assert stopped_after(100)["frames"] == len(rows_of(table)) == COUNT
    assert not (tmp_path / "out" / WORK).exists()


def test_one_run_at_a_time(tmp_path, clip, predictor):
    with locked_folder(tmp_path), pytest.raises(InputError, match="another run writes"):
        predict_video(clip, tmp_path, predictor=predictor)
    assert predict_video(clip, tmp_path, predictor=predictor)["frames"] == COUNT


def run_until(clip, out, frames, number):
    """Sends a signal to a process once its table has so many rows; returns its exit status."""
    program = "import sys; from senet_landmark.cli.app import main; sys.exit(main(sys.argv[1:]))"
    arguments = ["predict", str(clip), "--engine", "opencv", "--out", str(out)]
    process = subprocess.Popen([sys.executable, "-c", program, *arguments], stderr=-3, stdout=-3)
    table = out / "a_landmarks.csv"
    with contextlib.suppress(ProcessLookupError):
        while process.poll() is None:
            if table.exists() and table.read_bytes().count(b"\n") > frames:
                process.send_signal(number)
                break
            time.sleep(0.01)
    return process.wait(60)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("number", ["SIGKILL", "SIGTERM"])
def test_a_kill_keeps_what_was_done(tmp_path, number):
    clip, out = write_clip(tmp_path / "a.avi", count=200), tmp_path / "out"
    status = run_until(clip, out, 30, getattr(signal, number))
    assert status == (-signal.SIGKILL if number == "SIGKILL" else 130)
    assert (out / "a_landmarks.csv").read_bytes().endswith(b"\n")
    rows = rows_of(out / "a_landmarks.csv")
    assert 30 <= len(rows) < 200 and None not in rows[-1].values()
    (annotated,) = out.glob("a_landmarks.webm")
    behind = 2 * RATE if number == "SIGKILL" else 0
    assert len(rows) - behind <= read_again(annotated) <= len(rows) + 1
    (out / f".{VIDEOS.removesuffix('.json')}-abcd1234.json").touch()  # half-written at the kill
    again = predict_video(
        clip, out, predictor=Predictor(engine="opencv"), seconds=0.2, overwrite=True
    )
    assert again["frames"] == 6 and not again["before"]
    assert [p.name for p in out.iterdir() if p.name.startswith(".")] == []


def test_a_full_disk_keeps_what_was_done(tmp_path, clip, predictor, monkeypatch):
    write, calls = VideoFile.write, itertools.count()

    def sometimes(self, rgb):
        if next(calls) == 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a_landmarks.webm")
        write(self, rgb)

    monkeypatch.setattr(VideoFile, "write", sometimes)
    with pytest.raises(InputError, match=r"a\.avi: a_landmarks.webm cannot be written \(No space"):
        predict_video(clip, tmp_path, predictor=predictor)
    monkeypatch.undo()
    assert len(rows_of(tmp_path / "a_landmarks.csv")) == 6
    (annotated,) = tmp_path.glob("a_landmarks.*[!v]")
    assert read_again(annotated) == 5
    assert not json.loads((tmp_path / VIDEOS).read_text())["videos"][0]["finished"]


def test_nothing_stays_of_a_video_without_a_frame(tmp_path, clip, predictor, monkeypatch):
    def fail(self, frame, time):
        raise InputError("no")

    monkeypatch.setattr(Tracker, "update", fail)
    with pytest.raises(InputError, match="not one frame"):
        predict_video(clip, tmp_path / "out", predictor=predictor)
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
@pytest.mark.parametrize("name", [b"\xd5\xd5.avi", "名前.avi".encode(), b"take_%02d.avi"])
def test_names_of_any_bytes(tmp_path, clip, predictor, name):
    path = tmp_path / os.fsdecode(name)
    clip.rename(path)
    found = predict_video(path, tmp_path, predictor=predictor)
    assert found["frames"] == read_again(found["video"]) == COUNT
    assert predict_video(path, tmp_path, predictor=predictor)["before"]


def test_a_name_that_is_too_long_is_told(tmp_path, clip, predictor):
    path = clip.rename(clip.with_name("x" * 250 + ".avi"))
    with pytest.raises(InputError, match="File name too long"):
        predict_video(path, tmp_path / "out", predictor=predictor)


def test_a_stream_becomes_a_file_with_its_duration(tmp_path):
    encoder = video.choose_encoder()
    if encoder.suffix != ".webm":
        pytest.skip("this OpenCV writes no WebM")
    path = tmp_path / "a.webm"
    file = VideoFile(path, encoder, RATE, (384, 384))
    for number in range(60):
        file.write(frame_at(number)[0])
    file.close()
    clip = Clip(path)
    assert clip.frames == 60 and len(list(clip)) == 60 and not clip.ended_early
    capture = cv2.VideoCapture(str(path))
    capture.set(cv2.CAP_PROP_POS_FRAMES, 45)
    assert capture.read()[0] and capture.get(cv2.CAP_PROP_POS_MSEC) > 1000
