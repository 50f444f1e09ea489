"""Models compared face by face: the difference of their errors, and whether it is one."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from senet_landmark.evaluation.measuring import Measured
from senet_landmark.evaluation.statistics import SQUARED, bootstrap_interval, errors_by_face
from senet_landmark.face.schemes import Scheme

FIGURES = ("nme_inter_ocular", "nme_bbox_size", *SQUARED)


def beside_first(results: Sequence[Measured], scheme: Scheme) -> list[dict[str, Any] | None]:
    """Each model's errors minus the first one's, on the faces and landmarks that both have.

    Faces differ more than models do. On the same faces most of that falls away, so that the
    interval of the difference tells two models apart whose own intervals overlap.

    Args:
      results: of all models and sources of boxes, those of the first model first.
      scheme: of the true landmarks.

    Returns:
      For each result `model`, the first; `n` and `landmarks`, how many both have; `difference`,
      figure of `FIGURES` -> mean difference, in percentage points or as the squared errors are, and
      negative where the first model's error is larger; `interval_95`, figure -> [low, high]. None
      for the first model itself, and where fewer than two faces can be compared. A figure that
      fewer than two of them have is left out.
    """
    first = {result.boxes: result for result in reversed(results)}
    return [
        _beside(result, first[result.boxes], scheme) if first[result.boxes] is not result else None
        for result in results
    ]


def _beside(result: Measured, first: Measured, scheme: Scheme) -> dict[str, Any] | None:
    places = {face.source: index for index, face in enumerate(first.faces)}
    common = [face for face in result.faces if face.source in places]
    if len(common) < 2:
        return None
    points = sorted(set(result.points) & set(first.points))
    own = [index for index, face in enumerate(result.faces) if face.source in places]
    others = [places[face.source] for face in common]
    mask = result.mask[own]
    mask[:, np.setdiff1d(np.arange(scheme.points), points)] = False
    if not mask.any(axis=1).all():
        return None
    errors, errors_of_first = (
        errors_by_face(predicted[faces], truth[faces], scheme, mask)
        for (predicted, truth), faces in (
            (result.in_photo_pixels(), own),
            (first.in_photo_pixels(), others),
        )
    )
    difference, interval = {}, {}
    for key in FIGURES:
        values = errors[key] - errors_of_first[key]
        values = values[~np.isnan(values)]
        if len(values) < 2:
            continue
        unit = 1 if key in SQUARED else 100
        difference[key] = float(f"{unit * values.mean():.6g}")
        interval[key] = [float(f"{unit * end:.6g}") for end in bootstrap_interval(values) or ()]
    return {
        "model": first.name,
        "n": len(common),
        "landmarks": len(points),
        "difference": difference,
        "interval_95": interval,
    }
