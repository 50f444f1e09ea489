"""The mirror image of a photo, and its points back in the photo."""

from dataclasses import replace

import numpy as np
import pytest

from face_errors import nme
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.export.inference.mirrored import mirrored_points, with_mirrored
from senet_landmark.face.boxes import LANDMARKS
from senet_landmark.face.geometry import box_from_landmarks

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_points_are_those_of_the_photo_itself(shipped, quarters):
    """Also where the face lies, or the photo is not square."""
    photo, truth = portrait()
    photo = np.ascontiguousarray(photo[:400])
    for _ in range(quarters):  # against the clock, as `rot90`
        truth = np.stack([truth[:, 1], photo.shape[1] - 1 - truth[:, 0]], axis=1)
        photo = np.ascontiguousarray(np.rot90(photo))
    box = box_from_landmarks(truth)[None]
    roll = np.array([-90.0 * quarters])
    points = mirrored_points(shipped, photo, box, LANDMARKS, roll)
    assert points.landmarks.shape == (1, 68, 2) and points.landmarks.dtype == np.float32
    assert points.depth is None and nme(points.landmarks[0], truth) < 0.05
    (face,) = shipped.faces(photo, box, LANDMARKS, roll=roll)
    (averaged,) = with_mirrored(shipped, photo, [face])
    assert nme(averaged.landmarks, truth) < 0.04
    assert not np.array_equal(averaged.landmarks, face.landmarks)
    assert averaged.confidence == face.confidence and averaged.depth is None


def test_faces_without_a_box_in_the_photo_stay(shipped):
    photo, _ = portrait()
    (face,) = shipped.predict(photo)
    outside = replace(face, landmarks=face.landmarks + 600)
    point = replace(face, landmarks=np.zeros_like(face.landmarks))
    first, second, third = with_mirrored(shipped, photo, [outside, face, point])
    assert first is outside and third is point and second is not face
    (alone,) = with_mirrored(shipped, photo, [face])
    np.testing.assert_array_equal(second.landmarks, alone.landmarks)
    assert with_mirrored(shipped, photo, [point]) == [point]
    assert with_mirrored(shipped, photo, []) == []


def test_no_box_has_no_points(shipped):
    points = mirrored_points(shipped, portrait()[0], np.zeros((0, 4)), LANDMARKS)
    assert points.landmarks.shape == (0, 68, 2)
