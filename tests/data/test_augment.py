"""Random changes of a photo: points, poses and pixels move together."""

import dataclasses

import numpy as np
import pytest

from senet_landmark.config import NO_AUGMENTATION, AugmentConfig
from senet_landmark.data import augment
from senet_landmark.data.augment import turned_poses
from senet_landmark.face import geometry
from senet_landmark.face.geometry import CropSpec
from senet_landmark.face.pose import euler_angles, rotation_matrix
from senet_landmark.face.schemes import SCHEMES, get_scheme
from senet_landmark.presets import get_preset


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
    from senet_landmark.data_tools.synthesis.synthetic_tree import portrait

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


@pytest.mark.parametrize("size", [(392, 392), (392, 200)])
def test_random_cut_is_anywhere_in_the_frame_and_never_leaves_it(size):
    """Also not the recorded picture, beyond which the frame's ends are lost."""
    config = get_preset("cnn")
    box = np.array([-60.5, 20.5, 440.5, 270.5])  # a long frame, of which the ends are not recorded
    boxes = np.tile(box, (3000, 1))
    transforms = augment.jittered_transform(
        boxes, config.records.crop, size, config.augment, np.random.default_rng(0)
    )
    corners = np.array([[0.0, 0.0], [1.0, 1.0]])
    regions = np.stack([geometry.apply(geometry.invert(t), corners).ravel() for t in transforms])
    np.testing.assert_allclose(regions[:, 2:] - regions[:, :2], 224, rtol=1e-9)
    low, high = np.maximum(box[:2], -0.5), np.minimum(box[2:], np.array(size) - 0.5)
    for axis in range(2):
        first = regions[:, axis]
        if high[axis] - low[axis] > 224:
            room = high[axis] - low[axis] - 224
            assert (first >= low[axis] - 1e-6).all() and (first <= high[axis] - 224 + 1e-6).all()
            places = np.histogram((first - low[axis]) / room, 10, (0, 1))[0]
            assert places.min() > 200 and places.max() < 400  # 300 each
        else:  # no room: in the middle, as without the option
            middle = (box[axis] + box[axis + 2]) / 2
            np.testing.assert_allclose(first + 112, middle)


def test_random_cut_has_no_room_about_a_face():
    box, spec = np.array([60.0, 60, 180, 180]), CropSpec()
    cut = dataclasses.replace(NO_AUGMENTATION, random_cut=True)
    transform = augment.jittered_transform(box, spec, (240, 240), cut, np.random.default_rng(0))
    expected = geometry.to_crop(geometry.crop_box(box, spec, (240, 240)))
    np.testing.assert_allclose(transform, expected)


def test_no_strength_changes_nothing():
    none = NO_AUGMENTATION
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


def test_pfld_turns_by_multiples_of_5_degrees_up_to_30():
    config = get_preset("pfld").augment
    box, generator = np.array([60.0, 60, 180, 180]), np.random.default_rng(6)
    turns, sides = [], []
    for _ in range(400):
        transform = augment.jittered_transform(box, CropSpec(), (240, 240), config, generator)
        turns.append(np.degrees(np.arctan2(transform[1, 0], transform[0, 0])))
        sides.append(np.linalg.norm(transform[0, :2]))
    steps, counts = np.unique(np.round(turns, 6), return_counts=True)
    np.testing.assert_allclose(steps, np.arange(-30, 31, 5))
    assert counts.min() > 400 / 13 / 2  # all alike likely
    np.testing.assert_allclose(sides, sides[0])  # nothing but turns


@pytest.mark.parametrize("area", [get_preset("pfld").augment.occlusion_area, 0.05, 0.6, 1.0])
def test_occlusion_covers_the_stated_area(area):
    config = dataclasses.replace(NO_AUGMENTATION, occlusion=1, occlusion_area=area)
    generator = np.random.default_rng(7)
    image, donor = np.zeros((112, 112, 3), np.uint8), np.full((112, 112, 3), 9, np.uint8)
    places, shapes = set(), []
    for _ in range(40):
        covered = augment.change_picture(image, config, generator, donor).any(axis=-1)
        rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
        assert covered.sum() == len(rows) * len(columns)  # one rectangle
        assert covered.mean() == pytest.approx(area, abs=0.02)
        places.add((rows[0], columns[0]))
        shapes.append(len(rows) / len(columns))
    assert area == 1 or len(places) > 20
    assert 0.45 < min(shapes) <= max(shapes) < 2.2  # up to twice as long as wide
    assert area > 0.5 or (min(shapes) < 0.7 and max(shapes) > 1.4)


def test_pfld_covers_a_fifth_of_every_face():
    config = get_preset("pfld").augment
    assert (config.occlusion, config.occlusion_area) == (1, 0.2)
    assert (config.rotation, config.rotation_step, config.mirror) == (30, 5, True)


def test_poses_of_a_batch_turn_as_one_pose_does():
    generator = np.random.default_rng(0)
    poses = generator.uniform(-80, 80, (40, 3)).astype(np.float32)
    turns = generator.uniform(-180, 180, 40)
    expected = [
        euler_angles(rotation_matrix(0, 0, turn) @ rotation_matrix(*pose))
        for pose, turn in zip(poses, turns, strict=True)
    ]
    np.testing.assert_allclose(turned_poses(poses, turns), expected, atol=1e-3)
    poses[3, 1] = np.nan
    assert np.isnan(turned_poses(poses, turns)[3]).all()
    assert np.isfinite(np.delete(turned_poses(poses, turns), 3, 0)).all()
