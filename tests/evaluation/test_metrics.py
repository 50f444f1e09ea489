"""Metrics: by hand, against SciPy, and by their properties."""

import json
from functools import partial

import numpy as np
import pytest
from scipy import integrate, stats

from senet_landmark.errors import InputError
from senet_landmark.evaluation import metrics, statistics
from senet_landmark.evaluation.metrics import (
    NORMALISERS,
    attribute_accuracy,
    error_by_group,
    nme,
    normaliser,
    point_errors,
    pose_errors,
    pose_mae,
)
from senet_landmark.evaluation.statistics import (
    area_by_face,
    bootstrap_interval,
    ced,
    failure_by_face,
    group_by,
    summarise,
)
from senet_landmark.face.schemes import SCHEMES, get_scheme

FIVE = get_scheme("mtfl_5")
NMES = {
    kind: partial(nme, kind=kind)
    for kind in ("inter_ocular", "inter_pupil", "bbox_diagonal", "bbox_size")
}
INF, NAN = np.inf, np.nan
ALL_KINDS = pytest.mark.parametrize("kind", NORMALISERS)
ALL_SCHEMES = pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)


def some_faces(scheme, faces=6, seed=0):
    """Predictions and truth, [N, K, 2]."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0, 200, (faces, scheme.points, 2))
    return truth + rng.normal(0, 4, truth.shape), truth


def auc(errors, limit, steps=statistics.STEPS, axis=-1):
    """Of a set of faces, as a report has it."""
    return area_by_face(errors, limit, steps).mean(axis=axis)


def failure_rate(errors, limit, axis=-1):
    """Of a set of faces, as a report has it."""
    return failure_by_face(errors, limit).mean(axis=axis)


def five_points():
    """Two faces: eyes 6 apart, box 6 by 8; every point is off by 3, of the second by 6."""
    truth = np.array([[(0, 0), (6, 0), (3, 4), (1, 8), (5, 8)]] * 2, float)
    return truth + np.array([[[3, 0]], [[0, 6]]]), truth


# --- normalised mean error -------------------------------------------------------------------


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


# --- CED, AUC, failure rate ------------------------------------------------------------------


def test_distribution_by_hand():
    errors = [0.0, 0.02, 0.04, 0.05, INF]
    thresholds, share = ced(errors, 0.04, steps=2)
    np.testing.assert_allclose(thresholds, [0, 0.02, 0.04])
    np.testing.assert_allclose(share, [0.2, 0.4, 0.6])
    assert auc(errors, 0.04, steps=2) == pytest.approx((0.2 / 2 + 0.4 + 0.6 / 2) / 2)
    assert failure_rate(errors, 0.04) == pytest.approx(0.4)  # 0.04 itself is none
    np.testing.assert_allclose(area_by_face(errors, 0.04, 2), [1, 0.75, 0.25, 0, 0])
    np.testing.assert_array_equal(failure_by_face(errors, 0.04), [0, 0, 0, 1, 1])
    assert auc([0, 0], 0.08) == 1 and auc([INF], 0.08) == 0 and failure_rate([INF], 0.08) == 1


@pytest.mark.parametrize("limit", (0.05, 0.08, 0.10))
@pytest.mark.parametrize("missed", (0, 7))
def test_distribution_against_scipy(limit, missed):
    rng = np.random.default_rng(3)
    errors = np.r_[rng.gamma(3, 0.015, 211), 0, limit, np.round(rng.random(40) / 5, 3)]
    errors = np.r_[errors, np.full(missed, INF)]
    thresholds, share = ced(errors, limit)
    finite = np.minimum(errors, 1e9)  # SciPy's has no infinity
    np.testing.assert_allclose(share, stats.ecdf(finite).cdf.evaluate(thresholds), atol=1e-12)
    assert thresholds[0] == 0 and thresholds[-1] == limit and len(thresholds) == 1001
    assert (np.diff(share) >= 0).all() and share[0] >= 0 and share[-1] <= 1
    area = auc(errors, limit)
    assert area == pytest.approx(integrate.trapezoid(share, thresholds) / limit, abs=1e-12)
    assert 0 <= area <= 1
    # Of the convention: how far from the exact integral, and from Simpson's rule of other code.
    exact = np.mean(np.clip(1 - errors / limit, 0, None))
    assert abs(area - exact) <= 0.5 / statistics.STEPS + 1e-12
    simpson = integrate.simpson(share, x=thresholds) / limit
    assert abs(area - simpson) <= 0.5 / statistics.STEPS
    assert failure_rate(errors, limit) + share[-1] == pytest.approx(1, abs=1e-12)
    order = rng.permutation(len(errors))
    assert auc(errors[order], limit) == pytest.approx(area)
    rows = np.stack([errors, errors[order]])
    np.testing.assert_allclose(auc(rows, limit, axis=1), [area, area])
    np.testing.assert_allclose(failure_rate(rows.T, limit, axis=0), 1 - share[-1])


@pytest.mark.parametrize("function", (ced, auc, failure_rate, area_by_face, failure_by_face))
def test_bad_errors(function):
    with pytest.raises(InputError, match="no error"):
        function([], 0.08)
    for bad in (NAN, -0.1, -INF):
        with pytest.raises(InputError, match="NaN or negative"):
            function([0.01, bad], 0.08)
    for limit in (0, -1, NAN, INF):
        with pytest.raises(InputError, match="must be positive"):
            function([0.01], limit)
    if function not in (failure_rate, failure_by_face):
        with pytest.raises(InputError, match="must be positive"):
            function([0.01], 0.08, 0)


# --- bootstrap -------------------------------------------------------------------------------


def test_bootstrap_against_numpy_and_the_normal_law(monkeypatch):
    values = np.random.default_rng(0).normal(5, 2, 400)
    low, high = bootstrap_interval(values)
    rng = np.random.default_rng(0)
    means = values[rng.integers(0, 400, (1000, 400))].mean(axis=1)
    np.testing.assert_allclose((low, high), np.percentile(means, [2.5, 97.5]))
    error = values.std() / np.sqrt(400)
    np.testing.assert_allclose((low, high), values.mean() + 1.96 * error * np.r_[-1, 1], atol=0.03)
    assert bootstrap_interval(values) == (low, high) != bootstrap_interval(values, seed=1)
    narrow = bootstrap_interval(values, level=0.5)
    assert low < narrow[0] < values.mean() < narrow[1] < high
    monkeypatch.setattr(statistics, "_MEMORY", 4001)  # 10 samples at a time
    np.testing.assert_allclose(bootstrap_interval(values), (low, high))


def test_bootstrap_of_auc_and_failures_with_missed_faces():
    errors = np.r_[np.random.default_rng(0).gamma(3, 0.02, 90), np.full(10, INF)]
    for statistic in (partial(auc, limit=0.08), partial(failure_rate, limit=0.08), np.median):
        low, high = bootstrap_interval(errors, statistic, samples=300)
        assert 0 <= low < statistic(errors) < high <= 1
    by_auc = bootstrap_interval(errors, partial(auc, limit=0.08))
    np.testing.assert_allclose(bootstrap_interval(area_by_face(errors, 0.08)), by_auc)
    with pytest.raises(InputError, match="missed face"):
        bootstrap_interval(errors)


def test_bootstrap_edges():
    assert bootstrap_interval([0.3]) is None
    assert bootstrap_interval([0.25] * 3) == (0.25, 0.25)
    for bad in ([], [1, NAN], [[1.0, 2.0]]):
        with pytest.raises(InputError, match="needs values"):
            bootstrap_interval(bad)
    for options in ({"level": 1}, {"level": 0}, {"samples": 0}):
        with pytest.raises(InputError, match="Bootstrap: level"):
            bootstrap_interval([1, 2], **options)


# --- groups, pose, attributes ----------------------------------------------------------------


def test_groups():
    groups = group_by(["b", None, "a", "b"])
    assert {label: faces.tolist() for label, faces in groups.items()} == {
        "a": [2],
        "b": [0, 3],
        "unknown": [1],
    }
    assert group_by([]) == {}


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


# --- the whole report ------------------------------------------------------------------------

SCALARS = [
    *("nme_inter_ocular", "nme_inter_pupil", "nme_bbox_diagonal", "nme_bbox_size"),
    *("auc_0.08", "auc_0.10", "failure_rate_0.08", "failure_rate_0.10"),
]
KEYS = [
    *("n", *SCALARS, "missed_faces"),
    *("by_landmark", "by_group", "by_subset", "by_yaw", "interval_95"),
]


def test_summary_by_hand():
    _, truth = five_points()
    truth = truth * 100  # eyes 600, box 600 by 800
    predicted = truth + np.array([[[12, 0]], [[0, 54]]])  # 2 and 9 percent
    report = summarise(
        predicted, truth, FIVE, yaw=[-31, None], subsets=["common", "challenging"], missed=2
    )
    assert list(report) == KEYS and list(report["interval_95"]) == SCALARS
    assert report["n"] == 2 and report["missed_faces"] == 2
    assert report["nme_inter_ocular"] == report["nme_inter_pupil"] == 5.5
    assert report["nme_bbox_diagonal"] == 3.3 and report["nme_bbox_size"] == 4.7631
    # Of four faces, two of which were missed; half a step of 1,000 for each within the limit.
    assert report["auc_0.08"] == pytest.approx(100 * (1 - 2 / 8) / 4, abs=0.02)
    assert report["auc_0.10"] == pytest.approx(100 * (0.8 + 0.1) / 4, abs=0.03)
    assert report["failure_rate_0.08"] == 75 and report["failure_rate_0.10"] == 50
    assert report["by_landmark"] == [5.5] * 5
    assert report["by_group"] == {"eyes": 5.5, "nose": 5.5, "mouth": 5.5}
    turned = {"n": 1, "nme_inter_ocular": 2.0, "nme_bbox_size": 1.7321, "interval_95": None}
    assert report["by_yaw"]["30-60"] == turned == report["by_subset"]["common"]
    assert list(report["by_yaw"]) == ["30-60", "unknown"]
    assert report["interval_95"]["nme_inter_ocular"] == [2, 9]
    assert json.loads(json.dumps(report, allow_nan=False)) == report


@ALL_SCHEMES
def test_summary_of_every_scheme(scheme):
    predicted, truth = some_faces(scheme, 12)
    subsets = {"full": np.ones(12, bool), "few": np.arange(12) < 3, "none": np.zeros(12, bool)}
    yaw = np.linspace(-90, 90, 12)
    report = summarise(predicted, truth, scheme, yaw=yaw, subsets=subsets, missed=1, samples=99)
    assert list(report) == KEYS
    for key in SCALARS:
        low, high = report["interval_95"][key]
        assert 0 <= low <= report[key] <= high
    for kind, function in NMES.items():
        wanted = 100 * function(predicted, truth, scheme).mean()
        assert report[f"nme_{kind}"] == pytest.approx(wanted, abs=1e-4)
    every = np.r_[nme(predicted, truth, scheme), INF]
    assert report["auc_0.08"] == pytest.approx(100 * auc(every, 0.08), abs=1e-4)
    assert report["failure_rate_0.10"] == pytest.approx(100 * failure_rate(every, 0.1), abs=1e-4)
    assert np.mean(report["by_landmark"]) == pytest.approx(report["nme_inter_ocular"], abs=1e-3)
    weights = [len(group) for group in scheme.groups.values()]
    by_group = np.average(list(report["by_group"].values()), weights=weights)
    assert by_group == pytest.approx(report["nme_inter_ocular"], abs=1e-3)
    assert sum(part["n"] for part in report["by_yaw"].values()) == 12
    full, none = report["by_subset"]["full"], report["by_subset"]["none"]
    assert full["nme_inter_ocular"] == report["nme_inter_ocular"]
    assert full["interval_95"] == report["interval_95"]["nme_inter_ocular"]
    assert none == {"n": 0, "nme_inter_ocular": None, "nme_bbox_size": None, "interval_95": None}
    again = summarise(predicted, truth, scheme, yaw=yaw, subsets=subsets, missed=1, samples=99)
    assert json.dumps(again, allow_nan=False) == json.dumps(report)


def test_summary_without_the_contour():
    scheme = get_scheme("300w_68")
    predicted, truth = some_faces(scheme)
    predicted[:, :17] = NAN
    report = summarise(predicted, truth, scheme, points=range(17, 68), samples=9)
    assert report["by_landmark"][:17] == [None] * 17 and report["by_group"]["jaw"] is None
    assert report["by_yaw"] == report["by_subset"] == {} and report["missed_faces"] == 0
    wanted = np.mean(report["by_landmark"][17:])
    assert report["nme_inter_ocular"] == pytest.approx(wanted, abs=1e-3)
    json.dumps(report, allow_nan=False)


def test_summary_of_one_face():
    predicted, truth = five_points()
    report = summarise(predicted[:1], truth[:1], FIVE)
    assert set(report["interval_95"].values()) == {None} and report["nme_inter_ocular"] == 50


def test_bad_summaries():
    predicted, truth = five_points()
    with pytest.raises(InputError, match="Nothing to measure: there is no face"):
        summarise(predicted[:0], truth[:0], FIVE)
    with pytest.raises(InputError, match="Nothing to measure: the detector missed all 3 faces"):
        summarise(predicted[:0], truth[:0], FIVE, missed=3)
    with pytest.raises(InputError, match="missed faces is -1"):
        summarise(predicted, truth, FIVE, missed=-1)
    with pytest.raises(InputError, match=r"1 labels \(yaw\) for 2 faces"):
        summarise(predicted, truth, FIVE, yaw=[0])
    with pytest.raises(InputError, match=r"3 labels \(subsets\) for 2 faces"):
        summarise(predicted, truth, FIVE, subsets=["a"] * 3)
    with pytest.raises(InputError, match="'a' must be a bool"):
        summarise(predicted, truth, FIVE, subsets={"a": [0, 1]})
    with pytest.raises(InputError, match=r"Face 1 \(b\)"):
        summarise(predicted, truth * [[[1]], [[0]]], FIVE, names="ab")


def test_means_of_nothing_give_no_warning(recwarn):
    assert np.isnan(metrics.mean_known(np.full((2, 3), NAN), axis=1)).all()
    assert not recwarn
