"""All figures of one evaluation."""

import json

import numpy as np
import pytest

from metric_cases import ALL_SCHEMES, FIVE, NMES, auc, failure_rate, five_points, some_faces
from senet_landmark.errors import InputError
from senet_landmark.evaluation.metrics import (
    nme,
)
from senet_landmark.evaluation.statistics import (
    headline_figures,
    summarise,
)
from senet_landmark.face.schemes import get_scheme

INF, NAN = np.inf, np.nan


SCALARS = [
    *("nme_inter_ocular", "nme_inter_pupil", "nme_bbox_diagonal", "nme_bbox_size"),
    *("auc_0.08", "auc_0.10", "failure_rate_0.08", "failure_rate_0.10"),
    *("mse_photo_pixels", "squared_distance_sum"),
]


KEYS = [
    *("n", *SCALARS, "missed_faces"),
    *("faces_by_normaliser", "partial_faces", "landmarks_measured", "normaliser"),
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
    turned = {"n": 1, "nme_inter_ocular": 2.0, "nme_bbox_size": 1.7321}
    turned |= {"auc_0.10": 80.05, "failure_rate_0.10": 0.0, "interval_95": None}
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
    assert none == {"n": 0} | dict.fromkeys([*full][1:])
    # The missed face is in no part.
    assert full["auc_0.10"] == pytest.approx(100 * auc(every[:-1], 0.1), abs=1e-4)
    assert full["failure_rate_0.10"] == pytest.approx(100 * failure_rate(every[:-1], 0.1), abs=1e-4)
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


def test_unknown_landmarks_take_only_the_figures_that_need_them():
    scheme = get_scheme("300w_68")
    predicted, truth = some_faces(scheme, 3)
    truth[0, 37] = NAN  # an eye's outline
    truth[1, 36:48] = NAN  # both eyes
    known = np.isfinite(truth).all(axis=-1)
    report = summarise(predicted, truth, scheme, points=known, missed=1, samples=9)
    assert list(report["faces_by_normaliser"].values()) == [2, 1, 3, 3]
    assert (report["partial_faces"], report["landmarks_measured"]) == (2, known.sum())
    ocular = nme(predicted[[0, 2]], truth[[0, 2]], scheme, points=known[[0, 2]])
    assert report["nme_inter_ocular"] == pytest.approx(100 * ocular.mean(), abs=1e-4)
    assert report["auc_0.08"] == pytest.approx(100 * auc(np.r_[ocular, INF], 0.08), abs=1e-3)
    figures = headline_figures(predicted, truth, scheme)
    assert figures["nme_inter_ocular"] == pytest.approx(100 * ocular.mean())
    report = summarise(predicted[1:2], truth[1:2], scheme, points=known[1:2], missed=1)
    assert report["nme_inter_ocular"] is None and report["failure_rate_0.08"] is None
    assert report["normaliser"] == "bbox_diagonal" and report["by_landmark"][30] > 0
    with pytest.raises(InputError, match="No face to validate on"):
        headline_figures(predicted[1:2], truth[1:2], scheme)
