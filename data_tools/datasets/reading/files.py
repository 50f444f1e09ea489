"""Functions that the readers share: listing folders, and reading lines of annotation files."""

import codecs
import contextlib
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

import numpy as np

from senet_landmark.data_tools.datasets.samples import Entry
from senet_landmark.errors import InputError
from senet_landmark.face.schemes import SCHEMES, TRUE_JAW
from senet_landmark.io.files import printable
from senet_landmark.io.folders import Walk
from senet_landmark.io.images import PHOTO_SUFFIXES

CONTOURS = ("auto", "300w_68", TRUE_JAW)
"""`points` of data sets of one's own: which 68 points they have; auto: as the file tells."""

_TEST = re.compile(r"(?i)(^|[^a-z])test(ing)?([^a-z]|$)")


def walk(root: Path, suffixes: Collection[str]) -> list[Path]:
    """The files below `root` with one of the suffixes (lower case), sorted; links as in `Walk`.

    A folder that cannot be listed is itself put into the list. Opening it later fails and reports
    the reason; if it were left out, its photos would be lost silently.
    """
    unreadable: list[Path] = []
    files = Walk(unreadable=lambda folder, error: unreadable.append(folder)).files(root)
    found = [file for file in files if os.path.splitext(file.name)[1].lower() in suffixes]
    return sorted([*found, *unreadable])


def files_with(root: Path, suffix: str) -> list[Path]:
    """The files in `root` itself with a suffix, in capitals too, sorted."""
    return sorted(path for path in root.iterdir() if path.suffix.lower() == suffix)


def is_for_testing(path: Path) -> bool:
    """Whether an annotation file's name says so: `testing_faces.xml`, `faces-test.json`."""
    return bool(_TEST.search(path.stem))


def refuse_entities(text: str, path: Path) -> None:
    """Raises InputError where XML declares entities: a small file can become a huge one so."""
    if "<!ENTITY" in text:
        raise InputError(f"{path}: declares entities, which no tool writes here. Remove them.")


def changed_at(path: Path) -> int:
    """When a file was last changed, in nanoseconds: the key of what is kept of it."""
    try:
        return path.stat().st_mtime_ns
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error


def photos_and_annotations(root: Path, suffix: str) -> Iterator[tuple[Path, Path]]:
    """(photo, annotation) for each pair with equal stem below `root`, sorted by photo.

    If one of the two is absent, its expected path is given, so that reading the pair reports which
    one is absent. Several photos may have one annotation, as `a.jpg` and `a.png`. A file without
    suffix is a photo if it has an annotation. A folder without any annotation does not belong to
    the data set and gives nothing.

    Args:
      root: folder that is searched.
      suffix: suffix of the annotations, with the dot.
    """
    files = walk(root, {*PHOTO_SUFFIXES, suffix, ""})
    annotations = {f.with_suffix(""): f for f in files if f.suffix.lower() == suffix}
    if not annotations and not any(os.path.isdir(f) for f in files):
        return
    photos: dict[Path, list[Path]] = {}
    for file in files:
        if file.suffix.lower() != suffix and (
            file.suffix or os.path.isdir(file) or file in annotations
        ):
            photos.setdefault(file.with_suffix(""), []).append(file)
    for stem in sorted({*annotations, *photos}):
        for photo in photos.get(stem, [stem.with_suffix(".jpg")]):
            yield photo, annotations.get(stem, stem.with_suffix(suffix))


def faces_in(files: Iterable[Path], faces_of: Callable[[Path], Iterable[Entry]]) -> Iterator[Entry]:
    """The faces of several annotation files; a file that cannot be read gives one entry.

    Reading that entry reports the error, so that the faces of the other files are not lost.

    Raises:
      InputError: no file can be read.
    """
    bad: list[tuple[Path, InputError]] = []
    scheme = ""
    for path in files:
        try:
            for entry in faces_of(path):
                scheme = entry.scheme
                yield entry
        except InputError as error:
            bad.append((path, error))
    for path, problem in bad:
        if not scheme:
            raise problem
        name = printable(path.name)
        yield Entry(photo=path, source=name, identity=name, annotations=(path,), scheme=scheme)


def photo_at(folder: Path, name: str) -> Path:
    """The photo that an annotation file names; Windows' backslashes are read as slashes."""
    if "\\" in name and not os.path.isfile(folder / name):
        name = name.replace("\\", "/")
    return folder / name


def name_of(photo: Path, folder: Path) -> str:
    """The photo's path below `folder`, with slashes, as text that can be written; see `Entry`."""
    path = os.path.normpath(photo)
    with contextlib.suppress(ValueError):  # elsewhere
        path = os.path.relpath(path, folder) if photo.is_relative_to(folder) else path
    return printable(Path(path).as_posix())


def lines_of(path: Path) -> Iterator[tuple[int, int, str]]:
    """(number from 1, byte offset, text) of each line that is not empty.

    Lines end as on any system: LF, CR LF or CR. A line of separators alone is empty. Bytes that are
    not UTF-8, as in a file name, become surrogates (`os.fsdecode`).

    Raises:
      InputError: the file cannot be read, or is not text.
    """
    try:
        with open(path, "rb") as stream:
            offset = number = 0
            for part in stream:
                # A file with CR alone is one part; the CR of CR LF does not begin another line.
                for line in re.findall(rb"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", part):
                    number += 1
                    text = _text(line, offset, path)
                    if text.strip(" ,;\t"):
                        yield number, offset, text
                    offset += len(line)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error


def line_at(path: Path, offset: int) -> str:
    """Reads the line that begins at a byte offset, without reading the rest of the file."""
    line = b""
    try:
        with open(path, "rb") as stream:
            stream.seek(offset)
            while block := stream.read(4096):
                line += block
                if end := re.search(rb"[\r\n]", line):
                    line = line[: end.start()]
                    break
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    return _text(line, offset, path)


def _text(line: bytes, offset: int, path: Path) -> str:
    if b"\0" in line:
        raise InputError(f"{path}: is not text in UTF-8. Save it as UTF-8.")
    if offset == 0:
        line = line.removeprefix(codecs.BOM_UTF8)
    # Tabs stay: a tab at the beginning may end an empty field.
    return line.strip(b" \r\n").decode("utf-8", "surrogateescape")


def fields_of(line: str) -> list[str]:
    """The fields of a line of numbers and a path, without empty ones at its ends.

    The separator is the one with which most fields are numbers: tabs, spaces, semicolons or commas.
    So a comma may also be the decimal one, where another character separates.
    """
    best: list[str] = []
    most = (-1, 0)
    for separator in ("\t", None, ";", ","):
        fields = [field.strip(' "') for field in line.split(separator)]
        count = sum(map(is_number, fields))
        if (rank := (count, 0 if count else len(fields))) > most:
            best, most = fields, rank
    while best and not best[-1]:
        best.pop()
    while best and not best[0]:
        best.pop(0)
    return best


def path_and_numbers(line: str) -> list[str]:
    """The fields of a line that begins with a path, without a column of numbers before it."""
    fields = fields_of(line)
    return fields[1:] if len(fields) > 1 and is_number(fields[0]) else fields


def is_number(field: str) -> bool:
    """Whether a field holds one number, with a point or a decimal comma."""
    try:
        float(field.replace(",", ".", 1))
    except ValueError:
        return False
    return True


def numbers(fields: Iterable[str], where: str) -> np.ndarray:
    """The fields as float64, with points or decimal commas.

    Raises:
      InputError: one is not a number; the message begins with `where`.
    """
    try:
        return np.array([field.replace(",", ".", 1) for field in fields], np.float64)
    except ValueError as error:
        raise InputError(f"{where}: holds something that is not a number ({error}).") from error


def annotation_of(entry: Entry) -> Path:
    """The file from which an entry's landmarks are read.

    Raises:
      InputError: none of its candidates exists.
    """
    for path in entry.annotations:
        if os.path.isfile(path):  # Path.is_file raises an error for a name that is too long
            return path
    if os.path.isdir(entry.photo):
        raise InputError(f"{entry.photo}: the folder cannot be listed. Allow it to be read.")
    candidates = " or ".join(str(path) for path in entry.annotations)
    raise InputError(f"{entry.photo}: has no annotation; looked for {candidates}.")


def scheme_with(count: int, where: str) -> str:
    """The name of the scheme with `count` landmarks, for formats that do not name their scheme.

    Raises:
      InputError: there is no such scheme; the message begins with `where` and lists the schemes.
    """
    names = {scheme.points: name for name, scheme in reversed(SCHEMES.items())}
    if count not in names:
        known = ", ".join(f"{points} ({names[points]})" for points in sorted(names))
        raise InputError(f"{where}: has {count} landmarks a face. Known schemes: {known}.")
    return names[count]
