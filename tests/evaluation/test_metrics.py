"""Normalised mean errors, pose and attributes: by hand, and by their properties."""

import numpy as np
import pytest

from metric_cases import ALL_KINDS, ALL_SCHEMES, FIVE, NMES, five_points, some_faces
from senet_landmark.errors import InputError
from senet_landmark.evaluation import metrics
from senet_landmark.evaluation.metrics import (
    NORMALISERS,
    error_by_group,
    nme,
    normaliser,
    point_errors,
)
from senet_landmark.evaluation.output_metrics import attribute_accuracy, pose_errors, pose_mae
from senet_landmark.face.schemes import get_scheme


def test_metrics_by_hand():
    from senet_landmark.evaluation.metrics import nme
    from senet_landmark.face.schemes import get_scheme

    scheme = get_scheme("300w_68")
    truth = np.zeros((2, 68, 2))
    truth[:, 45] = (30, 40)  # 50 from point 36
    predicted = truth + (3, 4)  # each off by 5
    predicted[1] += (3, 4)
    np.testing.assert_allclose(nme(predicted, truth, scheme), [0.1, 0.2])
    with pytest.raises(InputError, match="different landmark schemes"):
        nme(predicted[:, :5], truth, scheme)
    with pytest.raises(InputError, match="coincide"):
        nme(predicted, truth * 0, scheme)
    with pytest.raises(InputError, match="NaN"):
        nme(predicted * np.nan, truth, scheme)


INF, NAN = np.inf, np.nan


def test_nme_by_hand():
    predicted, truth = five_points()
    for kind, length in {
        "inter_ocular": 6,
        "inter_pupil": 6,
        "bbox_diagonal": 10,
        "bbox_size": np.sqrt(48),
    }.items():
        np.testing.assert_allclose(normaliser(truth, FIVE, kind), length)
        found = NMES[kind](predicted, truth, FIVE)
        np.testing.assert_allclose(found, [3 / length, 6 / length])
        assert found.dtype == np.float64 and found.shape == (2,)
    assert set(NMES) == set(NORMALISERS)


def test_pupils_are_the_means_of_the_eyes_outlines():
    scheme = get_scheme("300w_68")
    _, truth = some_faces(scheme, 1)
    left, right = truth[0, 36:42].mean(axis=0), truth[0, 42:48].mean(axis=0)
    np.testing.assert_allclose(
        normaliser(truth, scheme, "inter_pupil"), np.linalg.norm(left - right)
    )
    corners = np.linalg.norm(truth[0, 36] - truth[0, 45])
    np.testing.assert_allclose(normaliser(truth, scheme, "inter_ocular"), corners)


@ALL_SCHEMES
@ALL_KINDS
def test_nme_is_the_plain_loop(scheme, kind):
    predicted, truth = some_faces(scheme)
    for index, found in enumerate(NMES[kind](predicted, truth, scheme)):
        width, height = truth[index].max(axis=0) - truth[index].min(axis=0)
        a, b = (truth[index, list(eye)].mean(axis=0) for eye in scheme.eyes)
        c, d = truth[index, list(scheme.outer_eye_corners)]
        length = {
            "inter_ocular": np.hypot(*(c - d)),
            "inter_pupil": np.hypot(*(a - b)),
            "bbox_diagonal": np.hypot(width, height),
            "bbox_size": (width * height) ** 0.5,
        }[kind]
        steps = zip(predicted[index], truth[index], strict=True)
        assert found == pytest.approx(np.mean([np.hypot(*(p - t)) / length for p, t in steps]))


@ALL_SCHEMES
@ALL_KINDS
def test_nme_does_not_change_with_scale_place_order_or_mirror(scheme, kind):
    predicted, truth = some_faces(scheme)
    wanted = NMES[kind](predicted, truth, scheme)
    move = np.array([31.0, -7.0])
    np.testing.assert_allclose(
        NMES[kind](2.5 * predicted + move, 2.5 * truth + move, scheme), wanted
    )
    order = np.random.default_rng(1).permutation(len(truth))
    np.testing.assert_allclose(NMES[kind](predicted[order], truth[order], scheme), wanted[order])

    def mirror(points):
        return (points * (-1, 1) + (200, 0))[:, scheme.mirror_index]

    np.testing.assert_allclose(NMES[kind](mirror(predicted), mirror(truth), scheme), wanted)
    by_point = point_errors(predicted, truth, scheme, kind)
    mirrored = point_errors(mirror(predicted), mirror(truth), scheme, kind)
    np.testing.assert_allclose(mirrored, by_point[:, scheme.mirror_index])
    groups = error_by_group(by_point, scheme)
    assert error_by_group(mirrored, scheme) == pytest.approx(groups)
    assert (NMES[kind](truth, truth, scheme) == 0).all()


@ALL_KINDS
def test_only_the_points_asked_for(kind):
    scheme = get_scheme("300w_68")
    predicted, truth = some_faces(scheme)
    full = point_errors(predicted, truth, scheme, kind)
    np.testing.assert_allclose(nme(predicted, truth, scheme, kind), full.mean(axis=1))
    inner = range(17, 68)
    wanted = full[:, 17:].mean(axis=1)
    mask = np.arange(68) >= 17
    lacking = predicted.copy()
    lacking[:, :17] = NAN  # a peer without the contour; the normaliser is still the whole truth's
    lacking[0, 0] = INF
    for points in (inner, list(inner), np.array(inner), mask, np.tile(mask, (6, 1))):
        np.testing.assert_allclose(NMES[kind](lacking, truth, scheme, points=points), wanted)


def test_unknown_truth_where_it_does_not_count():
    predicted, truth = five_points()
    truth[0, 2] = NAN  # within the box of the others
    truth[1, 2, 1] = INF
    counts = np.isfinite(truth).all(axis=-1)
    for kind, length in {"inter_ocular": 6, "bbox_diagonal": 10}.items():
        found = NMES[kind](predicted, truth, FIVE, points=counts)
        np.testing.assert_allclose(found, [3 / length, 6 / length])
    by_point = point_errors(predicted, truth, FIVE, points=counts)
    assert np.isnan(by_point[:, 2]).all() and np.isfinite(by_point[:, [0, 1, 3, 4]]).all()
    groups = error_by_group(by_point, FIVE)
    assert groups == pytest.approx({"eyes": 0.75, "nose": NAN, "mouth": 0.75}, nan_ok=True)
    assert np.isinf(truth[1, 2, 1])  # the caller's arrays stay as they were


def test_errors_by_landmark_and_group():
    predicted, truth = five_points()
    predicted[:] = truth
    predicted[0, 3] += (0, 6)  # mouth, one of two points, one of two faces
    by_point = point_errors(predicted, truth, FIVE)
    np.testing.assert_allclose(by_point.mean(axis=0), [0, 0, 0, 0.5, 0])
    assert error_by_group(by_point, FIVE) == {"eyes": 0, "nose": 0, "mouth": 0.25}


@pytest.mark.parametrize("function", NMES.values(), ids=NMES)
def test_bad_faces_are_named(function):
    predicted, truth = five_points()
    names = ("a.jpg", "b.jpg")
    with pytest.raises(InputError, match="different landmark schemes"):
        function(predicted[:, :4], truth, FIVE)
    with pytest.raises(InputError, match="different landmark schemes"):
        function(predicted, truth, get_scheme("300w_68"))
    with pytest.raises(InputError, match="different landmark schemes"):
        function(np.array(1), np.array(1), FIVE)
    with pytest.raises(InputError, match="no face"):
        function(predicted[:0], truth[:0], FIVE)
    flat = truth.copy()
    flat[1] = 5
    with pytest.raises(InputError, match=r"Face 1 \(b\.jpg\): its .*(coincide|span no)"):
        function(predicted, flat, FIVE, names=names)
    with pytest.raises(InputError, match="Face 1: its"):
        function(predicted, flat, FIVE)
    for value in (NAN, INF):
        broken = truth.copy()
        broken[1, 4, 0] = value
        with pytest.raises(
            InputError, match=r"Face 1 \(b.*truth has NaN or infinity at landmark 4"
        ):
            function(predicted, broken, FIVE, names=names)
        with pytest.raises(InputError, match="prediction has NaN"):
            function(broken, truth, FIVE)


def test_bad_points_and_normalisers():
    predicted, truth = five_points()
    for points in ([5], [-1], [], [0.5], [[0]]):
        with pytest.raises(InputError, match="0 to 4"):
            nme(predicted, truth, FIVE, points=points)
    with pytest.raises(InputError, match="mask of landmarks"):
        nme(predicted, truth, FIVE, points=np.ones((3, 5), bool))
    mask = np.ones((2, 5), bool)
    mask[1] = False
    with pytest.raises(InputError, match="Face 1: no landmark"):
        nme(predicted, truth, FIVE, points=mask)
    with pytest.raises(InputError, match=r"Unknown normaliser 'chin'\. Known: inter_ocular"):
        normaliser(truth, FIVE, "chin")
    with pytest.raises(InputError, match=r"must be \[N, 5, 2\]"):
        normaliser(truth[0], FIVE, "bbox_size")
    truth[1, 0] = NAN  # an eye
    with pytest.raises(InputError, match=r"Face 1: its outer eye corners .* unknown"):
        nme(predicted, truth, FIVE, points=[2, 3, 4])


def test_pose_errors_by_hand():
    predicted = [[10, -20, 179], [-90, 5, 360]]
    truth = [[-10, -25, -179], [90, NAN, 0]]
    np.testing.assert_allclose(pose_errors(predicted, truth), [[20, 5, 2], [180, NAN, 0]])
    np.testing.assert_array_equal(pose_errors(truth[:1], predicted[:1]), [[20, 5, 2]])
    assert pose_mae(predicted, truth) == {"yaw": 100, "pitch": 5, "roll": 1, "mean": 106 / 3}
    assert np.isnan(pose_mae([[0, 0, 0]], [[NAN] * 3])["mean"])
    turn = 360 * np.random.default_rng(0).integers(-2, 3, (2, 3))
    np.testing.assert_allclose(pose_errors(predicted + turn, truth), pose_errors(predicted, truth))
    with pytest.raises(InputError, match=r"\[N, 3\]"):
        pose_errors([[1, 2]], [[1, 2]])
    with pytest.raises(InputError, match="no pose"):
        pose_errors(np.zeros((0, 3)), np.zeros((0, 3)))
    for broken in (NAN, INF):
        with pytest.raises(InputError, match="NaN"):
            pose_errors([[broken, 0, 0]], [[0, 0, 0]])
    with pytest.raises(InputError, match="infinity"):
        pose_errors([[0, 0, 0]], [[INF, 0, 0]])


def test_attribute_accuracy_by_hand():
    names = ("gender", "head_pose", "blur")
    truth = [[0, 4, NAN], [1, NAN, NAN], [1, 2, NAN], [NAN, 3, NAN]]
    predicted = [[0, 4, 0], [0, 0, 0], [1, 1, 0], [1, 3, 1]]
    found = attribute_accuracy(predicted, truth, names)
    wanted = {"gender": 2 / 3, "head_pose": 2 / 3, "blur": NAN}
    assert found == pytest.approx(wanted, nan_ok=True)
    with pytest.raises(InputError, match=r"\[N, 2\]"):
        attribute_accuracy(predicted, truth, names[:2])
    with pytest.raises(InputError, match="no attribute"):
        attribute_accuracy(np.zeros((0, 3)), np.zeros((0, 3)), names)
    for value in (NAN, 2, 0.5):
        with pytest.raises(InputError, match="gender are the numbers 0 to 1"):
            attribute_accuracy([[value]], [[0]], ["gender"])
    with pytest.raises(InputError, match="smile"):
        attribute_accuracy([[0]], [[7]], ["smile"])
    with pytest.raises(InputError, match="Unknown attribute"):
        attribute_accuracy([[0]], [[0]], ["hat"])


def test_means_of_nothing_give_no_warning(recwarn):
    assert np.isnan(metrics.mean_known(np.full((2, 3), NAN), axis=1)).all()
    assert not recwarn
