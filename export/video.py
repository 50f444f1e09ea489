"""`senet-landmark predict clip.mp4` or `0`: faces followed through a video or a camera's pictures.

What is written
    NAME_landmarks.mp4   the frames with box, landmarks and identity of each face
    NAME_landmarks.csv   a line for each face of each frame:

        frame              from 0
        time               of the frame, in seconds
        identity           1, 2, … in order of appearance; the same in all frames
        left, top, right, bottom      the tight box of the landmarks, pixels of the frame
        confidence         the model's, 0 to 1; empty where its contract has no curve
        yaw, pitch, roll   degrees, signs as in `senet_landmark.pose`; empty where unknown
        x0, y0, x1, …      landmarks in 0-based pixels, smoothed unless that is switched off
"""

import contextlib
import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from data_tools.datasets.csv_files import BOX, POSE
from export.engines.opencv import quiet
from export.predictor import Predictor
from export.smoothing import OneEuro
from export.tracking import TrackedFace, Tracker
from senet_landmark.drawing import draw_box, draw_label, draw_points
from senet_landmark.errors import InputError
from senet_landmark.files import written_whole

SUFFIXES = frozenset(
    {".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".gif"}
)

DEFAULT_RATE = 25.0
"""Frames a second of a source that does not say its own."""

MOST_BAD_FRAMES = 25
"""Frames in a row that cannot be read before a video counts as ended."""


class Frame(NamedTuple):
    """A frame: its number from 0, its time in seconds, and RGB uint8 [H, W, 3]."""

    number: int
    time: float
    picture: np.ndarray


class Clip:
    """A video file or a camera that is being read.

    Attributes:
      name: what its results are called.
      rate: frames a second, as the source says.
      frames: how many the file says that it has; 0: unknown, as of a camera.
    """

    def __init__(self, source: Path | str):
        """Opens it. Raises InputError where there is no such file or camera, or it is no video."""
        camera = camera_number(source)
        self.name = Path(source).stem if camera is None else f"camera_{camera}"
        self._source = str(source)
        if camera is None and not Path(source).is_file():
            raise InputError(f"{source}: does not exist.")
        with quiet():
            self._capture = cv2.VideoCapture(self._source if camera is None else camera)
        if not self._capture.isOpened():
            if camera is not None:
                raise InputError(
                    f"Camera {camera} cannot be opened. Is one plugged in, free, and allowed to "
                    "this program? 0 is the first, 1 the second."
                )
            raise InputError(f"{source}: is no video that OpenCV reads. Give an MP4, AVI or MKV.")
        self._camera = camera is not None
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.rate = rate if math.isfinite(rate) and 1 <= rate <= 1000 else DEFAULT_RATE
        frames = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.frames = 0 if self._camera or not 0 < frames < 1e9 else int(frames)
        self.bad_frames = 0

    def __iter__(self) -> Iterator[Frame]:
        """The frames, in order; those that cannot be decoded are counted and left out."""
        last, missed, number = -math.inf, 0, -1
        began = cv2.getTickCount()
        while missed < MOST_BAD_FRAMES:
            done, bgr = self._capture.read()
            number += 1
            if not done or bgr is None or not bgr.size:
                # A file that has ended gives nothing more; one that is damaged may go on.
                if not self._camera and (not self.frames or number >= self.frames):
                    break
                missed += 1
                continue
            self.bad_frames += missed
            missed = 0
            if self._camera:
                time = (cv2.getTickCount() - began) / cv2.getTickFrequency()
            else:
                time = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if not time > last:  # not told, or told wrongly
                time = number / self.rate if number / self.rate > last else last + 1 / self.rate
            last = time
            yield Frame(number, time, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))

    def close(self) -> None:
        """Lets go of the file or camera."""
        self._capture.release()


def camera_number(source: Path | str) -> int | None:
    """The number of a camera, `0` and so on; None: it is a file."""
    text = str(source)
    return int(text) if text.isdigit() and not Path(text).exists() else None


def is_video(source: Path | str) -> bool:
    """Whether `predict` takes it for a video: by its suffix, or as the number of a camera."""
    return Path(source).suffix.lower() in SUFFIXES or camera_number(source) is not None


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

    Ctrl-C ends it with whole files of what was read until then.

    Args:
      source: a video file, or the number of a camera.
      out: folder for `NAME_landmarks.csv` and `NAME_landmarks.mp4`.
      predictor: the model; None: the one that ships.
      smooth: write smoothed landmarks (`export/smoothing.py`).
      every: seconds from one detection to the next while no face is lost.
      seconds: of the video, after which it is ended; 0: all of it.
      pictures: write the annotated video.

    Returns:
      {"frames": read, "faces": in all frames, "identities": different ones, "seconds": of video,
      "bad_frames": which could not be decoded, "ended_early": whether fewer frames came than the
      file says, "interrupted": by Ctrl-C, "csv", "video": their paths}.

    Raises:
      InputError: no such file or camera, no video, or no frame of it can be read; the annotated
        video cannot be written.
    """
    clip = Clip(source)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    found = {"frames": 0, "faces": 0, "interrupted": False}
    identities: set[int] = set()
    last = 0.0
    video = out / f"{clip.name}_landmarks.mp4"
    table = out / f"{clip.name}_landmarks.csv"
    try:
        predictor = predictor or Predictor()
        tracker = Tracker(predictor, smooth=OneEuro() if smooth else None, every=every)
        with contextlib.ExitStack() as stack:
            rows = stack.enter_context(_rows(table, predictor.scheme.points))
            annotated = stack.enter_context(_annotated(video, clip.rate)) if pictures else None
            bar = tqdm(total=clip.frames or None, unit="frame", dynamic_ncols=True)
            stack.callback(bar.close)
            try:
                for frame in clip:
                    faces = tracker.update(frame.picture, frame.time)
                    for face in faces:
                        rows.writerow(_row(frame, face))
                    if annotated:
                        annotated(draw_tracked(frame.picture, faces))
                    identities |= {face.identity for face in faces}
                    found["frames"] += 1
                    found["faces"] += len(faces)
                    last = frame.time
                    bar.update()
                    if seconds and frame.time >= seconds:
                        break
            except KeyboardInterrupt:
                found["interrupted"] = True
            if not found["frames"] and not found["interrupted"]:
                raise InputError(f"{source}: not one frame of it can be read. Is it whole?")
    finally:
        clip.close()
    cut = bool(seconds) and last >= seconds
    missing = clip.frames - found["frames"]
    return {
        **found,
        "identities": len(identities),
        "seconds": round(last, 3),
        "bad_frames": clip.bad_frames,
        "ended_early": not cut and not found["interrupted"] and missing > max(2, clip.bad_frames),
        "csv": str(table),
        "video": str(video) if pictures else None,
    }


def draw_tracked(picture: np.ndarray, faces: list[TrackedFace]) -> np.ndarray:
    """A copy of an RGB uint8 picture with box, landmarks and identity of each face."""
    for tracked in faces:
        box = tracked.face.box
        side = float(max(box[2:] - box[:2]))
        picture = draw_box(picture, box, thickness=max(1, round(side / 150)))
        picture = draw_points(picture, tracked.smoothed, radius=max(1.0, side / 120))
        picture = draw_label(picture, str(tracked.identity), box[:2], side / 6)
    return picture


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
def _rows(path: Path, points: int) -> Iterator[Any]:
    """A CSV that is written as it goes, and has its name once it is whole."""
    with written_whole(path) as file, open(file, "w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        coordinates = [f"{axis}{i}" for i in range(points) for axis in "xy"]
        rows.writerow(["frame", "time", "identity", *BOX, "confidence", *POSE, *coordinates])
        yield rows


@contextlib.contextmanager
def _annotated(path: Path, rate: float) -> Iterator[Any]:
    """Writes RGB frames to an MP4, which has its name once it is whole; of the first one's size."""
    with written_whole(path) as temporary:
        writers: list[Any] = []

        def write(picture: np.ndarray) -> None:
            if not writers:
                size = (picture.shape[1], picture.shape[0])
                code = cv2.VideoWriter.fourcc(*"mp4v")
                with quiet():
                    writers.append(cv2.VideoWriter(str(temporary), code, rate, size))
                if not writers[0].isOpened():
                    raise InputError(
                        f"{path}: this OpenCV writes no MP4. Use --no-pictures for the CSV alone."
                    )
            writers[0].write(picture[..., ::-1])

        try:
            yield write
        finally:
            for writer in writers:
                writer.release()
