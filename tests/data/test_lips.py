"""Lips of other tones and heights: what changes, what stays, and that points move with pixels."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from senet_landmark.config import NO_AUGMENTATION
from senet_landmark.data.input_pipeline import BatchMaker
from senet_landmark.data.lips import change_lips, fuller_lips, toned_lips
from senet_landmark.data.record_store import RecordStore
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.face.geometry import CropSpec
from senet_landmark.face.schemes import SCHEMES, get_scheme

SCHEME = get_scheme("300w_68")
WITH_LIPS = [name for name, scheme in SCHEMES.items() if scheme.lips]


def made_face(scheme, rng, size=200):
    """Noise, and a closed mouth of which each point is where its name says."""
    points = rng.uniform(0.1, 0.9, (scheme.points, 2))
    outer, inner = scheme.lips
    angles = np.pi + 2 * np.pi * np.arange(12) / 12
    points[list(outer)] = [0.5, 0.6] + np.c_[0.2 * np.cos(angles), 0.08 * np.sin(angles)]
    angles = np.pi + 2 * np.pi * np.arange(8) / 8
    points[list(inner)] = [0.5, 0.6] + np.c_[0.17 * np.cos(angles), 0.02 * np.sin(angles)]
    return rng.integers(60, 160, (size, size, 3), dtype=np.uint8), points.astype(np.float32)


def filled(points, size):
    mask = np.zeros((size, size), np.uint8)
    cv2.fillPoly(mask, [np.round(points * size - 0.5).astype(np.int32)], 1)
    return mask.astype(bool)


@pytest.mark.parametrize("name", WITH_LIPS)
def test_tones_are_on_the_lips_alone(name):
    scheme, rng = get_scheme(name), np.random.default_rng(0)
    image, points = made_face(scheme, rng)
    before = image.copy()
    changes = []
    for _ in range(20):
        changed = toned_lips(image, points, scheme, rng)
        np.testing.assert_array_equal(image, before)  # the caller's picture is left alone
        outer, inner = (filled(points[list(ring)], 200) for ring in scheme.lips)
        grown = cv2.dilate(outer.astype(np.uint8), np.ones((29, 29))).astype(bool)
        ratio = changed[~grown].astype(float) / image[~grown]
        # The rest keeps its picture, darker or as it is.
        assert np.abs(ratio - np.median(ratio, axis=0)).max() < 0.03
        share = np.median(ratio)
        assert 0.25 < share < 1.1
        on_lips = np.median(changed[outer & ~inner] / image[outer & ~inner].astype(float))
        changes.append((share, on_lips))
    skin, lips = np.array(changes).T
    assert 5 <= (np.abs(skin - 1) < 0.01).sum() <= 15
    assert (lips / skin).min() < 0.9 and (lips / skin).max() > 1.5


def test_each_lip_gets_its_own_tones():
    rng = np.random.default_rng(3)
    image, points = made_face(SCHEME, rng)
    image[:] = 120
    outer, inner = (filled(points[list(ring)], 200) for ring in SCHEME.lips)
    upper, lower = (outer & ~inner).copy(), (outer & ~inner).copy()
    upper[118:], lower[:122] = False, False
    ratios = []
    for _ in range(40):
        changed = toned_lips(image, points, SCHEME, rng).astype(float)
        ratios.append(changed[upper].mean() / changed[lower].mean())
    assert min(ratios) < 0.8 and max(ratios) > 1.25


@pytest.mark.parametrize("name", WITH_LIPS)
def test_points_move_with_the_pixels(name):
    """A dot under a point of the lips lies under it after the change too."""
    scheme, rng = get_scheme(name), np.random.default_rng(1)
    heights = []
    for trial in range(12):
        image, points = made_face(scheme, rng)
        image[:] = 0
        # One of the upper and one of the lower lip, of the outer and of the inner contour.
        index = [scheme.lips[0][2], scheme.lips[0][8], scheme.lips[1][2], scheme.lips[1][6]][
            trial % 4
        ]
        x, y = np.round(points[index] * 200 - 0.5).astype(int)
        points[index] = (np.array([x, y]) + 0.5) / 200
        image[y - 1 : y + 2, x - 1 : x + 2] = 255
        changed, moved = fuller_lips(image, points, scheme, rng)
        weights = changed[..., 0].astype(float)
        rows, columns = np.mgrid[:200, :200]
        found = [(columns * weights).sum() / weights.sum(), (rows * weights).sum() / weights.sum()]
        np.testing.assert_allclose(moved[index] * 200 - 0.5, found, atol=0.7)
        assert moved.dtype == np.float32
        outer = list(scheme.lips[0])
        heights.append(np.ptp(moved[outer, 1]) / np.ptp(points[outer, 1]))
        np.testing.assert_allclose(moved[outer[0]], points[outer[0]], atol=1e-6)
        np.testing.assert_allclose(moved[outer[6]], points[outer[6]], atol=1e-6)
    assert min(heights) < 1 and max(heights) > 1.3


def test_real_face_keeps_its_eyes_and_chin():
    photo, points = portrait()
    size = np.array(photo.shape[1::-1])
    normalised = ((points + 0.5) / size).astype(np.float32)
    rng = np.random.default_rng(2)
    for _ in range(10):
        changed, moved = change_lips(photo, normalised, SCHEME, rng)
        np.testing.assert_array_equal(moved[17:27], normalised[17:27])  # brows
        np.testing.assert_array_equal(moved[36:48], normalised[36:48])
        np.testing.assert_allclose(moved[27:36], normalised[27:36], atol=3e-3)  # nose
        nose = int(points[33, 1])
        above = np.s_[: nose - 20]
        ratio = changed[above].astype(float).mean() / photo[above].mean()
        np.testing.assert_allclose(
            changed[above], np.clip(photo[above] * ratio, 0, 255), atol=40 * abs(1 - ratio) + 1
        )
        assert (changed != photo).any()


def test_faces_without_known_lips_stay():
    rng = np.random.default_rng(4)
    image, points = made_face(SCHEME, rng)
    unknown = points.copy()
    unknown[62] = np.nan
    far = points + 5
    flat = points.copy()
    flat[48:] = 0.5
    five = get_scheme("mtfl_5")
    for scheme, face in ((SCHEME, unknown), (SCHEME, far), (SCHEME, flat), (five, points[:5])):
        changed, moved = change_lips(image, face, scheme, rng)
        np.testing.assert_array_equal(changed, image)
        np.testing.assert_array_equal(moved, face)


def test_contour_may_be_unknown():
    rng = np.random.default_rng(5)
    image, points = made_face(SCHEME, rng)
    points[:17] = np.nan
    changed, moved = change_lips(image, points, SCHEME, rng)
    assert (changed != image).any()
    assert np.isnan(moved[:17]).all() and np.isfinite(moved[17:]).all()


def test_lips_on_the_edge_of_the_picture():
    rng = np.random.default_rng(6)
    image, points = made_face(SCHEME, rng)
    for offset in ((0.45, 0), (0, 0.4), (-0.5, -0.6), (0.3, -0.55)):
        changed, moved = change_lips(image, (points + offset).astype(np.float32), SCHEME, rng)
        assert changed.shape == image.shape and np.isfinite(moved).all()


def test_share_of_the_faces_of_a_batch(synthetic_records):
    """None by default; with it the same faces get the same lips whenever the batch is made."""
    store = RecordStore(sorted(synthetic_records.glob("train-*")), cache_mb=100)

    def faces(share):
        augment = replace(NO_AUGMENTATION, lips=share)
        return BatchMaker(store, CropSpec(), (96, 96), augment, 16, seed=1).batch(0)

    as_they_are, some, all_faces = faces(0), faces(0.5), faces(1)

    def count(batch):  # a resampling may round differently
        change = np.abs(batch["image"].astype(int) - as_they_are["image"]).max(axis=(1, 2, 3))
        return (change > 12).sum()

    assert 2 < count(some) < 14 and count(all_faces) == 16
    np.testing.assert_array_equal(faces(1)["image"], all_faces["image"])
    np.testing.assert_array_equal(faces(1)["landmarks"], all_faces["landmarks"])
    moved = np.abs(all_faces["landmarks"] - as_they_are["landmarks"]).max(axis=2)
    assert (moved[:, 48:] > 0.005).any() and moved[:, 17:27].max() < 1e-4
