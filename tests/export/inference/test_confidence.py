"""How sure a model is: the two curves, fitted to what they are to tell."""

import numpy as np
import pytest

from senet_landmark.export.inference.confidence import (
    expected_errors,
    face_confidence,
    fit_confidence,
    fit_expected_errors,
    separation,
)
from senet_landmark.frozen.contract import Confidence, ExpectedError


def test_confidence_is_a_half_in_the_middle_and_falls():
    curve = Confidence(middle=0.1, slope=5)
    found = face_confidence(curve, np.array([[0.05, 0.05], [0.1, 0.1], [0.3, 0.3]]))
    assert found[1] == pytest.approx(0.5) and found[0] > 0.9 and found[2] < 0.02
    assert np.isnan(face_confidence(None, np.ones((2, 3)))).all()


def test_confidence_of_two_normal_distributions_is_their_odds():
    """Of logarithms N(a, s) and N(b, s) the log odds at x are (b - a) / s^2 (x - middle)."""
    generator = np.random.default_rng(0)
    faces, others = (np.exp(generator.normal(m, 0.2, (20_000, 1))) for m in (-3.0, -2.0))
    curve = fit_confidence(faces, others)
    assert curve.middle == pytest.approx(np.exp(-2.5), rel=0.01)
    assert curve.slope == pytest.approx(1 / 0.2**2, rel=0.05)
    wrong = (face_confidence(curve, faces) < 0.5).mean()
    assert wrong == pytest.approx(0.0062, abs=0.003)  # Phi(-2.5)
    assert separation(faces, others) == pytest.approx(0.9998, abs=3e-4)  # Phi(1 / (0.2 sqrt 2))
    assert separation(others, faces) == pytest.approx(0.0002, abs=3e-4)


def test_expected_errors_are_those_of_like_points():
    generator = np.random.default_rng(1)
    spread = generator.uniform(0.05, 0.2, (500, 68))
    errors = 4 * spread**2 * generator.exponential(1, spread.shape)
    errors[0, :5] = np.nan
    curve = fit_expected_errors(spread, errors)
    assert curve.exponent == pytest.approx(2, abs=0.1)
    for part in ((spread > 0.06) & (spread < 0.07), (spread > 0.17) & (spread < 0.19)):
        found = expected_errors(curve, spread)[part].mean()
        assert found == pytest.approx(np.nanmean(errors[part]), rel=0.1)
    assert np.isnan(expected_errors(None, spread)).all()


def test_each_point_has_its_own_usual_error():
    """Points of the contour are further off than others whose maps are as wide."""
    generator = np.random.default_rng(2)
    spread = generator.uniform(0.1, 0.15, (400, 4)) * [1, 1, 0.8, 0.8]
    usual = np.array([0.01, 0.03, 0.02, 0.02])
    errors = usual * (spread / spread.mean(axis=0)) ** 3 * generator.exponential(1, spread.shape)
    errors[:390, 3] = np.nan  # known in ten faces
    curve = fit_expected_errors(spread, errors)
    assert curve.exponent == pytest.approx(3, abs=0.4)
    found = expected_errors(curve, spread)
    known = np.isfinite(errors)
    assert found[known].mean() == pytest.approx(errors[known].mean(), rel=1e-3)
    np.testing.assert_allclose(found.mean(axis=0)[:3], errors.mean(axis=0)[:3], rtol=0.05)
    assert 0.01 < found[:, 3].mean() < 0.03
    without = ExpectedError(curve.scale, curve.exponent)  # of an older contract
    np.testing.assert_allclose(expected_errors(without, spread) * curve.factors, found)


def test_a_larger_spread_is_never_the_surer():
    spread = np.linspace(0.05, 0.2, 200)[:, None]
    curve = fit_expected_errors(spread, 0.01 / spread)
    assert curve.exponent == 0
    assert fit_expected_errors(np.full((1, 5), 0.1), np.full((1, 5), 0.02)) == ExpectedError(
        0.02, 0, (1.0,) * 5
    )
