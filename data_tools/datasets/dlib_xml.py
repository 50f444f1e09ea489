"""dlib's annotation format, written by its `imglab` and read by its shape predictor's trainer.

    ROOT/NAME.xml       <images><image file='PHOTO'><box top left width height><part name x y/>…
    ROOT/PHOTO          path as in the file, relative to the file's folder

A photo may have several boxes. Boxes with `ignore='1'` are left out, as in dlib. Parts are 0-based
pixels, ordered by name. Their number decides the scheme.
"""

import functools
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from senet_landmark.data_tools.datasets.files import annotation_of, scheme_with
from senet_landmark.data_tools.datasets.samples import Entry, Sample, numbered, sample_of
from senet_landmark.errors import InputError


def entries(root: Path, points: str = "auto") -> Iterator[Entry]:
    """The boxes of the `.xml` files in `root`, in the order of the files."""
    del points
    photo_counts: dict[str, int] = {}
    for path in sorted(root.glob("*.xml")):
        boxes = _boxes(path, path.stat().st_mtime_ns)
        # A box without parts is listed with the scheme of the others: reading it reports the error.
        counts = [len(box.findall("part")) for _, box in boxes]
        count = max(counts, default=0)
        for index, (name, _) in enumerate(boxes):
            photo = path.parent / name
            yield Entry(
                photo=photo,
                source=numbered(name, photo_counts),
                identity=name,
                annotations=(path,),
                scheme=scheme_with(count, str(path)),
                offset=index,
                subset=path.stem,
            )


@functools.lru_cache(maxsize=4)
def _boxes(path: Path, changed: int) -> list[tuple[str, ElementTree.Element]]:
    """(photo, box) of every box that is not ignored; cached for the file's time of change."""
    try:
        tree = ElementTree.parse(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    except ElementTree.ParseError as error:
        raise InputError(f"{path}: is not whole XML ({error}).") from error
    return [
        (image.get("file", ""), box)
        for image in tree.iter("image")
        for box in image.iter("box")
        if box.get("ignore", "0") == "0"
    ]


def load(entry: Entry) -> Sample:
    """Reads one box and its parts. Raises InputError that names the file and the photo."""
    path = annotation_of(entry)
    _, box = _boxes(path, path.stat().st_mtime_ns)[entry.offset]
    where = f"{path}, photo {entry.source}"
    try:
        parts = sorted(box.iter("part"), key=lambda part: _part_order(part.attrib["name"]))
        landmarks = [(float(part.attrib["x"]), float(part.attrib["y"])) for part in parts]
        left, top, width, height = (
            float(box.attrib[name]) for name in ("left", "top", "width", "height")
        )
    except (KeyError, ValueError) as error:
        raise InputError(f"{where}: a box or part lacks a number ({error}).") from error
    if not landmarks:
        raise InputError(f"{where}: its box has no parts, so no landmarks.")
    # The edges of a box are the outer borders of its pixels.
    edges = np.array([left, top, left + width, top + height]) - 0.5
    return sample_of(entry, np.array(landmarks), box=edges)


def _part_order(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdigit() else (-1, name)
