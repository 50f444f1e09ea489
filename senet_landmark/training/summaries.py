"""TensorBoard summaries that are made outside the graph."""

import numpy as np
import tensorflow.compat.v1 as tf

from senet_landmark.data.input_pipeline import Batch
from senet_landmark.io.images import encode_png
from senet_landmark.visualisation.drawing import (
    PREDICTION,
    TRUTH,
    contact_sheet,
    fit_into,
    mark_points,
)

CELL = 160
"""Side of a face's picture in pixels."""


def scalar_summary(tag: str, value: float) -> tf.Summary:
    """A summary of one number."""
    return tf.Summary(value=[tf.Summary.Value(tag=tag, simple_value=value)])


def predictions_summary(
    tag: str, batch: Batch, predictions: np.ndarray, most: int = 16
) -> tf.Summary:
    """A picture of the first faces of a batch with ground truth (blue) and prediction (orange)."""
    pictures = []
    for image, truth, predicted in zip(
        batch["image"][:most], batch["landmarks"][:most], predictions[:most], strict=True
    ):
        size = np.array(image.shape[1::-1])
        picture, known, points = fit_into(image, CELL, truth * size - 0.5, predicted * size - 0.5)
        picture = mark_points(picture, known, TRUTH)
        pictures.append(mark_points(picture, points, PREDICTION))
    png = encode_png(contact_sheet(pictures, cell=CELL))
    return tf.Summary(
        value=[tf.Summary.Value(tag=tag, image=tf.Summary.Image(encoded_image_string=png))]
    )
