"""Cameras: frames as they come, interruptions, and cameras that go away."""

import signal
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from senet_landmark.errors import InputError
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.export.video import clip as clip_module
from senet_landmark.export.video.encoders import choose_encoder
from senet_landmark.export.video.video import Clip, predict_video
from shifted_clips import FRAMES, RATE, frame_at, interrupt, rows_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def predictor():
    return Predictor(engine="opencv")


class Camera:
    """Stands in for `cv2.VideoCapture` of a camera: no machine of the tests has one.

    `events` has what happens as frames are read: number -> function.
    """

    def __init__(self, source, frames=FRAMES, bad=(), events=None):
        assert source == 0
        self.number, self.frames, self.bad, self.released = -1, frames, bad, False
        self.events = events or {}

    def isOpened(self):
        return True

    def set(self, property_, value):
        return True

    def get(self, property_):
        return {cv2.CAP_PROP_FPS: 0.0, cv2.CAP_PROP_FRAME_COUNT: -1.0}.get(property_, 0.0)

    def read(self):
        self.number += 1
        if self.number in self.events:
            self.events[self.number]()
        if self.number in self.bad or self.number >= self.frames:
            return False, None
        return True, np.ascontiguousarray(frame_at(self.number)[0][..., ::-1])

    def release(self):
        self.released = True


@pytest.fixture
def use_camera(monkeypatch):
    """Puts a made camera in the place of the real one, with a clock of its own."""

    choose_encoder()  # tries the real VideoCapture once

    def use(camera, pace=0.04):
        clock = SimpleNamespace(monotonic=lambda: pace * max(camera.number, 0))
        monkeypatch.setattr(clip_module, "time", clock)
        monkeypatch.setattr(clip_module.cv2, "VideoCapture", lambda number: camera)
        return camera

    # A shell starts what it runs in the background with Ctrl-C ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield use
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_on_a_camera_leaves_whole_files(tmp_path, predictor, use_camera, monkeypatch):
    camera = use_camera(Camera(0, 10_000, {2}, {5: interrupt}))
    found = predict_video("0", tmp_path, predictor=predictor)
    assert found["interrupted"] and found["frames"] == 4 and found["bad_frames"] == 1
    assert not found["ended_early"] and camera.released
    rows = rows_of(tmp_path / "camera_0_landmarks.csv")
    assert [int(row["frame"]) for row in rows] == [0, 1, 3, 4]
    assert [float(row["time"]) for row in rows] == pytest.approx([0, 0.04, 0.12, 0.16])
    assert all(None not in row and None not in row.values() for row in rows)  # whole lines
    monkeypatch.undo()
    assert len(list(Clip(found["video"]))) == 5  # the bad one's place is kept
    assert len(list(tmp_path.iterdir())) == 3  # and the record of the folder
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_ends_at_once(tmp_path, predictor, use_camera):
    camera = use_camera(Camera(0, 10_000, (), {3: lambda: (interrupt(), interrupt())}))
    with pytest.raises(KeyboardInterrupt):
        predict_video("0", tmp_path, predictor=predictor)
    assert camera.released
    assert len(rows_of(tmp_path / "camera_0_landmarks.csv")) == 3  # what was done


def test_a_camera_keeps_time(tmp_path, predictor, use_camera, monkeypatch):
    """Ten pictures a second are seen; the video, of 25 a second, takes as long as they took."""
    camera = Camera(0, 10_000, (), {10: interrupt})
    use_camera(camera, pace=0.1)
    found = predict_video("0", tmp_path, predictor=predictor)
    assert found["frames"] == 10 and found["seconds"] == pytest.approx(0.9)
    monkeypatch.undo()
    assert len(list(Clip(found["video"]))) == round(0.9 * RATE) + 1


def test_rows_are_written_as_they_come(tmp_path, predictor, use_camera):
    seen = []

    def look():
        (table,) = tmp_path.glob("camera_0_landmarks.csv")
        seen.append(len(table.read_text().splitlines()))

    use_camera(Camera(0, 10_000, (), {4: look, 5: interrupt}))
    predict_video("0", tmp_path, predictor=predictor, pictures=False)
    assert seen == [1 + 4]


def test_a_camera_that_goes_away(tmp_path, predictor, use_camera):
    use_camera(Camera(0, frames=4))
    found = predict_video("0", tmp_path, predictor=predictor)
    assert found["frames"] == 4 and found["ended_early"] and not found["interrupted"]


def test_camera_without_a_picture_is_told(tmp_path, predictor, use_camera):
    use_camera(Camera(0, 10_000, range(10_000)))
    with pytest.raises(InputError, match="0: not one frame"):
        predict_video("0", tmp_path, predictor=predictor)
    assert not list(tmp_path.iterdir())


def test_each_run_of_a_camera_has_its_own_files(tmp_path, predictor, use_camera):
    for name, count in (("camera_0", 4), ("camera_0_2", 3), ("camera_0_3", 2)):
        use_camera(Camera(0, frames=count))
        found = predict_video("0", tmp_path, predictor=predictor, pictures=False)
        assert found["csv"] == str(tmp_path / f"{name}_landmarks.csv")
    tables = [f"camera_0{number}_landmarks.csv" for number in ("", "_2", "_3")]
    assert [len(rows_of(tmp_path / table)) for table in tables] == [4, 3, 2]
