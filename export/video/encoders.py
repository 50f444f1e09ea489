"""The encoder of annotated videos: the first that the installed OpenCV has and browsers play."""

import functools
import tempfile
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from senet_landmark.frozen.runtimes import quiet
from senet_landmark.io.silence import silenced


class Encoder(NamedTuple):
    """A kind of video: the four letters of its codec for OpenCV, and the suffix of its files."""

    code: str
    suffix: str


ENCODERS = (
    Encoder("VP80", ".webm"),
    Encoder("avc1", ".mp4"),
    Encoder("VP90", ".webm"),
    Encoder("mp4v", ".mkv"),
)
"""In the order in which they are tried. All browsers play VP8, H.264 and VP9, of which VP9 takes by
far the longest to write; none plays MPEG-4 Part 2 (`mp4v`), which every OpenCV with FFmpeg writes.
"""


def open_writer(
    path: Path, encoder: Encoder, rate: float, size: tuple[int, int]
) -> cv2.VideoWriter:
    """A writer of BGR pictures of `size` (width, height); `isOpened` says whether it works."""
    with quiet(), silenced():
        return cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*encoder.code), rate, size)


@functools.cache
def choose_encoder() -> Encoder:
    """The first of `ENCODERS` whose file can be read again; the last if there is none."""
    return next(filter(_works, ENCODERS), ENCODERS[-1])


def _works(encoder: Encoder) -> bool:
    """Whether OpenCV writes with it: some builds open a writer and then write no frame."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"probe{encoder.suffix}"
        writer = open_writer(path, encoder, 25.0, (64, 64))
        if not writer.isOpened():
            return False
        with quiet(), silenced():
            for shade in (60, 120, 180):
                writer.write(np.full((64, 64, 3), shade, np.uint8))
            writer.release()
            capture = cv2.VideoCapture(str(path))
            was_read, picture = capture.read()
            capture.release()
        return bool(was_read) and picture.shape == (64, 64, 3)
