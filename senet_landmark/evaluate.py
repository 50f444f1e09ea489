"""Model + annotated faces -> metrics. The model and the faces are handed in, whatever they are."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from senet_landmark.errors import InputError
from senet_landmark.files import write_json
from senet_landmark.metrics import nme_bbox_size, nme_inter_ocular
from senet_landmark.pose import yaw_band
from senet_landmark.schemes import Scheme


@dataclass(frozen=True)
class AnnotatedFace:
    """One face to be measured.

    Attributes:
      photo: RGB uint8 [H, W, 3].
      truth: float32 [K, 2] in photo pixels.
      box: face box in photo pixels, float64 [4]; None where the detector missed the face.
      yaw: degrees; None where unknown.
    """

    photo: np.ndarray
    truth: np.ndarray
    box: np.ndarray | None
    yaw: float | None = None


def evaluate(
    landmarks: Callable[[np.ndarray, np.ndarray], np.ndarray],
    faces: Iterable[AnnotatedFace],
    scheme: Scheme,
) -> dict[str, Any]:
    """Measures a model.

    Args:
      landmarks: (photo, boxes [N, 4]) -> [N, K, 2] in photo pixels.
      faces: the faces, one at a time.
      scheme: landmark scheme of model and truth.

    Returns:
      `n`: faces measured; `nme_inter_ocular`, `nme_bbox_size`: means in percent over them;
      `by_yaw`: the same for each band of |yaw|; `missed_faces`: faces without a box, which are in
      none of these.

    Raises:
      InputError: no face, every face missed, schemes that differ, or a degenerate truth.
    """
    errors: dict[str, list[tuple[float, float]]] = {}
    missed = 0
    for face in faces:
        if face.box is None:
            missed += 1
            continue
        predicted, truth = landmarks(face.photo, face.box[None]), face.truth[None]
        pair = [
            float(nme(predicted, truth, scheme)[0]) for nme in (nme_inter_ocular, nme_bbox_size)
        ]
        errors.setdefault(yaw_band(face.yaw), []).append((pair[0], pair[1]))
    if not errors:
        what = f"the detector missed all {missed} faces" if missed else "there is no face"
        raise InputError(f"Nothing to measure: {what}.")
    every = [pair for band in errors.values() for pair in band]
    by_yaw = {band: _means(errors[band]) for band in sorted(errors)}
    return {**_means(every), "by_yaw": by_yaw, "missed_faces": missed}


def _means(pairs: list[tuple[float, float]]) -> dict[str, Any]:
    ocular, size = 100 * np.mean(pairs, axis=0)
    return {
        "n": len(pairs),
        "nme_inter_ocular": round(float(ocular), 4),
        "nme_bbox_size": round(float(size), 4),
    }


def write_metrics(out: Path | str, metrics: dict[str, Any]) -> Path:
    """Writes `OUT/metrics.json`, whole or not at all, and returns its path."""
    path = Path(out) / "metrics.json"
    write_json(path, metrics)
    return path
