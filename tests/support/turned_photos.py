"""Photos turned in the plane, on a canvas that holds all of them."""

import math

import cv2
import numpy as np

from senet_landmark.face import geometry


def turned_photo(photo, points, degrees):
    """The photo and its points [K, 2], turned clockwise about the photo's centre."""
    height, width = photo.shape[:2]
    side = math.ceil(math.hypot(height, width))
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    matrix = geometry.rotation(degrees, centre)
    matrix[:, 2] += (side - 1) / 2 - centre
    return cv2.warpAffine(photo, matrix, (side, side)), geometry.apply(matrix, points)
