"""Genuine photos that views are turned of."""

import pytest
import scipy.io

from senet_landmark.io.images import read_photo

REAL = ("HELEN/HELEN_2165528796_1_0", "LFPW/LFPW_image_0050_0", "LFPW/LFPW_image_0754_0")


@pytest.fixture
def real_faces(shared_data):
    """Photo and landmarks of three real faces, one of them half turned."""
    faces = []
    for name in REAL:
        photo = shared_data("300W_LP", *f"{name}.jpg".split("/"))
        points = scipy.io.loadmat(photo.with_suffix(".mat"))["pt2d"].T
        faces.append((read_photo(photo), points))
    return faces
