"""Annotated videos that are in their file as they are written, so that a kill leaves them playable.

FFmpeg, behind OpenCV, holds back up to five seconds of a file, but not of a stream. So it writes
WebM into a pipe, and a thread brings what comes out of it to the file. At an orderly end
`webm.py` adds what makes a file of the stream: its duration, and an index to jump by.
"""

import contextlib
import os
import tempfile
import threading
from pathlib import Path

import cv2
import numpy as np

from senet_landmark.errors import InputError
from senet_landmark.export.video.encoders import Encoder, open_writer
from senet_landmark.export.video.webm import complete
from senet_landmark.io.silence import silenced

STREAMED = (".webm", ".mkv")
"""Suffixes of files that can be played without their end."""


class VideoFile:
    """A video that is being written.

    Args:
      path: the file; its name may be any that the system takes.
      encoder: the encoder.
      rate: frames a second.
      size: (width, height) in pixels.

    Raises:
      InputError: OpenCV does not write such a video.
      OSError: the file cannot be made.
    """

    def __init__(self, path: Path, encoder: Encoder, rate: float, size: tuple[int, int]) -> None:
        self._path = path
        self._rate = rate
        self._frames = 0
        self._error: OSError | None = None
        self._pump: threading.Thread | None = None
        # The file first, for the reason why it cannot be made: OpenCV gives none.
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            # OpenCV takes names in UTF-8 only; those in this folder are. Both ends being open, the
            # name is needed no more.
            with tempfile.TemporaryDirectory(prefix="senet-landmark-") as folder:
                self._writer = self._opened(Path(folder, f"video{encoder.suffix}"), encoder, size)
            if not self._writer.isOpened():
                raise InputError(
                    f"{path}: this OpenCV writes no video of {size[0]}x{size[1]} pixels. "
                    "Use --no-pictures for the CSV alone."
                )
        except BaseException:
            self._end()
            path.unlink(missing_ok=True)
            raise

    def _opened(self, inner: Path, encoder: Encoder, size: tuple[int, int]) -> cv2.VideoWriter:
        """The writer into a pipe called `inner`, or into a link of this name to the file."""
        if not hasattr(os, "mkfifo") or encoder.suffix not in STREAMED:
            with contextlib.suppress(OSError):
                inner.symlink_to(self._path.absolute())
            target = inner if inner.is_symlink() else self._path
            return open_writer(target, encoder, self._rate, size)
        os.mkfifo(inner)
        source = os.open(inner, os.O_RDONLY | os.O_NONBLOCK)  # as nobody writes yet
        writer = open_writer(inner, encoder, self._rate, size)
        os.set_blocking(source, True)
        self._pump = threading.Thread(target=self._copy, args=(source,), daemon=True)
        self._pump.start()
        return writer

    def _copy(self, source: int) -> None:
        try:
            while data := os.read(source, 1 << 20):
                try:
                    while data and not self._error:
                        data = data[os.write(self._file, data) :]
                except OSError as error:
                    # Told at the next frame; the pipe must be emptied until its end.
                    self._error = error
        finally:
            os.close(source)

    def write(self, rgb: np.ndarray) -> None:
        """Writes a frame, RGB uint8. Raises OSError if the file cannot be written any more."""
        if self._error:
            raise OSError(self._error.errno, self._error.strerror, str(self._path))
        with silenced():
            self._writer.write(np.ascontiguousarray(rgb[..., ::-1]))
        self._frames += 1

    def close(self) -> None:
        """Writes what the encoder still has, and completes the file."""
        with silenced():
            self._end()
        if self._pump and not self._error:
            with contextlib.suppress(OSError):  # it plays without, too
                complete(self._path, self._frames / self._rate)

    def _end(self) -> None:
        if hasattr(self, "_writer"):
            self._writer.release()
        if self._pump:
            self._pump.join()
        with contextlib.suppress(OSError):
            os.fsync(self._file)
        os.close(self._file)
