"""Landmark schemes: names, mirrors and groups of their points."""

import numpy as np
import pytest

from published_points import mirrored, wflw_98
from senet_landmark.face.schemes import SCHEMES, get_scheme


@pytest.mark.parametrize("name", SCHEMES)
def test_scheme_is_named_by_its_key_and_number_of_points(name):
    scheme = get_scheme(name)
    assert scheme.name == name and name.removesuffix("_3d").endswith(f"_{scheme.points}")
    assert len(scheme.mirror) == scheme.points
    used = [*scheme.outer_eye_corners, *scheme.eyes[0], *scheme.eyes[1]]
    assert all(0 <= i < scheme.points for i in used)
    assert set(used) <= set(scheme.groups["eyes"])
    assert not set(scheme.eyes[0]) & set(scheme.eyes[1])


@pytest.mark.parametrize("name", SCHEMES)
def test_mirror_is_an_involution_over_all_points(name):
    scheme = get_scheme(name)
    assert sorted(scheme.mirror) == list(range(scheme.points))
    assert [scheme.mirror[i] for i in scheme.mirror] == list(range(scheme.points))


@pytest.mark.parametrize("name", SCHEMES)
def test_groups_cover_each_point_once_and_mirror_into_themselves(name):
    scheme = get_scheme(name)
    assert sorted(i for group in scheme.groups.values() for i in group) == list(
        range(scheme.points)
    )
    for group in scheme.groups.values():
        assert {scheme.mirror[i] for i in group} == set(group)
    left, right = scheme.eyes
    assert {scheme.mirror[i] for i in left} == set(right)
    assert scheme.outer_eye_corners[0] == scheme.mirror[scheme.outer_eye_corners[1]]
    assert {scheme.mirror[i] for i in right} == set(left)


def procrustes_mean(faces, rounds=10):
    """The mean shape [K, 2] of faces [N, K, 2], without their place, size and roll."""
    faces = faces - faces.mean(1, keepdims=True)
    faces = faces / np.linalg.norm(faces, axis=(1, 2), keepdims=True)
    mean = faces[0]
    for _ in range(rounds):
        u, _, vt = np.linalg.svd(np.swapaxes(faces, 1, 2) @ mean)
        u[..., 1] *= np.linalg.det(u @ vt)[:, None]
        mean = (faces @ (u @ vt)).mean(0)
        mean /= np.linalg.norm(mean)
    return mean


def test_wflw_mirror_maps_the_mean_of_genuine_faces_onto_itself(shared_data):
    scheme = get_scheme("wflw_98")
    mean = procrustes_mean(wflw_98(shared_data)[1])
    flipped = mirrored(mean, "wflw_98")
    u, _, vt = np.linalg.svd(flipped.T @ mean)
    left, right = scheme.outer_eye_corners
    distance = np.linalg.norm(flipped @ (u @ vt) - mean, axis=1)
    assert distance.max() < 0.05 * np.linalg.norm(mean[left] - mean[right])
