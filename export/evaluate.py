"""`senet-landmark evaluate`: a frozen model on a data set of photos."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from data_tools import face_boxes
from data_tools.datasets.registry import get_dataset, list_entries, load_sample
from export.engines import EngineName
from export.predictor import Predictor
from senet_landmark.errors import InputError
from senet_landmark.evaluate import AnnotatedFace, evaluate, write_metrics
from senet_landmark.geometry import box_from_landmarks
from senet_landmark.images import read_photo


def evaluate_model(
    model: Path | str | None,
    dataset: str,
    root: Path | str,
    out: Path | str,
    *,
    boxes: face_boxes.BoxSource = "landmarks",
    points: str = "auto",
    engine: EngineName = "opencv",
) -> dict[str, Any]:
    """Measures a frozen model on a data set and writes `OUT/metrics.json`.

    Args:
      model: path of a `.pb`, or the name of one that ships; None: the default.
      dataset: name in `data_tools.datasets.registry`.
      root: the data set's folder.
      out: folder for `metrics.json`.
      boxes: `landmarks`, the tight box of the truth; or `dlib`, the detection that fits the truth,
        where a face without one counts in `missed_faces`.
      points: which of the data set's annotations.
      engine: what runs the model.

    Returns:
      The metrics of `senet_landmark.evaluate.evaluate`, and `skipped`: photos or annotations that
      could not be read, with the reason.

    Raises:
      InputError: nothing to measure, or model and data set have different landmark schemes.
    """
    entries = list_entries(dataset, root, points)
    predictor = Predictor(model, engine)
    scheme = predictor.contract.landmark_scheme
    wanted = get_dataset(dataset).scheme
    if scheme.name != wanted:
        raise InputError(f"The model predicts {scheme.name}, the data set {dataset} has {wanted}.")
    skipped: list[dict[str, str]] = []

    def faces() -> Iterator[AnnotatedFace]:
        for entry in tqdm(entries, unit="face", desc="evaluating", dynamic_ncols=True):
            try:
                sample = load_sample(dataset, entry)
                photo = read_photo(sample.photo)
            except InputError as error:
                skipped.append({"photo": str(entry.photo), "reason": str(error)})
                continue
            if boxes == face_boxes.DLIB:
                box = face_boxes.find_annotated_face(photo, sample.landmarks)
            else:
                box = box_from_landmarks(sample.landmarks)
            yield AnnotatedFace(photo, sample.landmarks, box)

    try:
        metrics = evaluate(lambda p, b: predictor.landmarks(p, b, boxes), faces(), scheme)
    except InputError as error:
        if skipped:
            raise InputError(f"{error} First skipped: {skipped[0]['reason']}") from error
        raise
    metrics = {**metrics, "dataset": dataset, "boxes": boxes, "skipped": skipped}
    write_metrics(out, metrics)
    return metrics
