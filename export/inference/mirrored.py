"""Faces predicted once more, in the mirror image of their photo: for means, and disagreement."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np

from senet_landmark.data.augment import mirror_landmarks
from senet_landmark.errors import InputError
from senet_landmark.export.inference.face import Face
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.face.boxes import LANDMARKS, check_boxes


class Points(NamedTuple):
    """The points of faces.

    Attributes:
      landmarks: float32 [N, K, 2] in pixels of the photo.
      depth: float32 [N, K] in pixels of the photo; None if the model predicts none.
    """

    landmarks: np.ndarray
    depth: np.ndarray | None


def mirrored_points(
    predictor: Predictor,
    photo: np.ndarray,
    boxes: np.ndarray,
    box_source: str | None,
    roll: np.ndarray | None = None,
) -> Points:
    """What a model predicts on the photo's mirror image, as points of the photo itself.

    Args:
      predictor: the model.
      photo: RGB uint8 [H, W, 3].
      boxes: float64 [N, 4] in pixels of the photo.
      box_source: where they come from, as in `Predictor.outputs`.
      roll: float [N], by how many degrees the faces lean in the photo, as there.

    Raises:
      InputError: as `Predictor.outputs`.
    """
    height, width = photo.shape[:2]
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    mirrored_boxes = np.stack(
        [width - 1 - boxes[:, 2], boxes[:, 1], width - 1 - boxes[:, 0], boxes[:, 3]], axis=1
    )
    mirrored_roll = None if roll is None else -np.asarray(roll, np.float64)
    outputs = predictor.outputs(cv2.flip(photo, 1), mirrored_boxes, box_source, mirrored_roll)
    size = np.array([width, height], np.float32)
    back = mirror_landmarks((outputs["landmarks"] + 0.5) / size, predictor.scheme) * size - 0.5
    depth = outputs.get("depth")
    if depth is not None:
        depth = depth[:, predictor.scheme.mirror_index]
    return Points(back.astype(np.float32), depth)


def with_mirrored(predictor: Predictor, photo: np.ndarray, faces: Sequence[Face]) -> list[Face]:
    """The faces, with the means of their points and of those in the mirror image.

    The mirror image is cropped by the landmarks. A face whose landmarks span no box in the photo
    stays as it is.

    Args:
      predictor: the model that found the faces.
      photo: RGB uint8 [H, W, 3].
      faces: its faces in this photo.
    """
    averaged = list(faces)
    boxes = {index: _box(predictor, photo, face) for index, face in enumerate(faces)}
    found = {index: box for index, box in boxes.items() if box is not None}
    if not found:
        return averaged
    rolls = np.array([predictor.roll(faces[index].landmarks) for index in found])
    points = mirrored_points(predictor, photo, np.stack(list(found.values())), LANDMARKS, rolls)
    for row, index in enumerate(found):
        face, depth = faces[index], faces[index].depth
        if depth is not None and points.depth is not None:
            depth = (depth + points.depth[row]) / 2
        landmarks = (face.landmarks + points.landmarks[row]) / 2
        averaged[index] = replace(face, landmarks=landmarks, depth=depth)
    return averaged


def _box(predictor: Predictor, photo: np.ndarray, face: Face) -> np.ndarray | None:
    """The canonical box of a face; None where it is not one of the photo."""
    box = predictor.canonical_box(face.landmarks)
    if box is None:
        return None
    try:
        check_boxes(box, (photo.shape[1], photo.shape[0]))
    except InputError:
        return None
    return box
