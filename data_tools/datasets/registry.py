"""Name -> data set. A new data set is one file here and one line in `DATASETS`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from senet_landmark.data_tools.datasets import (
    aflw2000,
    cofw,
    csv_files,
    dlib_xml,
    mtfl,
    tfds_300w_lp,
    w300,
    w300lp,
    wflw,
    ytf,
)
from senet_landmark.data_tools.datasets.samples import Entry, Sample
from senet_landmark.errors import InputError, concerning
from senet_landmark.face.attributes import ATTRIBUTES
from senet_landmark.face.schemes import get_scheme
from senet_landmark.io.files import require_folder
from senet_landmark.io.images import read_photo


def _read_photo_file(entry: Entry) -> np.ndarray:
    return read_photo(entry.photo)


def _no_other(entry: Entry) -> str:
    del entry
    return ""


@dataclass(frozen=True)
class Dataset:
    """How a data set is read.

    Attributes:
      entries: (root, points) -> its faces in a fixed order. `points` chooses the annotation if a
        data set has several; with "auto" the reader chooses.
      load: reads one face's annotation; raises InputError that names the file.
      layout: layout of its folder, for messages.
      points: the values that `points` may have.
      attributes: names of the attributes, in the order of `Sample.attributes`.
      photo: reads an entry's photo, RGB uint8 [H, W, 3].
      research_only: whether its terms allow research only; they also hold for weights trained on
        it.
      photos_of: entry -> name of the data set that the photo comes from, if it is another; else
        empty.
    """

    entries: Callable[[Path, str], Iterable[Entry]]
    load: Callable[[Entry], Sample]
    layout: str
    points: tuple[str, ...] = ("auto",)
    attributes: tuple[str, ...] = ()
    photo: Callable[[Entry], np.ndarray] = _read_photo_file
    research_only: bool = False
    photos_of: Callable[[Entry], str] = _no_other


DATASETS = {
    "300w_lp": Dataset(
        w300lp.entries,
        w300lp.load,
        "SUBSET/NAME.jpg with NAME.mat",
        w300lp.POINTS,
        research_only=True,
    ),
    "300w": Dataset(w300.entries, w300.load, "NAME.jpg with NAME.pts", research_only=True),
    "aflw2000": Dataset(
        aflw2000.entries,
        aflw2000.load,
        "NAME.jpg with NAME.mat",
        aflw2000.POINTS,
        research_only=True,
    ),
    "ytf": Dataset(
        ytf.entries,
        ytf.load,
        "PART/NAME.jpg and PART_frames_keypoints.csv",
        ytf.POINTS,
        research_only=True,
    ),
    "mtfl": Dataset(
        mtfl.entries,
        mtfl.load,
        "training.txt and testing.txt beside the photos' folders",
        attributes=mtfl.ATTRIBUTES,
        research_only=True,
    ),
    "wflw": Dataset(
        wflw.entries,
        wflw.load,
        "WFLW_images/ and list_98pt_rect_attr_train.txt, list_98pt_rect_attr_test.txt",
        wflw.POINTS,
        wflw.ATTRIBUTES,
        research_only=True,
    ),
    "cofw": Dataset(
        cofw.entries,
        cofw.load,
        "COFW_train_color.mat, COFW_test_color.mat",
        photo=cofw.photo,
        research_only=True,
    ),
    "dlib_xml": Dataset(dlib_xml.entries, dlib_xml.load, "dlib's NAME.xml beside the photos"),
    "csv": Dataset(
        csv_files.entries,
        csv_files.load,
        "NAME.csv beside the photos",
        attributes=tuple(ATTRIBUTES),
        photos_of=csv_files.labelled_dataset,
    ),
    "tfds_300w_lp": Dataset(
        tfds_300w_lp.entries,
        tfds_300w_lp.load,
        "the300w_lp/VERSION/ as tensorflow-datasets makes it",
        tfds_300w_lp.POINTS,
        photo=tfds_300w_lp.photo,
        research_only=True,
    ),
}


def get_dataset(name: str) -> Dataset:
    """The data set called `name`. Raises InputError that lists the known names."""
    if name not in DATASETS:
        raise InputError(f"Unknown data set {name!r}. Known: {', '.join(sorted(DATASETS))}.")
    return DATASETS[name]


def recorded_name(name: str, entry: Entry) -> str:
    """The name of a data set in records: `mtfl (csv)` if a CSV labels photos of MTFL."""
    photos = get_dataset(name).photos_of(entry)
    return f"{photos} ({name})" if photos else name


def photos_of(recorded: str) -> str:
    """The data set whose photos, and so whose terms, belong to records of a `recorded_name`."""
    return recorded.partition(" (")[0]


def pseudo_labelled(recorded: str) -> bool:
    """Whether the landmarks of records of a `recorded_name` are a model's: it has a CSV's name."""
    return photos_of(recorded) != recorded


def list_entries(name: str, root: Path | str, points: str = "auto") -> list[Entry]:
    """The faces of a data set below `root`, in a fixed order, all of one landmark scheme.

    Raises:
      InputError: the folder is absent or holds no face of the data set, `points` is not one of its
        choices, or its faces have different schemes.
    """
    dataset = get_dataset(name)
    root = require_folder(root, f"the data set {name}: {dataset.layout}")
    if points not in dataset.points:
        raise InputError(f"{name} has points {', '.join(dataset.points)}; not {points!r}.")
    entries = list(dataset.entries(root, points))
    if not entries:
        raise InputError(f"{root}: holds no photo of {name}, which looks like {dataset.layout}.")
    if len(schemes := sorted({entry.scheme for entry in entries})) > 1:
        raise InputError(f"{root}: holds faces of several landmark schemes: {', '.join(schemes)}.")
    return entries


def load_sample(name: str, entry: Entry) -> Sample:
    """Reads one face's annotation and checks it.

    Raises:
      InputError: the annotation is absent, unreadable, of another scheme, or not finite.
    """
    with concerning(entry.where):
        sample = get_dataset(name).load(entry)
    expected = (get_scheme(entry.scheme).points, 2)
    if sample.landmarks.shape != expected:
        raise InputError(
            f"{entry.where}: has {sample.landmarks.shape[0]} points of "
            f"{sample.landmarks.shape[-1]} coordinates, {name} needs {expected[0]} of 2."
        )
    if not np.isfinite(sample.landmarks[sample.visible]).all():
        raise InputError(f"{entry.where}: landmarks hold NaN or infinity.")
    return sample


def load_photo(name: str, entry: Entry) -> np.ndarray:
    """Reads an entry's photo, RGB uint8 [H, W, 3]. Raises InputError that names the photo."""
    with concerning(entry.photo):
        return get_dataset(name).photo(entry)
