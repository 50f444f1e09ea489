"""The upright face chip that face recognition models take."""

import numpy as np

from senet_landmark.errors import InputError
from senet_landmark.face import geometry
from senet_landmark.face.scheme_conversion import convert
from senet_landmark.face.schemes import Scheme

TEMPLATE_SIDE = 112

LEAST_CHIP = 8
"""Side of the smallest chip, in pixels."""

TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655],
     [70.7299, 92.2041]]
)  # fmt: skip
"""Positions of eyes, nose tip and corners of the mouth in a chip of 112 pixels: the reference
points of ArcFace (Deng et al., CVPR 2019) and of the models that follow it."""


def align_face(
    photo: np.ndarray, landmarks: np.ndarray, scheme: Scheme, size: int = TEMPLATE_SIDE
) -> np.ndarray:
    """Turns, scales and moves a face to where recognition models expect it.

    It uses the similarity transform that brings five points closest to `TEMPLATE` (Umeyama,
    "Least-squares estimation of transformation parameters between two point patterns", PAMI 1991).

    Args:
      photo: RGB uint8 [H, W, 3].
      landmarks: [K, 2] in photo pixels.
      scheme: their landmark scheme.
      size: side of the chip in pixels, at least 8.

    Returns:
      RGB uint8 [size, size, 3]; black where the chip reaches beyond the photo.

    Raises:
      InputError: the scheme lacks the five points, they coincide, or the size is too small.
    """
    if size < LEAST_CHIP:
        raise InputError(f"A face chip has at least {LEAST_CHIP} pixels a side, not {size}.")
    points = convert(np.asarray(landmarks, np.float64), scheme.name, "mtfl_5")
    to_template = geometry.similarity_transform(points, TEMPLATE)
    to_unit = geometry.invert(geometry.to_pixels((TEMPLATE_SIDE, TEMPLATE_SIDE)))
    return geometry.warp(photo, geometry.compose(to_unit, to_template), (size, size))
