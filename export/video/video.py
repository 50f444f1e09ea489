"""`senet-landmark predict clip.mp4` or `0`: follows the faces in a video or in a camera's frames.

It writes
    NAME_landmarks.webm  the frames with box, landmarks and identity of each face. For a file: the
                         frames that could be read, at the file's mean rate. For a camera: frames
                         are repeated or left out, so that the video runs in real time.
                         It is VP8, which browsers play; where OpenCV does not write that, the next
                         of `encoders.py`, and NAME_landmarks.mp4 if that is an MP4
    NAME_landmarks.csv   a line for each face of each frame:

        frame              number of the frame, from 0
        time               time of the frame, in seconds
        identity           1, 2, … in order of appearance; the same in all frames
        left, top, right, bottom      the tight box of the landmarks, pixels of the frame
        confidence         the model's, 0 to 1; empty if its contract has no curve
        yaw, pitch, roll   degrees, signs as in `senet_landmark.face.pose`; empty where unknown
        x0, y0, x1, …      landmarks in 0-based pixels; smoothed, unless smoothing is off

Both are written frame by frame under temporary names, and renamed once they are whole.
"""

import contextlib
import csv
import math
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from senet_landmark.errors import InputError
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.export.video.clip import Clip, Frame, camera_number, is_video
from senet_landmark.export.video.encoders import ENCODERS, Encoder, choose_encoder, open_writer
from senet_landmark.export.video.smoothing import OneEuro
from senet_landmark.export.video.tracking import TrackedFace, Tracker
from senet_landmark.face import geometry
from senet_landmark.io.columns import BOX, POSE
from senet_landmark.io.files import written_whole
from senet_landmark.visualisation.drawing import draw_box, draw_label, draw_points

__all__ = ["Clip", "camera_number", "draw_tracked", "is_video", "predict_video"]

MOST_REPEATS = 250
"""How often a camera's frame is repeated at most in the annotated video."""

COLOURS = (
    (250, 210, 40), (80, 200, 250), (250, 120, 200), (120, 240, 120), (250, 140, 60),
)  # fmt: skip
"""Colours of boxes, points and numbers; each identity takes the next one."""


def predict_video(
    source: Path | str,
    out: Path | str,
    *,
    predictor: Predictor | None = None,
    smooth: bool = True,
    every: float = 0.5,
    seconds: float = 0.0,
    pictures: bool = True,
) -> dict[str, Any]:
    """Follows the faces of a video, and writes a CSV by frame and an annotated video.

    Ctrl-C ends it after the current frame; the files are whole and hold all frames until then. A
    second Ctrl-C ends it at once, without files.

    Args:
      source: a video file, or the number of a camera.
      out: folder for `NAME_landmarks.csv`, and `NAME_landmarks.webm` or `.mp4` (`encoders.py`).
      predictor: the predictor; None: that of the default model.
      smooth: write smoothed landmarks (`export/video/smoothing.py`).
      every: seconds from one detection to the next while no face is lost.
      seconds: stop after this time of the video; 0: at its end.
      pictures: write the annotated video.

    Returns:
      {"frames": number read, "faces": number in all frames, "identities": number of different ones,
      "seconds": time of the last frame, "bad_frames": number that could not be decoded or used,
      "ended_early": whether the file ended before its reported duration, or the camera stopped,
      "interrupted": whether Ctrl-C ended it, "csv" and "video": paths of the files}.

    Raises:
      InputError: the file or camera is absent, is no video, or none of its frames can be read; the
        annotated video cannot be written; or a number is out of range.
    """
    if not (every > 0 and seconds >= 0):
        raise InputError(
            f"every must be above 0, and seconds 0 or more; not {every} and {seconds}."
        )
    clip = Clip(source)
    out = Path(out)
    summary = {"frames": 0, "faces": 0, "identities": 0, "bad_frames": 0, "interrupted": False}
    last = 0.0
    encoder = choose_encoder() if pictures else ENCODERS[0]
    video = out / f"{clip.name}_landmarks{encoder.suffix}"
    table = out / f"{clip.name}_landmarks.csv"
    try:
        predictor = predictor or Predictor()
        tracker = Tracker(predictor, smooth=OneEuro() if smooth else None, every=every)
        with contextlib.ExitStack() as stack:
            rows = stack.enter_context(_rows(table, predictor.scheme.points))
            annotated = stack.enter_context(_annotated(video, encoder, clip)) if pictures else None
            interrupted = stack.enter_context(_ctrl_c())
            bar = tqdm(total=clip.frames or None, unit="frame", dynamic_ncols=True)
            stack.callback(bar.close)
            for frame in clip:
                if interrupted.is_set():
                    break
                try:
                    faces = tracker.update(frame.picture, frame.time)
                except (InputError, cv2.error):  # one bad frame does not end the video
                    summary["bad_frames"] += 1
                    continue
                rows(frame, faces)
                if annotated:
                    annotated(frame.time, draw_tracked(frame.picture, faces))
                summary["frames"] += 1
                summary["faces"] += len(faces)
                summary["identities"] = max([summary["identities"], *(f.identity for f in faces)])
                last = frame.time
                bar.update()
                if seconds and frame.time >= seconds:
                    break
            summary["interrupted"] = interrupted.is_set()
            if not summary["frames"]:
                if interrupted.is_set():
                    raise KeyboardInterrupt
                raise InputError(f"{source}: not one frame of it can be read. Is it whole?")
    finally:
        clip.close()
    return {
        **summary,
        "bad_frames": summary["bad_frames"] + clip.bad_frames,
        "seconds": round(last, 3),
        "ended_early": clip.ended_early,
        "csv": str(table),
        "video": str(video) if pictures else None,
    }


def draw_tracked(picture: np.ndarray, faces: list[TrackedFace]) -> np.ndarray:
    """A copy of an RGB uint8 picture with box, landmarks and identity of each face."""
    for tracked in faces:
        box = tracked.face.box
        colour = COLOURS[(tracked.identity - 1) % len(COLOURS)]
        side = float(max(box[2:] - box[:2]))
        picture = draw_box(picture, box, colour, thickness=max(1, round(side / 150)))
        picture = draw_points(picture, tracked.smoothed, radius=max(1.0, side / 120))
        picture = draw_label(picture, str(tracked.identity), box[:2], side / 6, colour)
    return picture


@contextlib.contextmanager
def _ctrl_c() -> Iterator[threading.Event]:
    """Yields an event that Ctrl-C sets, so that frames are finished; a second Ctrl-C interrupts."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # other threads get no signals
        yield interrupted
        return
    before = signal.getsignal(signal.SIGINT) or signal.default_int_handler

    def interrupt(*_: Any) -> None:
        signal.signal(signal.SIGINT, before)
        interrupted.set()

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


def _row(frame: Frame, tracked: TrackedFace) -> list[str | int]:
    face = tracked.face
    pose = [math.nan] * 3 if face.pose is None else face.pose.tolist()
    numbers = [*face.box.tolist(), face.confidence, *pose]
    return [
        frame.number,
        f"{frame.time:.4f}",
        tracked.identity,
        *(f"{v:.3f}" if math.isfinite(v) else "" for v in numbers),
        *(f"{v:.2f}" for v in tracked.smoothed.ravel().tolist()),
    ]


@contextlib.contextmanager
def _rows(path: Path, points: int) -> Iterator[Callable[[Frame, list[TrackedFace]], None]]:
    """Yields a function that writes a frame to a CSV, which gets its name once it is whole."""
    with written_whole(path) as file, open(file, "w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        coordinates = [f"{axis}{i}" for i in range(points) for axis in "xy"]
        rows.writerow(["frame", "time", "identity", *BOX, "confidence", *POSE, *coordinates])

        def write(frame: Frame, faces: list[TrackedFace]) -> None:
            rows.writerows(_row(frame, face) for face in faces)
            stream.flush()

        yield write


@contextlib.contextmanager
def _annotated(
    path: Path, encoder: Encoder, clip: Clip
) -> Iterator[Callable[[float, np.ndarray], None]]:
    """Yields a function that writes (time, RGB picture) to a video.

    The file gets its name once it is whole. All pictures get the size of the first one.
    """
    with written_whole(path) as temporary:
        writers: list[Any] = []
        size, written = (0, 0), 0

        def write(time: float, picture: np.ndarray) -> None:
            nonlocal size, written
            if not writers:
                size = (picture.shape[1], picture.shape[0])
                writers.append(open_writer(temporary, encoder, clip.rate, size))
                if not writers[0].isOpened():
                    raise InputError(
                        f"{path}: this OpenCV writes no video of {size[0]}x{size[1]} pixels. "
                        "Use --no-pictures for the CSV alone."
                    )
            if (picture.shape[1], picture.shape[0]) != size:  # a stream may change its size
                whole = np.array([0, 0, picture.shape[1], picture.shape[0]]) - 0.5
                picture = geometry.warp(picture, geometry.to_crop(whole), size)
            repeats = 1
            if clip.is_camera:
                repeats = min(max(round(time * clip.rate) + 1 - written, 0), MOST_REPEATS)
            for _ in range(repeats):
                writers[0].write(picture[..., ::-1])
            written += repeats

        try:
            yield write
        finally:
            for writer in writers:
                writer.release()
