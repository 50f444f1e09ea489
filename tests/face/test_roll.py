"""The roll of a face from its landmarks, and what follows from a roll."""

import numpy as np
import pytest

from senet_landmark.data.augment import turned_poses
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.face import geometry
from senet_landmark.face.boxes import canonical_box
from senet_landmark.face.pose import MEAN_FACE_3D, rotation_matrix
from senet_landmark.face.roll import (
    landmark_box,
    roll_of,
    turned_pose,
    upright_box,
    without_turns,
)
from senet_landmark.face.scheme_conversion import convert

ANGLES = range(-180, 180, 30)


def turned(points, degrees):
    return geometry.apply(geometry.rotation(degrees, np.array([30.0, -7.0])), points)


@pytest.mark.parametrize("yaw", [-85, -40, 0, 40, 85])
def test_roll_is_that_of_the_photo_for_profiles_too(yaw):
    head = MEAN_FACE_3D.astype(float) @ rotation_matrix(yaw, 5, 0).T
    for angle in ANGLES:
        roll = roll_of(turned(90 * head[:, :2], angle), "300w_68")
        assert without_turns(roll - angle) == pytest.approx(0, abs=2)


@pytest.mark.parametrize(("scheme", "most"), [("300w_68", 3), ("aflw_19", 4), ("mtfl_5", 6)])
def test_roll_of_a_real_face_turns_with_it(scheme, most):
    points = convert(portrait()[1].astype(float), "300w_68", scheme)
    upright = roll_of(points, scheme)
    assert abs(upright) < most + 4
    for angle in ANGLES:
        roll = roll_of(turned(points, angle), scheme)
        assert without_turns(roll - upright - angle) == pytest.approx(0, abs=0.5)


def test_a_point_that_is_wrong_hardly_changes_the_roll():
    points = portrait()[1].astype(float)
    wrong = points.copy()
    wrong[36] += (0, 30)  # a corner of an eye, a third of the face's size too low
    assert abs(roll_of(wrong, "300w_68") - roll_of(points, "300w_68")) < 3


@pytest.mark.parametrize("points", [np.zeros((68, 2)), np.full((68, 2), np.nan)])
def test_no_roll_of_no_face(points):
    with pytest.raises(ValueError, match="no vertical"):
        roll_of(points, "300w_68")


def test_landmark_box_is_the_upright_box_turned_about_its_centre():
    points = portrait()[1].astype(float)
    np.testing.assert_array_equal(
        landmark_box(points, "300w_68", 0.0), canonical_box(points, "300w_68")
    )
    upright = canonical_box(points, "300w_68")
    for angle in ANGLES:
        box = landmark_box(turned(points, angle), "300w_68", angle)
        np.testing.assert_allclose(box[2:] - box[:2], upright[2:] - upright[:2])
        centre = turned((upright[:2] + upright[2:]) / 2, angle)
        np.testing.assert_allclose((box[:2] + box[2:]) / 2, centre)


def test_box_of_a_lying_face_is_stood_up():
    box = np.array([10.0, 20, 50, 30])
    for roll in (0, 30, -40, 180, 150):
        np.testing.assert_array_equal(upright_box(box, roll), box)
    for roll in (90, -90, 60, 120):
        np.testing.assert_array_equal(upright_box(box, roll), [25, 5, 35, 45])


def test_pose_turns_as_the_photo_does():
    for pose in ((0.0, 0.0, 0.0), (35.0, -20.0, 10.0), (-70.0, 5.0, -15.0)):
        start = np.array(pose, np.float32)
        np.testing.assert_array_equal(turned_pose(start, 0.0), start)
        for angle in ANGLES:
            found = turned_pose(start, angle)
            expected = turned_poses(start[None], np.array([angle]))[0]
            # The same rotation; an angle of 180 degrees may have either sign.
            np.testing.assert_allclose(
                rotation_matrix(*found.tolist()), rotation_matrix(*expected.tolist()), atol=1e-5
            )
            assert found.dtype == np.float32


def test_angles_without_turns():
    assert [without_turns(a) for a in (0.0, 190.0, -190.0, 540.0, 359.0)] == [
        0,
        -170,
        170,
        -180,
        -1,
    ]
