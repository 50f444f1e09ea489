"""Videos and cameras: whole files of what could be read, and a clear word on what could not."""

import csv

import cv2
import numpy as np
import pytest

from data_tools.datasets.synthetic import portrait, portrait_path
from export import video
from export.predictor import Predictor
from export.video import Clip, is_video, predict_video
from senet_landmark.cli import main
from senet_landmark.errors import InputError
from senet_landmark.metrics import nme_inter_ocular
from senet_landmark.schemes import get_scheme

FRAMES, RATE = 12, 25.0


def shift_at(number):
    return np.array([14 * np.sin(number / 4), 5 * np.cos(number / 3)])


def frame_at(number):
    """The portrait, moved; RGB uint8 [384, 384, 3] and its landmarks."""
    photo, truth = portrait()
    matrix = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    matrix[:, 2] = shift_at(number) - (32, 0)
    moved = cv2.warpAffine(photo, matrix, (384, 384), borderMode=cv2.BORDER_REPLICATE)
    return moved, truth + matrix[:, 2]


def write_clip(path, code, count=FRAMES):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), RATE, (384, 384))
    assert writer.isOpened()
    for number in range(count):
        writer.write(frame_at(number)[0][..., ::-1])
    writer.release()
    return path


@pytest.fixture(scope="module")
def predictor():
    return Predictor(engine="opencv")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clip") / "a.mp4", "mp4v")


def rows_of(path):
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream))


def test_video_gives_a_csv_by_frame_and_a_video(clip, tmp_path, predictor):
    found = predict_video(clip, tmp_path, predictor=predictor)
    assert (found["frames"], found["identities"], found["faces"]) == (FRAMES, 1, FRAMES)
    assert not found["ended_early"] and not found["interrupted"] and found["bad_frames"] == 0
    rows = rows_of(tmp_path / "a_landmarks.csv")
    assert [int(row["frame"]) for row in rows] == list(range(FRAMES))
    assert {row["identity"] for row in rows} == {"1"}
    for row in rows:
        number = int(row["frame"])
        assert float(row["time"]) == pytest.approx(number / RATE, abs=2e-3)
        points = np.array([[float(row[f"{a}{i}"]) for a in "xy"] for i in range(68)])
        truth = frame_at(number)[1]
        assert nme_inter_ocular(points[None], truth[None], get_scheme("300w_68"))[0] < 0.06
        assert float(row["confidence"]) > 0.9 and abs(float(row["yaw"])) < 20
    written = Clip(tmp_path / "a_landmarks.mp4")
    pictures = [frame.picture for frame in written]
    assert len(pictures) == FRAMES and written.rate == RATE
    plain = frame_at(5)[0].astype(int)
    changed = np.abs(pictures[5] - plain).max(axis=2) > 60  # box, points and number
    assert 0.005 < changed.mean() < 0.2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a_landmarks.csv", "a_landmarks.mp4"]


def test_command_takes_videos_beside_photos(clip, tmp_path, capsys):
    junk = tmp_path / "junk.avi"
    junk.write_bytes(b"RIFF and nothing else")
    out = tmp_path / "out"
    arguments = [str(clip), str(portrait_path()), str(junk), "--no-pictures", "--seconds", "0.1"]
    assert main(["predict", *arguments, "--out", str(out), "--engine", "opencv"]) == 0
    told = capsys.readouterr()
    assert "1 people in 4 frames" in told.out and "1 faces in 1 photos" in told.out
    assert "junk.avi: is no video" in told.err and "ended before" not in told.out
    assert sorted(p.name for p in out.iterdir()) == ["a_landmarks.csv", "landmarks.json"]


def test_what_is_a_video(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.mp4", "A.MOV", "b.gif", "0", "3"):
        assert is_video(name)
    (tmp_path / "0").mkdir()  # a folder of photos that is called so
    for name in ("a.jpg", "folder", "0", "-1", "1.5"):
        assert not is_video(name)


def test_bad_sources_are_told(tmp_path, predictor):
    for name, content, message in (
        ("text.mp4", b"no video at all", "is no video that OpenCV reads"),
        ("empty.avi", b"", "is no video"),
        ("gone.mp4", None, "does not exist"),
    ):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=message):
            predict_video(tmp_path / name, tmp_path / "out", predictor=predictor)
    with pytest.raises(InputError, match=r"Camera 97 cannot be opened. Is one plugged in"):
        predict_video("97", tmp_path / "out", predictor=predictor)
    assert not (tmp_path / "out").exists()


def test_video_that_ends_early_keeps_what_was_read(tmp_path, predictor):
    """An AVI says at its start how many frames it has; half of it is cut off."""
    whole = write_clip(tmp_path / "whole.avi", "MJPG").read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) // 2])
    found = predict_video(tmp_path / "cut.avi", tmp_path / "out", predictor=predictor)
    assert 2 <= found["frames"] < FRAMES and found["ended_early"]
    assert len(rows_of(tmp_path / "out" / "cut_landmarks.csv")) == found["faces"] > 0
    copies = [frame.number for frame in Clip(tmp_path / "out" / "cut_landmarks.mp4")]
    assert len(copies) == found["frames"]


class Camera:
    """Stands in for `cv2.VideoCapture` of a camera: no machine of the tests has one."""

    def __init__(self, source, frames=FRAMES, bad=()):
        assert source == 0
        self.number, self.frames, self.bad, self.released = -1, frames, bad, False

    def isOpened(self):
        return True

    def get(self, property_):
        return {cv2.CAP_PROP_FPS: 0.0, cv2.CAP_PROP_FRAME_COUNT: -1.0}.get(property_, 0.0)

    def read(self):
        self.number += 1
        if self.number >= self.frames:
            raise KeyboardInterrupt
        if self.number in self.bad:
            return False, None
        return True, np.ascontiguousarray(frame_at(self.number)[0][..., ::-1])

    def release(self):
        self.released = True


def test_ctrl_c_on_a_camera_leaves_whole_files(tmp_path, predictor, monkeypatch):
    cameras = []
    monkeypatch.setattr(
        video.cv2, "VideoCapture", lambda n: cameras.append(Camera(n, 6, {2})) or cameras[-1]
    )
    found = predict_video("0", tmp_path, predictor=predictor)
    assert found["interrupted"] and found["frames"] == 5 and found["bad_frames"] == 1
    rows = rows_of(tmp_path / "camera_0_landmarks.csv")
    assert [int(row["frame"]) for row in rows] == [0, 1, 3, 4, 5]
    times = [float(row["time"]) for row in rows]
    assert times == sorted(set(times))
    assert cameras[0].released
    monkeypatch.undo()
    assert len(list(Clip(tmp_path / "camera_0_landmarks.mp4"))) == 5


def test_camera_without_a_picture_is_told(tmp_path, predictor, monkeypatch):
    camera = Camera(0, 10_000, range(10_000))
    monkeypatch.setattr(video.cv2, "VideoCapture", lambda n: camera)
    with pytest.raises(InputError, match="0: not one frame"):
        predict_video("0", tmp_path, predictor=predictor)
    assert not list(tmp_path.iterdir())


def test_times_always_grow(clip, monkeypatch):
    """Whatever a container says of them."""

    class Wrong:
        def __init__(self, name):
            self.inner = real(name)

        def get(self, property_):
            return 40.0 if property_ == cv2.CAP_PROP_POS_MSEC else self.inner.get(property_)

        def __getattr__(self, name):
            return getattr(self.inner, name)

    real = cv2.VideoCapture
    monkeypatch.setattr(video.cv2, "VideoCapture", Wrong)
    times = [frame.time for frame in Clip(clip)]
    assert len(times) == FRAMES and (np.diff(times) > 0).all()
