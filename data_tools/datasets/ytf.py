"""YouTube Faces frames with 68 points (Wolf et al., CVPR 2011).

The points are those published with Udacity's facial keypoints project. Another detector made them,
so they are noisy at the contour.

    ROOT/training/NAME.jpg, ROOT/training_frames_keypoints.csv
    ROOT/test/NAME.jpg, ROOT/test_frames_keypoints.csv

A line is `NAME.jpg,x0,y0,…,x67,y67`, in whole pixels that count from 1. This is not documented, but
was measured: the mean of a model's predictions on a face and on its mirror image has no shift to
either side. Read as 0-based, the points lie 1.2 pixels to the right of this mean; read as 1-based,
0.2 pixels (`benchmarks/accuracy/label_offset.py`). `points="published"` reads them as 0-based.

Every person is in both published parts (`Ann_Lee_12.jpg` and `Ann_Lee_31.jpg`). So the parts are
subsets here, not a split: splits are made by identity.
"""

from collections.abc import Iterator
from pathlib import Path

from senet_landmark.data_tools.datasets.reading.files import (
    annotation_of,
    is_number,
    line_at,
    lines_of,
    name_of,
    numbers,
    path_and_numbers,
    photo_at,
)
from senet_landmark.data_tools.datasets.samples import Entry, Sample, sample_of
from senet_landmark.errors import InputError
from senet_landmark.io.files import printable

POINTS = ("auto", "published")
SUFFIX = "_frames_keypoints.csv"


def entries(root: Path, points: str = "auto") -> Iterator[Entry]:
    """The frames of all parts, in the order of the files."""
    for path in sorted(root.glob(f"*{SUFFIX}")):
        part = path.name.removesuffix(SUFFIX)
        for line, offset, text in lines_of(path):
            name = path_and_numbers(text)[0]
            if is_number(name):
                continue  # the header: its first field is empty
            photo = photo_at(root / part, name)
            yield Entry(
                photo=photo,
                source=name_of(photo, root),
                identity=printable(photo.stem.rpartition("_")[0]),
                annotations=(path,),
                scheme="300w_68",
                offset=offset,
                line=line,
                subset=part,
                points=points,
            )


def load(entry: Entry) -> Sample:
    """Reads one frame's points. Raises InputError that names file and line."""
    _, *fields = path_and_numbers(line_at(annotation_of(entry), entry.offset))
    values = numbers(fields, entry.where)
    if values.size != 136:
        raise InputError(f"{entry.where}: holds {values.size} numbers, 136 are needed.")
    first = 0 if entry.points == "published" else 1
    return sample_of(entry, values.reshape(68, 2) - first)
