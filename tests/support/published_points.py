"""Mirrored points, and real faces of WFLW."""

import numpy as np

from senet_landmark.face.schemes import get_scheme


def mirrored(points, name):
    """Points of a scheme in the photo flipped about x = 0."""
    flip = np.ones(points.shape[-1])
    flip[0] = -1
    return (points * flip)[..., get_scheme(name).mirror_index, :]


def wflw_98(shared_data):
    """(paths, points [N, 98, 2]) of WFLW's large poses."""
    lines = shared_data("wflw", "list_98pt_test_largepose.txt").read_text().splitlines()
    fields = [line.split() for line in lines]
    return [f[-1] for f in fields], np.array([f[:196] for f in fields], float).reshape(-1, 98, 2)
