"""Photos and folders -> the photos, one after the other, and names for their results.

Nothing here holds the photos' paths: a list of a million would take hundreds of megabytes.
"""

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from senet_landmark.errors import InputError
from senet_landmark.export.inference.lines import (
    HEADER,
    LINES,
    WORK,
    begun_names,
    key_of,
    photo_key,
    read_lines,
)
from senet_landmark.io.images import PHOTO_SUFFIXES

_NUMBERED = re.compile(r"(?s)(.+)_([2-9]|[1-9]\d+)")
"""A name that could be that of a further face: `NAME_2`."""

_RESULT = re.compile(r"(?s)(.+)(?:_landmarks\.jpg|_chip_[1-9]\d*\.png)")
"""A picture that `predict` may have written."""


class Input(NamedTuple):
    """A photo among the inputs.

    Attributes:
      path: as the user gave it, or below a folder as the user gave it.
      relative: its path in that folder; the name alone of a photo that was given by itself.
      source: that folder, or the photo's own.
    """

    path: Path
    relative: Path
    source: Path


def list_inputs(
    sources: Iterable[Path], out: Path, unreadable: Callable[[Path, OSError], None] | None = None
) -> Iterator[Input]:
    """The photos of files and folders in order; a folder with its subfolders, sorted by name.

    Left out are the folder `out` where it is inside of a source, and pictures that `predict` wrote,
    here or in another folder of results.

    Args:
      sources: photos and folders.
      out: folder of the results.
      unreadable: called with a subfolder that cannot be listed, and the error.

    Raises:
      InputError: a path does not exist, or a folder holds no photo.
    """
    is_result = _result_finder()
    for source in sources:
        if source.is_dir():
            empty = True
            for path in _walk(source, os.path.realpath(out), unreadable):
                if not is_result(path):
                    empty = False
                    yield Input(path, path.relative_to(source), source)
            if empty:
                raise InputError(f"{source}: no photo in this folder (looked for .jpg, .png, …).")
        elif not source.exists():
            raise InputError(f"{source}: does not exist.")
        elif not is_result(source):
            yield Input(source, Path(source.name), source.parent)


def _walk(
    folder: Path, out: str, unreadable: Callable[[Path, OSError], None] | None
) -> Iterator[Path]:
    try:
        with os.scandir(folder) as scan:
            entries = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in scan)
    except OSError as error:
        if unreadable:
            unreadable(folder, error)
        return
    for name, is_folder in entries:
        path = folder / name
        if is_folder:
            if name != WORK and os.path.realpath(path) != out:
                yield from _walk(path, out, unreadable)
        elif path.suffix.lower() in PHOTO_SUFFIXES and not path.is_dir():
            yield path


def _result_finder() -> Callable[[Path], bool]:
    """Path -> whether a run of `predict` recorded that it wrote this picture."""
    names_in: dict[str, frozenset[int] | None] = {}

    def is_result(path: Path) -> bool:
        match = _RESULT.fullmatch(path.name)
        if not match:
            return False
        absolute = os.path.abspath(path)
        folder = os.path.dirname(absolute)
        while True:
            if folder not in names_in:
                names_in[folder] = _recorded_names(Path(folder))
            names = names_in[folder]
            if names is not None:
                name = Path(os.path.relpath(absolute, folder)).parent / match[1]
                return key_of(name.as_posix()) in names
            if folder == os.path.dirname(folder):
                return False
            folder = os.path.dirname(folder)

    return is_result


def _recorded_names(folder: Path) -> frozenset[int] | None:
    """The names of all results in a folder of results; None for any other folder."""
    if not (folder / HEADER).is_file():
        return None
    begun = begun_names(folder)
    if not (folder / LINES).is_file():
        return frozenset(begun)
    lines = read_lines(folder / LINES)
    return frozenset({key_of(line.name) for line in lines if line.faces} | begun)


class Names:
    """The beginnings of the names of results: no two photos' files can have the same name.

    A photo's files are `NAME_landmarks.jpg`, `NAME_chip_1.png` …, `NAME.pts` for the first face and
    `NAME_2.pts` for the second. So `NAME` and `NAME_2` are not both given. Upper and lower case
    count as the same, because some file systems keep them in one file.

    The names depend on the order of the photos, not on the order in which they are finished.
    """

    def __init__(self) -> None:
        self._owners: dict[int, tuple[int, int]] = {}  # key of name -> keys of photo and its folder

    def take(self, name: str, photo: int, folder: int = 0) -> None:
        """Notes that a photo has a name."""
        name = _folded(name)
        self._owners[key_of(name)] = (photo, folder)
        if match := _NUMBERED.fullmatch(name):
            self._owners[key_of(_further(match[1]))] = (photo, folder)

    def give(self, photo: Input) -> str:
        """A free name for a photo: its path in the source folder without the suffix, if free.

        Otherwise that with the suffix where a photo of the same folder has the name, or with the
        source folder's name before it.
        """
        key, folder = photo_key(photo.path), photo_key(photo.path.parent)
        stem = photo.relative.with_suffix("").as_posix()
        whole = photo.relative.as_posix()
        source = Path(os.path.abspath(photo.source)).name or "root"
        above = [f"{source}/{stem}", f"{source}/{whole}"]
        taker = self._taker(stem, key)
        beside = [whole, *above] if taker and taker[1] == folder else [*above, whole]
        for name in [stem, *beside]:
            if not self._taker(name, key):
                break
        else:
            number = 2
            while self._taker(name := f"{source}/{whole}-{number}", key):
                number += 1
        self.take(name, key, folder)
        return name

    def _taker(self, name: str, photo: int) -> tuple[int, int] | None:
        """Photo and folder that have this name, or one that cannot be beside it; None: nobody."""
        name = _folded(name)
        names = [name, _further(name)]
        if match := _NUMBERED.fullmatch(name):
            names.append(match[1])
        for other in names:
            taker = self._owners.get(key_of(other))
            if taker and taker[0] != photo:
                return taker
        return None


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _further(name: str) -> str:
    """Stands for all names `NAME_2`, `NAME_3`, …; no file can have this name."""
    return f"{name}\0"
