"""Annotated videos are of a kind that browsers play; Chromium is asked, where there is one."""

from pathlib import Path

import cv2
import pytest

from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.export.video import encoders, video
from senet_landmark.export.video.encoders import ENCODERS, Encoder, choose_encoder, open_writer
from senet_landmark.export.video.video import Clip, predict_video
from shifted_clips import FRAMES, RATE, frame_at

pytestmark = pytest.mark.slow

PLAYED = {b"VP80", b"VP90", b"AV01", b"av01", b"avc1", b"h264", b"H264"}


@pytest.fixture(scope="module")
def annotated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("annotated")
    writer = open_writer(folder / "a.mp4", ENCODERS[-1], RATE, (384, 384))
    for number in range(FRAMES):
        writer.write(frame_at(number)[0][..., ::-1])
    writer.release()
    return predict_video(folder / "a.mp4", folder, predictor=Predictor(engine="opencv"))["video"]


def test_its_codec_is_one_that_browsers_play(annotated):
    capture = cv2.VideoCapture(annotated)
    code = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little")
    assert code in PLAYED
    assert Path(annotated).suffix == choose_encoder().suffix


def test_chromium_plays_it(annotated, browser):
    page = browser.new_page()
    # A page beside the video, as a file of its own folder; it is muted, so that it may start.
    page.goto(Path(annotated).parent.as_uri())
    played = page.evaluate(
        """async url => {
          const video = document.createElement("video");
          video.muted = true;
          video.src = url;
          const ended = new Promise((done, fail) => {
            video.onended = done;
            video.onerror = () => fail(new Error(video.error.message));
          });
          await video.play();
          await ended;
          return [video.readyState, video.videoWidth, video.videoHeight, video.currentTime,
            video.getVideoPlaybackQuality().totalVideoFrames];
        }""",
        Path(annotated).as_uri(),
    )
    page.close()
    state, width, height, time, frames = played
    assert state >= 2 and (width, height) == (384, 384) and frames > 1
    assert time == pytest.approx(FRAMES / RATE, abs=2 / RATE)


def test_each_encoder_at_hand_keeps_every_frame(tmp_path):
    at_hand = [encoder for encoder in ENCODERS if encoders._works(encoder)]
    assert ENCODERS[-1] in at_hand
    for encoder in at_hand:
        path = tmp_path / f"{encoder.code}{encoder.suffix}"
        writer = open_writer(path, encoder, RATE, (384, 384))
        for number in range(5):
            writer.write(frame_at(number)[0][..., ::-1])
        writer.release()
        clip = Clip(path)
        assert len(list(clip)) == 5 and clip.rate == RATE


def test_encoder_that_is_not_there_is_passed_over(tmp_path, monkeypatch):
    unknown = Encoder("XX99", ".webm")
    monkeypatch.setattr(encoders, "ENCODERS", (unknown, ENCODERS[-1]))
    assert not encoders._works(unknown)
    encoder = encoders.choose_encoder.__wrapped__()
    assert encoder == ENCODERS[-1]
    monkeypatch.setattr(video, "choose_encoder", lambda: encoder)
    source = tmp_path / "a.mp4"
    writer = open_writer(source, encoder, RATE, (384, 384))
    for number in range(3):
        writer.write(frame_at(number)[0][..., ::-1])
    writer.release()
    found = predict_video(source, tmp_path, predictor=Predictor(engine="opencv"))
    assert Path(found["video"]).name == "a_landmarks.mkv" and found["frames"] == 3
