"""Roll: the angle by which a face leans in the photo, and its box in its own upright axes."""

import functools
import math

import numpy as np

from senet_landmark.face import geometry
from senet_landmark.face.boxes import canonical_box
from senet_landmark.face.geometry import Box
from senet_landmark.face.pose import (
    MEAN_FACE_3D,
    STABLE_POINTS,
    euler_angles,
    fitted_mean_face,
    rotation_matrix,
)
from senet_landmark.face.scheme_conversion import can_convert, convert

UPRIGHT = 20.0
"""Degrees. A face that leans less in its crop stays as it is: models are trained with such faces,
and what an upright face gives does not depend on the noise of a roll."""


def roll_of(points: np.ndarray, scheme: str) -> float:
    """The roll of a face in degrees, -180 to 180, from its landmarks [K, 2] in pixels.

    It is the angle between the photo's vertical and the face's, which is that of the mean 3D face
    after the best affine map to the landmarks. Unlike the line through the eyes, and unlike the
    best rotation of a frontal face, it is the same for profiles; and no single point decides it.

    Raises:
      ValueError: the landmarks are too few, not finite, or fit no face.
    """
    if can_convert(scheme, "300w_68"):
        points = convert(np.asarray(points, np.float64), scheme, "300w_68")
    else:
        points = fitted_mean_face(points, scheme)
    across, down = (face_down() @ points[STABLE_POINTS]).tolist()
    if not (math.isfinite(across + down) and math.hypot(across, down) > 1e-6):
        raise ValueError("the landmarks have no vertical: they coincide, or are not finite")
    return math.degrees(math.atan2(-across, down))


@functools.cache
def face_down() -> np.ndarray:
    """Weights [M] of `STABLE_POINTS`: their sum is the affine image of the face's unit down."""
    model = MEAN_FACE_3D[STABLE_POINTS].astype(np.float64)
    return np.asarray(np.linalg.pinv(model - model.mean(axis=0))[1])


def upright_box(box: Box, roll: float) -> Box:
    """A box in the photo's axes -> the face's box in its own axes, turned about the centre.

    A face that lies has its width and height swapped.
    """
    if abs(math.cos(math.radians(roll))) >= math.sqrt(0.5):
        return box
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2])[::-1] / 2
    return np.concatenate([centre - half, centre + half])


def landmark_box(points: np.ndarray, scheme: str, roll: float) -> Box:
    """The canonical box of landmarks [K, 2] in the axes of a face that leans by `roll`.

    It is `canonical_box` of the landmarks turned upright, and turned by `roll` about its own centre
    it covers them in the photo.

    Raises:
      InputError: as `canonical_box`.
    """
    if not roll:
        return canonical_box(points, scheme)
    back = geometry.rotation(-roll, np.zeros(2))
    box = canonical_box(geometry.apply(back, np.asarray(points, np.float64)), scheme)
    centre = (box[:2] + box[2:]) / 2
    shift = geometry.apply(geometry.invert(back), centre) - centre
    return box + np.tile(shift, 2)


def beyond_upright(roll: float) -> float:
    """The roll by which a face is turned: 0 if it is unknown, or if the face hardly leans."""
    roll = without_turns(roll)
    return roll if abs(roll) > UPRIGHT else 0.0


def turned_pose(pose: np.ndarray, degrees: float) -> np.ndarray:
    """The pose (yaw, pitch, roll) [3] of a face after its photo was turned clockwise.

    Roll is the first of the three rotations and the turn is the last, so that it changes all three
    angles of a face that looks aside.
    """
    if not degrees:
        return pose
    turn = rotation_matrix(0, 0, degrees) @ rotation_matrix(*pose.tolist())
    return np.array(euler_angles(turn), pose.dtype)


def without_turns(degrees: float) -> float:
    """The angle without whole turns, -180 to 180 degrees."""
    return (degrees + 180) % 360 - 180
