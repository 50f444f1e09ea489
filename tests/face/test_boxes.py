"""The canonical face box, of every scheme."""

import numpy as np
import pytest

from senet_landmark.data_tools.datasets.registry import list_entries, load_sample
from senet_landmark.errors import InputError
from senet_landmark.face.boxes import canonical_box
from senet_landmark.face.geometry import box_from_landmarks, iou
from senet_landmark.face.pose import MEAN_FACE_3D, rotation_matrix
from senet_landmark.face.scheme_conversion import can_convert, convert
from senet_landmark.face.schemes import SCHEMES


def turned_face(yaw=0.0, pitch=0.0, roll=0.0):
    points = MEAN_FACE_3D @ rotation_matrix(yaw, pitch, roll).T
    return points[:, :2] * 100 + (300, 200)


@pytest.mark.parametrize("scheme", [s for s in SCHEMES if can_convert("300w_68", s)])
@pytest.mark.parametrize("pose", [(0, 0, 0), (40, 0, 0), (-30, 10, 20), (60, -10, 0)])
def test_canonical_box_is_the_same_whatever_the_scheme(scheme, pose):
    points = turned_face(*pose)
    truth = box_from_landmarks(points)
    box = canonical_box(convert(points, "300w_68", scheme), scheme)
    assert iou(box, truth) > 0.9


def test_canonical_box_of_5_points_of_real_faces(shared_data):
    overlaps = []
    for entry in list_entries("300w_lp", shared_data("300W_LP"))[::40]:
        points = load_sample("300w_lp", entry).landmarks
        five = canonical_box(convert(points, "300w_68", "mtfl_5"), "mtfl_5")
        overlaps.append(iou(five, canonical_box(points, "300w_68")))
    assert np.median(overlaps) > 0.8 and min(overlaps) > 0.5


def test_canonical_box_needs_enough_known_points():
    points = convert(turned_face(), "300w_68", "mtfl_5")
    points[0] = np.nan
    assert iou(canonical_box(points, "mtfl_5"), box_from_landmarks(turned_face())) > 0.8
    points[1] = np.nan
    with pytest.raises(InputError, match="4 known points"):
        canonical_box(points, "mtfl_5")
    with pytest.raises(InputError, match=r"coincide|no area"):
        canonical_box(np.ones((5, 2)), "mtfl_5")
    known = turned_face()
    known[5] = np.nan
    np.testing.assert_allclose(
        canonical_box(known, "300w_68"), box_from_landmarks(turned_face()), atol=1
    )


@pytest.mark.parametrize(
    "known",
    [
        (8, 36, 39, 42, 45, 48, 51, 54, 57),  # eye and mouth corners, lips, chin
        (36, 39, 42, 45),  # on a line
        (36, 45),
        tuple(range(17, 68)),
    ],
)
def test_canonical_box_of_a_few_known_points_is_that_of_the_whole_face(known):
    for roll in (0, 25):
        points = turned_face(10, 5, roll)
        partial = np.full_like(points, np.nan)
        partial[list(known)] = points[list(known)]
        assert iou(canonical_box(partial, "300w_68"), box_from_landmarks(points)) > 0.75


def test_canonical_box_without_points_that_a_face_is_fitted_to_is_their_own():
    points = turned_face()
    points[5:] = np.nan
    np.testing.assert_allclose(canonical_box(points, "300w_68"), box_from_landmarks(points[:5]))
    points[:] = np.nan
    with pytest.raises(InputError):
        canonical_box(points, "300w_68")
