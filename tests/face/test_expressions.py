"""Measures of expressions: what they are, and what changes nothing in them."""

import numpy as np
import pytest

from senet_landmark.data_tools.datasets.registry import list_entries, load_sample
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.data_tools.synthesis.wflw_tree import points_98
from senet_landmark.errors import InputError
from senet_landmark.face.expressions import (
    MEASURES,
    can_measure,
    expression_of,
    frontal_landmarks,
)
from senet_landmark.face.pose import MEAN_FACE_3D, pose_of, rotation_matrix
from senet_landmark.face.schemes import SCHEMES, TRUE_JAW, get_scheme

LIDS = ((37, 41), (38, 40), (43, 47), (44, 46))
SCHEMES_WITH_POINTS = {"300w_68", TRUE_JAW, "wflw_98", "jd_106"}


def head(eyes=1.0, mouth=0.0, brows=0.0, smile=0.0):
    """The mean face with another expression, [68, 3]."""
    points = MEAN_FACE_3D.astype(np.float64)
    for upper, lower in LIDS:
        meeting = 0.2 * points[upper] + 0.8 * points[lower]
        for lid in (upper, lower):
            points[lid] = meeting + eyes * (points[lid] - meeting)
    points[[65, 66, 67, *range(55, 60)], 1] += mouth
    points[17:27, 1] -= brows
    points[[48, 54, 60, 64], 0] *= 1 + smile
    return points


def seen(points, yaw=0.0, pitch=0.0, roll=0.0, scale=80.0, shift=(300.0, 200.0)):
    return (points @ rotation_matrix(yaw, pitch, roll).T)[:, :2] * scale + shift


def measures(points, scheme="300w_68"):
    return np.array(list(vars(expression_of(points, scheme)).values()))


def eye_aspect(points, first):
    """Equation 1 of Soukupova and Cech, of the six points from `first`."""
    p1, p2, p3, p4, p5, p6 = points[first : first + 6]
    heights = np.linalg.norm(p2 - p6) + np.linalg.norm(p3 - p5)
    return heights / (2 * np.linalg.norm(p1 - p4))


EXPRESSIONS = (
    {}, {"eyes": 0.1}, {"eyes": 1.3}, {"mouth": 0.4}, {"brows": 0.08}, {"smile": 0.2},
    {"eyes": 0.5, "mouth": 0.2, "brows": 0.05, "smile": 0.1},
)  # fmt: skip


def test_a_face_from_the_front_has_the_ratios_of_the_papers():
    points = seen(head())
    found = expression_of(points, "300w_68")
    assert found.eye_aspect_left == pytest.approx(eye_aspect(points, 36), abs=1e-6)
    assert found.eye_aspect_right == pytest.approx(eye_aspect(points, 42), abs=1e-6)
    heights = [np.linalg.norm(points[a] - points[b]) for a, b in ((61, 67), (62, 66), (63, 65))]
    width = np.linalg.norm(points[60] - points[64])
    assert found.mouth_aspect == pytest.approx(np.mean(heights) / width, abs=1e-6)
    eyes = np.linalg.norm(points[45] - points[36])
    assert found.smile_width == pytest.approx(np.linalg.norm(points[54] - points[48]) / eyes)
    raised = (points[[36, 39, 42, 45], 1].mean() - points[17:27, 1].mean()) / eyes
    assert found.brow_raise == pytest.approx(raised, abs=1e-6)
    assert tuple(vars(found)) == MEASURES


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=str)
@pytest.mark.parametrize("pose", [(20, 0), (-40, 0), (0, 20), (0, -20), (30, 15), (-45, -20)])
def test_another_yaw_and_pitch_give_nearly_the_same(expression, pose):
    points = head(**expression)
    front, turned = measures(seen(points)), measures(seen(points, *pose))
    np.testing.assert_allclose(turned, front, atol=0.03)
    if "eyes" not in expression:  # lids are among the points that the pose is fitted to
        np.testing.assert_allclose(turned[2:], front[2:], atol=0.005)


def test_without_the_pose_they_would_differ():
    """What is divided by a foreshortened width: a turned eye looks more open than it is."""
    points = head()
    front, turned = seen(points), seen(points, 45)
    ratio = eye_aspect(turned, 36) / eye_aspect(front, 36)
    assert not 0.85 < ratio < 1.15
    assert measures(turned)[0] == pytest.approx(measures(front)[0], abs=0.02)


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=str)
def test_scale_roll_and_shift_change_nothing(expression):
    points = head(**expression)
    expected = measures(seen(points, 25, -10))
    for roll, scale, shift in ((30, 80, (0, 0)), (-160, 12, (-40, 900)), (90, 600, (1e4, -1e4))):
        found = measures(seen(points, 25, -10, 0, scale, shift))
        np.testing.assert_allclose(found, expected, atol=1e-3)
        turn = rotation_matrix(0, 0, roll)[:2, :2]
        np.testing.assert_allclose(
            measures(seen(points, 25, -10) @ turn.T * scale + shift), expected, atol=1e-3
        )


def test_a_mirrored_face_swaps_its_eyes():
    points = head()
    points[[37, 38], 1] += 0.03  # the eye at the image's left closes a little
    flipped = (seen(points, 20) * (-1, 1))[get_scheme("300w_68").mirror_index]
    left, right, *others = measures(seen(points, 20))
    assert left < right - 0.05
    np.testing.assert_allclose(measures(flipped), [right, left, *others], atol=1e-3)


@pytest.mark.parametrize("pose", [(0, 0), (30, 10)])
def test_each_measure_follows_its_part_of_the_face(pose):
    def change(**expression):
        return measures(seen(head(**expression), *pose)) - measures(seen(head(), *pose))

    closed = measures(seen(head(eyes=0), *pose))
    np.testing.assert_allclose(closed[:2], 0, atol=0.01)
    np.testing.assert_allclose(closed[2:], measures(seen(head(), *pose))[2:], atol=0.01)
    width = np.linalg.norm(head()[64, :2] - head()[60, :2])
    assert change(mouth=0.3)[2] == pytest.approx(0.3 / width, rel=0.05)
    assert change(brows=0.08)[3] == pytest.approx(0.08, rel=0.2)
    assert change(smile=0.2)[4] == pytest.approx(0.2 * measures(seen(head()))[4], rel=0.05)


def test_all_schemes_that_have_the_points():
    assert {name for name in SCHEMES if can_measure(name)} == SCHEMES_WITH_POINTS
    points = seen(head(eyes=0.6, mouth=0.2), 15)
    expected = measures(points)
    np.testing.assert_allclose(measures(points, TRUE_JAW), expected, atol=1e-9)
    np.testing.assert_allclose(measures(points_98(points), "wflw_98"), expected, atol=1e-9)


@pytest.mark.parametrize("name", sorted(SCHEMES.keys() - SCHEMES_WITH_POINTS))
def test_none_without_the_points(name):
    assert (
        expression_of(np.random.default_rng(0).normal(size=(SCHEMES[name].points, 2)), name) is None
    )


def test_none_where_nothing_can_be_measured():
    assert expression_of(seen(head(), 70), "300w_68") is None
    assert frontal_landmarks(seen(head(), -75), "300w_68") is None
    assert expression_of(np.zeros((68, 2)), "300w_68") is None
    assert expression_of(np.full((68, 2), np.nan), "300w_68") is None


def test_an_unknown_point_leaves_the_other_measures():
    points = seen(head(), 10)
    points[38] = np.nan
    found = measures(points)
    assert np.isnan(found[0]) and np.isfinite(found[1:]).all()


def test_wrong_shapes_and_schemes_are_told():
    with pytest.raises(InputError, match=r"\[K, 2\]"):
        expression_of(np.zeros((68, 3)), "300w_68")
    with pytest.raises(InputError, match="Unknown landmark scheme"):
        expression_of(np.zeros((68, 2)), "no_such")


def test_the_portrait_smiles_with_open_eyes():
    found = expression_of(portrait()[1], "300w_68")
    assert 0.2 < found.eye_aspect_left < 0.4 and 0.2 < found.eye_aspect_right < 0.4
    assert found.mouth_aspect > 0.1
    assert found.smile_width > expression_of(seen(head()), "300w_68").smile_width


def test_eyes_of_turned_people_agree_more_than_in_the_photo(shared_data):
    """People mostly open both eyes alike; in photos of turned faces the ratios are far apart."""
    root = shared_data("300w", "helen", "testset")
    differences = []
    for entry in list_entries("300w", root):
        points = np.asarray(load_sample("300w", entry).landmarks, np.float64)
        if abs(pose_of(points, "300w_68")[0]) > 20 and (found := expression_of(points, "300w_68")):
            plain = eye_aspect(points, 36) - eye_aspect(points, 42)
            differences.append((plain, found.eye_aspect_left - found.eye_aspect_right))
    plain, frontal = np.abs(differences).mean(axis=0)
    assert len(differences) > 30 and frontal < 0.75 * plain
