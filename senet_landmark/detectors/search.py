"""Photo -> its faces: how a detector is asked, for a user's photo and for an annotated one."""

from collections.abc import Sequence

import numpy as np

from senet_landmark.detectors.dlib_hog import detect_dlib
from senet_landmark.detectors.interface import Detector
from senet_landmark.face.boxes import MATCH_IOU
from senet_landmark.face.geometry import Box, iou

DOUBLED_SIDE = 700
"""Longer side up to which `find_faces` doubles a photo at once, in pixels."""

SURE_SCORE = 0.2
"""dlib's score from which a detection is taken for a face, whatever else the photo has."""


def find_faces(photo: np.ndarray, detect: Detector = detect_dlib) -> tuple[np.ndarray, np.ndarray]:
    """A detector as a user wants it: small faces too, where the photo is small enough for it.

    Photos up to `DOUBLED_SIDE` are doubled, which finds faces from 40 pixels on; larger ones only
    where nothing is found otherwise. What scores below `SURE_SCORE` counts only in a photo that
    has nothing better.
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
    """The detection of each annotated face of one photo; None where there is none.

    Detections go to annotations one to one (`assign`), so that neither a photo's other faces nor
    two annotations of neighbours are taken for one. The photo is doubled where a face is missing.

    Args:
      photo: RGB uint8 [H, W, 3].
      truths: canonical boxes of the annotated faces.
      detect: the detector.
    """
    found: list[Box | None] = [None] * len(truths)
    for upsample in (0, 1):
        missing = [i for i, box in enumerate(found) if box is None]
        if not missing:
            break
        boxes, _ = detect(photo, upsample)
        taken = [box for box in found if box is not None]
        free = [b for b in boxes if all(iou(b, t) < MATCH_IOU for t in taken)]
        for face, match in assign(free, [truths[i] for i in missing]).items():
            found[missing[face]] = free[match]
    return found


def assign(boxes: Sequence[Box], truths: Sequence[Box]) -> dict[int, int]:
    """Which box is whose: index of a truth -> index of its box, one to one.

    Of all assignments it is the one with the largest sum of IoU (Kuhn, "The Hungarian method",
    1955), pairs below `MATCH_IOU` left out.
    """
    if not len(boxes) or not len(truths):
        return {}
    from scipy.optimize import linear_sum_assignment  # slow to import, and `predict` has no need

    overlaps = np.array([[iou(box, truth) for box in boxes] for truth in truths])
    rows, columns = linear_sum_assignment(np.where(overlaps < MATCH_IOU, 0, overlaps), True)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return {row: column for row, column in pairs if overlaps[row, column] >= MATCH_IOU}
