"""Depth: its zero, its unit, its place beside x and y."""

import numpy as np
import pytest

from senet_landmark.face.depth import centred, depth_unit, landmarks_3d
from senet_landmark.face.geometry import CropSpec, crop_box


def test_zero_is_the_mean_of_the_known_points():
    depth = np.array([[1, 2, 6], [5, np.nan, 7], [np.nan] * 3], np.float32)
    expected = [[-2, -1, 3], [-1, np.nan, 1], [np.nan] * 3]
    np.testing.assert_array_equal(centred(depth), np.array(expected, np.float32))


@pytest.mark.parametrize(
    "spec",
    [CropSpec(), CropSpec(square=False), CropSpec((0.05, 0.3, 0.05, 0.065), square=False)],
)
@pytest.mark.parametrize("size", [(80, 120), (120, 80)])
def test_unit_is_the_longer_side_of_the_box(spec, size):
    region = crop_box(np.array([10, 20, 10 + size[0], 20 + size[1]]), spec, (900, 900))
    assert depth_unit(region[2:] - region[:2], spec) == pytest.approx(120)


def test_landmarks_in_three_dimensions():
    points, depth = np.arange(8).reshape(2, 2, 2), np.array([[8, 9], [10, np.nan]])
    found = landmarks_3d(points, depth)
    assert found.shape == (2, 2, 3) and found.dtype == np.float32
    np.testing.assert_array_equal(found[..., :2], points)
    np.testing.assert_array_equal(found[..., 2], depth)
