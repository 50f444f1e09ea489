"""Names of results, and of the files in a folder of results."""

import hashlib
import os
import re
import unicodedata
from pathlib import Path
from typing import NamedTuple

WORK = ".landmarks.tmp"
"""Folder in a folder of results for what is not finished."""

LINES = "landmarks.jsonl"
HEADER = "landmarks.run.json"

_NUMBERED = re.compile(r"(?s)(.+)_([2-9]|[1-9]\d+)")
"""A name that could be that of a further face: `NAME_2`."""


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


def key_of(text: str | Path) -> int:
    """64 bits that stand for a path or a name in memory."""
    data = os.fspath(text).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")


def photo_key(path: Path | str, folder: Path | str = "") -> int:
    """The `key_of` a photo's absolute path; a relative one is in `folder`, or the current one."""
    return key_of(os.path.abspath(os.path.join(folder, path)))


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
