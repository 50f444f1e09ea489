"""Videos: whole files of what could be read, and a clear word on what could not."""

import dataclasses
import itertools
import struct
import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from senet_landmark.cli.app import main
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait_path
from senet_landmark.errors import InputError
from senet_landmark.evaluation.metrics import nme
from senet_landmark.export.inference.batch.lines import VIDEOS
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.export.video import clip as clip_module
from senet_landmark.export.video import video
from senet_landmark.export.video.encoders import choose_encoder
from senet_landmark.export.video.tracking import Tracker
from senet_landmark.export.video.video import Clip, is_video, predict_video
from senet_landmark.face.schemes import get_scheme
from senet_landmark.frozen.contract import TensorSpec
from shifted_clips import FRAMES, RATE, frame_at, interrupt, rows_of, write_clip

pytestmark = pytest.mark.slow

VIDEO = "{}_landmarks" + choose_encoder().suffix


@pytest.fixture(scope="module")
def predictor():
    return Predictor(engine="opencv")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clip") / "a.mp4", "mp4v")


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
        assert nme(points[None], truth[None], get_scheme("300w_68"))[0] < 0.06
        assert float(row["confidence"]) > 0.9 and abs(float(row["yaw"])) < 20
    written = Clip(found["video"])
    pictures = [frame.picture for frame in written]
    assert len(pictures) == FRAMES and written.rate == RATE
    plain = frame_at(5)[0].astype(int)
    changed = np.abs(pictures[5] - plain).max(axis=2) > 60  # box, points and number
    assert 0.005 < changed.mean() < 0.2
    files = ["a_landmarks.csv", VIDEO.format("a"), VIDEOS]
    assert sorted(p.name for p in tmp_path.iterdir()) == files


def test_table_of_a_model_with_depth_has_it(clip, tmp_path, predictor, monkeypatch):
    contract = dataclasses.replace(predictor.contract, depth=TensorSpec("depth:0", (-1, 68)))
    faces, depth = predictor.faces, np.linspace(-20, 20, 68, dtype=np.float32)

    def deep_faces(*arguments, **options):
        return [dataclasses.replace(f, depth=depth) for f in faces(*arguments, **options)]

    monkeypatch.setattr(predictor, "contract", contract)
    monkeypatch.setattr(predictor, "faces", deep_faces)
    predict_video(clip, tmp_path, predictor=predictor)
    rows = rows_of(tmp_path / "a_landmarks.csv")
    assert len(rows) == FRAMES
    for row in rows:
        found = [float(row[f"z{i}"]) for i in range(68)]
        np.testing.assert_allclose(found, depth, atol=0.006)


def test_command_takes_videos_beside_photos(clip, tmp_path, capsys):
    junk = tmp_path / "junk.avi"
    junk.write_bytes(b"RIFF and nothing else")
    out = tmp_path / "out"
    arguments = [str(clip), str(portrait_path()), str(junk), "--no-pictures", "--seconds", "0.1"]
    assert main(["predict", *arguments, "--out", str(out), "--engine", "opencv"]) == 0
    told = capsys.readouterr()
    assert "1 people in 4 frames" in told.out and "1 faces in 1 photos" in told.out
    assert "junk.avi: is no video" in told.err and "ended before" not in told.out
    photos = ["landmarks.json", "landmarks.jsonl", "landmarks.run.json", VIDEOS]
    assert sorted(p.name for p in out.iterdir()) == ["a_landmarks.csv", *photos]


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
    with pytest.raises(InputError, match=r"Camera 97 cannot be opened\..* Is it plugged in"):
        predict_video("97", tmp_path / "out", predictor=predictor)
    assert not (tmp_path / "out").exists()


def test_video_that_ends_early_keeps_what_was_read(tmp_path, predictor):
    """An AVI says at its start how many frames it has; half of it is cut off."""
    whole = write_clip(tmp_path / "whole.avi", "MJPG").read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) // 2])
    found = predict_video(tmp_path / "cut.avi", tmp_path / "out", predictor=predictor)
    assert 2 <= found["frames"] < FRAMES and found["ended_early"]
    assert len(rows_of(tmp_path / "out" / "cut_landmarks.csv")) == found["faces"] > 0
    copies = [frame.number for frame in Clip(found["video"])]
    assert len(copies) == found["frames"]


def test_cut_files_of_other_kinds(tmp_path, predictor):
    """A Matroska file tells its duration; an MP4 has its index at its end, and none when cut."""
    whole = write_clip(tmp_path / "whole.mkv", "mp4v").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) * 6 // 10])
    found = predict_video(tmp_path / "cut.mkv", tmp_path, predictor=predictor, pictures=False)
    assert 2 <= found["frames"] < FRAMES and found["ended_early"]
    whole = write_clip(tmp_path / "whole.mp4", "mp4v").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) * 6 // 10])
    with pytest.raises(InputError, match=r"cut\.mp4: .* end is cut off"):
        predict_video(tmp_path / "cut.mp4", tmp_path, predictor=predictor)


def test_no_library_speaks_between_our_messages(tmp_path):
    """In a process of its own: FFmpeg is told to keep quiet before it is first used."""
    (tmp_path / "cut.mp4").write_bytes(write_clip(tmp_path / "a.mp4", "mp4v").read_bytes()[:9000])
    program = "import sys; from senet_landmark.cli.app import main; sys.exit(main(sys.argv[1:]))"
    arguments = ["predict", str(tmp_path / "cut.mp4"), "--engine", "opencv", "--out", str(tmp_path)]
    run = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True
    )
    assert run.returncode == 2 and not run.stdout
    assert run.stderr.startswith("error: ") and run.stderr.count("\n") == 1


@pytest.mark.parametrize("name, code", [("bad.mp4", "mp4v"), ("bad.avi", "MJPG")])
def test_damage_in_the_middle_does_not_end_the_job(tmp_path, predictor, name, code):
    data = bytearray(write_clip(tmp_path / name, code, 30).read_bytes())
    middle = len(data) // 2
    noise = np.random.default_rng(0).integers(0, 256, len(data) // 30, np.uint8)
    data[middle : middle + len(noise)] = noise.tobytes()
    (tmp_path / name).write_bytes(data)
    found = predict_video(tmp_path / name, tmp_path, predictor=predictor, pictures=False)
    assert 24 <= found["frames"] <= 30 and found["identities"] == 1
    rows = rows_of(found["csv"])
    assert float(rows[-1]["time"]) > 26 / RATE and not found["ended_early"]


MATRICES = {  # degrees clockwise -> a, b, c, d of the track's matrix, and whether x, y are moved
    90: (0, 1, -1, 0, 1, 0),
    180: (-1, 0, 0, -1, 1, 1),
    270: (0, -1, 1, 0, 0, 1),
}


def write_lying(path, degrees):
    """A video as telephones write it: its frames lie, and it says how they are to be turned."""
    frames = [np.rot90(frame_at(number)[0][:, 40:344], degrees // 90).copy() for number in range(4)]
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), RATE, (width, height))
    for frame in frames:
        writer.write(frame[..., ::-1])
    writer.release()
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 44  # ISO 14496-12, 8.3.2: the track's matrix
    a, b, c, d, x, y = (value << 16 for value in MATRICES[degrees])
    upright = (height, width) if degrees % 180 else (width, height)
    x, y = x * upright[0], y * upright[1]
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, x, y, 1 << 30)
    path.write_bytes(data)
    return path


def refuse_to_turn(monkeypatch, turns_when_asked):
    """OpenCV does not turn frames, or only if it is asked to."""
    real = cv2.VideoCapture

    class Capture:
        def __init__(self, name):
            self.inner = real(name)
            self.inner.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)

        def set(self, property_, value):
            refused = property_ == cv2.CAP_PROP_ORIENTATION_AUTO and not turns_when_asked
            return not refused and self.inner.set(property_, value)

        def __getattr__(self, name):
            return getattr(self.inner, name)

    monkeypatch.setattr(clip_module.cv2, "VideoCapture", Capture)


@pytest.mark.parametrize("degrees", sorted(MATRICES))
def test_upright_as_a_telephone_says(tmp_path, predictor, degrees):
    found = predict_video(write_lying(tmp_path / "a.mp4", degrees), tmp_path, predictor=predictor)
    assert found["faces"] == 4
    points = np.array([float(rows_of(found["csv"])[2][f"{a}{i}"]) for i in range(68) for a in "xy"])
    truth = frame_at(2)[1] - (40, 0)
    assert nme(points.reshape(1, 68, 2), truth[None], get_scheme("300w_68"))[0] < 0.06
    assert next(iter(Clip(found["video"]))).picture.shape == (384, 304, 3)


@pytest.mark.parametrize("degrees", sorted(MATRICES))
@pytest.mark.parametrize("turns_when_asked", [True, False])
def test_upright_with_releases_of_opencv_that_do_not_turn(
    tmp_path, monkeypatch, degrees, turns_when_asked
):
    path = write_lying(tmp_path / "a.mp4", degrees)
    turned = [frame.picture for frame in Clip(path)]
    refuse_to_turn(monkeypatch, turns_when_asked)
    pictures = [frame.picture for frame in Clip(path)]
    np.testing.assert_array_equal(pictures, turned)
    assert np.abs(pictures[2].astype(int) - frame_at(2)[0][:, 40:344]).mean() < 6


def test_animated_gif(tmp_path, predictor):
    pictures = [Image.fromarray(frame_at(number)[0]) for number in range(4)]
    path = tmp_path / "a.gif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=80, loop=0)
    found = predict_video(path, tmp_path, predictor=predictor)
    assert (found["frames"], found["identities"]) == (4, 1)
    assert found["seconds"] == pytest.approx(0.24, abs=0.02)


def test_numbers_out_of_range_are_told(clip, tmp_path, predictor):
    for options in ({"every": 0}, {"every": float("nan")}, {"seconds": -1}):
        with pytest.raises(InputError, match="every must be above 0"):
            predict_video(clip, tmp_path, predictor=predictor, **options)
    assert not list(tmp_path.iterdir())


def test_a_frame_that_cannot_be_used_is_left_out(clip, tmp_path, predictor, monkeypatch):
    numbers = itertools.count()
    update = Tracker.update

    def sometimes(self, frame, time):
        if next(numbers) == 3:
            raise cv2.error("no memory for this one")
        return update(self, frame, time)

    monkeypatch.setattr(video.Tracker, "update", sometimes)
    found = predict_video(clip, tmp_path, predictor=predictor)
    assert (found["frames"], found["bad_frames"], found["identities"]) == (FRAMES - 1, 1, 1)
    assert 3 not in [int(row["frame"]) for row in rows_of(found["csv"])]


def test_ctrl_c_in_a_file_keeps_what_was_read(clip, tmp_path):
    """Here while the detector works."""
    calls = itertools.count()

    def find(frame):
        if next(calls) == 1:
            interrupt()
        return np.zeros((0, 4)), np.zeros(0)

    detector = Predictor(engine="opencv", detector=find)
    found = predict_video(clip, tmp_path, predictor=detector, every=0.1)
    assert found["interrupted"] and 1 < found["frames"] < FRAMES and not found["ended_early"]
    assert len(list(Clip(found["video"]))) == found["frames"]


@pytest.mark.parametrize("told", [40.0, -1.0, 1e12, float("nan")])
def test_times_always_grow(clip, monkeypatch, told):
    """Whatever a container says of them."""

    class Wrong:
        def __init__(self, name):
            self.inner = real(name)

        def get(self, property_):
            return told if property_ == cv2.CAP_PROP_POS_MSEC else self.inner.get(property_)

        def __getattr__(self, name):
            return getattr(self.inner, name)

    real = cv2.VideoCapture
    monkeypatch.setattr(clip_module.cv2, "VideoCapture", Wrong)
    times = [frame.time for frame in Clip(clip)]
    assert len(times) == FRAMES and (np.diff(times) > 0).all()
    assert times[0] >= 0 and times[-1] == pytest.approx((FRAMES - 1) / RATE, abs=0.05)
