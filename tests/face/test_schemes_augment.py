"""Mirrors, schemes, their conversions and random changes."""

import dataclasses
from collections import defaultdict

import numpy as np
import pytest
import scipy.io

from senet_landmark.config import NO_AUGMENTATION, AugmentConfig
from senet_landmark.data import augment
from senet_landmark.errors import InputError
from senet_landmark.face import geometry
from senet_landmark.face.geometry import CropSpec
from senet_landmark.face.pose import MEAN_FACE_3D
from senet_landmark.face.scheme_conversion import can_convert, convert, targets_of
from senet_landmark.face.schemes import SCHEMES, get_scheme
from senet_landmark.presets import get_preset

CONVERSIONS = [(name, target) for name in SCHEMES for target in targets_of(name)]


def mirrored(points, name):
    """Points of a scheme in the photo flipped about x = 0."""
    flip = np.ones(points.shape[-1])
    flip[0] = -1
    return (points * flip)[..., get_scheme(name).mirror_index, :]


@pytest.mark.parametrize("name", SCHEMES)
def test_scheme_is_named_by_its_key_and_number_of_points(name):
    scheme = get_scheme(name)
    assert scheme.name == name and name.endswith(f"_{scheme.points}")
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


@pytest.mark.parametrize(("source", "target"), CONVERSIONS)
def test_conversion_commutes_with_mirroring(source, target):
    for axes in (2, 3):
        points = np.random.default_rng(1).normal(size=(4, SCHEMES[source].points, axes))
        expected = mirrored(convert(points, source, target), target)
        np.testing.assert_allclose(
            convert(mirrored(points, source), source, target), expected, atol=1e-12
        )


@pytest.mark.parametrize(("source", "target"), CONVERSIONS)
def test_conversion_keeps_shape_type_and_names_of_parts(source, target):
    given, wanted = SCHEMES[source], SCHEMES[target]
    points = np.random.default_rng(2).normal(size=(2, 3, given.points, 2)).astype(np.float32)
    converted = convert(points, source, target)
    assert converted.shape == (2, 3, wanted.points, 2) and converted.dtype == np.float32
    assert not np.shares_memory(converted, points)
    # A mark on one part of the face arrives in that part alone.
    for part in ("eyes", "brows", "nose", "mouth", "jaw", "chin"):
        marked = np.zeros((given.points, 2))
        marked[list(given.groups.get(part, ()))] = 1
        reached = set(np.flatnonzero(convert(marked, source, target)[:, 0]))
        parts = {"jaw", "chin"} if part == "jaw" else {part}
        assert reached <= {i for name in parts for i in wanted.groups.get(name, ())}, part


@pytest.mark.parametrize(("source", "target"), CONVERSIONS)
def test_unknown_points_stay_unknown(source, target):
    whole = np.random.default_rng(3).normal(size=(SCHEMES[source].points, 2))
    expected = convert(whole, source, target)
    lost = np.zeros(len(expected), bool)
    for index in range(len(whole)):
        points = whole.copy()
        points[index] = np.nan
        converted = convert(points, source, target)
        unknown = np.isnan(converted).any(1)
        lost |= unknown
        np.testing.assert_array_equal(converted[~unknown], expected[~unknown])
    assert lost.all()


@pytest.mark.parametrize(
    ("source", "middle", "target"),
    [
        ("wflw_98", "300w_68", "mtfl_5"),
        ("wflw_98", "300w_68", "cofw_29"),
        ("jd_106", "300w_68", "mtfl_5"),
        ("jd_106", "wflw_98", "300w_68"),
        ("aflw_21", "aflw_19", "mtfl_5"),
    ],
)
def test_conversion_in_two_steps_is_the_conversion(source, middle, target):
    points = np.random.default_rng(4).normal(size=(SCHEMES[source].points, 2))
    stepwise = convert(convert(points, source, middle), middle, target)
    np.testing.assert_array_equal(convert(points, source, target), stepwise)


def test_every_scheme_can_be_brought_to_5_points():
    assert all(can_convert(name, "mtfl_5") and can_convert(name, name) for name in SCHEMES)


def test_unknown_conversions_name_the_known_ones():
    assert not can_convert("mtfl_5", "300w_68") and not can_convert("68", "mtfl_5")
    with pytest.raises(InputError, match=r"targets of wflw_98: wflw_98, 300w_68, .*mtfl_5"):
        convert(np.zeros((98, 2)), "wflw_98", "jd_106")
    with pytest.raises(InputError, match="Unknown landmark scheme"):
        convert(np.zeros((98, 2)), "wflw_98", "dlib")
    with pytest.raises(InputError, match=r"must be \[\.\.\., 98, 2 or 3\]"):
        convert(np.zeros((68, 2)), "wflw_98", "300w_68")
    assert convert(np.zeros((68, 2), np.uint8), "300w_68", "mtfl_5").dtype == np.float64


@pytest.mark.parametrize("target", ["mtfl_5", "cofw_29"])
def test_mean_face_has_its_parts_where_the_names_say(target):
    scheme = SCHEMES[target]
    face = convert(MEAN_FACE_3D, "300w_68", target)
    np.testing.assert_allclose(mirrored(face, target), face, atol=1e-5)
    left, right = (face[list(eye)].mean(0) for eye in scheme.eyes)
    assert left[0] < -0.3 and right[0] > 0.3
    heights = [face[list(scheme.groups[part]), 1].mean() for part in ("eyes", "nose", "mouth")]
    assert heights == sorted(heights)


def wflw_98(shared_data):
    """(paths, points [N, 98, 2]) of WFLW's large poses."""
    lines = shared_data("wflw", "list_98pt_test_largepose.txt").read_text().splitlines()
    fields = [line.split() for line in lines]
    return [f[-1] for f in fields], np.array([f[:196] for f in fields], float).reshape(-1, 98, 2)


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


def test_98_points_become_the_68_that_are_published_for_the_same_faces(shared_data):
    paths, points = wflw_98(shared_data)
    published = defaultdict(list)
    for line in shared_data("wflw", "list_68pt_rect_attr_test.txt").read_text().splitlines():
        fields = line.split()
        published[fields[-1]].append(np.array(fields[:136], float).reshape(68, 2))
    converted = convert(points, "wflw_98", "300w_68")
    nearest = [
        min(published[path], key=lambda other, mine=mine: np.abs(other - mine).mean())
        for path, mine in zip(paths, converted, strict=True)
    ]
    eyes = points[:, [60, 72]]
    difference = np.linalg.norm(converted - nearest, axis=-1)
    difference /= np.linalg.norm(eyes[:, 0] - eyes[:, 1], axis=-1)[:, None]
    lids = np.array([37, 38, 40, 41, 43, 44, 46, 47])
    assert np.delete(difference, lids, axis=1).max() < 1e-9
    # The published lids are means of a point on the lid and a corner or another point of it.
    assert np.median(difference[:, lids]) < 0.02


def test_aflw_points_lie_at_those_of_68_points(shared_data):
    """AFLW2000-3D has both; -1 is invisible there."""
    same = (17, 19, 21, 22, 24, 26, 36, None, 39, 42, None, 45, None, 31, 30, 35, None, 48, None)
    same = (*same, 54, 8)
    eyes = dict(zip((7, 10), SCHEMES["300w_68"].eyes, strict=True))
    distances = defaultdict(list)
    for file in sorted(shared_data("aflw2000").glob("*.mat")):
        data = scipy.io.loadmat(file)
        points, others = data["pt2d"].T.astype(float), data["pt3d_68"][:2].T.astype(float)
        points[points[:, 0] < 0] = np.nan
        size = np.sqrt(np.ptp(others, axis=0).prod())
        for index, partner in enumerate(same):
            partners = eyes.get(index, (partner,))
            if None not in partners:
                expected = others[list(partners)].mean(0)
                distances[index].append(np.linalg.norm(points[index] - expected) / size)
    assert len(distances) == 18
    assert max(np.nanmean(values) for values in distances.values()) < 0.05


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
