"""Where a face box comes from: a detector of dlib's, the annotation, or the landmarks.

Whatever the source, a correction brings its box to the canonical one, because a model fed another
kind of box than it was trained on is the field's most reported failure. The canonical box is the
tight box of a face's 68 landmarks, also where the data set has other points.
"""

import functools
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import dlib
import numpy as np

from senet_landmark.errors import InputError
from senet_landmark.geometry import Box, BoxCorrection, box_from_landmarks, iou, shrink
from senet_landmark.pose import fitted_mean_face
from senet_landmark.scheme_conversion import can_convert

BoxSource = Literal["landmarks", "annotation", "dlib", "dlib_cnn"]

LANDMARKS: BoxSource = "landmarks"
ANNOTATION: BoxSource = "annotation"
DLIB: BoxSource = "dlib"
DLIB_CNN: BoxSource = "dlib_cnn"
DETECTORS = (DLIB, DLIB_CNN)
"""The sources that look at the photo, and may find nothing."""

DETECTION_SIDE = 1200
"""Longer side that larger photos are reduced to for detection, in pixels."""

DOUBLED_SIDE = 700
"""Longer side up to which `find_faces` doubles a photo at once, in pixels."""

SURE_SCORE = 0.2
"""dlib's score from which a detection is taken for a face, whatever else the photo has."""

MATCH_IOU = 0.3
"""Intersection over union from which a detection may belong to an annotated face."""

DEFAULT_CORRECTIONS = {
    LANDMARKS: BoxCorrection(),
    # Fitted by `build-records --boxes dlib` on the training split of 300W-LP's unturned views.
    DLIB: BoxCorrection(shift=(0.0098, 0.1185), scale=(0.8805, 0.8802)),
}

Detector = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]
"""(photo RGB uint8, times to double it first) -> boxes [N, 4] in its pixels and scores [N]."""


def canonical_box(landmarks: np.ndarray, scheme: str) -> Box:
    """The canonical face box of landmarks [K, 2] in pixels; NaN where one is unknown.

    Where the scheme outlines the whole face it is the tight box of the known points. Where it does
    not (5, 19, 21, 29 points) it is the tight box of the mean 3D face's 68 points, turned and
    scaled to fit them, so that a crop shows the same part of the face whatever the scheme.

    Raises:
      InputError: too few landmarks are known, or they span no area.
    """
    points = np.asarray(landmarks, np.float64)
    if can_convert(scheme, "300w_68"):
        return box_from_landmarks(points[np.isfinite(points).all(axis=1)])
    try:
        return box_from_landmarks(fitted_mean_face(points, scheme))
    except ValueError as error:
        raise InputError(f"No face box can be fitted to the landmarks: {error}.") from error


_own = threading.local()
"""Detectors of each thread: dlib's hold the state of a call, and two calls at once break them."""


HOG_DETECTOR = Path(__file__).parent / "assets" / "dlib_frontal_face_detector.svm"
"""What `dlib.get_frontal_face_detector().save` writes (Boost licence). The library unpacks it from
its own code in half a second; this file is read in a few milliseconds."""


def _hog_detector() -> Any:
    if not hasattr(_own, "hog"):
        _own.hog = dlib.fhog_object_detector(str(HOG_DETECTOR))
    return _own.hog


def _cnn_detector(model: Path) -> Any:
    loaded: dict[Path, Any] = _own.__dict__.setdefault("cnn", {})
    if model not in loaded:
        if not model.is_file():
            raise InputError(
                f"{model}: no such file. dlib's CNN detector needs mmod_human_face_detector.dat, "
                "from dlib's site (http://dlib.net/files/)."
            )
        try:
            loaded[model] = dlib.cnn_face_detection_model_v1(str(model))
        except RuntimeError as error:
            raise InputError(
                f"{model}: is not a model of dlib's CNN detector ({error})."
            ) from error
    return loaded[model]


def _boxes_of(rectangles: Sequence[Any], factor: float) -> np.ndarray:
    # dlib's right and bottom are inclusive pixels; a box's edges are the pixels' outer borders.
    edges = [(r.left(), r.top(), r.right() + 1, r.bottom() + 1) for r in rectangles]
    return np.array(edges, np.float64).reshape(-1, 4) / factor - 0.5


def dlib_rectangle(box: Box) -> dlib.rectangle:
    """A box as dlib's rectangle, whose right and bottom are the last pixels inside."""
    # A box's edges are the outer borders of its pixels: the inverse of `_boxes_of`.
    left, top, right, bottom = np.rint(box + (0.5, 0.5, -0.5, -0.5)).astype(int).tolist()
    return dlib.rectangle(left, top, right, bottom)


def detect_dlib(photo: np.ndarray, upsample: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Faces that dlib's frontal HOG detector finds (King, "Max-Margin Object Detection", 2015).

    Args:
      photo: RGB uint8 [H, W, 3].
      upsample: how often the photo is doubled first; the smallest face is 80 pixels at 0.

    Returns:
      Boxes float64 [N, 4] in photo pixels and their scores float64 [N], best first.
    """
    reduced, factor = shrink(photo, DETECTION_SIDE)
    found, scores, _ = _hog_detector().run(np.ascontiguousarray(reduced), upsample, 0.0)
    return _boxes_of(found, factor), np.array(scores, np.float64)


def detect_dlib_cnn(
    photo: np.ndarray, upsample: int = 0, *, model: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Faces that dlib's CNN detector finds; as `detect_dlib`, with the user's `model` file.

    Slow without a GPU, but it finds turned and half-hidden faces too.

    Raises:
      InputError: the model is absent or is none.
    """
    reduced, factor = shrink(photo, DETECTION_SIDE)
    found = _cnn_detector(Path(model))(np.ascontiguousarray(reduced), upsample)
    scores = np.array([detection.confidence for detection in found], np.float64)
    return _boxes_of([detection.rect for detection in found], factor), scores


def get_detector(source: BoxSource, model: Path | None = None) -> Detector:
    """The detector called `source`; `model` is `dlib_cnn`'s file.

    Raises:
      InputError: `dlib_cnn` without a model, or with one that is none.
    """
    if source == DLIB:
        return detect_dlib
    if source == DLIB_CNN:
        if model is None:
            raise InputError(
                "dlib_cnn needs --detector-model mmod_human_face_detector.dat, dlib's own file."
            )
        _cnn_detector(Path(model))  # a wrong file is told at once
        return functools.partial(detect_dlib_cnn, model=Path(model))
    raise ValueError(f"{source} is not a detector")


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
