"""Landmarks of one scheme brought to another."""

from collections import defaultdict

import numpy as np
import pytest
import scipy.io

from published_points import mirrored, wflw_98
from senet_landmark.errors import InputError
from senet_landmark.face.pose import MEAN_FACE_3D
from senet_landmark.face.scheme_conversion import can_convert, convert, targets_of
from senet_landmark.face.schemes import SCHEMES

CONVERSIONS = [(name, target) for name in SCHEMES for target in targets_of(name)]


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
        reached = set(np.flatnonzero(np.nan_to_num(convert(marked, source, target)[:, 0])))
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


def test_contours_of_two_conventions_do_not_tell_each_other():
    """Zhu et al., CVPR 2016: `pts_2d` follows the cheek, `pts_3d` the jaw; the rest is the same."""
    points = np.random.default_rng(5).normal(size=(68, 2))
    for source, target in (("300w_68", "300w_68_3d"), ("300w_68_3d", "300w_68")):
        converted = convert(points, source, target)
        assert np.isnan(converted[:17]).all()
        np.testing.assert_array_equal(converted[17:], points[17:])
