"""The errors of depth, and of points in three dimensions."""

from pathlib import Path

import numpy as np
import pytest

from senet_landmark.errors import InputError
from senet_landmark.evaluation.measuring import AnnotatedFace, Measured, metrics_of
from senet_landmark.evaluation.output_metrics import depth_errors, nme_3d
from senet_landmark.face.pose import MEAN_FACE_3D, rotation_matrix
from senet_landmark.face.schemes import TRUE_JAW, get_scheme

SCHEME = get_scheme(TRUE_JAW)


def faces(count=4, scale=100.0):
    """[N, 68, 3] in pixels, turned by some degrees."""
    turns = [rotation_matrix(20 * n - 30, 5 * n, 0) for n in range(count)]
    return np.stack([scale * MEAN_FACE_3D @ turn.T + (200, 200, 50) for turn in turns])


def box_size(truth):
    return np.sqrt(np.prod(np.ptp(truth[..., :2], axis=1), axis=1))


def test_depth_is_compared_from_its_mean():
    truth = np.array([[1.0, 2, 6], [0, np.nan, 4], [np.nan] * 3])
    predicted = np.array([[11.0, 12, 19], [7, 99, 9], [1, 2, 3]])
    # Means 3 and 14, 2 and 8: offsets (-2, -1, 3) and (-3, -2, 5), (-2, 2) and (-1, 1).
    expected = [(1 + 1 + 2) / 3, 1, np.nan]
    np.testing.assert_allclose(depth_errors(predicted, truth), expected)
    with pytest.raises(InputError, match=r"must both be \[N, K\]"):
        depth_errors(predicted, truth[:, :2])


def test_distance_in_three_dimensions():
    truth = faces()
    generator = np.random.default_rng(0)
    moves = generator.normal(0, 3, truth.shape)
    moves[..., 2] -= moves[..., 2].mean(axis=1, keepdims=True)
    expected = np.linalg.norm(moves, axis=2).mean(axis=1) / box_size(truth)
    found = nme_3d(truth + moves + (0, 0, 1e3), truth, SCHEME)
    np.testing.assert_allclose(found, expected)
    half = truth.copy()
    half[0, :, 2] = np.nan
    assert np.isnan(nme_3d(truth, half, SCHEME)).tolist() == [True, False, False, False]
    with pytest.raises(InputError, match=r"\[N, 68, 3\]"):
        nme_3d(truth[..., :2], truth[..., :2], SCHEME)


def measured(truth, predicted, known, deep=True):
    result = Measured("m", "landmarks", tuple(range(68)))
    for index, (face, found) in enumerate(zip(truth, predicted, strict=True)):
        outputs = {"landmarks": found[:, :2]} | ({"depth": found[:, 2]} if deep else {})
        depth = face[:, 2] if known[index] else None
        photo, name = np.zeros((1, 1, 3), np.uint8), str(Path("a") / str(index))
        annotated = AnnotatedFace(photo, face[:, :2], {}, name, depth=depth, pixel=(2.0, 2.0))
        result.add(annotated, outputs)
    return result


def test_figures_of_a_model_with_depth():
    """Over the faces of known depth; in shares of the box, so alike in all units of pixels."""
    truth = faces()
    predicted = truth + np.random.default_rng(1).normal(0, 4, truth.shape)
    known = [True, False, True, True]
    figures = metrics_of(measured(truth, predicted, known), SCHEME)
    expected = 100 * nme_3d(predicted, truth, SCHEME)[known]
    assert figures["depth_error"]["nme_3d"] == pytest.approx(expected.mean(), abs=1e-3)
    offsets = predicted[..., 2] - truth[..., 2]
    offsets -= offsets.mean(axis=1, keepdims=True)
    depth = 100 * (np.abs(offsets).mean(axis=1) / box_size(truth))[known]
    assert figures["depth_error"]["depth"] == pytest.approx(depth.mean(), abs=1e-3)
    for name, errors in (("nme_3d", expected), ("depth", depth)):
        low, high = figures["interval_95"][name]
        assert errors.min() - 1e-3 <= low <= errors.mean() <= high <= errors.max() + 1e-3
    one = metrics_of(measured(truth[:1], predicted[:1], [True]), SCHEME)
    assert one["interval_95"]["depth"] is None  # of a single face


@pytest.mark.parametrize(("deep", "known"), [(False, True), (True, False)])
def test_no_figures_without_predicted_and_true_depth(deep, known):
    truth = faces()
    figures = metrics_of(measured(truth, truth, [known] * 4, deep), SCHEME)
    assert "depth_error" not in figures and "depth" not in figures["interval_95"]
