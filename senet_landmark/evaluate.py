"""Model + annotated faces -> metrics. The model and the faces are handed in, whatever they are."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from senet_landmark.errors import InputError
from senet_landmark.files import write_json
from senet_landmark.metrics import nme_inter_ocular
from senet_landmark.schemes import Scheme


@dataclass(frozen=True)
class AnnotatedFace:
    """One face to be measured.

    Attributes:
      photo: RGB uint8 [H, W, 3].
      truth: float32 [K, 2] in photo pixels.
      box: face box in photo pixels, float64 [4]; None where the detector missed the face.
    """

    photo: np.ndarray
    truth: np.ndarray
    box: np.ndarray | None


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
      `n`: faces measured; `nme_inter_ocular`: mean in percent over them; `missed_faces`: faces
      without a box, which are in neither.

    Raises:
      InputError: no face, every face missed, schemes that differ, or a degenerate truth.
    """
    errors, missed = [], 0
    for face in faces:
        if face.box is None:
            missed += 1
            continue
        predicted = landmarks(face.photo, face.box[None])
        errors.append(nme_inter_ocular(predicted, face.truth[None], scheme)[0])
    if not errors:
        what = f"the detector missed all {missed} faces" if missed else "there is no face"
        raise InputError(f"Nothing to measure: {what}.")
    return {
        "n": len(errors),
        "nme_inter_ocular": round(float(100 * np.mean(errors)), 4),
        "missed_faces": missed,
    }


def write_metrics(out: Path | str, metrics: dict[str, Any]) -> Path:
    """Writes `OUT/metrics.json`, whole or not at all, and returns its path."""
    path = Path(out) / "metrics.json"
    write_json(path, metrics)
    return path
