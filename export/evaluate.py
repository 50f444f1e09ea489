"""`senet-landmark evaluate`: models, and other people's, on a data set of photos or on records."""

import contextlib
import csv
import io
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from data_tools import face_boxes
from data_tools.datasets.registry import get_dataset, list_entries, load_photo, load_sample
from data_tools.samples import Entry, Sample, by_photo, yaw_of
from export.engines import EngineName
from export.peers import Landmarker, Peer, load_dlib_predictor, load_mediapipe
from export.predictor import Predictor, find_model
from senet_landmark.attributes import get_attribute
from senet_landmark.errors import InputError
from senet_landmark.evaluate import AnnotatedFace, Measured, metrics_of, write_metrics
from senet_landmark.files import write_bytes
from senet_landmark.geometry import apply
from senet_landmark.metrics import NORMALISERS, normaliser
from senet_landmark.scheme_conversion import can_convert, convert
from senet_landmark.schemes import Scheme, get_scheme

PEERS = ("dlib", "mediapipe")


@dataclass(frozen=True)
class Photos:
    """Where the faces come from: a data set's photos.

    Attributes:
      dataset: name in `data_tools.datasets.registry`.
      root: the data set's folder.
      points: which of its annotations.
    """

    dataset: str
    root: Path
    points: str = "auto"


@dataclass(frozen=True)
class Records:
    """Where the faces come from: the recorded crops of one split.

    Attributes:
      folder: made by `build-records`.
      split: name of the split.
    """

    folder: Path
    split: str = "test"


def evaluate_models(
    models: Sequence[Path | str | None],
    faces: Photos | Records,
    out: Path | str,
    *,
    boxes: Sequence[face_boxes.BoxSource] = (face_boxes.LANDMARKS,),
    peers: Sequence[str] = (),
    engine: EngineName | None = None,
    detector_model: Path | None = None,
    dlib_model: Path | None = None,
    correct: bool = True,
    page: bool = True,
) -> dict[str, Any]:
    """Measures models on the same faces and boxes; writes metrics, a CSV by face and a page.

    Args:
      models: `.pb` files, folders of training runs, or names of models that ship; None: the
        default.
      faces: what they are measured on.
      out: folder for `metrics.json`, `faces.csv` and `evaluation.html`.
      boxes: sources of the face boxes, each measured apart. `landmarks`: the canonical box of the
        truth; `annotation`: the data set's own; a detector's: the detection that fits the truth.
        A face without a box is missed: it counts as a failure.
      peers: `dlib`, `mediapipe`: other people's models.
      engine: what runs the models; None: the fastest that can.
      detector_model: the file of dlib's CNN detector, for `dlib_cnn`.
      dlib_model: the file of the peer `dlib`; None: that of the package face_recognition_models.
      correct: bring the boxes to the canonical box first; False shows what that is worth to a
        model. Peers get the boxes that they were made for in any case.
      page: write `evaluation.html`.

    Returns:
      The figures of the first model with the first boxes (see `senet_landmark.evaluate`), and
      `model`, `dataset`, `boxes`, `corrected`, `skipped`: faces that could not be read, with the
      reason; `models`: the figures of every model with every source of boxes.

    Raises:
      InputError: nothing to measure, or a model whose landmarks are not those of the faces.
    """
    if not boxes:
        raise InputError("Give at least one source of face boxes.")
    with contextlib.ExitStack() as stack:
        landmarkers = [load_model(stack, model, engine) for model in models]
        landmarkers += [load_peer(name, dlib_model) for name in peers]
        if not landmarkers:
            raise InputError("Give at least one model or peer.")
        skipped: list[dict[str, str]] = []
        source = _source_of(faces, boxes, detector_model, skipped)
        for model in landmarkers:
            if not can_convert(model.scheme.name, source.scheme.name):
                raise InputError(
                    f"The model {model.name} predicts {model.scheme.name}, the faces have "
                    f"{source.scheme.name}."
                )
        results = [
            Measured(model.name, box, _points_of(model, source.scheme))
            for model in landmarkers
            for box in boxes
        ]
        _measure(landmarkers, source, boxes, results, correct)
    metrics = _metrics(results, source.scheme, skipped)
    notes = {m.name: m.note for m in landmarkers if m.note}
    metrics |= {"dataset": source.name, "corrected": correct, "notes": notes, "skipped": skipped}
    write_bytes(Path(out) / "faces.csv", _table(results, source.scheme).encode())
    if page:
        from export.evaluation_page import write_page

        write_page(Path(out) / "evaluation.html", results, metrics, source)
    write_metrics(out, metrics)
    return metrics


def load_model(
    stack: contextlib.ExitStack, model: Path | str | None, engine: EngineName | None = None
) -> Landmarker:
    """A model by its file or name, or a training run's best checkpoint, through a frozen copy.

    Raises:
      InputError: it is none of these, or damaged.
    """
    if model is not None and Path(model).is_dir():
        from export.freeze import freeze

        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        freeze(model, folder / f"{Path(model).name}.pb")
        return Predictor(folder / f"{Path(model).name}.pb", engine or "tensorflow")
    return Predictor(find_model(model), engine or "opencv")


def load_peer(name: str, dlib_model: Path | None = None) -> Landmarker:
    """A peer by its name. Raises InputError that lists the known, or says what to install."""
    if name == "dlib":
        return load_dlib_predictor(dlib_model)
    if name == "mediapipe":
        return load_mediapipe()
    raise InputError(f"Unknown peer {name!r}. Known: {', '.join(PEERS)}.")


def _points_of(model: Landmarker, scheme: Scheme) -> tuple[int, ...]:
    """The landmarks of `scheme` that a model gives, maybe through a conversion."""
    points = np.full((model.scheme.points, 2), np.nan)
    points[list(model.points)] = 0
    known = np.isfinite(convert(points, model.scheme.name, scheme.name)).all(axis=1)
    return tuple(np.flatnonzero(known).tolist())


# --- faces -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """Annotated faces to iterate over, photo by photo, as often as needed.

    Attributes:
      name: of the data set, or the records.
      scheme: landmark scheme of the truth.
      count: number of faces.
      photos: () -> the faces of each photo, those that can be read.
      photo: name of a face -> its photo again.
    """

    name: str
    scheme: Scheme
    count: int
    photos: Any
    photo: Any


def _source_of(
    faces: Photos | Records,
    boxes: Sequence[face_boxes.BoxSource],
    detector_model: Path | None,
    skipped: list[dict[str, str]],
) -> Source:
    detectors = {
        box: face_boxes.get_detector(box, detector_model)
        for box in boxes
        if box in face_boxes.DETECTORS
    }
    if isinstance(faces, Records):
        return _records_source(faces, boxes, detectors)
    entries = list_entries(faces.dataset, faces.root, faces.points)
    by_name = {entry.source: entry for entry in entries}

    def photos() -> Iterator[list[AnnotatedFace]]:
        for photo in by_photo(entries):
            yield list(_faces_of(faces.dataset, photo, boxes, detectors, skipped))

    return Source(
        name=faces.dataset,
        scheme=get_scheme(entries[0].scheme),
        count=len(entries),
        photos=photos,
        photo=lambda name: load_photo(faces.dataset, by_name[name]),
    )


def _faces_of(
    dataset: str,
    photo: tuple[Entry, ...],
    boxes: Sequence[face_boxes.BoxSource],
    detectors: dict[face_boxes.BoxSource, face_boxes.Detector],
    skipped: list[dict[str, str]],
) -> Iterator[AnnotatedFace]:
    """The faces of one photo with their boxes; what cannot be read is added to `skipped`."""
    samples, truths = [], []
    for entry in photo:
        try:
            sample = load_sample(dataset, entry)
            truths.append(face_boxes.canonical_box(sample.landmarks, sample.scheme))
            for kind in NORMALISERS:  # a face that cannot be measured must not end the job
                normaliser(sample.landmarks[None], get_scheme(sample.scheme), kind, [entry.source])
            samples.append(sample)
        except InputError as error:
            del truths[len(samples) :]
            skipped.append({"photo": str(entry.photo), "reason": str(error)})
    if not samples:
        return
    try:
        pixels = load_photo(dataset, photo[0])
    except InputError as error:
        skipped.extend({"photo": str(s.photo), "reason": str(error)} for s in samples)
        return
    found: dict[str, Sequence[np.ndarray | None]] = {
        face_boxes.LANDMARKS: truths,
        face_boxes.ANNOTATION: [sample.box for sample in samples],
    }
    for name, detect in detectors.items():
        found[name] = face_boxes.find_annotated_faces(pixels, truths, detect)
    for index, sample in enumerate(samples):
        yield AnnotatedFace(
            photo=pixels,
            truth=sample.landmarks,
            boxes={box: found[box][index] for box in boxes},
            source=sample.source,
            subset=sample.subset,
            yaw=yaw_of(sample),
            attributes=_classes(get_dataset(dataset).attributes, sample.attributes),
        )


def _classes(names: Sequence[str], values: np.ndarray) -> dict[str, str | None]:
    known = {n: v for n, v in zip(names, values, strict=False)}
    return {
        name: get_attribute(name).classes[int(value)] if np.isfinite(value) else None
        for name, value in known.items()
    }


def _records_source(
    faces: Records,
    boxes: Sequence[face_boxes.BoxSource],
    detectors: dict[face_boxes.BoxSource, face_boxes.Detector],
) -> Source:
    """The recorded crops as photos: their landmarks' boxes, or a detector's on the crop."""
    from senet_landmark.input_pipeline import RecordStore
    from senet_landmark.records import load_records_info, shard_paths

    if face_boxes.ANNOTATION in boxes:
        raise InputError("Records do not hold the annotated boxes; evaluate on the photos.")
    info = load_records_info(faces.folder)
    store = RecordStore(shard_paths(faces.folder, info, faces.split), cache_mb=0)
    places = {store.record(i).source: i for i in range(len(store))}

    def photos() -> Iterator[list[AnnotatedFace]]:
        for index in range(len(store)):
            record, pixels = store.record(index), store.image(index)
            size = np.array(pixels.shape[1::-1])
            to_pixels = np.array([[size[0], 0, -0.5], [0, size[1], -0.5]])
            truth = apply(to_pixels, record.landmarks).astype(np.float32)
            own = face_boxes.canonical_box(truth, record.scheme)
            found: dict[str, np.ndarray | None] = {face_boxes.LANDMARKS: own}
            for name, detect in detectors.items():
                (found[name],) = face_boxes.find_annotated_faces(pixels, [own], detect)
            sample = Sample(
                Path(record.source), record.source, record.identity, record.scheme, truth,
                record.visible, pose=record.pose, subset=record.subset,
            )  # fmt: skip
            yield [
                AnnotatedFace(
                    photo=pixels,
                    truth=truth,
                    boxes={box: found[box] for box in boxes},
                    source=record.source,
                    subset=record.subset,
                    yaw=yaw_of(sample),
                    attributes=_classes(info.attributes, record.attributes),
                )
            ]

    return Source(
        name=f"{info.dataset} ({faces.split})",
        scheme=store.scheme,
        count=len(store),
        photos=photos,
        photo=lambda name: store.image(places[name]),
    )


# --- measuring ---------------------------------------------------------------------------------


def _measure(
    models: Sequence[Landmarker],
    source: Source,
    boxes: Sequence[face_boxes.BoxSource],
    results: list[Measured],
    correct: bool,
) -> None:
    """Fills `results`, which are in the order of models and, within them, of boxes."""
    with tqdm(total=source.count, unit="face", desc="evaluating", dynamic_ncols=True) as bar:
        for faces in source.photos():
            kept = [replace(face, photo=np.empty(0, np.uint8)) for face in faces]
            for number, result in enumerate(results):
                model, box = models[number // len(boxes)], result.boxes
                there = [i for i, face in enumerate(faces) if face.boxes[box] is not None]
                predicted: dict[int, np.ndarray] = {}
                if there:
                    found = model.landmarks(
                        faces[0].photo,
                        np.stack([np.asarray(faces[i].boxes[box]) for i in there]),
                        box if correct or isinstance(model, Peer) else None,
                    )
                    found = convert(found, model.scheme.name, source.scheme.name)
                    predicted = dict(zip(there, found, strict=True))
                for index, face in enumerate(kept):
                    result.add(face, predicted.get(index))
            bar.update(len(faces))


def _metrics(
    results: list[Measured], scheme: Scheme, skipped: list[dict[str, str]]
) -> dict[str, Any]:
    every = []
    for result in results:
        try:
            figures = metrics_of(result, scheme)
        except InputError as error:
            first = f" First skipped: {skipped[0]['reason']}" if skipped else ""
            raise InputError(f"{result.name}, {result.boxes} boxes: {error}{first}") from error
        every.append({"model": result.name, "boxes": result.boxes, **figures})
    return {**every[0], "models": every}


def _table(results: list[Measured], scheme: Scheme) -> str:
    """A line for each face, model and source of boxes; NME in percent."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    errors = [result.errors(scheme) for result in results]
    writer.writerow(["model", "boxes", "face", "subset", "yaw", "missed", *errors[0]])
    for result, own in zip(results, errors, strict=True):
        for index, face in enumerate(result.faces):
            yaw = "" if face.yaw is None else f"{face.yaw:.1f}"
            values = [f"{100 * of[index]:.4f}" for of in own.values()]
            writer.writerow([result.name, result.boxes, face.source, face.subset, yaw, 0, *values])
        for face in result.missed:
            empty = [""] * len(own)
            writer.writerow([result.name, result.boxes, face.source, face.subset, "", 1, *empty])
    return stream.getvalue()
