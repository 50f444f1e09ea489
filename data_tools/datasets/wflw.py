"""WFLW (Wu et al., "Look at Boundary: A Boundary-Aware Face Alignment Algorithm", CVPR 2018).

    ROOT/…/list_98pt_rect_attr_train.txt, ROOT/…/list_98pt_rect_attr_test.txt
    ROOT/…/list_98pt_test/list_98pt_test_SUBSET.txt       subsets of the test photos
    ROOT/WFLW_images/EVENT/NAME.jpg

A line holds the points (98 pairs, or 68 in a variant); in the `rect_attr` lists also a face box
(left, top, right, bottom) and six attributes (pose, expression, illumination, make-up, occlusion,
blur; 1 is yes); then the photo's path. A photo may have several lines, one for each face.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from senet_landmark.data_tools.datasets.reading.files import (
    annotation_of,
    fields_of,
    line_at,
    lines_of,
    name_of,
    numbers,
    photo_at,
    walk,
)
from senet_landmark.data_tools.datasets.samples import (
    Entry,
    Sample,
    identity_of,
    numbered,
    sample_of,
)
from senet_landmark.errors import InputError
from senet_landmark.face.scheme_conversion import convert

POINTS = ("auto", "98", "68")
"""auto: 98 if there is such a list. 68 are converted from the 98 where there is no list of 68."""
ATTRIBUTES = ("large_pose", "expression", "illumination", "make_up", "occlusion", "blur")
SCHEMES = {98: "wflw_98", 68: "300w_68"}

_PHOTOS = ("WFLW_images", "images")
_LIST = re.compile(r"list_(98|68)pt_(rect_attr_)?(train|test)(_(\w+))?\.txt")


def entries(root: Path, points: str = "auto") -> Iterator[Entry]:
    """The faces of the lists; subset lists are read only if the whole test list is absent."""
    lists = [(match, path) for path in walk(root, {".txt"})
             if (match := _LIST.fullmatch(path.name))]  # fmt: skip
    counts = {int(match[1]) for match, _ in lists}
    count = int(points) if points != "auto" else max(counts, default=98)
    listed = 98 if count == 68 and 68 not in counts else count
    lists = [(match, path) for match, path in lists if int(match[1]) == listed]
    if not lists:
        raise _no_list(root, count)
    if any(match[2] for match, _ in lists):
        lists = [(match, path) for match, path in lists if match[2]]
    photo_counts: dict[str, int] = {}
    for match, path in lists:
        photos: Path | None = None
        for line, offset, text in lines_of(path):
            photos = photos or _photos_of(path, root, fields_of(text)[-1])
            photo = photo_at(photos, fields_of(text)[-1])
            name = name_of(photo, photos)
            yield Entry(
                photo=photo,
                source=numbered(name, photo_counts),
                identity=identity_of(name),
                annotations=(path,),
                scheme=SCHEMES[count],
                offset=offset,
                line=line,
                subset=match[5] or match[3],
                test=match[3] == "test",
            )


def _no_list(root: Path, count: int) -> InputError:
    above = next((p.parent for p in (root, *root.resolve().parents) if p.name in _PHOTOS), None)
    return InputError(
        f"{root}: holds no photo of wflw with {count} points, for there is no list such as "
        f"list_{count}pt_rect_attr_train.txt. Give the folder that holds the lists and WFLW_images"
        f"{f': {above}' if above else ''}."
    )


def _photos_of(path: Path, root: Path, first: str) -> Path:
    """The folder of the photos of a list: below `root`, or beside one of the list's folders.

    So the root may also be the folder of the lists, or the one that holds WFLW's. Without such a
    folder the photos are in `root` itself, if the first one is.
    """
    folders = [root, *path.resolve().parents[:4]]
    found = next((f / n for f in folders for n in _PHOTOS if (f / n).is_dir()), None)
    if found is None and os.path.isfile(photo_at(root, first)):
        return root
    return found or root / _PHOTOS[0]


def load(entry: Entry) -> Sample:
    """Reads one line of either format. Raises InputError that names the file and the line."""
    path = annotation_of(entry)
    *fields, _ = fields_of(line_at(path, entry.offset))
    values = numbers(fields, entry.where)
    count = 98 if "_98pt_" in path.name else 68
    if values.size - 2 * count in (1, 11):  # a column with the line's number, from a spreadsheet
        values = values[1:]
    rest = values[2 * count :]
    if values.size < 2 * count or rest.size not in (0, 10):
        raise InputError(
            f"{entry.where}: holds {values.size} numbers before the path; {2 * count} are needed, "
            "or 10 more with box and attributes."
        )
    return sample_of(
        entry,
        convert(values[: 2 * count].reshape(count, 2), SCHEMES[count], entry.scheme),
        box=rest[:4] if rest.size else None,
        attributes=rest[4:] if rest.size else np.full(len(ATTRIBUTES), np.nan),
    )
