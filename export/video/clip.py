"""The frames of video files and cameras, read one by one."""

import contextlib
import errno
import math
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from senet_landmark.errors import InputError
from senet_landmark.frozen.runtimes import quiet
from senet_landmark.io.addresses import Limits, check_address, file_name_of, scheme_of, shown
from senet_landmark.io.folders import beginning, kind_of, require_file
from senet_landmark.io.images import read_header
from senet_landmark.io.silence import silenced

DEFAULT_RATE = 25.0
"""Frames a second of a video or camera that does not report a rate."""

HIGHEST_RATE = 1000.0
"""A higher reported rate, in frames a second, is not trusted."""

LONGEST_STEP = 60.0
"""A larger step from one frame to the next, in seconds, is not trusted."""

MOST_BAD_FRAMES = 25
"""After this number of unreadable frames in a row a video counts as ended."""

TURNS = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}
"""Degrees clockwise by which a file asks for its frames to be turned -> the code of that turn."""

MISSING = 0.02
"""Share of a file's duration that may be missing at its end, because containers round it."""


class Frame(NamedTuple):
    """A picture of a video: number from 0, time in seconds, and RGB uint8 [H, W, 3], upright."""

    number: int
    time: float
    picture: np.ndarray


class Clip:
    """A video file, a camera or a stream of the network that is being read, through OpenCV.

    Attributes:
      source: the file, the number or device of a camera, or the address of a stream.
      name: the beginning of the names of its result files.
      is_camera: whether it is a camera or a stream: its frames come as time goes on.
      rate: frames a second, as the file or camera reports it.
      frames: number of frames, as the file reports it; 0: unknown, as for a camera.
      bad_frames: number of frames so far that could not be decoded.
      ended_early: whether the file ended before its reported duration; known at its end.
    """

    def __init__(self, source: Path | str, limits: Limits = Limits()):
        """Opens it; `limits` are for an address.

        Raises:
          InputError: the file or camera is absent, the stream cannot be reached, or it is no video.
        """
        self.source = shown(source)
        live = live_name(source)
        self.is_camera = live is not None
        self.name = live or Path(source).stem
        if live is None:
            require_file(source)
            if not Path(source).is_file():
                raise InputError(f"{source}: is no file.")
            if not os.access(source, os.R_OK):
                raise InputError(f"{source}: cannot be read ({os.strerror(errno.EACCES)}).")
            if not Path(source).stat().st_size:
                raise InputError(f"{source}: is no video, it is empty (0 bytes).")
        if is_address := bool(scheme_of(source)):
            check_address(str(source))
        camera = camera_number(source)
        self._capture = _opened(source if camera is None else camera, limits)
        if not self._capture.isOpened():
            if is_address:
                raise InputError(
                    f"{self.source}: cannot be opened as a stream. Does the camera or server run, "
                    "is the address right, with its user and password if it asks for them, and can "
                    "this machine reach it?"
                )
            if live is not None:
                raise InputError(
                    f"Camera {source} cannot be opened. {_present_cameras()} Is it plugged in, "
                    "free, and allowed to this program? 0 is the first, 1 the second."
                )
            raise InputError(
                f"{source}: is no video that OpenCV reads, or its end is cut off: an .mp4 or .mov "
                "has its index there. Copy it again, or give an MP4, AVI, MKV or WebM."
            )
        self._turn = None if self.is_camera else _missing_turn(self._capture)
        if self.is_camera:  # the newest frame, not older ones from its buffer
            self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.rate = rate if math.isfinite(rate) and 1 <= rate <= HIGHEST_RATE else DEFAULT_RATE
        frames = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.frames = 0 if self.is_camera or not 0 < frames < 1e9 else int(frames)
        self.bad_frames = 0
        self.ended_early = False

    def __iter__(self) -> Iterator[Frame]:
        """The frames in order; frames that cannot be decoded are counted and left out."""
        last, missed, number = -math.inf, 0, -1
        began = time.monotonic()
        while missed < MOST_BAD_FRAMES:
            with silenced():
                was_read, bgr = self._capture.read()
            number += 1
            if not was_read or bgr is None or not bgr.size:
                # At the end of a file reading stops; after a damaged part it may go on.
                if not self.is_camera and (not self.frames or number >= self.frames):
                    break
                missed += 1
                continue
            self.bad_frames += missed
            missed = 0
            last = self._time(number, last, time.monotonic() - began)
            upright = bgr if self._turn is None else cv2.rotate(bgr, self._turn)
            yield Frame(number, last, cv2.cvtColor(upright, cv2.COLOR_BGR2RGB))
        tolerance = max(2 / self.rate, MISSING * self.frames / self.rate)
        self.ended_early = self.is_camera or (self.frames - 1) / self.rate - last > tolerance

    def _time(self, number: int, last: float, passed: float) -> float:
        """The time of the frame just read, in seconds; always later than `last`.

        Frame rates may vary, so the times in a file are used; many files have none, or wrong ones.
        """
        reported = passed
        if not self.is_camera:
            reported = float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
        for candidate in (reported, number / self.rate):
            if max(last, -1e-9) < candidate <= max(last, 0.0) + LONGEST_STEP:
                return candidate
        return last + 1 / self.rate

    def close(self) -> None:
        """Closes the file or camera."""
        self._capture.release()


def _missing_turn(capture: cv2.VideoCapture) -> int | None:
    """How each frame must be turned to be upright, as a code of `cv2.rotate`; None: not at all.

    Telephones write frames that lie on their side, and how players turn them. OpenCV turns them
    itself where it is asked to, and some releases (4.11) only then. Where a build refuses, the turn
    that the file asks for is left to the caller.
    """
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    if capture.get(cv2.CAP_PROP_ORIENTATION_AUTO) == 1:
        return None
    degrees = capture.get(cv2.CAP_PROP_ORIENTATION_META)
    return TURNS.get(round(degrees) % 360) if math.isfinite(degrees) else None


def camera_number(source: Path | str) -> int | None:
    """The number of a camera (`0` is the first); None if `source` is a file."""
    text = str(source)
    return int(text) if text.isdecimal() and len(text) < 5 and not os.path.exists(text) else None


def live_name(source: Path | str) -> str | None:
    """The name of a camera's or a stream's results; None if `source` is a file.

    A camera is given by its number or its device, such as `/dev/video0`.
    """
    if scheme_of(source):
        return Path(file_name_of(str(source))).stem
    number = camera_number(source)
    if number is None and (device := _DEVICE.fullmatch(str(source))):
        number = int(device[1])
    if number is not None:
        return f"camera_{number}"
    try:
        return f"camera_{Path(source).name}" if stat.S_ISCHR(os.stat(source).st_mode) else None
    except (OSError, ValueError):
        return None


_DEVICE = re.compile(r"/dev/video(\d{1,4})")


def _present_cameras() -> str:
    """Which cameras there are, where the system shows them as devices."""
    if not Path("/dev").is_dir():
        return ""
    names = sorted(
        str(path) for path in Path("/dev").glob("video*") if _DEVICE.fullmatch(str(path))
    )
    return f"There are {', '.join(names)}." if names else "This machine shows no /dev/video device."


def is_video(source: Path | str) -> bool:
    """Whether `source` is a camera or a video: by its suffix, its bytes, or by trial."""
    if live_name(source) is not None:
        return True
    path = Path(source)
    kind = kind_of(path)
    if kind != "other" or not path.is_file() or not path.stat().st_size:
        return kind == "video"
    try:
        if read_header(beginning(path)):
            return False
        capture = _opened(path)
        with silenced():
            was_read, _ = capture.read()
        capture.release()
    except OSError:
        return False
    return was_read


def _opened(source: Path | str | int, limits: Limits = Limits()) -> cv2.VideoCapture:
    """OpenCV's reader of a file, camera or stream; `isOpened` says whether it reads it.

    A file's name may hold bytes that are not UTF-8, or the `%` by which OpenCV would take it for an
    image sequence: it is then opened by a link with another name.
    """
    # Without this FFmpeg prints its own warnings; it reads the variable once, at its first use.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    with quiet(), silenced(), tempfile.TemporaryDirectory() as folder:
        if isinstance(source, int):
            return cv2.VideoCapture(source)
        name = os.fspath(source)
        options: tuple[Any, ...] = ()
        if scheme_of(name):
            wait = round(limits.seconds * 1000)
            times = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, wait, cv2.CAP_PROP_READ_TIMEOUT_MSEC, wait]
            options = (cv2.CAP_FFMPEG, times)
        elif "%" in name or not name.isascii():
            link = Path(folder, "video" + Path(name).suffix.lower())
            with contextlib.suppress(OSError, UnicodeError):  # Windows may allow no links
                if link.name.isascii():
                    link.symlink_to(os.path.abspath(name))
                    name = str(link)
        try:
            return cv2.VideoCapture(name, *options)
        except (cv2.error, UnicodeError, TypeError, SystemError):
            return cv2.VideoCapture()
