"""YouTube Faces frames with 68 points (Wolf et al., CVPR 2011; points as published with Udacity's
facial keypoints project, made by another detector and hence noisy at the contour).

    ROOT/training/NAME.jpg, ROOT/training_frames_keypoints.csv
    ROOT/test/NAME.jpg, ROOT/test_frames_keypoints.csv

A line is `NAME.jpg,x0,y0,…,x67,y67`, in whole pixels that count from 1. Nothing says so, but read
as counted from 0 the points lie 1.2 pixels to the right of what a model sees in a face and in its
mirror image, in the mean, which has no side; counted from 1, 0.2 (`benchmarks/label_offset.py`).
`points="published"` takes them as counted from 0.

The published parts share every person (`Ann_Lee_12.jpg` and `Ann_Lee_31.jpg`), so they are subsets
here, not a split: splits are made by identity.
"""

from collections.abc import Iterator
from pathlib import Path

from senet_landmark.data_tools.datasets.files import annotation_of, line_at, lines_of, numbers
from senet_landmark.data_tools.datasets.samples import Entry, Sample, sample_of
from senet_landmark.errors import InputError

POINTS = ("auto", "published")
SUFFIX = "_frames_keypoints.csv"


def entries(root: Path, points: str = "auto") -> Iterator[Entry]:
    """The frames of all parts, in the order of the files."""
    for path in sorted(root.glob(f"*{SUFFIX}")):
        part = path.name.removesuffix(SUFFIX)
        for line, offset, text in lines_of(path):
            name = text.split(",", 1)[0]
            if not name:
                continue  # the header: its first field is empty
            yield Entry(
                photo=root / part / name,
                source=f"{part}/{name}",
                identity=Path(name).stem.rpartition("_")[0],
                annotations=(path,),
                scheme="300w_68",
                place=offset,
                line=line,
                subset=part,
                points=points,
            )


def load(entry: Entry) -> Sample:
    """Reads one frame's points. Raises InputError that names file and line."""
    _, *fields = line_at(annotation_of(entry), entry.place).split(",")
    values = numbers(fields, entry.where)
    if values.size != 136:
        raise InputError(f"{entry.where}: holds {values.size} numbers, 136 are needed.")
    first = 0 if entry.points == "published" else 1
    return sample_of(entry, values.reshape(68, 2) - first)
