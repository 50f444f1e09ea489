"""What the readers of annotation tools share: the faces of a file, listed and read one by one.

A file is read once and kept. Where several files have the same photo, it is read from the one for
testing, else from one that is not what `predict` wrote, else from the first by name.
"""

import functools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from senet_landmark.data_tools.datasets.reading.files import (
    annotation_of,
    changed_at,
    faces_in,
    is_for_testing,
    name_of,
    photo_at,
)
from senet_landmark.data_tools.datasets.samples import (
    Entry,
    Sample,
    identity_of,
    numbered,
    sample_of,
)
from senet_landmark.errors import InputError
from senet_landmark.face.schemes import SCHEMES, get_scheme
from senet_landmark.io.annotation_tools import PREDICTED

Size = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True)
class AnnotatedFace:
    """One face of a file.

    Attributes:
      photo: file of the photo.
      problem: why the face cannot be used; else empty.
      scheme: its landmark scheme; empty with a problem.
      landmarks: float64 [K, 2], 0-based pixels; NaN where unknown.
      hidden: bool [K], the landmarks that cannot be seen.
      box: float64 [4], left, top, right, bottom in pixels; None: unknown.
      size: of the photo as it was annotated; None: unknown.
      subset: part of the data set; empty: the file's name.
    """

    photo: Path
    problem: str = ""
    scheme: str = ""
    landmarks: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    hidden: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    box: np.ndarray | None = None
    size: Size | None = None
    subset: str = ""


@dataclass(frozen=True)
class AnnotatedFile:
    """The photos of a file, with a face or without, and its faces; empty for another format."""

    photos: list[Path] = field(default_factory=list)
    faces: list[AnnotatedFace] = field(default_factory=list)


Reader = Callable[[Path], AnnotatedFile]


def kept(read: Callable[[Path], AnnotatedFile]) -> Reader:
    """`read`, whose last results are kept for the files' time of change."""

    @functools.lru_cache(maxsize=4)
    def read_once(path: Path, changed: int) -> AnnotatedFile:
        del changed
        return _sized(_of_one_scheme(read(path)))

    return lambda path: read_once(path, changed_at(path))


def _of_one_scheme(file: AnnotatedFile) -> AnnotatedFile:
    """The faces that have not the scheme of most faces get a problem."""
    schemes = Counter(face.scheme for face in file.faces if not face.problem)
    if len(schemes) < 2:
        return file
    most = schemes.most_common(1)[0][0]
    faces = [
        face
        if face.problem or face.scheme == most
        else replace(
            face,
            scheme="",
            problem=f"its {len(face.landmarks)} points are {face.scheme}, those of most faces of "
            f"the file {most}",
        )
        for face in file.faces
    ]
    return AnnotatedFile(file.photos, faces)


def _sized(file: AnnotatedFile) -> AnnotatedFile:
    """Gives faces with a problem the size of their photo, which the first one of a photo tells."""
    sizes = {face.photo: face.size for face in file.faces if face.size}
    faces = [
        face if face.size else replace(face, size=sizes.get(face.photo)) for face in file.faces
    ]
    return AnnotatedFile(file.photos, faces)


def list_faces(root: Path, points: str, files: Iterable[Path], read: Reader) -> Iterator[Entry]:
    """The faces of annotation files, those for testing first.

    Args:
      root: folder of the data set.
      points: one of `CONTOURS`, for faces with 68 points.
      files: the annotation files.
      read: reads one.

    Raises:
      InputError: no file has a face that can be used.
    """
    photo_counts: dict[str, int] = {}
    listed: dict[str, Path] = {}

    def faces_of(path: Path) -> Iterator[Entry]:
        file = read(path)
        scheme = next((face.scheme for face in file.faces if face.scheme), "")
        if file.faces and not scheme:
            raise InputError(f"{path}: no face can be used; of the first, {file.faces[0].problem}.")
        own = {p for p in set(file.photos) if listed.setdefault(os.path.abspath(p), path) == path}
        own.add(path)  # of faces whose photo is not known
        if points != "auto" and get_scheme(points).points == get_scheme(scheme or points).points:
            scheme = points
        for index, face in enumerate(file.faces):
            if face.photo in own:
                source = name_of(face.photo, root)
                subset = face.subset or path.stem
                yield Entry(
                    photo=face.photo,
                    source=numbered(source, photo_counts),
                    identity=identity_of(source),
                    annotations=(path,),
                    scheme=scheme,
                    offset=index,
                    subset=subset,
                    test=is_for_testing(path) or subset.lower() == "test",
                )

    def order(path: Path) -> tuple[bool, bool, Path]:
        return not is_for_testing(path), path.name in PREDICTED, path

    return faces_in(sorted(files, key=order), faces_of)


def load_face(entry: Entry, read: Reader) -> Sample:
    """Reads one face. Raises InputError that names the file and the photo."""
    path = annotation_of(entry)
    face = _face_of(entry, read)
    where = f"{path}, photo {entry.source}" if entry.photo != path else str(path)
    if face is None:
        raise InputError(f"{where}: is not in the file any more.")
    if face.problem:
        raise InputError(f"{where}: {face.problem}.")
    known = np.isfinite(face.landmarks).all(axis=1)
    return sample_of(entry, face.landmarks, visible=known & ~face.hidden, box=face.box)


def size_of_photo(entry: Entry, read: Reader) -> Size | None:
    """Width and height of an entry's photo as it was annotated; None if the file does not tell."""
    face = _face_of(entry, read)
    return face.size if face else None


def _face_of(entry: Entry, read: Reader) -> AnnotatedFace | None:
    faces = read(annotation_of(entry)).faces
    return faces[entry.offset] if entry.offset < len(faces) else None


def no_landmarks(landmarks: np.ndarray) -> str:
    """The problem of a face without a known landmark; empty if there is one."""
    if np.isfinite(landmarks).all(axis=1).any():
        return ""
    return "none of its points is labelled"


def scheme_named(name: object, count: int) -> str:
    """A scheme's name if there is such a scheme with `count` landmarks; else empty."""
    scheme = SCHEMES.get(name) if isinstance(name, str) else None
    return scheme.name if scheme and scheme.points == count else ""


def photo_in(folders: Iterable[Path], name: str) -> Path:
    """The photo of a name in the first folder that has it; where none has, in the first folder."""
    photos = [photo_at(folder, name) for folder in folders]
    return next((photo for photo in photos if os.path.isfile(photo)), photos[0])


def size_from(width: object, height: object) -> Size | None:
    """A photo's size as a file tells it; None if these are no sizes."""
    try:
        size = int(float(str(width))), int(float(str(height)))
    except (ValueError, OverflowError):
        return None
    return size if min(size) > 0 else None
