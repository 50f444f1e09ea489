"""The squared errors by which write-ups report, computed again."""

import numpy as np
import pytest

from metric_cases import some_faces
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.evaluation.squared_errors import squared_distance_sum, squared_error
from senet_landmark.evaluation.statistics import headline_figures, summarise
from senet_landmark.face.boxes import canonical_box
from senet_landmark.face.geometry import CropSpec, apply, crop_face
from senet_landmark.face.scheme_conversion import convert
from senet_landmark.face.schemes import get_scheme

SCHEME = get_scheme("300w_68")


def faces_of(scheme, count=5):
    """The portrait in several sizes, and predictions that are some pixels off."""
    truth = convert(portrait()[1], "300w_68", scheme.name)
    truth = np.arange(1, count + 1)[:, None, None] * truth
    return truth + np.random.default_rng(0).normal(0, 3, truth.shape), truth


def test_squares_by_numpy():
    predicted, truth = some_faces(SCHEME, 9)
    offsets = predicted - truth
    sides = 1.25 * np.ptp(truth, axis=1).max(axis=-1)
    sums = (offsets**2).sum(axis=(1, 2)) / sides**2
    np.testing.assert_allclose(squared_error(predicted, truth, SCHEME), (offsets**2).mean((1, 2)))
    np.testing.assert_allclose(squared_distance_sum(predicted, truth, SCHEME), sums)
    report = summarise(predicted, truth, SCHEME, samples=99)
    assert report["mse_photo_pixels"] == pytest.approx(np.mean(offsets**2), rel=1e-5)
    assert report["squared_distance_sum"] == pytest.approx(sums.mean(), rel=1e-5)
    low, high = report["interval_95"]["squared_distance_sum"]
    assert sums.min() < low < sums.mean() < high < sums.max()
    figures = headline_figures(predicted, truth, SCHEME)
    assert figures["mse_photo_pixels"] == pytest.approx(np.mean(offsets**2))
    assert figures["squared_distance_sum"] == pytest.approx(sums.mean())


@pytest.mark.parametrize("name", ["300w_68", "mtfl_5"])
def test_unit_is_that_of_a_default_crop(name):
    """So the sum is that of normalised coordinates, also where a scheme outlines no face."""
    scheme, photo = get_scheme(name), portrait()[0]
    predicted, truth = faces_of(scheme, 1)
    box = canonical_box(truth[0], name)
    _, transform = crop_face(photo, box, CropSpec(), (112, 112))
    normalised = apply(transform, predicted[0]) - apply(transform, truth[0])
    (found,) = squared_distance_sum(predicted, truth, scheme)
    assert found == pytest.approx((normalised**2).sum(), rel=1e-6)


def test_unknown_landmarks_are_scaled_to_all_that_count():
    predicted, truth = faces_of(SCHEME)
    whole = squared_distance_sum(predicted, truth, SCHEME)
    known = np.ones(truth.shape[:2], bool)
    known[0, 27:36] = False  # the nose, which is no part of the box
    predicted[0] = truth[0] + 2  # every point is as far off, so that those unknown lose nothing
    before = squared_distance_sum(predicted, truth, SCHEME)
    truth[0, 27:36] = np.nan
    partial = squared_distance_sum(predicted, truth, SCHEME, known)
    np.testing.assert_allclose(partial[1:], whole[1:])
    assert partial[0] == pytest.approx(before[0])
    assert squared_error(predicted, truth, SCHEME, known)[0] == pytest.approx(4)
    # A model that predicts no contour: 51 landmarks count, and the box is that of all 68.
    inner = squared_distance_sum(predicted[1:], truth[1:], SCHEME, range(17, 68))
    squares = ((predicted - truth)[1:, 17:] ** 2).sum(axis=(1, 2))
    sides = 1.25 * np.ptp(truth[1:], axis=1).max(axis=-1)
    np.testing.assert_allclose(inner, squares / sides**2)


def test_face_without_a_box_takes_no_part_in_the_sum():
    predicted, truth = faces_of(SCHEME, 2)
    truth[1] = truth[1] * (1, 0)  # on one line
    report = summarise(predicted, truth, SCHEME, samples=9)
    (first,) = squared_distance_sum(predicted[:1], truth[:1], SCHEME)
    assert report["squared_distance_sum"] == pytest.approx(first, rel=1e-5)
