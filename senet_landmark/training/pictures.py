"""Pictures of a run: faces with their landmarks."""

import numpy as np

from senet_landmark.data.input_pipeline import Batch
from senet_landmark.visualisation.drawing import (
    PREDICTION,
    TRUTH,
    contact_sheet,
    fit_into,
    mark_points,
)

CELL = 160
"""Side of a face's picture in pixels."""


def predictions_picture(batch: Batch, predictions: np.ndarray, most: int = 16) -> np.ndarray:
    """The first faces of a batch with ground truth (blue) and prediction (orange).

    Args:
      batch: the batch; of it `image` and `landmarks`.
      predictions: landmarks of its faces, float32 [N, K, 2], 0 to 1 of the crop.
      most: largest number of faces.

    Returns:
      RGB uint8 [H, W, 3].
    """
    pictures = []
    for image, truth, predicted in zip(
        batch["image"][:most], batch["landmarks"][:most], predictions[:most], strict=True
    ):
        size = np.array(image.shape[1::-1])
        picture, known, points = fit_into(image, CELL, truth * size - 0.5, predicted * size - 0.5)
        picture = mark_points(picture, known, TRUTH)
        pictures.append(mark_points(picture, points, PREDICTION))
    return contact_sheet(pictures, cell=CELL)
