"""Alignment of shapes to their mean."""

import numpy as np

from senet_landmark.face import procrustes


def test_alignment_undoes_a_turn_and_ignores_a_wrong_point():
    generator = np.random.default_rng(0)
    mean = generator.normal(size=68) + 1j * generator.normal(size=68)
    given = np.tile((mean - 3) * 40 * np.exp(0.7j) + 5j, (2, 1))
    given[1, 10] += 100
    given[1, 20] = np.nan
    aligned = procrustes.align(given, mean, iterations=20)
    np.testing.assert_allclose(aligned.points[0], mean, atol=1e-9)
    np.testing.assert_allclose(np.angle(aligned.turn), -0.7, atol=0.01)
    rest = np.abs(aligned.points[1] - mean)
    assert np.isnan(rest[20]) and rest[10] > 2 and np.nanmedian(rest) < 0.01
