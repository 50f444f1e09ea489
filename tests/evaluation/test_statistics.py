"""Distributions of errors and their intervals: by hand and against SciPy."""

from functools import partial

import numpy as np
import pytest
from scipy import integrate, stats

from metric_cases import auc, failure_rate
from senet_landmark.errors import InputError
from senet_landmark.evaluation import statistics
from senet_landmark.evaluation.statistics import (
    area_by_face,
    bootstrap_interval,
    ced,
    failure_by_face,
    group_by,
)

INF, NAN = np.inf, np.nan


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


def test_groups():
    groups = group_by(["b", None, "a", "b"])
    assert {label: faces.tolist() for label, faces in groups.items()} == {
        "a": [2],
        "b": [0, 3],
        "unknown": [1],
    }
    assert group_by([]) == {}
