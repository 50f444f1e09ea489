"""The faces that an evaluation measures: a data set's photos, or a split of records."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from senet_landmark.data.records import Record
from senet_landmark.data_tools.datasets.registry import (
    get_dataset,
    list_entries,
    load_photo,
    load_sample,
)
from senet_landmark.data_tools.datasets.samples import Entry, by_photo
from senet_landmark.detectors.interface import Find
from senet_landmark.detectors.registry import DETECTORS, get_detector
from senet_landmark.detectors.search import find_annotated_faces
from senet_landmark.errors import InputError
from senet_landmark.evaluation.measuring import AnnotatedFace
from senet_landmark.evaluation.metrics import unmeasurable
from senet_landmark.face.attributes import get_attribute
from senet_landmark.face.boxes import ANNOTATION, LANDMARKS, canonical_box
from senet_landmark.face.geometry import CropSpec, apply, compose, to_crop, to_pixels, warp
from senet_landmark.face.pose import known_pose
from senet_landmark.face.schemes import Scheme, get_scheme

RECORDS = "records"
"""The name of a folder of records where a data set's name is expected."""


@dataclass(frozen=True)
class Photos:
    """Faces to measure on: those in a data set's photos.

    Attributes:
      dataset: name in `senet_landmark.data_tools.datasets.registry`.
      root: the data set's folder.
      points: which of its annotations to use.
      left_out: identities whose faces are left out.
    """

    dataset: str
    root: Path
    points: str = "auto"
    left_out: frozenset[str] = frozenset()

    @property
    def names(self) -> tuple[str, str]:
        """Its name in a report, and what tells it from another of that name."""
        return self.dataset, self.root.name

    def scheme(self) -> str:
        """Landmark scheme of the ground truth. Raises InputError if the folder has no photo."""
        return self.entries()[0].scheme

    def entries(self) -> list[Entry]:
        """The entries of the faces. Raises InputError if there are none."""
        every = list_entries(self.dataset, self.root, self.points)
        entries = [entry for entry in every if entry.identity not in self.left_out]
        if not entries:
            raise InputError(f"{self.root}: the identity of every face is one to leave out.")
        return entries


@dataclass(frozen=True)
class Records:
    """Faces to measure on: the recorded crops of one split.

    Attributes:
      folder: folder that `build-records` wrote.
      split: name of the split.
    """

    folder: Path
    split: str = "test"

    @property
    def names(self) -> tuple[str, str]:
        """Its name in a report, and what tells it from another of that name."""
        return self.folder.name, RECORDS

    def scheme(self) -> str:
        """Landmark scheme of the ground truth. Raises InputError if the split has no records."""
        from senet_landmark.data.records import load_records_info, shard_paths

        info = load_records_info(self.folder)
        shard_paths(self.folder, info, self.split)
        return info.scheme


def faces_at(
    name: str, folder: Path, points: str = "auto", unseen_by: Sequence[Path] = ()
) -> Photos | Records:
    """The photos of the data set `name` in a folder; for `records` the test split of the folder.

    Args:
      name: name of the data set, or `records`.
      folder: folder of its photos, or of records.
      points: which of its annotations to use.
      unseen_by: folders of records; photos of identities in their training or held-out split are
        left out.
    """
    if name == RECORDS:
        return Records(folder)
    return Photos(name, folder, points, seen_identities(unseen_by))


def seen_identities(folders: Sequence[Path]) -> frozenset[str]:
    """The identities in these records, without those of their test splits: what training sees."""
    from senet_landmark.data.identities import identities
    from senet_landmark.data.records import load_records_info

    seen: set[str] = set()
    for folder in folders:
        for split, names in identities(folder, load_records_info(folder)).items():
            seen |= set(names) if split != "test" else set()
    return frozenset(seen)


@dataclass(frozen=True)
class FaceSource:
    """Annotated faces to iterate over, photo by photo, as often as needed.

    Attributes:
      name: name of the data set, or of the records.
      scheme: landmark scheme of the ground truth.
      count: number of faces.
      photos: () -> the faces of each photo that can be read.
      photo: name of a face -> its photo, RGB uint8 [H, W, 3], read again.
    """

    name: str
    scheme: Scheme
    count: int
    photos: Callable[[], Iterator[list[AnnotatedFace]]]
    photo: Callable[[str], np.ndarray]


def face_source_of(
    faces: Photos | Records,
    boxes: Sequence[str],
    detector_model: Path | None,
    skipped: list[dict[str, str]],
) -> FaceSource:
    """The faces to iterate over, with a box from each box source.

    Args:
      faces: where they come from.
      boxes: sources of the face boxes.
      detector_model: the detector's file, for `dlib_cnn` and `yunet`.
      skipped: while iterating, faces that cannot be read are added here with the reason.

    Raises:
      InputError: there are no faces, or they cannot have boxes from one of the sources.
    """
    detectors = {box: get_detector(box, detector_model).stages for box in boxes if box in DETECTORS}
    if isinstance(faces, Records):
        return _records_source(faces, boxes, detectors, skipped)
    entries = faces.entries()
    by_name = {entry.source: entry for entry in entries}

    def photos() -> Iterator[list[AnnotatedFace]]:
        for photo in by_photo(entries):
            yield list(_faces_of(faces.dataset, photo, boxes, detectors, skipped))

    return FaceSource(
        name=faces.dataset,
        scheme=get_scheme(entries[0].scheme),
        count=len(entries),
        photos=photos,
        photo=lambda name: load_photo(faces.dataset, by_name[name]),
    )


def _faces_of(
    dataset: str,
    photo: tuple[Entry, ...],
    boxes: Sequence[str],
    detectors: dict[str, tuple[Find, ...]],
    skipped: list[dict[str, str]],
) -> Iterator[AnnotatedFace]:
    """The faces of one photo with their boxes; faces that cannot be read are added to `skipped`."""
    samples, true_boxes = [], []
    for entry in photo:
        try:
            sample = load_sample(dataset, entry)
            # A face that cannot be measured must not stop the evaluation.
            if problem := unmeasurable(sample.landmarks, get_scheme(sample.scheme)):
                raise InputError(f"{entry.source}: {problem}.")
            if set(boxes) != {ANNOTATION}:
                true_boxes.append(canonical_box(sample.landmarks, sample.scheme))
            samples.append(sample)
        except InputError as error:
            skipped.append({"photo": str(entry.photo), "reason": str(error)})
    if not samples:
        return
    try:
        pixels = load_photo(dataset, photo[0])
    except InputError as error:
        skipped.extend({"photo": str(s.photo), "reason": str(error)} for s in samples)
        return
    boxes_of: dict[str, Sequence[np.ndarray | None]] = {
        LANDMARKS: true_boxes,
        ANNOTATION: [sample.box for sample in samples],
    }
    for name, stages in detectors.items():
        boxes_of[name] = find_annotated_faces(pixels, true_boxes, stages)
    for index, sample in enumerate(samples):
        yield AnnotatedFace(
            photo=pixels,
            truth=sample.landmarks,
            boxes={box: boxes_of[box][index] for box in boxes},
            source=sample.source,
            subset=sample.subset,
            pose=known_pose(sample.pose, sample.landmarks, sample.scheme),
            depth=sample.depth,
            attributes=_classes(get_dataset(dataset).attributes, sample.attributes),
        )


def _classes(names: Sequence[str], values: np.ndarray) -> dict[str, str | None]:
    """Attribute -> name of its class; None where the value is NaN."""
    return {
        name: get_attribute(name).classes[int(value)] if np.isfinite(value) else None
        for name, value in zip(names, values, strict=False)
    }


def _records_source(
    faces: Records,
    boxes: Sequence[str],
    detectors: dict[str, tuple[Find, ...]],
    skipped: list[dict[str, str]],
) -> FaceSource:
    """The recorded crops as photos, with the landmarks' boxes, or a detector's on the crop.

    Of a record of a whole photo the photo is shown, in its proportions.
    """
    from senet_landmark.data.input_pipeline import RecordStore
    from senet_landmark.data.records import load_records_info, shard_paths

    if ANNOTATION in boxes:
        raise InputError("Records do not hold the annotated boxes; evaluate on the photos.")
    info = load_records_info(faces.folder)
    store = RecordStore(shard_paths(faces.folder, info, faces.split), cache_mb=0)
    index_of = {store.record(i).source: i for i in range(len(store))}

    def photo(name: str) -> np.ndarray:
        index = index_of[name]
        return _photo_of(store.record(index), store.image(index), info.crop)[0]

    def photos() -> Iterator[list[AnnotatedFace]]:
        for index in range(len(store)):
            record = store.record(index)
            pixels, transform = _photo_of(record, store.image(index), info.crop)
            truth = apply(transform, record.landmarks).astype(np.float32)
            if problem := unmeasurable(truth, store.scheme):
                reason = f"{record.source}: {problem}."
                skipped.append({"photo": record.source, "reason": reason})
                continue
            true_box = canonical_box(truth, record.scheme)
            boxes_of: dict[str, np.ndarray | None] = {LANDMARKS: true_box}
            for name, stages in detectors.items():
                (boxes_of[name],) = find_annotated_faces(pixels, [true_box], stages)
            yield [
                AnnotatedFace(
                    photo=pixels,
                    truth=truth,
                    boxes={box: boxes_of[box] for box in boxes},
                    source=record.source,
                    subset=record.subset,
                    pose=known_pose(record.pose, truth, record.scheme),
                    depth=record.depth * np.float32(transform[0, 0]),
                    attributes=_classes(info.attributes, record.attributes),
                    pixel=record.pixel((float(transform[0, 0]), float(transform[1, 1]))),
                )
            ]

    return FaceSource(
        name=f"{info.dataset} ({faces.split})",
        scheme=store.scheme,
        count=len(store),
        photos=photos,
        photo=photo,
    )


def _photo_of(record: Record, picture: np.ndarray, crop: CropSpec) -> tuple[np.ndarray, np.ndarray]:
    """What a model is to find the face of a record in, and the affine to its pixels.

    It is the recorded picture, RGB uint8 [H, W, 3], of a face, and the part of it that is the
    photo, in the photo's proportions and not enlarged, where crops are of the whole photo. The
    affine [2, 3] is from normalised coordinates of the recorded picture.
    """
    size = np.array(picture.shape[1::-1])
    to_picture = to_pixels((size[0], size[1]))
    if crop.of == "face":
        return picture, to_picture
    region = (record.region[2:] - record.region[:2]).astype(np.float64)
    sides = (record.box[2:] - record.box[:2]) * region * min((size / region).max(), 1)
    width, height = np.maximum(sides.round(), 1).astype(int).tolist()
    to_photo = to_crop(apply(to_picture, record.box.astype(np.float64).reshape(2, 2)).ravel())
    to_photo_pixels = compose(to_pixels((width, height)), to_photo)
    return warp(picture, to_photo, (width, height)), compose(to_photo_pixels, to_picture)
