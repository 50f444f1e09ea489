"""The one euro filter: jitter goes, motion stays."""

import numpy as np
import pytest

from followed import HEIGHT, WIDTH, follow
from made_clips import (
    swaying_actor,
)
from senet_landmark.export.video.smoothing import OneEuro, smooth, start_smoothing
from senet_landmark.export.video.tracking import Tracker

pytestmark = pytest.mark.slow


def test_filter_is_the_one_euro_filter():
    """Against the paper's algorithm for one value that moves, written out."""
    settings = OneEuro(least_cutoff=1.2, face_gain=3.0, own_gain=0.0, speed_cutoff=1.0)
    values = np.cumsum(np.random.default_rng(0).normal(0, 2, 30))
    state = start_smoothing(np.array([[values[0], 5.0]]), 0.0)
    smoothed, speed, last = values[0], 0.0, values[0]
    for index, value in enumerate(values[1:], 1):
        step = 0.03 + 0.02 * (index % 3)  # irregular
        share = 1 / (1 + 1 / (2 * np.pi * 1.0) / step)
        speed = share * (value - last) / 40 / step + (1 - share) * speed
        cutoff = 1.2 + 3.0 * abs(speed)
        share = 1 / (1 + 1 / (2 * np.pi * cutoff) / step)
        smoothed = share * value + (1 - share) * smoothed
        last = value
        state = smooth(state, np.array([[value, 5.0]]), state.time + step, 40.0, settings)
        assert state.points == pytest.approx(np.array([[smoothed, 5.0]]), abs=1e-9)


def test_filter_does_not_depend_on_resolution():
    generator = np.random.default_rng(1)
    path = np.cumsum(generator.normal(0, 1, (20, 68, 2)), axis=0) + 100
    small, large = (start_smoothing(zoom * path[0], 0.0) for zoom in (1, 4))
    for index in range(1, 20):
        small = smooth(small, path[index], index / 25, 90.0)
        large = smooth(large, 4 * path[index], index / 25, 360.0)
    assert large.points == pytest.approx(4 * small.points)
    assert np.abs(small.points - path[-1]).max() > 0.1


def test_filter_gives_one_landmark_its_own_speed():
    """An eye that blinks is followed faster than the face that keeps still around it."""
    state = start_smoothing(np.zeros((68, 2)), 0.0)
    state = smooth(state, np.zeros((68, 2)), 0.04, 100.0)
    moved = np.zeros((68, 2))
    moved[37:39, 1], moved[8, 1] = 10.0, 0.1
    state = smooth(state, moved, 0.08, 100.0)
    assert state.points[37, 1] / 10.0 > 0.7 > 0.5 > state.points[8, 1] / 0.1 > 0


def test_filter_refuses_what_it_cannot_filter():
    state = start_smoothing(np.ones((5, 2)), 1.0)
    for points, time, size, message in (
        (np.ones((5, 2)), 1.0, 50, "time must grow"),
        (np.ones((5, 2)), float("nan"), 50, "time must grow"),
        (np.ones((5, 2)), 2.0, 0, "must have a size"),
        (np.ones((6, 2)), 2.0, 50, "they were"),
    ):
        with pytest.raises(ValueError, match=message):
            smooth(state, points, time, size)
    unknown = np.ones((5, 2))
    unknown[3] = np.nan
    assert smooth(state, unknown, 2.0, 50).points[3].tolist() == [1.0, 1.0]


def test_smoothing_takes_the_jitter_and_not_the_motion(people, background, predictor, watcher):
    """Of the portrait, still and swaying by its own width in half a second."""
    ratios = {}
    for name, reach in (("still", 0.0), ("brisk", 0.5)):
        actor = swaying_actor(people[0], WIDTH, HEIGHT, size=80, reach=reach, period=1.0)
        frames = follow([actor], background, watcher, Tracker(predictor), 2, noise=4)[10:]
        truth = np.stack([truths[0].landmarks for truths, _ in frames])
        raw = np.stack([found[0].face.landmarks for _, found in frames])
        smoothed = np.stack([found[0].smoothed for _, found in frames])
        jitters = [
            np.linalg.norm(np.diff(path - truth, axis=0), axis=2).mean() for path in (raw, smoothed)
        ]
        ratios[name] = jitters[1] / jitters[0]
        if name == "brisk":
            error, motion = ((p - p.mean(0)).mean(1)[:, 0] for p in (smoothed - truth, truth))
            velocity = np.gradient(motion)
            lag = -(error * velocity).sum() / (velocity**2).sum()
    assert 0 < ratios["still"] < 0.5
    assert abs(lag) < 0.25  # frames
