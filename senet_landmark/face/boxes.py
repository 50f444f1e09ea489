"""Face boxes: their sources, and the canonical box.

A correction maps the boxes of each source to the canonical box, because a model that gets another
kind of box than it was trained with is the most frequently reported failure of landmark detectors.
The canonical box is the tight box of a face's 68 landmarks, also where a data set has other points.
"""

import contextlib

import numpy as np

from senet_landmark.errors import InputError
from senet_landmark.face.geometry import Box, box_from_landmarks
from senet_landmark.face.pose import fitted_mean_face, likely_face
from senet_landmark.face.scheme_conversion import can_convert, convert
from senet_landmark.face.schemes import TRUE_JAW

LANDMARKS = "landmarks"
"""Box source: the tight box of the landmarks themselves, which is the canonical box."""

ANNOTATION = "annotation"
"""Box source: the box that the data set gives. All other box sources are detectors, by name."""

MATCH_IOU = 0.3
"""Intersection over union from which a detection may belong to an annotated face."""

LEAST_SIDE = 4.0
"""Side in pixels from which a box can show a face."""


def check_boxes(boxes: np.ndarray, size: tuple[int, int], photo: str = "The photo") -> None:
    """Raises InputError where a box cannot show a face of a photo.

    Args:
      boxes: float [N, 4], left, top, right, bottom in pixels.
      size: width and height of the photo.
      photo: what the message calls it.
    """
    for left, top, right, bottom in np.asarray(boxes, np.float64).reshape(-1, 4).tolist():
        box = f"{left:g} {top:g} {right:g} {bottom:g}"
        width, height = right - left, bottom - top
        if not (width >= LEAST_SIDE and height >= LEAST_SIDE):
            raise InputError(
                f"{photo}: the box {box} is {width:g} x {height:g} pixels, and a face has at least "
                f"{LEAST_SIDE:g} a side. Give left, top, right and bottom in pixels of the photo."
            )
        if not (right > 0 and bottom > 0 and left < size[0] - 1 and top < size[1] - 1):
            raise InputError(
                f"{photo}: the box {box} is outside of it; it has {size[0]} x {size[1]} pixels."
            )
        if width > 10 * size[0] + 100 or height > 10 * size[1] + 100:
            raise InputError(
                f"{photo}: the box {box} is far larger than its {size[0]} x {size[1]} pixels."
            )


def canonical_box(landmarks: np.ndarray, scheme: str) -> Box:
    """The canonical face box of landmarks [K, 2] in pixels, NaN where unknown.

    Where the scheme outlines the whole face, it is the tight box of the points. Where it does not
    (5, 19, 21, 29 points), the 68 points of the mean 3D face are fitted to the known points and it
    is the tight box of these 68, so that crops show the same part of the face in every scheme.
    Unknown points of an outline are put where `likely_face` has them.

    Raises:
      InputError: too few landmarks are known, or they span no area.
    """
    points = np.asarray(landmarks, np.float64)
    known = np.isfinite(points).all(axis=1)
    if not can_convert(scheme, "300w_68"):
        try:
            return box_from_landmarks(fitted_mean_face(points, scheme))
        except ValueError as error:
            raise InputError(f"No face box can be fitted to the landmarks: {error}.") from error
    if known.all():
        return box_from_landmarks(points)
    outline = scheme if scheme == TRUE_JAW else "300w_68"
    absent = ~np.isfinite(convert(points, scheme, outline)).all(axis=1)
    points = points[known]
    with contextlib.suppress(ValueError):  # too few for a face: their own box
        points = np.r_[points, likely_face(landmarks, scheme)[absent]]
    return box_from_landmarks(points)
