"""Image sequences: numbered pictures, or those of a glob pattern, as the frames of a clip.

`frame_%04d.png` means the files with a number of at least four digits, in the order of the numbers;
`frames/*.png` those that fit, in natural order: 2 before 10. A frame that is missing between two
others, or does not decode, keeps its place in time.
"""

import glob
import math
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from senet_landmark.errors import InputError
from senet_landmark.export.inference.batch.inputs import Input, result_finder
from senet_landmark.export.video.clip import DEFAULT_RATE, HIGHEST_RATE, Frame
from senet_landmark.io.images import read_photo

_NUMBER = re.compile(r"%(?:0(\d+))?d")
"""The number in a name, as FFmpeg writes it."""

_GLOB = re.compile(r"[*?\[]")


class ImageSequence:
    """Pictures in files that are read as a clip; it has what a `Clip` has.

    Attributes:
      source: the pattern, or what the pictures are called together.
      name: the beginning of the names of its result files.
      is_camera: no.
      rate: frames a second.
      frames: number of frames, with those that are missing.
      bad_frames: number of frames so far that are missing or do not decode.
      ended_early: no; it is as long as its files.
    """

    is_camera = False
    ended_early = False

    def __init__(self, source: str, fps: float = 0.0, files: Sequence[Path] | None = None):
        """Lists its files.

        Args:
          source: a pattern, or with `files` a name.
          fps: frames a second; 0: `DEFAULT_RATE`.
          files: the pictures, where they are known.

        Raises:
          InputError: no file fits, the folder cannot be listed, or the rate is out of range.
        """
        if fps and not (math.isfinite(fps) and 0 < fps <= HIGHEST_RATE):
            raise InputError(f"--fps is above 0 and at most {HIGHEST_RATE:g}, not {fps:g}.")
        self.source = source
        self.name = sequence_name(source)
        self.rate = fps or DEFAULT_RATE
        self._files = _files_of(source) if files is None else dict(enumerate(files))
        if not self._files:
            raise InputError(f"{source}: no picture fits this pattern.{_why(source)}")
        self.frames = max(self._files) + 1
        self.bad_frames = 0

    def __iter__(self) -> Iterator[Frame]:
        """The frames in order; those that are missing or do not decode are counted."""
        expected = 0
        for number, path in sorted(self._files.items()):
            self.bad_frames += number - expected
            expected = number + 1
            try:
                picture = read_photo(path)
            except InputError:
                self.bad_frames += 1
                continue
            yield Frame(number, number / self.rate, picture)

    def close(self) -> None:
        """Nothing is open between two frames."""


def is_sequence(source: Path | str) -> bool:
    """Whether it is a pattern, and not the name of a file that is there."""
    text = os.fspath(source)
    is_pattern = _NUMBER.search(os.path.basename(text)) or _GLOB.search(text)
    return bool(is_pattern) and not os.path.lexists(text)


def sequence_input(source: str) -> Input:
    """The sequence among the inputs."""
    path = Path(source)
    return Input(path, Path(sequence_name(source) + path.suffix), path.parent)


def sequence_name(source: Path | str) -> str:
    """The name of its results: what is before and after the pattern, or the folder's name."""
    path = Path(source)
    stem = _NUMBER.sub("", path.name.rpartition(".")[0] or path.name)
    stem = re.sub(r"\[[^]]*\]|[*?\[]", "", stem).strip("_-. ")
    folder = path.parent.name if not _GLOB.search(path.parent.name) else ""
    return stem or folder or "sequence"


def _files_of(pattern: str) -> dict[int, Path]:
    """Number of a frame, from 0 -> its file. Pictures that `predict` wrote are left out."""
    is_result = result_finder()
    if not (number := _NUMBER.search(os.path.basename(pattern))):
        found = sorted(glob.glob(pattern, recursive=True), key=_natural)
        paths = [Path(name) for name in found if os.path.isfile(name)]
        return dict(enumerate(path for path in paths if not is_result(path)))
    folder, name = os.path.split(pattern)
    before, after = name[: number.start()], name[number.end() :]
    digits = int(number[1] or 1)
    fits = re.compile(rf"{re.escape(before)}(\d{{{digits},}}){re.escape(after)}")
    numbered: dict[int, Path] = {}
    try:
        for entry in os.scandir(folder or "."):
            match = fits.fullmatch(entry.name)
            # With more digits than asked for, there are no zeros before them.
            if match and (len(match[1]) == digits or match[1][0] != "0"):
                numbered[int(match[1])] = Path(folder, entry.name)
    except OSError as error:
        raise InputError(f"{pattern}: {folder} cannot be read ({error.strerror}).") from error
    first = min(numbered, default=0)
    return {i - first: path for i, path in numbered.items() if not is_result(path)}


def _natural(name: str) -> list[tuple[int, str]]:
    """A name's key for sorting, by which numbers in it count as numbers."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), part) if part.isdigit() else (-1, part) for part in parts]


def _why(source: str) -> str:
    folder = os.path.dirname(source)
    if folder and not _GLOB.search(folder) and not os.path.isdir(folder):
        return f" There is no folder {folder}."
    return " Quote a pattern with *, so that the shell leaves it as it is."
