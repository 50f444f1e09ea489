"""dlib's annotation format, written by its `imglab` and read by its shape predictor's trainer.

    ROOT/NAME.xml       <images><image file='PHOTO'><box top left width height><part name x y/>…
    ROOT/PHOTO          path as in the file, relative to the file's folder

A photo may have several boxes. Boxes with `ignore='1'` are left out, as in dlib. Parts are 0-based
pixels of the photo as stored, because dlib ignores the EXIF orientation. The number in a part's
name says which landmark it is (`0` and `point_0`, from 0 or 1 on); a landmark without part is
unknown. Their number decides the scheme.

Files whose name says test (`testing_…`, `…_test`) are for testing. A face that several files list
counts once, for testing if one of these is such a file.

dlib writes the names of photos as the bytes that they are, unescaped, whatever the encoding in the
file's first line says; so they are read as bytes, and else in that encoding.
"""

import codecs
import functools
import os
import re
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from senet_landmark.data_tools.datasets.reading.files import (
    annotation_of,
    changed_at,
    faces_in,
    files_with,
    is_for_testing,
    name_of,
    numbers,
    photo_at,
    refuse_entities,
    scheme_with,
)
from senet_landmark.data_tools.datasets.reading.point_names import number_in, numbering
from senet_landmark.data_tools.datasets.samples import (
    Entry,
    Sample,
    identity_of,
    numbered,
    sample_of,
)
from senet_landmark.errors import InputError
from senet_landmark.face.schemes import get_scheme
from senet_landmark.io.images import read_file

SAME_FACE = 0.7
"""Intersection over union from which boxes of one photo in two files are the same face."""

_EDGES = ("left", "top", "width", "height")
_HEADER = re.compile(r"\s*<\?xml[^>]*?\?>")
_ENCODING = re.compile(r"""encoding\s*=\s*['"]([\w.:-]+)['"]""")
_FILE = re.compile(r"(<image\b[^>]*?\bfile\s*=\s*)(['\"])([^\r\n]*?)\2(?=\s*/?>|\s+\w+\s*=)")
_BARE = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9a-fA-F]{1,6});)")

_BYTES = 0xE000
"""Characters of Unicode's private area stand for the bytes above 127 in a name, until the whole
name is known."""
_MARK = "\uf8ff"
"""Ends a name that has such characters; the encoding of the file follows."""


def entries(root: Path, points: str = "auto") -> Iterator[Entry]:
    """The boxes of the `.xml` files in `root`, those for testing first."""
    del points
    photo_counts: dict[str, int] = {}
    listed: dict[Path, list[tuple[Path, ElementTree.Element]]] = defaultdict(list)

    def faces_of(path: Path) -> Iterator[Entry]:
        boxes, _, count = _read(path)
        scheme = scheme_with(count, str(path)) if boxes else ""
        for index, (name, box) in enumerate(boxes):
            photo = _photo_of(path.parent, name)
            before = listed[photo]
            if any(_same(box, other, path == file) for file, other in before):
                continue
            before.append((path, box))
            source = name_of(photo, root)
            yield Entry(
                photo=photo,
                source=numbered(source, photo_counts),
                identity=identity_of(source),
                annotations=(path,),
                scheme=scheme,
                offset=index,
                subset=path.stem,
                test=is_for_testing(path),
            )

    def order(path: Path) -> tuple[bool, int, Path]:
        # Of a list of all faces and its parts, the parts say more.
        return not is_for_testing(path), path.stat().st_size, path

    return faces_in(sorted(files_with(root, ".xml"), key=order), faces_of)


def _same(box: ElementTree.Element, other: ElementTree.Element, one_file: bool) -> bool:
    """Whether two boxes of a photo are the same face."""
    parts = [[dict(part.attrib) for part in b.iter("part")] for b in (box, other)]
    if one_file:
        return parts[0] == parts[1] and box.attrib == other.attrib
    if parts[0] and parts[0] == parts[1]:
        return True
    try:
        (a_left, a_top, a_width, a_height), (b_left, b_top, b_width, b_height) = (
            [float(b.attrib[name]) for name in _EDGES] for b in (box, other)
        )
    except (KeyError, ValueError):  # reading the face reports the error
        return False
    across = min(a_left + a_width, b_left + b_width) - max(a_left, b_left)
    down = min(a_top + a_height, b_top + b_height) - max(a_top, b_top)
    common = max(across, 0) * max(down, 0)
    return common > SAME_FACE * (a_width * a_height + b_width * b_height - common)


Boxes = list[tuple[str, ElementTree.Element]]
"""(photo, box) of every box that is not ignored; the photo's name as `_photo_of` takes it."""


def _read(path: Path) -> tuple[Boxes, int, int]:
    """The boxes of a file, the number of its first landmark (0 or 1), and that of landmarks."""
    return _read_once(path, changed_at(path))


@functools.lru_cache(maxsize=4)
def _read_once(path: Path, changed: int) -> tuple[Boxes, int, int]:
    """As `_read`; kept for the file's time of change."""
    try:
        tree = ElementTree.fromstring(_readable(read_file(path), path))
    except ElementTree.ParseError as error:
        raise InputError(f"{path}: is not whole XML ({error}).") from error
    boxes = [
        (image.get("file", ""), box)
        for image in tree.iter("image")
        for box in image.iter("box")
        if box.get("ignore", "0") == "0"
    ]
    names = [part.get("name", "") for _, box in boxes for part in box.iter("part")]
    named = {number for name in names if (number := number_in(name)) is not None}
    if boxes and not named:
        problem = f"part names such as {names[0]!r} have no number" if names else "boxes lack parts"
        raise InputError(f"{path}: its {problem}, so which landmark is which cannot be known.")
    return boxes, *numbering(named)


def load(entry: Entry) -> Sample:
    """Reads one box and its parts. Raises InputError that names the file and the photo."""
    path = annotation_of(entry)
    boxes, first, _ = _read(path)
    where = f"{path}, photo {entry.source}"
    if entry.offset >= len(boxes):
        raise InputError(f"{where}: is not in the file any more.")
    _, box = boxes[entry.offset]
    landmarks = np.full((get_scheme(entry.scheme).points, 2), np.nan)
    parts = list(box.iter("part"))
    try:
        for part in parts:
            name = part.attrib["name"]
            number = number_in(name)
            if number is None or not 0 <= number - first < len(landmarks):
                raise InputError(
                    f"{where}: the part {name!r} has no number from {first} to "
                    f"{len(landmarks) - 1 + first}, so which landmark it is cannot be known."
                )
            point = landmarks[number - first]
            if not np.isnan(point).all():
                raise InputError(f"{where}: two parts have the number {number}.")
            point[:] = numbers([part.attrib["x"], part.attrib["y"]], where)
        left, top, width, height = numbers([box.attrib[name] for name in _EDGES], where)
    except KeyError as error:
        raise InputError(f"{where}: a box or part lacks a number ({error}).") from error
    if not parts:
        raise InputError(f"{where}: its box has no parts, so no landmarks.")
    # The edges of a box are the outer borders of its pixels.
    edges = np.array([left, top, left + width, top + height]) - 0.5
    known = np.isfinite(landmarks).all(axis=1)
    return sample_of(entry, landmarks, visible=known, box=edges)


def _readable(data: bytes, path: Path) -> str:
    """The text of an XML file, for an XML parser; `_photo_of` reads the names of photos in it.

    Raises:
      InputError: as `refuse_entities`.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _checked(data.decode("utf-16", "replace"), path)
    text = data.removeprefix(codecs.BOM_UTF8).decode("latin-1")
    encoding = "utf-8"
    if header := _HEADER.match(text):
        declared = _ENCODING.search(header[0])
        encoding = declared[1] if declared else encoding
    text = _FILE.sub(lambda m: f"{m[1]}{m[2]}{_marked(m[3], encoding)}{m[2]}", text)
    return _checked(text, path)


def _checked(text: str, path: Path) -> str:
    refuse_entities(text, path)
    text = text[header.end() :] if (header := _HEADER.match(text)) else text
    return _BARE.sub("&amp;", text)


def _marked(name: str, encoding: str) -> str:
    """A name, of bytes as Latin-1 characters, as it may stand in XML."""
    name = name.replace("<", "&lt;").replace("'", "&apos;").replace('"', "&quot;")
    if name.isascii():
        return name
    name = "".join(chr(_BYTES + ord(c)) if ord(c) > 127 else c for c in name)
    return f"{name}{_MARK}{encoding}"


def _photo_of(folder: Path, name: str) -> Path:
    """The photo that a name in parsed XML means: the file of these bytes, else in the encoding."""
    name, mark, encoding = name.partition(_MARK)
    if not mark:
        return photo_at(folder, name)
    data = b"".join(
        bytes([ord(c) - _BYTES]) if _BYTES <= ord(c) < _BYTES + 256 else c.encode() for c in name
    )
    photo = photo_at(folder, data.decode("utf-8", "surrogateescape"))
    if not os.path.isfile(photo):
        try:
            other = photo_at(folder, data.decode(encoding))
        except (LookupError, UnicodeDecodeError):  # an encoding that Python does not know
            return photo
        if os.path.isfile(other):
            return other
    return photo
