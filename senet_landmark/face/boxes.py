"""Face boxes: where one comes from, the canonical one, and corrections to it.

Whatever the source, a correction brings its box to the canonical one, because a model fed another
kind of box than it was trained on is the field's most reported failure. The canonical box is the
tight box of a face's 68 landmarks, also where the data set has other points.
"""

import numpy as np

from senet_landmark.errors import InputError
from senet_landmark.face.geometry import Box, box_from_landmarks
from senet_landmark.face.pose import fitted_mean_face
from senet_landmark.face.scheme_conversion import can_convert

LANDMARKS = "landmarks"
"""Source of boxes: the tight box of the landmarks themselves, which is the canonical box."""

ANNOTATION = "annotation"
"""Source of boxes: the data set's own box. Every other source is a detector, by its name."""

MATCH_IOU = 0.3
"""Intersection over union from which a detection may belong to an annotated face."""


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
