"""Functions that the readers share: listing folders, and reading lines of annotation files."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from senet_landmark.data_tools.datasets.samples import Entry
from senet_landmark.errors import InputError
from senet_landmark.face.schemes import SCHEMES
from senet_landmark.io.images import PHOTO_SUFFIXES


def walk(root: Path, suffixes: Collection[str]) -> list[Path]:
    """The files below `root` with one of the suffixes (lower case), sorted.

    A folder that cannot be listed is itself put into the list. Opening it later fails and reports
    the reason; if it were left out, its photos would be lost silently.
    """
    paths: list[Path] = []

    def add_folder(error: OSError) -> None:
        paths.append(Path(error.filename))

    for folder, _, names in os.walk(root, onerror=add_folder, followlinks=True):
        paths += [Path(folder, n) for n in names if os.path.splitext(n)[1].lower() in suffixes]
    return sorted(paths)


def photos_and_annotations(root: Path, suffix: str) -> Iterator[tuple[Path, Path]]:
    """(photo, annotation) for each pair with equal stem below `root`, sorted by photo.

    If one of the two is absent, its expected path is given, so that reading the pair reports which
    one is absent. A folder without any annotation does not belong to the data set and gives
    nothing.

    Args:
      root: folder that is searched.
      suffix: suffix of the annotations, with the dot.
    """
    files = walk(root, {*PHOTO_SUFFIXES, suffix})
    annotations = {f.with_suffix(""): f for f in files if f.suffix.lower() == suffix}
    if not annotations and not any(f.is_dir() for f in files):
        return
    photos = {f.with_suffix(""): f for f in files if f.suffix.lower() != suffix}
    for stem in sorted({*annotations, *photos}):
        yield (
            photos.get(stem, stem.with_suffix(".jpg")),
            annotations.get(stem, stem.with_suffix(suffix)),
        )


def lines_of(path: Path) -> Iterator[tuple[int, int, str]]:
    """(number from 1, byte offset, text) of each line that is not blank.

    Raises:
      InputError: the file cannot be read, or is not UTF-8.
    """
    try:
        with open(path, "rb") as stream:
            offset = 0
            for number, line in enumerate(stream, 1):
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                if text:
                    yield number, offset, text
                offset += len(line)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text ({error}).") from error


def line_at(path: Path, offset: int) -> str:
    """Reads the line that begins at a byte offset, without reading the rest of the file."""
    try:
        with open(path, "rb") as stream:
            stream.seek(offset)
            return stream.readline().decode("utf-8-sig" if offset == 0 else "utf-8").strip()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error


def numbers(fields: list[str], where: str) -> np.ndarray:
    """The fields as float64. Raises InputError, beginning with `where`, if one is not a number."""
    try:
        return np.array(fields, np.float64)
    except ValueError as error:
        raise InputError(f"{where}: holds something that is not a number ({error}).") from error


def annotation_of(entry: Entry) -> Path:
    """The file from which an entry's landmarks are read.

    Raises:
      InputError: none of its candidates exists.
    """
    for path in entry.annotations:
        if path.is_file():
            return path
    if entry.photo.is_dir():
        raise InputError(f"{entry.photo}: the folder cannot be listed. Allow it to be read.")
    candidates = " or ".join(str(path) for path in entry.annotations)
    raise InputError(f"{entry.photo}: has no annotation; looked for {candidates}.")


def scheme_with(count: int, where: str) -> str:
    """The name of the scheme with `count` landmarks, for formats that do not name their scheme.

    Raises:
      InputError: there is no such scheme; the message begins with `where` and lists the schemes.
    """
    names = {scheme.points: name for name, scheme in SCHEMES.items()}
    if count not in names:
        known = ", ".join(f"{points} ({names[points]})" for points in sorted(names))
        raise InputError(f"{where}: has {count} landmarks a face. Known schemes: {known}.")
    return names[count]
