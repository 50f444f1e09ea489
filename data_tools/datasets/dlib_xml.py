"""dlib's annotation format, as its `imglab` writes it and its shape predictor trains on.

    ROOT/NAME.xml       <images><image file='PHOTO'><box top left width height><part name x y/>…
    ROOT/PHOTO          paths as in the file, below the file's folder

A photo may have several boxes. `ignore='1'` boxes are left out, as dlib leaves them out. Parts are
0-based pixels, ordered by name. The scheme is told by their number.
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
    """The boxes of the `.xml` files in `root`, in their order."""
    del points
    seen: dict[str, int] = {}
    for path in sorted(root.glob("*.xml")):
        boxes = _boxes(path, path.stat().st_mtime_ns)
        # A box without parts is listed, so that reading it reports that, under the others' scheme.
        counts = [len(box.findall("part")) for _, box in boxes]
        count = max(counts, default=0)
        for place, (name, _) in enumerate(boxes):
            photo = path.parent / name
            yield Entry(
                photo=photo,
                source=numbered(name, seen),
                identity=name,
                annotations=(path,),
                scheme=scheme_with(count, str(path)),
                place=place,
                subset=path.stem,
            )


@functools.lru_cache(maxsize=4)
def _boxes(path: Path, changed: int) -> list[tuple[str, ElementTree.Element]]:
    """(photo, box) of every box that counts; read once a process, unless the file `changed`."""
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
    _, box = _boxes(path, path.stat().st_mtime_ns)[entry.place]
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
    # A box's edges are the outer borders of its pixels.
    edges = np.array([left, top, left + width, top + height]) - 0.5
    return sample_of(entry, np.array(landmarks), box=edges)


def _part_order(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdigit() else (-1, name)
