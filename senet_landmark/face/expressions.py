"""Measures of a face's expression: lengths between landmarks, as if it were seen from the front.

They describe where eyelids, lips and brows are. They are no feelings, and tell no person.

A turn of the head foreshortens lengths. So the mean 3D face is fitted to the landmarks
(`senet_landmark.face.pose`), and each landmark is moved within the plane of the face, at the depth
that it has on the mean face, to where it is seen in the photo: this is its place seen from the
front. So scale, roll and shift change nothing, and yaw and pitch little.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from senet_landmark.errors import InputError
from senet_landmark.face.pose import MEAN_FACE_3D, STABLE_POINTS, fitted_camera
from senet_landmark.face.scheme_conversion import can_convert, convert
from senet_landmark.face.schemes import Scheme, get_scheme

__all__ = ["MEASURES", "Expression", "can_measure", "expression_of", "frontal_landmarks"]

LEAST_FACING = 0.5
"""Smallest cosine of the angle between the face and the camera, 60 degrees, for a measure: beyond,
half of the face is hidden, and errors across the face are more than doubled."""

SCHEME = "300w_68"
"""The scheme that is measured; others are converted to it."""

FITTED_POINTS = STABLE_POINTS[STABLE_POINTS > 26]
"""Points that the mean face is fitted to: not the brows, or raised ones would look like a turn."""

EYES = ((36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47))
"""p1 to p6 of Soukupova and Cech, figure 1: a corner, the upper lid, a corner, the lower lid."""

MOUTH = (60, 61, 62, 63, 64, 65, 66, 67)
"""The inner lips, in the same order."""

EYE_CORNERS = ((36, 39), (42, 45))
"""The corners of both eyes, outer and inner ones."""

BROWS = (tuple(range(17, 22)), tuple(range(22, 27)))
"""The brows above them."""

FRONTAL_DEPTH = MEAN_FACE_3D[:, 2].astype(np.float64)
"""Depth of each of the 68 points on the mean face, float64 [68]."""
# An upper lid meets the lower one when the eye closes: both get the same depth, the mean of theirs.
for _upper, _lower in ((37, 41), (38, 40), (43, 47), (44, 46)):
    FRONTAL_DEPTH[[_upper, _lower]] = FRONTAL_DEPTH[[_upper, _lower]].mean()


@dataclass(frozen=True)
class Expression:
    """Measures of an expression, all of them ratios of lengths; NaN where points are unknown.

    Left and right are the image's. Eyes and mouth are ratios of height to width, the others are in
    distances of the outer eye corners.

    Attributes:
      eye_aspect_left, eye_aspect_right: the eye aspect ratio (EAR); 0 is closed. Soukupova and
        Cech, "Real-Time Eye Blink Detection using Facial Landmarks", CVWW 2016, equation 1.
      mouth_aspect: the same ratio of the inner lips, over their three pairs of points; 0 is closed.
      brow_raise: height of the brows above the corners of their eyes, the mean of both.
      smile_width: distance of the corners of the mouth.
    """

    eye_aspect_left: float
    eye_aspect_right: float
    mouth_aspect: float
    brow_raise: float
    smile_width: float


MEASURES = tuple(field.name for field in fields(Expression))
"""Names of the measures, in order: columns of tables, and keys in JSON."""


def can_measure(scheme: Scheme | str) -> bool:
    """Whether a scheme has the points of eyelids, lips and brows: it converts to 300w_68's.

    Raises:
      InputError: no scheme has this name.
    """
    return can_convert(_name_of(scheme), SCHEME)


def expression_of(points: ArrayLike, scheme: Scheme | str) -> Expression | None:
    """The measures of a face with the landmarks of any scheme that has the points.

    Args:
      points: [K, 2] in pixels, y down; NaN where a point is unknown.
      scheme: the points' scheme, or its name.

    Returns:
      None where they cannot be measured: the scheme lacks points (`can_measure`), no head fits the
      landmarks, or it is turned away by more than 60 degrees.

    Raises:
      InputError (a ValueError): unknown scheme, or wrong shape.
    """
    if not can_measure(scheme):
        return None
    try:
        frontal = frontal_landmarks(points, scheme)
    except InputError:
        raise
    except ValueError:  # points that fit no head
        return None
    if frontal is None:
        return None
    eyes = float(np.linalg.norm(frontal[45] - frontal[36]))
    if not eyes > 0:
        return None
    raises = [
        frontal[list(eye), 1].mean() - frontal[list(brow), 1].mean()
        for eye, brow in zip(EYE_CORNERS, BROWS, strict=True)
    ]
    return Expression(
        _aspect(frontal[list(EYES[0])]),
        _aspect(frontal[list(EYES[1])]),
        _aspect(frontal[list(MOUTH)]),
        float(np.mean(raises)) / eyes,
        float(np.linalg.norm(frontal[54] - frontal[48])) / eyes,
    )


def frontal_landmarks(points: ArrayLike, scheme: Scheme | str) -> NDArray[np.float64] | None:
    """The 68 points of a face as they are seen from the front.

    Args and errors are those of `senet_landmark.face.pose.fitted_mean_face`, of a scheme that
    converts to 300w_68.

    Returns:
      float64 [68, 2], x right and y down, in units and from the origin of `MEAN_FACE_3D`; NaN where
      a point is unknown, as those of the jaw of 300w_68_3d. None: the face is turned away by more
      than 60 degrees.
    """
    name = _name_of(scheme)
    rotation, scale, translation = fitted_camera(points, name, FITTED_POINTS)
    if rotation[2, 2] < LEAST_FACING:
        return None
    seen = (convert(np.asarray(points, np.float64), name, SCHEME) - translation) / scale
    in_plane = seen - FRONTAL_DEPTH[:, None] * rotation[:2, 2]
    return in_plane @ np.linalg.inv(rotation[:2, :2]).T


def _name_of(scheme: Scheme | str) -> str:
    return get_scheme(scheme).name if isinstance(scheme, str) else scheme.name


def _aspect(outline: NDArray[np.float64]) -> float:
    """Height over width of an outline [2 + 2 n, 2]: a corner, n points, the other corner, n points.

    The mean distance of the pairs that lie opposite each other, over that of the corners; for n = 2
    equation 1 of Soukupova and Cech.
    """
    pairs = len(outline) // 2 - 1
    upper, lower = outline[1 : pairs + 1], outline[: pairs + 1 : -1]
    width = float(np.linalg.norm(outline[pairs + 1] - outline[0]))
    height = float(np.linalg.norm(upper - lower, axis=1).mean())
    return height / width if width else float("nan")
