"""Name -> data set. A new data set is one file here and one line in `DATASETS`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_tools.datasets import w300, w300lp
from data_tools.samples import Entry, Sample
from senet_landmark.errors import InputError
from senet_landmark.files import require_folder
from senet_landmark.schemes import get_scheme


@dataclass(frozen=True)
class Dataset:
    """How a data set is read.

    Attributes:
      scheme: its landmark scheme.
      entries: (root, points) -> its faces in a fixed order. `points` chooses among annotations
        where a data set has several; "auto" is the reader's own choice.
      load: reads one face; raises InputError that names the file.
      points: the choices for `points`.
      layout: what its folder looks like, for messages.
    """

    scheme: str
    entries: Callable[[Path, str], list[Entry]]
    load: Callable[[Entry], Sample]
    points: tuple[str, ...]
    layout: str


DATASETS = {
    "300w_lp": Dataset(
        "300w_68", w300lp.entries, w300lp.load, w300lp.POINTS, "SUBSET/NAME.jpg with NAME.mat"
    ),
    "300w": Dataset("300w_68", w300.entries, w300.load, w300.POINTS, "NAME.jpg with NAME.pts"),
}


def get_dataset(name: str) -> Dataset:
    """The data set called `name`. Raises InputError that lists the known ones."""
    if name not in DATASETS:
        raise InputError(f"Unknown data set {name!r}. Known: {', '.join(sorted(DATASETS))}.")
    return DATASETS[name]


def list_entries(name: str, root: Path | str, points: str = "auto") -> list[Entry]:
    """The faces of a data set below `root`, in a fixed order.

    Raises:
      InputError: the folder is absent or holds none, or `points` is not one of the set's choices.
    """
    dataset = get_dataset(name)
    root = require_folder(root, f"the data set {name}: {dataset.layout}")
    if points not in dataset.points:
        raise InputError(f"{name} has points {', '.join(dataset.points)}; not {points!r}.")
    entries = dataset.entries(root, points)
    if not entries:
        raise InputError(f"{root}: holds no photo of {name}, which looks like {dataset.layout}.")
    return entries


def load_sample(name: str, entry: Entry) -> Sample:
    """Reads one face and checks it.

    Raises:
      InputError: the annotation is absent, unreadable, of another scheme, or not finite.
    """
    dataset = get_dataset(name)
    sample = dataset.load(entry)
    wanted = (get_scheme(dataset.scheme).points, 2)
    if sample.landmarks.shape != wanted:
        raise InputError(
            f"{annotation_of(entry)}: has {sample.landmarks.shape[0]} points of "
            f"{sample.landmarks.shape[-1]} coordinates, {name} needs {wanted[0]} of 2."
        )
    if not np.isfinite(sample.landmarks).all():
        raise InputError(f"{annotation_of(entry)}: landmarks hold NaN or infinity.")
    return sample


def annotation_of(entry: Entry) -> Path:
    """The file that an entry's landmarks are read from.

    Raises:
      InputError: none of its candidates exists.
    """
    for path in entry.annotations:
        if path.is_file():
            return path
    wanted = " or ".join(str(path) for path in entry.annotations)
    raise InputError(f"{entry.photo}: has no annotation; looked for {wanted}.")
