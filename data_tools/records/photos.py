"""From one photo to the records of its faces: the functions that every builder runs.

They run in worker processes, on this machine or on a cluster (`beam.py`). They do not import
TensorFlow, which would take seconds.
"""

import contextlib
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from senet_landmark.config import RecordsConfig
from senet_landmark.data.records import Record
from senet_landmark.data_tools.datasets.registry import load_photo, load_sample
from senet_landmark.data_tools.datasets.samples import Entry, Sample, yaw_of
from senet_landmark.detectors.registry import DETECTORS, get_detector
from senet_landmark.detectors.search import find_annotated_faces
from senet_landmark.errors import InputError, concerning
from senet_landmark.face import geometry
from senet_landmark.face.boxes import LANDMARKS, canonical_box
from senet_landmark.face.geometry import Box, BoxCorrection
from senet_landmark.io.files import printable
from senet_landmark.io.images import encode_png
from senet_landmark.processes import KILLED

SMALLEST = 4.0
"""Pixels of the longer side of the smallest face box that is recorded."""
FARTHEST = 10.0
"""Distance of a landmark from the photo's origin, in sizes of the photo, from which it is wrong."""

Photo = tuple[Entry, ...]
"""All faces of one photo that are in one split."""


@dataclass(frozen=True)
class Job:
    """Data of a build that are the same for every photo.

    Attributes:
      dataset: name of the data set.
      config: options of crops, split and shards.
      box_source: source of the face boxes: the landmarks, the annotation, or a detector's name.
      correction: correction of the boxes of this source.
      detector_model: the file of a detector that needs one, or None.
      crowded: `Entry.shot` of the photos with several faces, where whole photos are recorded.
    """

    dataset: str
    config: RecordsConfig
    box_source: str = LANDMARKS
    correction: BoxCorrection = field(default_factory=BoxCorrection)
    detector_model: Path | None = None
    crowded: frozenset[tuple[Path, int]] = frozenset()


@dataclass(frozen=True)
class FoundBox:
    """The box that the job's source gives for a face.

    Attributes:
      found: left, top, right, bottom in photo pixels; None if the source has no box.
      canonical: canonical box of the face's landmarks, in the same form.
    """

    found: tuple[float, ...] | None
    canonical: tuple[float, ...]


@dataclass(frozen=True)
class RecordedFace:
    """The result for one face: its record, or the reason why it was skipped.

    Attributes:
      source: name of the face, as in `Entry.source`.
      photo: file of the photo, for messages.
      record: the record; None if the face was skipped.
      reason: why the face was skipped; else empty.
      missed: whether the source of boxes has none for it; then the box of the landmarks is used.
      yaw: yaw in degrees; None if unknown.
      side: longer side of the face's box in pixels of the photo.
      low, high: smallest and largest coordinate of its landmarks in the recorded crop.
      digest: digest of the photo's pixels, equal for copies of one photo; empty for all faces of a
        photo except the first.
    """

    source: str
    photo: str
    record: Record | None = None
    reason: str = ""
    missed: bool = False
    yaw: float | None = None
    side: float = 0.0
    low: float = 0.0
    high: float = 0.0
    digest: str = ""


def photo_boxes(job: Job, photo: Photo, _: object = None) -> dict[str, FoundBox]:
    """The boxes that the job's source gives for the faces of one photo, by `Entry.source`.

    A face that cannot be read is left out: `photo_faces` gets the same error and reports it.
    """
    try:
        return _boxes(job, photo, *_read(job, photo, pixels=job.box_source in DETECTORS))
    except InputError:
        return {}


def photo_faces(
    job: Job, photo: Photo, boxes: dict[str, FoundBox] | None = None
) -> list[RecordedFace]:
    """Makes the records of the faces of one photo, or skips them; in the order of the entries.

    Args:
      job: data of the build.
      photo: the entries of the photo's faces.
      boxes: boxes from `photo_boxes`; None: find them now.
    """
    if photo[0].shot in job.crowded:
        return _skipped(
            photo,
            f"{photo[0].photo}: has several annotated faces; a record of a whole photo "
            "(records.crop.of) can have one, as no network could tell which is meant.",
        )
    samples, pixels = _read(job, photo)
    if boxes is None or not boxes.keys() >= samples.keys():
        try:
            boxes = _boxes(job, photo, samples, pixels)
        except InputError as error:  # a detector fails on this photo
            boxes, pixels = {}, error
    faces: list[RecordedFace] = []
    digest = ""
    if isinstance(pixels, np.ndarray):
        # A sixteenth of the pixels suffices to distinguish photos, in a sixteenth of the time.
        digest = hashlib.blake2b(pixels[::4, ::4].tobytes(), digest_size=12).hexdigest()
    for entry in photo:
        sample, box = samples[entry.source], boxes.get(entry.source)
        try:
            if isinstance(sample, InputError):
                raise sample
            if isinstance(pixels, InputError):
                raise pixels
            assert pixels is not None
            with concerning(entry.photo):
                faces.append(_face(job, sample, pixels, digest, box.found if box else None))
            digest = ""  # only the photo's first face gets it
        except InputError as error:
            reason = printable(str(error))
            faces.append(RecordedFace(entry.source, printable(entry.photo), reason=reason))
    return faces


def lost_faces(job: Job, photo: Photo, boxes: object = None) -> list[RecordedFace]:
    """The faces of a photo that kills the processes at work on it: all skipped."""
    del job, boxes
    return _skipped(photo, f"{photo[0].photo}: {KILLED}")


def _skipped(photo: Photo, reason: str) -> list[RecordedFace]:
    """All faces of a photo, skipped for one reason."""
    return [
        RecordedFace(entry.source, printable(entry.photo), reason=printable(reason))
        for entry in photo
    ]


Samples = dict[str, Sample | InputError]
"""`Entry.source` -> its sample, or the error of reading it."""
Pixels = np.ndarray | InputError | None
"""RGB uint8 [H, W, 3], or the error of reading the photo; None if it was not read."""


def _read(job: Job, photo: Photo, pixels: bool = True) -> tuple[Samples, Pixels]:
    samples: Samples = {}
    for entry in photo:
        try:
            samples[entry.source] = load_sample(job.dataset, entry)
        except InputError as error:
            samples[entry.source] = error
    if not pixels or all(isinstance(sample, InputError) for sample in samples.values()):
        return samples, None
    try:
        return samples, load_photo(job.dataset, photo[0])
    except InputError as error:
        return samples, error


def _boxes(job: Job, photo: Photo, samples: Samples, pixels: Pixels) -> dict[str, FoundBox]:
    truths: dict[str, Box] = {}
    for source, sample in samples.items():
        if not isinstance(sample, InputError):
            with contextlib.suppress(InputError):
                truths[source] = canonical_box(sample.landmarks, sample.scheme)
    boxes: list[Box | None] = []
    if job.box_source == LANDMARKS or not truths:
        return {}
    if job.box_source in DETECTORS:
        if not isinstance(pixels, np.ndarray):
            return {}
        stages = get_detector(job.box_source, job.detector_model).stages
        with concerning(photo[0].photo):
            boxes = find_annotated_faces(pixels, list(truths.values()), stages)
    else:
        boxes = [getattr(samples[source], "box", None) for source in truths]
    return {
        source: FoundBox(
            None if box is None else tuple(np.asarray(box).tolist()), tuple(canonical.tolist())
        )
        for (source, canonical), box in zip(truths.items(), boxes, strict=True)
    }


def _face(
    job: Job, sample: Sample, pixels: np.ndarray, digest: str, box: tuple[float, ...] | None
) -> RecordedFace:
    record, side = make_record(
        sample, pixels, job.config, job.dataset,
        None if box is None else np.array(box), job.correction,
    )  # fmt: skip
    known = record.landmarks[np.isfinite(record.landmarks).all(axis=1)]
    return RecordedFace(
        source=sample.source,
        photo=printable(sample.photo),
        record=record,
        missed=job.box_source != LANDMARKS and box is None,
        yaw=yaw_of(sample),
        side=side,
        low=float(known.min()),
        high=float(known.max()),
        digest=digest,
    )


def make_record(
    sample: Sample,
    photo: np.ndarray,
    config: RecordsConfig,
    dataset: str,
    source_box: np.ndarray | None = None,
    correction: BoxCorrection = BoxCorrection(),
) -> tuple[Record, float]:
    """Makes the record of a face; returns it and the longer side of the face's box in photo pixels.

    The record's box is what the crop is taken of: the face's box, or the whole photo's rectangle.

    Args:
      sample: the annotated face.
      photo: RGB uint8 [H, W, 3].
      config: options crop, context and size.
      dataset: name of the data set.
      source_box: box of a detector or annotator in pixels, not yet corrected; None: the box of the
        landmarks.
      correction: correction of that source's boxes.

    Raises:
      InputError: the landmarks are not pixels of this photo, the box is too small or shows no part
        of the photo; the message names the photo.
    """
    size = (photo.shape[1], photo.shape[0])
    try:
        _check_landmarks(sample.landmarks, size)
        if source_box is None:
            face_box = canonical_box(sample.landmarks, sample.scheme)
        else:
            face_box = geometry.correct_box(source_box, correction)
        _check_box(face_box, size)
        box = geometry.crop_source(face_box, config.crop, size)
        region = geometry.expand(geometry.crop_box(box, config.crop, size), config.context)
    except InputError as error:
        raise InputError(f"{sample.photo}: {error}") from error
    transform = geometry.to_crop(region)
    depth = np.full(len(sample.landmarks), np.nan) if sample.depth is None else sample.depth
    image = geometry.warp(photo, transform, (config.size, config.size))
    record = Record(
        image=encode_png(image),
        landmarks=geometry.apply(transform, sample.landmarks),
        visible=sample.visible,
        box=geometry.apply(transform, box.reshape(2, 2)).ravel(),
        region=region,
        scheme=sample.scheme,
        dataset=dataset,
        subset=sample.subset,
        source=sample.source,
        identity=sample.identity,
        pose=sample.pose,
        attributes=sample.attributes,
        depth=(depth / (region[2] - region[0])).astype(np.float32),
    )
    return record, float((face_box[2:] - face_box[:2]).max())


def _check_landmarks(landmarks: np.ndarray, size: tuple[int, int]) -> None:
    """Refuses landmarks [K, 2] that cannot be pixels of a photo of this width and height."""
    known = landmarks[np.isfinite(landmarks).all(axis=1)].astype(np.float64)
    if len(known) < 2:
        return  # making the box reports it
    if np.abs(known).max() <= 2 < min(size):
        raise InputError(
            f"its landmarks are from {known.min():.2f} to {known.max():.2f}: shares of the photo's "
            f"size ({size[0]}x{size[1]}), not pixels? Multiply them by it."
        )
    beyond = np.abs(known / size).max(axis=1)
    if beyond.max() > FARTHEST:
        x, y = known[beyond.argmax()]
        raise InputError(
            f"a landmark is at ({x:g}, {y:g}), far beyond the photo's {size[0]}x{size[1]} pixels."
        )


def _check_box(box: Box, size: tuple[int, int]) -> None:
    """Refuses a box that is too small for a face, far too large, or outside the photo."""
    width, height = box[2] - box[0], box[3] - box[1]
    if not np.isfinite(box).all() or max(width, height) > FARTHEST * max(size):
        raise InputError(
            f"its face box of {width:g}x{height:g} pixels is far larger than the photo of "
            f"{size[0]}x{size[1]}."
        )
    if max(width, height) < SMALLEST or min(width, height) < SMALLEST / 4:
        raise InputError(
            f"its face box of {width:.2f}x{height:.2f} pixels is too small for a face (at least "
            f"{SMALLEST:g}). Are the coordinates pixels?"
        )
    if (box[2:] < -0.5).any() or (box[:2] > np.array(size) - 0.5).any():
        left, top, right, bottom = (f"{v:.0f}" for v in box)
        raise InputError(
            f"its face box from ({left}, {top}) to ({right}, {bottom}) shows no part of the photo, "
            f"{size[0]}x{size[1]} pixels."
        )
