"""Name -> data set. A new data set is one file here and one line in `DATASETS`."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from senet_landmark.data_tools.datasets import (
    aflw2000,
    coco,
    cofw,
    csv_files,
    cvat,
    dlib_xml,
    label_studio,
    mtfl,
    tfds_300w_lp,
    w300,
    w300lp,
    wflw,
    ytf,
)
from senet_landmark.data_tools.datasets.reading.files import CONTOURS
from senet_landmark.data_tools.datasets.reading.orientation import (
    as_annotated,
    as_sized,
    as_stored,
    upright,
)
from senet_landmark.data_tools.datasets.samples import Entry, Sample
from senet_landmark.errors import InputError, concerning
from senet_landmark.face.attributes import ATTRIBUTES
from senet_landmark.face.schemes import get_scheme
from senet_landmark.io.files import require_folder
from senet_landmark.io.images import decode_grey, read_file


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
      photo: reads an entry's photo, RGB uint8 [H, W, 3]; by default upright. Where the landmarks
        are pixels of the photo as stored, it is `as_stored`.
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
    photo: Callable[[Entry], np.ndarray] = upright
    research_only: bool = False
    photos_of: Callable[[Entry], str] = _no_other


HALF_TURN = 180.0
"""Largest angle of a pose, in degrees."""

DATASETS = {
    "300w_lp": Dataset(
        w300lp.entries,
        w300lp.load,
        "SUBSET/NAME.jpg with NAME.mat",
        w300lp.POINTS,
        photo=as_stored,
        research_only=True,
    ),
    "300w": Dataset(
        w300.entries,
        w300.load,
        "NAME.jpg with NAME.pts",
        photo=as_annotated(w300.load),
        research_only=True,
    ),
    "aflw2000": Dataset(
        aflw2000.entries,
        aflw2000.load,
        "NAME.jpg with NAME.mat",
        aflw2000.POINTS,
        photo=as_stored,
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
        photo=as_annotated(mtfl.load),
        research_only=True,
    ),
    "wflw": Dataset(
        wflw.entries,
        wflw.load,
        "WFLW_images/ and list_98pt_rect_attr_train.txt, list_98pt_rect_attr_test.txt",
        wflw.POINTS,
        wflw.ATTRIBUTES,
        photo=as_annotated(wflw.load),
        research_only=True,
    ),
    "cofw": Dataset(
        cofw.entries,
        cofw.load,
        "COFW_train_color.mat, COFW_test_color.mat",
        photo=cofw.photo,
        research_only=True,
    ),
    "dlib_xml": Dataset(
        dlib_xml.entries, dlib_xml.load, "dlib's NAME.xml beside the photos", photo=as_stored
    ),
    "csv": Dataset(
        csv_files.entries,
        csv_files.load,
        "NAME.csv beside the photos",
        CONTOURS,
        attributes=tuple(ATTRIBUTES),
        photo=as_annotated(csv_files.load),
        photos_of=csv_files.labelled_dataset,
    ),
    "coco": Dataset(
        coco.entries,
        coco.load,
        "COCO's NAME.json, there or in annotations/, with keypoints; photos as it names them",
        CONTOURS,
        photo=as_sized(coco.load, coco.size_of),
    ),
    "label_studio": Dataset(
        label_studio.entries,
        label_studio.load,
        "Label Studio's export NAME.json with keypoints, and the photos",
        CONTOURS,
        photo=as_sized(label_studio.load, label_studio.size_of),
    ),
    "cvat": Dataset(
        cvat.entries,
        cvat.load,
        "CVAT for images 1.1, NAME.xml, beside the photos",
        CONTOURS,
        photo=as_sized(cvat.load, cvat.size_of),
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


def recorded_name(name: str, entry: Entry, photos: str = "") -> str:
    """The name of a data set in records: `mtfl (csv)` if `pseudo-label` labelled photos of MTFL.

    Args:
      name: name of the data set in `DATASETS`.
      entry: one of its faces.
      photos: the data set that the photos come from, as the user says (`RecordsConfig.photos_of`).
    """
    labelled = get_dataset(name).photos_of(entry)
    return f"{labelled} ({name})" if labelled else photos or name


def check_photos_of(name: str, photos: str) -> None:
    """Checks a value of `RecordsConfig.photos_of` for records of the data set `name`.

    Raises:
      InputError: the data set has terms of its own, or `photos` could not stand in a list of names.
    """
    if photos and get_dataset(name).research_only:
        raise InputError(
            f"records.photos_of {photos!r}: the photos of {name} have their own terms; it is for "
            "annotations in a general format, such as csv or coco."
        )
    if photos and not re.fullmatch(r"[\w.-]+", photos):
        raise InputError(
            f"records.photos_of {photos!r}: a name of a data set has letters, digits, '_', '-' and "
            "'.' alone."
        )


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
      InputError: the annotation is absent, unreadable, of another scheme, not finite, or has an
        angle beyond half a turn.
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
    if sample.depth is not None and np.isinf(sample.depth).any():
        raise InputError(f"{entry.where}: the landmarks' depth holds infinity.")
    if (np.abs(sample.pose) > HALF_TURN).any():
        angles = ", ".join(f"{angle:.0f}" for angle in sample.pose)
        raise InputError(
            f"{entry.where}: its yaw, pitch and roll of {angles} degrees are beyond half a turn."
        )
    return sample


def load_photo(name: str, entry: Entry) -> np.ndarray:
    """Reads an entry's photo, RGB uint8 [H, W, 3]. Raises InputError that names the photo."""
    with concerning(entry.photo):
        return get_dataset(name).photo(entry)


def load_grey(name: str, entry: Entry) -> np.ndarray:
    """An entry's photo, grey uint8 [H, W], perhaps smaller and turned: quick, for comparisons.

    Raises:
      InputError: it cannot be read.
    """
    if entry.photo in entry.annotations:  # one of many in a file
        return cv2.cvtColor(load_photo(name, entry), cv2.COLOR_RGB2GRAY)
    return decode_grey(read_file(entry.photo), str(entry.photo))
