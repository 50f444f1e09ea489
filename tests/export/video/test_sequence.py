"""Image sequences: which files a pattern means, their times, gaps, broken frames and sizes."""

import cv2
import numpy as np
import pytest

from senet_landmark.errors import InputError
from senet_landmark.export.video.sequence import ImageSequence, is_sequence, sequence_name
from shifted_clips import frame_at


def write(path, shade=100, size=(20, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((*size, 3), shade, np.uint8))


def frames_of(pattern, **options):
    sequence = ImageSequence(str(pattern), **options)
    return sequence, [(f.number, round(f.time, 4), int(f.picture[0, 0, 0])) for f in sequence]


def test_numbers_are_the_times_and_gaps_stay_gaps(tmp_path):
    for number in (7, 8, 10, 11):
        write(tmp_path / f"frame_{number:04d}.png", number)
    write(tmp_path / "frame_12.png")  # of another width
    write(tmp_path / "frame_0013.jpg")  # of another kind
    sequence, frames = frames_of(tmp_path / "frame_%04d.png", fps=10)
    assert frames == [(0, 0.0, 7), (1, 0.1, 8), (3, 0.3, 10), (4, 0.4, 11)]
    assert (sequence.frames, sequence.bad_frames, sequence.rate) == (5, 1, 10)
    assert (sequence.name, sequence.is_camera) == ("frame", False)


def test_a_number_may_outgrow_its_width(tmp_path):
    for number in (98, 99, 100, 101):
        write(tmp_path / f"{number:02d}.png", number)
    write(tmp_path / "0102.png")
    assert [shade for *_, shade in frames_of(tmp_path / "%02d.png")[1]] == [98, 99, 100, 101]
    write(tmp_path / "plain" / "9.png", 9)
    write(tmp_path / "plain" / "10.png", 10)
    assert [shade for *_, shade in frames_of(tmp_path / "plain" / "%d.png")[1]] == [9, 10]


def test_a_glob_pattern_is_in_natural_order(tmp_path):
    for number in (1, 2, 10):
        write(tmp_path / "shots" / f"take{number}.png", number)
    sequence, frames = frames_of(tmp_path / "shots" / "*.png")
    assert frames == [(0, 0.0, 1), (1, 0.04, 2), (2, 0.08, 10)]
    assert sequence.name == "shots"
    write(tmp_path / "other" / "take11.png", 11)
    assert [s for *_, s in frames_of(tmp_path / "*" / "take1?.png")[1]] == [11, 10]


def test_frames_that_do_not_decode_keep_their_place(tmp_path):
    for number in range(4):
        write(tmp_path / f"{number}.png", number)
    (tmp_path / "1.png").write_bytes((tmp_path / "0.png").read_bytes()[:30])
    (tmp_path / "3.png").write_bytes(b"")
    for pattern in ("%d.png", "*.png"):
        sequence, frames = frames_of(tmp_path / pattern)
        assert [number for number, *_ in frames] == [0, 2] and sequence.bad_frames == 2


def test_a_gap_of_millions_is_no_wait(tmp_path):
    for number in (1, 900_000_000):
        write(tmp_path / f"{number}.png")
    sequence, frames = frames_of(tmp_path / "%d.png")
    assert len(frames) == 2 and sequence.bad_frames == 899_999_998


def test_what_fits_nothing_and_wrong_rates_are_told(tmp_path):
    write(tmp_path / "1.png")
    with pytest.raises(InputError, match=r"gone_%d.png: no picture fits"):
        ImageSequence(str(tmp_path / "gone_%d.png"))
    with pytest.raises(InputError, match=r"none/%d.png: .* cannot be read"):
        ImageSequence(str(tmp_path / "none" / "%d.png"))
    with pytest.raises(InputError, match="There is no folder"):
        ImageSequence(str(tmp_path / "none" / "*.png"))
    for fps in (-1, float("nan"), 1e6):
        with pytest.raises(InputError, match="--fps is above 0"):
            ImageSequence(str(tmp_path / "%d.png"), fps)


def test_files_with_such_names_are_files(tmp_path):
    for name in ("a[1].png", "100%d.png", "what?.png"):
        assert is_sequence(tmp_path / name)
        write(tmp_path / name)
        assert not is_sequence(tmp_path / name)
    assert not is_sequence(tmp_path / "gone.png") and not is_sequence(tmp_path / "50%.png")
    assert not is_sequence(str(tmp_path / "%d" / "a.png"))


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("a/shot-%05d.exr", "shot"), ("a/%d.png", "a"), ("a/*", "a"), ("*.png", "sequence"),
        ("a/left_[0-9]*.jpg", "left"), ("v1.2_%03d.png", "v1.2"), ("**/x/*.png", "x"),
    ],
)  # fmt: skip
def test_names_of_results(pattern, name):
    assert sequence_name(pattern) == name


@pytest.mark.slow
def test_sequence_of_mixed_sizes_is_followed_as_a_clip(tmp_path):
    """The same face in frames of two sizes, with a gap and a broken frame."""
    from senet_landmark.export.inference.predictor import Predictor
    from senet_landmark.export.video.video import predict_video
    from shifted_clips import rows_of

    for number in (0, 1, 2, 4, 5):
        picture = frame_at(number)[0][..., ::-1]
        if number > 2:
            picture = cv2.resize(picture, (300, 300))
        cv2.imwrite(str(tmp_path / f"f{number}.png"), picture)
    (tmp_path / "f1.png").write_bytes(b"broken")
    predictor = Predictor(engine="opencv")
    options = dict(predictor=predictor, fps=10.0, pictures=True)
    summary = predict_video(str(tmp_path / "f%d.png"), tmp_path / "out", **options)
    assert (summary["frames"], summary["bad_frames"], summary["seconds"]) == (4, 2, 0.5)
    assert summary["csv"] == str(tmp_path / "out" / "f_landmarks.csv")
    rows = rows_of(tmp_path / "out" / "f_landmarks.csv")
    assert {row["frame"]: row["time"] for row in rows}.items() <= {
        "0": "0.0000", "2": "0.2000", "4": "0.4000", "5": "0.5000",
    }.items()  # fmt: skip
    assert {"0", "4"} <= {row["frame"] for row in rows}
    capture = cv2.VideoCapture(summary["video"])
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(10)
    assert capture.read()[1].shape == (384, 384, 3)
    assert predict_video(str(tmp_path / "f%d.png"), tmp_path / "out", **options)["before"]
    with pytest.raises(InputError, match="other options"):
        predict_video(str(tmp_path / "f%d.png"), tmp_path / "out", **{**options, "fps": 20.0})
