"""Where a face box comes from: dlib's detector, or the landmarks.

Whatever the source, a correction brings its box to the canonical one (the tight box of the
landmarks), because a model fed another kind of box than it was trained on is the field's most
reported failure.
"""

import functools
from typing import Any, Literal

import dlib
import numpy as np

from senet_landmark.geometry import BoxCorrection, best_match, box_from_landmarks, shrink

BoxSource = Literal["landmarks", "dlib"]

LANDMARKS = "landmarks"
DLIB = "dlib"

DETECTION_SIDE = 1200
"""Longer side that larger photos are reduced to for detection, in pixels."""

DOUBLED_SIDE = 700
"""Longer side up to which `find_faces` doubles a photo at once, in pixels."""

SURE_SCORE = 0.2
"""dlib's score from which a detection is taken for a face, whatever else the photo has."""

DEFAULT_CORRECTIONS = {
    LANDMARKS: BoxCorrection(),
    # Fitted by `build-records --boxes dlib` on the training split of 300W-LP's unturned views.
    DLIB: BoxCorrection(shift=(0.0098, 0.1185), scale=(0.8805, 0.8802)),
}


@functools.cache
def _detector() -> Any:
    return dlib.get_frontal_face_detector()


def detect_dlib(photo: np.ndarray, upsample: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Faces that dlib's frontal HOG detector finds (King, "Max-Margin Object Detection", 2015).

    Args:
      photo: RGB uint8 [H, W, 3].
      upsample: how often the photo is doubled first; the smallest face is 80 pixels at 0.

    Returns:
      Boxes float64 [N, 4] in photo pixels and their scores float64 [N], best first.
    """
    reduced, factor = shrink(photo, DETECTION_SIDE)
    found, scores, _ = _detector().run(np.ascontiguousarray(reduced), upsample, 0.0)
    # dlib's right and bottom are inclusive pixels; a box's edges are the pixels' outer borders.
    edges = [(r.left(), r.top(), r.right() + 1, r.bottom() + 1) for r in found]
    return np.array(edges, np.float64).reshape(-1, 4) / factor - 0.5, np.array(scores, np.float64)


def find_faces(photo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`detect_dlib` as a user wants it: small faces too, where the photo is small enough for it.

    Photos up to `DOUBLED_SIDE` are doubled, which finds faces from 40 pixels on; larger ones only
    where nothing is found otherwise. What scores below `SURE_SCORE` counts only in a photo that
    has nothing better.
    """
    doubled = max(photo.shape[:2]) <= DOUBLED_SIDE
    boxes, scores = detect_dlib(photo, upsample=int(doubled))
    if not len(boxes) and not doubled:
        boxes, scores = detect_dlib(photo, upsample=1)
    sure = scores >= SURE_SCORE
    return (boxes[sure], scores[sure]) if sure.any() else (boxes, scores)


def find_annotated_face(photo: np.ndarray, landmarks: np.ndarray) -> np.ndarray | None:
    """dlib's box of the face with these landmarks, float64 [4]; None where it finds none.

    The detection that fits the annotation is taken, so that a photo's other faces do not count.
    """
    truth = box_from_landmarks(landmarks)
    for upsample in (0, 1):
        boxes, _ = detect_dlib(photo, upsample)
        match = best_match(boxes, truth)
        if match is not None:
            return boxes[match]
    return None
