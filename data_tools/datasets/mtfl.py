"""MTFL (Zhang et al., "Facial Landmark Detection by Deep Multi-task Learning", ECCV 2014).

    ROOT/training.txt, ROOT/testing.txt
    ROOT/lfw_5590/…, ROOT/net_7876/…, ROOT/AFLW/…

A line is `PATH x1 … x5 y1 … y5 gender smile glasses pose`. The paths in `training.txt` have
backslashes, and lines of both files begin with spaces. Published classes count from 1: gender 1
male, 2 female; smile and glasses 1 yes, 2 no; pose 1 left profile to 5 right profile. Here they
count from 0, and 1 is yes.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from senet_landmark.data_tools.datasets.reading.files import (
    annotation_of,
    line_at,
    lines_of,
    name_of,
    numbers,
    path_and_numbers,
    photo_at,
)
from senet_landmark.data_tools.datasets.samples import Entry, Sample, sample_of
from senet_landmark.errors import InputError

ATTRIBUTES = ("gender", "smile", "glasses", "head_pose")
PARTS = {"training": False, "testing": True}


def entries(root: Path, points: str = "auto") -> Iterator[Entry]:
    """The faces of both files; those of `testing.txt` are for testing."""
    del points
    for part, test in PARTS.items():
        path = root / f"{part}.txt"
        if not path.exists():
            continue
        for line, offset, text in lines_of(path):
            photo = photo_at(root, path_and_numbers(text)[0])
            source = name_of(photo, root)
            yield Entry(
                photo=photo,
                source=source,
                identity=identity_of(source),
                annotations=(path,),
                scheme="mtfl_5",
                offset=offset,
                line=line,
                subset=part,
                test=test,
            )


def identity_of(source: str) -> str:
    """The identity of a face: the person for an LFW photo, the source photo for the others.

    `lfw_5590/Aaron_Guiel_0001.jpg` -> `lfw_5590/Aaron_Guiel`; `net_7876/_60_991_0.jpg` and
    `AFLW/0001-image20056.jpg` are face 0 of photo `_60_991` and face 1 of `image20056`.
    """
    folder, stem = PurePosixPath(source).parent.as_posix(), PurePosixPath(source).stem
    return f"{folder}/{re.sub(r'^[0-9]+-(?=image)|_[0-9]+$', '', stem)}"


def load(entry: Entry) -> Sample:
    """Reads one line; points are 0-based. Raises InputError that names the file and the line."""
    _, *fields = path_and_numbers(line_at(annotation_of(entry), entry.offset))
    values = numbers(fields, entry.where)
    if values.size != 14:
        raise InputError(
            f"{entry.where}: holds {values.size} numbers behind the path, 14 are needed."
        )
    gender, smile, glasses, pose = values[10:]
    if not (gender in (1, 2) and smile in (1, 2) and glasses in (1, 2) and pose in range(1, 6)):
        raise InputError(f"{entry.where}: gender, smile, glasses must be 1 or 2, pose 1 to 5.")
    return sample_of(
        entry,
        values[:10].reshape(2, 5).T,
        attributes=(gender - 1, 2 - smile, 2 - glasses, pose - 1),
    )
