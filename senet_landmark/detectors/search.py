"""Photo -> its faces: how a detector is used on a user's photo and on an annotated photo."""

from collections.abc import Sequence

import numpy as np

from senet_landmark.detectors.dlib_hog import detect_dlib
from senet_landmark.detectors.interface import Detector
from senet_landmark.face.boxes import MATCH_IOU
from senet_landmark.face.geometry import Box, iou

DOUBLED_SIDE = 700
"""`find_faces` doubles photos whose longer side, in pixels, is at most this."""

SURE_SCORE = 0.2
"""Score of dlib from which a detection always counts as a face."""


def find_faces(photo: np.ndarray, detect: Detector = detect_dlib) -> tuple[np.ndarray, np.ndarray]:
    """Finds the faces of a user's photo, small faces too where the photo is small.

    Photos up to `DOUBLED_SIDE` are doubled, which finds faces from 40 pixels on. Larger photos are
    doubled only if no face is found otherwise. Detections below `SURE_SCORE` count only in a photo
    that has none above it.

    Args:
      photo: RGB uint8 [H, W, 3].
      detect: the detector.

    Returns:
      Boxes float64 [N, 4] in photo pixels and scores float64 [N], best first.
    """
    doubled = max(photo.shape[:2]) <= DOUBLED_SIDE
    boxes, scores = detect(photo, int(doubled))
    if not len(boxes) and not doubled:
        boxes, scores = detect(photo, 1)
    sure = scores >= SURE_SCORE
    return (boxes[sure], scores[sure]) if sure.any() else (boxes, scores)


def find_annotated_faces(
    photo: np.ndarray, truths: Sequence[Box], detect: Detector = detect_dlib
) -> list[Box | None]:
    """The detected box of each annotated face of one photo; None where the face is not detected.

    Detections are assigned to annotations one to one (`assign`), so that no detection counts for
    two neighbouring faces. If a face is missing, the photo is searched again, doubled.

    Args:
      photo: RGB uint8 [H, W, 3].
      truths: canonical boxes of the annotated faces.
      detect: the detector.
    """
    matches: list[Box | None] = [None] * len(truths)
    for upsample in (0, 1):
        missing = [i for i, box in enumerate(matches) if box is None]
        if not missing:
            break
        boxes, _ = detect(photo, upsample)
        matched = [box for box in matches if box is not None]
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
