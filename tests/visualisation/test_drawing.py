"""Marks on faces: visible on any skin and in any size of crop, told apart by everyone."""

import itertools
from dataclasses import replace

import cv2
import numpy as np
import pytest

from made_records import record_of
from senet_landmark.data_tools.records.report import SHEET_CELL, draw_record
from senet_landmark.face.schemes import SCHEMES
from senet_landmark.visualisation.drawing import (
    PREDICTION,
    TRUTH,
    draw_label,
    draw_shape_modes,
    mark_points,
)

# Machado et al., "A Physiologically-based Model for Simulation of Color Vision Deficiency", 2009:
# without red, green and blue cones, in linear RGB.
BLIND = {
    "red": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "green": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "blue": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


def linear(colour) -> np.ndarray:
    return (np.asarray(colour) / 255.0) ** 2.2


def luminance(colour) -> float:
    return float(linear(colour) @ (0.2126, 0.7152, 0.0722))


def contrast(one, other) -> float:
    """As in WCAG."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("blind", BLIND)
def test_truth_and_prediction_are_told_apart_without_a_kind_of_cones(blind):
    seen = [
        np.clip(np.array(BLIND[blind]) @ linear(colour), 0, 1).astype(np.float32)
        for colour in (TRUTH, PREDICTION)
    ]
    lab = [
        cv2.cvtColor(colour[None, None] ** (1 / 2.2), cv2.COLOR_RGB2LAB)[0, 0] for colour in seen
    ]
    assert np.linalg.norm(lab[0] - lab[1]) > 40  # 2.3 is just noticeable


@pytest.mark.parametrize(
    "skin", [(0, 0, 0), (60, 38, 28), (141, 85, 36), (241, 194, 160), (255,) * 3]
)
@pytest.mark.parametrize("colour", [TRUTH, PREDICTION])
def test_marks_show_on_any_skin(skin, colour):
    picture = np.full((20, 20, 3), skin, np.uint8)
    marked = mark_points(picture, [[9.5, 9.5], [np.nan, 3]], colour, radius=1.5)
    changed = marked[(marked != picture).any(axis=-1)]
    assert max(contrast(pixel, skin) for pixel in changed) > 2.5
    lights = [luminance(pixel) for pixel in changed]
    assert (max(lights) + 0.05) / (min(lights) + 0.05) > 4  # within the mark itself
    assert (picture == skin).all()  # a copy was drawn on


def test_landmarks_are_as_large_whatever_the_crop():
    scheme = SCHEMES["300w_68"]
    places = np.array(list(itertools.product(range(10), repeat=2)))[: scheme.points] / 10 + 0.05
    counts = []
    for side in (24, 64, 512):
        record = record_of(places * side, scheme.name, size=(side, side))
        record = replace(record, visible=np.arange(scheme.points) != 33)
        drawn = draw_record(record)
        assert drawn.shape == (SHEET_CELL, SHEET_CELL, 3)
        near = [
            (np.abs(drawn.astype(int) - c).max(axis=-1) < 60).sum() for c in (TRUTH, PREDICTION)
        ]
        assert near[0] >= 2 * 67 and near[1] >= 1  # the hidden one in another colour
        counts.append(near[0])
    assert max(counts) < 1.2 * min(counts)


def test_shape_modes_are_labelled():
    mean = np.array([[-1, -1], [1, -1], [0, 1.0]])
    components = np.eye(6)[:2]
    modes = draw_shape_modes(mean, components, np.array([3e-4, 1e-4]), 0.8, cell=200)
    assert modes.shape == (400, 600, 3)
    title = draw_label(
        np.full((200, 200, 3), 32, np.uint8), "mode 2: 20.0% of variance", [6, 18], 9
    )
    np.testing.assert_array_equal(modes[200:220, :180], title[:20, :180])
