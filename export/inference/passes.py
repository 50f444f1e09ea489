"""Where a face is cropped: by its box and roll, then again by its landmarks.

A crop is float64 [5]: the canonical box in the face's own upright axes (left, top, right, bottom)
and the roll in degrees by which the face, and with it the box, is turned about the box's centre in
the photo (`geometry.py`).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from senet_landmark.errors import InputError
from senet_landmark.export.engines.interface import Outputs
from senet_landmark.face import geometry
from senet_landmark.face.geometry import BoxCorrection, CropSpec
from senet_landmark.face.roll import (
    UPRIGHT,
    beyond_upright,
    landmark_box,
    roll_of,
    upright_box,
    without_turns,
)

RECROP_IOU = (0.25, 0.9)
"""A face is cropped again by the box of its landmarks if the IoU of this box and the box of its
last crop is in this range: above it the last box was good, below it the landmarks are wrong. Chosen
on validation faces (docs/lab_notebook.md, 12)."""

TRIED = (60.0, 120.0, 180.0, -120.0, -60.0)
"""Rolls that are tried where the roll is unknown and the upright crop shows no clear face."""

CLEAR = 0.99
"""Confidence from which an upright crop clearly shows a face, which is then not tried turned."""

SURE = 0.95
"""Least confidence with which a face is accepted turned. With less, a face of known roll is tried
upside down: that is the mistake of detectors with a face that stands on its head."""


class Cropping(NamedTuple):
    """What the crops of one model and one photo have in common.

    Attributes:
      scheme: the landmarks' scheme.
      spec: how a box becomes a crop.
      size: (width, height) of the photo.
    """

    scheme: str
    spec: CropSpec
    size: tuple[int, int]


def make_passes(
    forward: Callable[[np.ndarray], Outputs],
    boxes: np.ndarray,
    rolls: np.ndarray,
    correction: BoxCorrection,
    cropping: Cropping,
    passes: int,
) -> Outputs:
    """The outputs of a model for faces, after as many passes as each of them needs.

    Args:
      forward: one forward pass: crops [N, 5] -> `landmarks` [N, K, 2] in photo pixels and other
        outputs; with `confidence` [N], unclear faces are tried turned.
      boxes: float64 [N, 4] of a box source, in the photo's axes, at least one.
      rolls: float64 [N], degrees; NaN where unknown.
      correction: from the source's boxes to canonical ones.
      cropping: what the crops have in common.
      passes: the largest number for a face. A face that is not clear after them is tried in turned
        crops (`TRIED`, `SURE`); if it is clear in one, as many passes start from there.
    """
    crops = first_crops(boxes, rolls, correction)
    outputs = forward(crops)
    if passes == 1:
        return outputs
    last = _pass_again(forward, crops, outputs, cropping, passes)
    if last is None:
        return outputs
    unknown = np.isnan(rolls)
    unclear = np.flatnonzero(last < np.where(unknown, CLEAR, SURE)).tolist()
    pairs = [
        (face, roll)
        for face in unclear
        for roll in (TRIED if unknown[face] else (rolls[face] + 180,))
    ]
    if not pairs:
        return outputs
    faces, tried = np.array([face for face, _ in pairs]), np.array([roll for _, roll in pairs])
    turned_crops = first_crops(boxes[faces], tried, correction)
    turned = forward(turned_crops)
    rows = []
    for face in unclear:
        row = max(np.flatnonzero(faces == face), key=turned["confidence"].__getitem__)
        if turned["confidence"][row] > last[face]:
            rows.append(row)
    if not rows:
        return outputs
    turned = {name: values[rows] for name, values in turned.items()}
    confidence = _pass_again(forward, turned_crops[rows], turned, cropping, passes)
    assert confidence is not None  # `last` was not
    # Clear, and clearer than upright: a turned crop may look like a face before its last pass only.
    clear = (confidence >= SURE) & (confidence > last[faces[rows]])
    for name, values in turned.items():
        outputs[name][faces[rows][clear]] = values[clear]
    return outputs


def _pass_again(
    forward: Callable[[np.ndarray], Outputs],
    crops: np.ndarray,
    outputs: Outputs,
    cropping: Cropping,
    passes: int,
) -> np.ndarray | None:
    """The passes after the first, whose results replace those in `outputs` of the same faces.

    A face's confidence is its lowest: a real face looks like a face in every crop, other things
    only in some. But a face that leaned in its last crops begins anew if it is clear upright.
    Returns the confidences in the last crops, [N]; None without any.
    """
    confidence = outputs["confidence"].copy() if "confidence" in outputs else None
    last = dict(enumerate(crops))  # index of a face -> its last crop
    for _ in range(passes - 1):
        crops_or_none = {
            i: next_crop(crop, outputs["landmarks"][i], cropping) for i, crop in last.items()
        }
        found = {i: crop for i, crop in crops_or_none.items() if crop is not None}
        if not found:
            break
        faces = list(found)
        turned = np.array([found[i][4] != last[i][4] for i in faces])
        last = found
        again = forward(np.stack(list(last.values())))
        if confidence is not None:
            confidence[faces] = again["confidence"]
            anew = turned & (again["confidence"] >= SURE)
            lowest = np.minimum(again["confidence"], outputs["confidence"][faces])
            again["confidence"] = np.where(anew, again["confidence"], lowest)
        for name, values in again.items():
            outputs[name][faces] = values
    return confidence


def first_crops(boxes: np.ndarray, rolls: np.ndarray, correction: BoxCorrection) -> np.ndarray:
    """The first crops [N, 5] of faces.

    Args:
      boxes: float64 [N, 4] of a box source, in the photo's axes.
      rolls: float64 [N], degrees; NaN where unknown, which counts as upright.
      correction: from the source's boxes to canonical ones.
    """
    crops = np.empty((len(boxes), 5))
    for crop, box, roll in zip(crops, boxes, rolls.tolist(), strict=True):
        crop[4] = roll = beyond_upright(roll)
        crop[:4] = geometry.correct_box(upright_box(box, roll), correction, roll)
    return crops


def next_crop(crop: np.ndarray, landmarks: np.ndarray, cropping: Cropping) -> np.ndarray | None:
    """The crop [5] of a face's next pass; None if the last one was good, or the face is lost.

    Args:
      crop: the last crop [5].
      landmarks: the face's landmarks [K, 2] in photo pixels, found in it.
      cropping: what the crops have in common.
    """
    scheme, roll = cropping.scheme, float(crop[4])
    try:
        box = landmark_box(landmarks, scheme, roll)
        overlap = geometry.iou(_beside(box, crop), crop[:4])
        if overlap < RECROP_IOU[0]:
            return None
        lean = _lean(landmarks, scheme, roll)
        if abs(without_turns(lean - roll)) > UPRIGHT:
            roll = beyond_upright(lean)
            box = landmark_box(landmarks, scheme, roll)
        elif overlap >= RECROP_IOU[1]:
            return None
        geometry.crop_box(box, cropping.spec, cropping.size, roll)
    except InputError:  # the landmarks span no box, or one outside the photo
        return None
    return np.append(box, roll)


def _lean(landmarks: np.ndarray, scheme: str, otherwise: float) -> float:
    """The roll of landmarks; `otherwise` where they have none."""
    try:
        return roll_of(landmarks, scheme)
    except ValueError:
        return otherwise


def _beside(box: np.ndarray, crop: np.ndarray) -> np.ndarray:
    """A box with the roll of `crop`, moved to where it is in the axes in which `crop` is upright.

    Both are turned about their own centres; these axes are turned about that of `crop`.
    """
    if not crop[4]:
        return box
    centre = (box[:2] + box[2:]) / 2
    back = geometry.rotation(-float(crop[4]), (crop[:2] + crop[2:4]) / 2)
    return box + np.tile(geometry.apply(back, centre) - centre, 2)
