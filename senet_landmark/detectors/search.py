"""Photo -> its faces: how a detector is used on a user's photo and on an annotated photo."""

from collections.abc import Callable, Sequence

import numpy as np

from senet_landmark.detectors.interface import Detections, Find, SearchOptions
from senet_landmark.face.boxes import MATCH_IOU
from senet_landmark.face.geometry import Box, iou

DOUBLED_SIDE = 700
"""`find_faces` doubles photos whose longer side, in pixels, is at most this."""

SURE_SCORE = 0.2
"""Score of dlib from which a detection always counts as a face."""


def find_faces(photo: np.ndarray, detect: Callable[[np.ndarray, int], Detections]) -> Detections:
    """Finds the faces of a user's photo with one of dlib's detectors.

    Photos up to `DOUBLED_SIDE` are doubled, which finds faces from 40 pixels on. Larger photos are
    doubled only if no face is found otherwise. Detections below `SURE_SCORE` count only in a photo
    that has none above it.

    Args:
      photo: RGB uint8 [H, W, 3].
      detect: (photo, how many times it is doubled first) -> its faces.
    """
    doubled = max(photo.shape[:2]) <= DOUBLED_SIDE
    detections = detect(photo, int(doubled))
    if not len(detections.boxes) and not doubled:
        detections = detect(photo, 1)
    sure = detections.scores >= SURE_SCORE
    return detections.take(sure) if sure.any() else detections


def selected(detections: Detections, options: SearchOptions) -> Detections:
    """The detections that are large enough, at most `most_faces` of them, best score first."""
    sides = (detections.boxes[:, 2:] - detections.boxes[:, :2]).max(axis=1, initial=0)
    chosen = np.flatnonzero(sides >= options.min_face)
    best_first = chosen[np.argsort(-detections.scores[chosen], kind="stable")]
    return detections.take(best_first[: options.most_faces or None])


def find_annotated_faces(
    photo: np.ndarray, truths: Sequence[Box], stages: Sequence[Find]
) -> list[Box | None]:
    """The detected box of each annotated face of one photo; None where the face is not detected.

    Detections are assigned to annotations one to one (`assign`), so that no detection counts for
    two neighbouring faces. If a face is missing, the photo is searched again by the next stage.

    Args:
      photo: RGB uint8 [H, W, 3].
      truths: canonical boxes of the annotated faces.
      stages: the searches of a detector (`Detector.stages`).
    """
    matches: list[Box | None] = [None] * len(truths)
    for find in stages:
        missing = [i for i, box in enumerate(matches) if box is None]
        if not missing:
            break
        matched = [box for box in matches if box is not None]
        boxes = find(photo).boxes
        free = [box for box in boxes if all(iou(box, other) < MATCH_IOU for other in matched)]
        for face, match in assign(free, [truths[i] for i in missing]).items():
            matches[missing[face]] = free[match]
    return matches


def assign(boxes: Sequence[Box], truths: Sequence[Box]) -> dict[int, int]:
    """Assigns detected boxes to true boxes: index in `truths` -> index in `boxes`, one to one.

    The assignment has the largest sum of IoU (Kuhn, "The Hungarian method", 1955); pairs below
    `MATCH_IOU` are left out.
    """
    if not len(boxes) or not len(truths):
        return {}
    from scipy.optimize import linear_sum_assignment  # slow to import; `predict` does not need it

    overlaps = np.array([[iou(box, truth) for box in boxes] for truth in truths])
    rows, columns = linear_sum_assignment(np.where(overlaps < MATCH_IOU, 0, overlaps), True)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return {row: column for row, column in pairs if overlaps[row, column] >= MATCH_IOU}
