"""Mirrors, schemes and random changes."""

import numpy as np
import pytest

from senet_landmark import augment, geometry
from senet_landmark.config import AugmentConfig
from senet_landmark.geometry import CropSpec
from senet_landmark.schemes import SCHEMES, get_scheme


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


@pytest.mark.parametrize("name", SCHEMES)
def test_flip_twice_is_the_identity(name):
    scheme = get_scheme(name)
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (16, 20, 3), dtype=np.uint8)
    points = generator.uniform(-0.2, 1.2, (scheme.points, 2)).astype(np.float32)
    once = augment.mirror_face(image, points, scheme)
    twice = augment.mirror_face(*once, scheme)
    np.testing.assert_array_equal(twice[0], image)
    np.testing.assert_allclose(twice[1], points, atol=1e-6)
    assert not np.allclose(once[1], points)


def test_mirrored_portrait_still_has_its_left_eye_at_the_left():
    from data_tools.datasets.synthetic import portrait

    photo, points = portrait()
    scheme = get_scheme("300w_68")
    size = np.array(photo.shape[1::-1])
    _, mirrored = augment.mirror_face(photo, ((points + 0.5) / size).astype(np.float32), scheme)
    assert mirrored[36, 0] < mirrored[45, 0] and mirrored[0, 0] < mirrored[16, 0]


def test_random_transform_moves_photo_and_points_together():
    """A dot under each landmark stays under it, however the face is turned."""
    generator = np.random.default_rng(3)
    box = np.array([60.0, 60, 180, 180])
    strong = AugmentConfig(rotation=45, scale=0.3, shift=0.1, box_jitter=0.05)
    spec = CropSpec()
    for _ in range(20):
        point = generator.uniform(90, 150, 2).round()
        photo = np.zeros((240, 240, 3), np.uint8)
        x, y = int(point[0]), int(point[1])
        photo[y - 3 : y + 4, x - 3 : x + 4] = 255
        transform = augment.jittered_transform(box, spec, (240, 240), strong, generator)
        crop = geometry.warp(photo, transform, (128, 128))
        rows, columns = np.nonzero(crop[..., 0] > 127)
        expected = geometry.apply(transform, point) * 128 - 0.5
        np.testing.assert_allclose([columns.mean(), rows.mean()], expected, atol=0.6)


def test_no_strength_changes_nothing():
    none = AugmentConfig(False, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    generator = np.random.default_rng(4)
    image = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    changed = augment.change_picture(image, none, generator, image)
    np.testing.assert_array_equal(changed, image)
    box = np.array([8.0, 8, 24, 24])
    transform = augment.jittered_transform(box, CropSpec(), (32, 32), none, generator)
    expected = geometry.to_crop(geometry.crop_box(box, CropSpec(), (32, 32)))
    np.testing.assert_allclose(transform, expected)


def test_light_and_occlusion_change_the_picture():
    config = AugmentConfig(occlusion=1, blur=1, grey=1)
    generator = np.random.default_rng(5)
    image = generator.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for _ in range(30):
        changed = augment.change_picture(image, config, generator, image)
        assert changed.shape == image.shape and changed.dtype == np.uint8
        assert (changed != image).any()
