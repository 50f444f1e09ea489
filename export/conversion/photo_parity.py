"""Whether a SavedModel's signature of photos gives what `Predictor` gives for the same photo."""

from pathlib import Path

import numpy as np

from senet_landmark.data_tools.synthesis.synthetic_tree import portrait, portrait_path
from senet_landmark.errors import InputError
from senet_landmark.export.conversion.saved_model import PHOTOS, signature_runner
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.face import geometry
from senet_landmark.face.boxes import LANDMARKS
from senet_landmark.frozen.contract import Contract

TOLERANCE = 3e-3
"""Largest difference of a landmark, as a share of the crop's side: less than half a pixel of a crop
of 128, which is the least that another convention of pixels would make. OpenCV before 5 samples at
multiples of 1/32 pixel, the graph between them; OpenCV 5 differs far less (docs/deployment.md)."""

MOVED = ((0.0, 0.0, 1.0), (0.1, -0.05, 1.3), (-0.1, 0.1, 0.8))
"""Shift and scale of the portrait's boxes."""


def photo_difference(folder: Path, pb: Path, contract: Contract, problem: str) -> float:
    """The largest difference of a landmark on the embedded portrait, as a share of the crop's side.

    Args:
      folder: the SavedModel.
      pb: the model.
      contract: the model's.
      problem: the beginning of the error message: what was not written.

    Raises:
      InputError: it is larger than `TOLERANCE`, or the signature is absent.
    """
    photo, truth = portrait()
    box = geometry.box_from_landmarks(truth)
    moves = [geometry.BoxCorrection((x, y), (scale, scale)) for x, y, scale in MOVED]
    boxes = np.stack([geometry.correct_box(box, move) for move in moves]).astype(np.float32)
    values = {"photo": [portrait_path().read_bytes()], "boxes": boxes[None]}
    size = (photo.shape[1], photo.shape[0])
    if contract.crop.of == "photo":
        boxes = geometry.photo_box(size)[None]
        del values["boxes"]
    expected = Predictor(pb, "tensorflow", passes=1).landmarks(photo, boxes, LANDMARKS)
    regions = np.stack([geometry.crop_box(b, contract.crop, size) for b in boxes])
    sides = (regions[:, 2:] - regions[:, :2])[:, None]
    found = signature_runner(folder, PHOTOS)(values)["landmarks"][0]
    largest = float(np.abs((found - expected) / sides).max())
    if not largest <= TOLERANCE:  # also when it is NaN
        raise InputError(
            f"{problem}. Its signature {PHOTOS} differs from {pb} by {largest:.2g} of "
            f"the crop in landmarks, more than {TOLERANCE:g}."
        )
    return largest
