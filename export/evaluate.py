"""`senet-landmark evaluate`: a frozen model on a data set of photos."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from data_tools import face_boxes
from data_tools.datasets.registry import list_entries, load_photo, load_sample
from data_tools.samples import Entry, by_photo, yaw_of
from export.engines import EngineName
from export.predictor import Predictor
from senet_landmark.errors import InputError
from senet_landmark.evaluate import AnnotatedFace, evaluate, write_metrics


def evaluate_model(
    model: Path | str | None,
    dataset: str,
    root: Path | str,
    out: Path | str,
    *,
    boxes: face_boxes.BoxSource = "landmarks",
    points: str = "auto",
    engine: EngineName = "opencv",
    detector_model: Path | None = None,
    correct: bool = True,
) -> dict[str, Any]:
    """Measures a frozen model on a data set and writes `OUT/metrics.json`.

    Args:
      model: path of a `.pb`, or the name of one that ships; None: the default.
      dataset: name in `data_tools.datasets.registry`.
      root: the data set's folder.
      out: folder for `metrics.json`.
      boxes: `landmarks`, the canonical box of the truth; `annotation`, the data set's own; or a
        detector's, the detection that fits the truth. A face without a box counts in
        `missed_faces`.
      points: which of the data set's annotations.
      engine: what runs the model.
      detector_model: the file of dlib's CNN detector, for `dlib_cnn`.
      correct: bring the boxes to the canonical box first; False shows what that is worth.

    Returns:
      The metrics of `senet_landmark.evaluate.evaluate`, and `skipped`: photos or annotations that
      could not be read, with the reason.

    Raises:
      InputError: nothing to measure, or model and data set have different landmark schemes.
    """
    entries = list_entries(dataset, root, points)
    predictor = Predictor(model, engine)
    scheme = predictor.contract.landmark_scheme
    if scheme.name != entries[0].scheme:
        raise InputError(
            f"The model predicts {scheme.name}, the data set {dataset} has {entries[0].scheme}."
        )
    detect = None
    if boxes in face_boxes.DETECTORS:
        detect = face_boxes.get_detector(boxes, detector_model)
    skipped: list[dict[str, str]] = []

    def faces() -> Iterator[AnnotatedFace]:
        with tqdm(total=len(entries), unit="face", desc="evaluating", dynamic_ncols=True) as bar:
            for photo in by_photo(entries):
                yield from _faces_of(dataset, photo, boxes, detect, skipped)
                bar.update(len(photo))

    try:
        metrics = evaluate(
            lambda p, b: predictor.landmarks(p, b, boxes if correct else None), faces(), scheme
        )
    except InputError as error:
        if skipped:
            raise InputError(f"{error} First skipped: {skipped[0]['reason']}") from error
        raise
    metrics = {**metrics, "dataset": dataset, "boxes": boxes, "corrected": correct}
    metrics["skipped"] = skipped
    write_metrics(out, metrics)
    return metrics


def _faces_of(
    dataset: str,
    photo: tuple[Entry, ...],
    boxes: face_boxes.BoxSource,
    detect: face_boxes.Detector | None,
    skipped: list[dict[str, str]],
) -> Iterator[AnnotatedFace]:
    """The faces of one photo with their boxes; what cannot be read is added to `skipped`."""
    samples, truths = [], []
    for entry in photo:
        try:
            sample = load_sample(dataset, entry)
            truths.append(face_boxes.canonical_box(sample.landmarks, sample.scheme))
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
    found: list[np.ndarray | None] = list(truths)
    if detect is not None:
        found = face_boxes.find_annotated_faces(pixels, truths, detect)
    elif boxes == face_boxes.ANNOTATION:
        found = [sample.box for sample in samples]
    for sample, box in zip(samples, found, strict=True):
        yield AnnotatedFace(pixels, sample.landmarks, box, yaw_of(sample))
