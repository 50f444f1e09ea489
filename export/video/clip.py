"""Frames of video files and cameras, read one by one, through OpenCV."""

import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from senet_landmark.errors import InputError
from senet_landmark.export.engines.opencv import quiet

SUFFIXES = frozenset(
    {".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".gif"}
)

DEFAULT_RATE = 25.0
"""Frames a second of a source that does not say its own."""

HIGHEST_RATE = 1000.0
"""Frames a second above which a source is not believed."""

LONGEST_STEP = 60.0
"""Seconds from one frame to the next above which a file's times are not believed."""

MOST_BAD_FRAMES = 25
"""Frames in a row that cannot be read before a video counts as ended."""

MISSING = 0.02
"""Share of a file's duration that may be missing at its end: containers round."""


class Frame(NamedTuple):
    """A frame: its number from 0, its time in seconds, and RGB uint8 [H, W, 3], upright."""

    number: int
    time: float
    picture: np.ndarray


class Clip:
    """A video file or a camera that is being read.

    Attributes:
      name: what its results are called.
      is_camera: whether it is a camera.
      rate: frames a second, as the source says.
      frames: how many the file says that it has; 0: unknown, as of a camera.
      bad_frames: how many could not be decoded so far.
      ended_early: whether the file ended before the time that it says it takes; known at its end.
    """

    def __init__(self, source: Path | str):
        """Opens it. Raises InputError where there is no such file or camera, or it is no video."""
        camera = camera_number(source)
        self.is_camera = camera is not None
        self.name = Path(source).stem if camera is None else f"camera_{camera}"
        if camera is None:
            if not Path(source).is_file():
                raise InputError(f"{source}: does not exist, or is no file.")
            if not Path(source).stat().st_size:
                raise InputError(f"{source}: is no video, it is empty (0 bytes).")
        # FFmpeg would write its complaints between ours; it reads this once, when it is first used.
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        with quiet():
            self._capture = cv2.VideoCapture(str(source) if camera is None else camera)
        if not self._capture.isOpened():
            if camera is not None:
                raise InputError(
                    f"Camera {camera} cannot be opened. Is one plugged in, free, and allowed to "
                    "this program? 0 is the first, 1 the second."
                )
            raise InputError(
                f"{source}: is no video that OpenCV reads, or its end is cut off: an .mp4 or .mov "
                "has its index there. Copy it anew, or give an MP4, AVI, MKV or WebM."
            )
        if self.is_camera:  # what it shows now, not what it has kept while we were busy
            self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.rate = rate if math.isfinite(rate) and 1 <= rate <= HIGHEST_RATE else DEFAULT_RATE
        frames = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.frames = 0 if self.is_camera or not 0 < frames < 1e9 else int(frames)
        self.bad_frames = 0
        self.ended_early = False

    def __iter__(self) -> Iterator[Frame]:
        """The frames, in order; those that cannot be decoded are counted and left out."""
        last, missed, number = -math.inf, 0, -1
        began = time.monotonic()
        while missed < MOST_BAD_FRAMES:
            done, bgr = self._capture.read()
            number += 1
            if not done or bgr is None or not bgr.size:
                # A file that has ended gives nothing more; one that is damaged may go on.
                if not self.is_camera and (not self.frames or number >= self.frames):
                    break
                missed += 1
                continue
            self.bad_frames += missed
            missed = 0
            last = self._time(number, last, time.monotonic() - began)
            yield Frame(number, last, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
        tolerance = max(2 / self.rate, MISSING * self.frames / self.rate)
        self.ended_early = self.is_camera or (self.frames - 1) / self.rate - last > tolerance

    def _time(self, number: int, last: float, passed: float) -> float:
        """The time of the frame just read, in seconds: later than `last`, whatever the file says.

        Frame rates may vary, so a file's own times count; many files tell none, or wrong ones.
        """
        told = passed
        if not self.is_camera:
            told = float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
        for believed in (told, number / self.rate):
            if max(last, -1e-9) < believed <= max(last, 0.0) + LONGEST_STEP:
                return believed
        return last + 1 / self.rate

    def close(self) -> None:
        """Lets go of the file or camera."""
        self._capture.release()


def camera_number(source: Path | str) -> int | None:
    """The number of a camera, `0` and so on; None: it is a file."""
    text = str(source)
    return int(text) if text.isdecimal() and not Path(text).exists() else None


def is_video(source: Path | str) -> bool:
    """Whether `predict` takes it for a video: by its suffix, or as the number of a camera."""
    return Path(source).suffix.lower() in SUFFIXES or camera_number(source) is not None
