"""A face's box from BlazeFace's points: mirrored, turned, bounded, close to the true one."""

import numpy as np
import pytest

from senet_landmark.data_tools.datasets.registry import list_entries, load_photo, load_sample
from senet_landmark.detectors.blazeface import networks
from senet_landmark.detectors.face_boxes import (
    HALVES,
    LARGEST_SHIFT,
    fitted,
    roll_of,
    weights_of,
    with_face_boxes,
)
from senet_landmark.detectors.tiles import search_whole
from senet_landmark.export.conversion import face_boxes as fit_program
from senet_landmark.face.geometry import apply, box_from_landmarks, iou, rotation

NETWORKS = ("blazeface_short", "blazeface_full")

FACE = np.array(
    [
        [100, 120],
        [200, 220],
        [130, 150],
        [168, 152],
        [150, 172],
        [151, 192],
        [112, 158],
        [190, 161],
    ],
    np.float64,
)
"""Box, right and left eye, nose, mouth, right and left ear of an upright face."""


@pytest.mark.parametrize("network", NETWORKS)
def test_a_mirrored_face_has_the_mirrored_box(network):
    mirrored = FACE[[0, 1, 3, 2, 4, 5, 7, 6]] * [-1, 1]
    mirrored[:2, 0] = -FACE[[1, 0], 0]
    box, other = with_face_boxes(np.stack([FACE, mirrored]), weights_of(network))[:, :2]
    np.testing.assert_allclose(other, np.stack([-box[::-1, 0], box[:, 1]], axis=1), atol=0.02)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("angle", [-170, -90, -45, 30, 100, 180])
def test_a_face_that_leans_keeps_the_size_of_its_box(network, angle):
    leaning = FACE.copy()
    middle = FACE[:2].mean(axis=0)
    leaning[2:] = apply(rotation(angle, middle), FACE[2:])
    upright, turned = with_face_boxes(np.stack([FACE, leaning]), weights_of(network))
    # The roll of the face itself is a degree or two.
    straight = with_face_boxes(
        np.concatenate([FACE[:2], apply(rotation(-roll_of(FACE[None, 2:])[0], middle), FACE[2:])])[
            None
        ],
        weights_of(network),
    )[0]
    np.testing.assert_allclose(turned[1] - turned[0], straight[1] - straight[0], atol=1e-6)
    np.testing.assert_array_equal(turned[2:], leaning[2:])
    assert not np.allclose(upright[:2], FACE[:2])


@pytest.mark.parametrize("network", NETWORKS)
def test_points_of_no_face_give_a_box_in_bounds(network):
    random = np.random.default_rng(3)
    corners = np.tile(FACE, (500, 1, 1))
    corners[:, 2:] += random.normal(0, 300, (500, 6, 2))
    boxes = with_face_boxes(corners, weights_of(network))[:, :2]
    halves = (boxes[:, 1] - boxes[:, 0]) / 2 / 100
    assert (halves >= HALVES[0] - 1e-9).all() and (halves <= HALVES[1] + 1e-9).all()
    shift = np.linalg.norm(boxes.mean(axis=1) - FACE[:2].mean(axis=0), axis=1) / 100
    assert (shift <= LARGEST_SHIFT * np.sqrt(2) + 1e-9).all()


def test_no_face():
    assert with_face_boxes(np.zeros((0, 8, 2)), weights_of("blazeface_short")).shape == (0, 8, 2)


def test_fit_finds_a_linear_rule_and_ignores_a_wrong_annotation():
    random = np.random.default_rng(0)
    corners = np.tile(FACE, (400, 1, 1))
    corners[:, 2:] += random.normal(0, 3, (400, 6, 2))
    eyes = corners[:, 2:4].mean(axis=1)
    boxes = np.concatenate([eyes - [40, 20], eyes + [40, 60]], axis=1)
    wrong = boxes.copy()
    wrong[:10] += 80
    found = with_face_boxes(corners, fitted(corners, wrong, ridge=1e-3))[:, :2].reshape(-1, 4)
    assert np.median(np.abs(found - boxes)) < 0.5


def test_boxes_are_those_of_the_landmarks(shared_data):
    """On the frames of people whose photos the map was not fitted to."""
    entries = [
        entry
        for entry in list_entries("ytf", shared_data("ytf"))
        if entry.subset.startswith("test")
    ][::20]
    overlaps = []
    for entry in entries:
        found = search_whole(load_photo("ytf", entry), networks().short).corners
        truth = box_from_landmarks(load_sample("ytf", entry).landmarks)
        overlaps.append(max((iou(face[:2].ravel(), truth) for face in found), default=0.0))
    assert len(overlaps) > 20 and np.median(overlaps) > 0.85


def test_the_fit_reads_photos_at_many_sizes(shared_data, monkeypatch):
    monkeypatch.setattr(fit_program, "SOURCES", (("300w_lp", "300W_LP", "", 40),))
    data = shared_data("300W_LP").parent
    photos = list(fit_program.photos(data))
    sides = [max(photo.shape[:2]) for photo, _ in photos]
    assert len(photos) > 40 and min(sides) < 220 and max(sides) > 380
    weights = fit_program.fit(data, networks().short)
    assert weights.shape == (91, 4) and np.isfinite(weights).all()
