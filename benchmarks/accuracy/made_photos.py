"""Photos made from others for `detectors.py`: turned, without a face, with faces painted over."""

from typing import NamedTuple

import cv2
import numpy as np

from senet_landmark.face.boxes import canonical_box
from senet_landmark.face.geometry import Box, box_from_landmarks
from senet_landmark.face.pose import fitted_mean_face

PAINTED = 0.6
"""A painted ellipse reaches beyond the box of a face's landmarks by this share of its size."""

SCHEME = "300w_68"


class Shot(NamedTuple):
    """A photo and its annotated faces.

    Attributes:
      name: its path below the set's folder.
      photo: RGB uint8 [H, W, 3].
      truths: landmarks [68, 2] of each face in photo pixels; NaN where unknown.
    """

    name: str
    photo: np.ndarray
    truths: list[np.ndarray]


def true_box(truth: np.ndarray) -> Box:
    """The box of a face's landmarks; of the mean face fitted to them where some are unknown."""
    if np.isfinite(truth).all():
        return canonical_box(truth, SCHEME)
    return box_from_landmarks(fitted_mean_face(truth, SCHEME))


def turned(shot: Shot, angle: float) -> Shot:
    """A photo and its landmarks turned clockwise about the middle; nothing is cut off."""
    height, width = shot.photo.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -angle, 1)
    new_width, new_height = np.ceil(np.abs(matrix[:, :2]) @ (width, height) - 1e-6).astype(int)
    matrix[:, 2] += ((new_width - width) / 2, (new_height - height) / 2)
    photo = cv2.warpAffine(shot.photo, matrix, (int(new_width), int(new_height)))
    truths = [truth @ matrix[:, :2].T + matrix[:, 2] for truth in shot.truths]
    return Shot(shot.name, photo, truths)


def texture(number: int) -> Shot:
    """A made photo without a face: clouds, stripes, bricks, dots or windows."""
    generator = np.random.default_rng(number)
    height, width = 480, 640
    y, x = np.mgrid[:height, :width].astype(np.float32)
    scale = float(generator.uniform(20, 120))
    kind = number % 5
    if kind == 0:
        values = np.zeros((height, width), np.float32)
        for octave in range(1, 8):
            cells = generator.normal(size=(3 * 2**octave, 4 * 2**octave)).astype(np.float32)
            values += cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC) / 2**octave
    elif kind == 1:
        angle = generator.uniform(0, np.pi)
        values = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / scale)
    elif kind == 2:
        row = y // (scale / 2)
        joints = ((x + row % 2 * scale / 2) % scale < 4) | (y % (scale / 2) < 4)
        values = generator.normal(0, 0.2, (height, width)) - joints
    elif kind == 3:
        distance = np.hypot(x % scale - scale / 2, y % scale - scale / 2)
        values = np.tanh(scale / 3 - distance)
    else:
        panes = (x % scale > 0.3 * scale) & (y % (1.4 * scale) > 0.5 * scale)
        values = panes * (1 + 0.3 * np.sin(x // scale * 3 + y // (1.4 * scale) * 7))
    values = cv2.normalize(values.astype(np.float32), None, 0, 1, cv2.NORM_MINMAX)[..., None]
    dark, light = generator.uniform(0, 120, 3), generator.uniform(130, 255, 3)
    photo = dark + (light - dark) * values + generator.normal(0, 5, (height, width, 3))
    return Shot(f"texture {number}", np.clip(photo, 0, 255).astype(np.uint8), [])


def painted(shot: Shot) -> tuple[Shot, list[Box]]:
    """The photo with its faces under ellipses of the mean colour of their rims; their boxes."""
    photo, boxes = shot.photo.copy(), []
    for truth in shot.truths:
        box = true_box(truth)
        centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 * (1 + PAINTED)
        mask, outer = (np.zeros(photo.shape[:2], np.uint8) for _ in range(2))
        for target, share in ((mask, 1.0), (outer, 1.15)):
            axes = np.rint(half * share).astype(int).tolist()
            cv2.ellipse(target, np.rint(centre).astype(int).tolist(), axes, 0, 0, 360, 1, -1)
        rim = photo[(outer > 0) & (mask == 0)]
        photo[mask > 0] = rim.mean(axis=0) if len(rim) else 128
        boxes.append(np.concatenate([centre - half, centre + half]))
    return Shot(shot.name, photo, []), boxes
