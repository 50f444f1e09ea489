"""Photos and folders -> the photos, one after the other, and names for their results.

Nothing here holds the photos' paths: a list of a million would take hundreds of megabytes.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from senet_landmark.errors import InputError
from senet_landmark.export.inference.lines import begun_names, read_lines
from senet_landmark.export.inference.names import HEADER, LINES, WORK, Input, key_of
from senet_landmark.io.images import PHOTO_SUFFIXES

_RESULT = re.compile(r"(?s)(.+)(?:_landmarks\.jpg|_chip_[1-9]\d*\.png)")
"""A picture that `predict` may have written."""


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
