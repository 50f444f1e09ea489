"""The tracker: when it detects, what it gives, and frames that are late or bad."""

import numpy as np
import pytest

from changed_models import write_changed
from followed import HEIGHT, RATE, WIDTH, follow, going, score
from made_clips import (
    Actor,
    HeadPosition,
    draw_frame,
    swaying_actor,
)
from senet_landmark.errors import InputError
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.export.video.smoothing import OneEuro
from senet_landmark.export.video.tracking import Tracker
from senet_landmark.face.geometry import box_from_landmarks

pytestmark = pytest.mark.slow


def test_detects_now_and_then_and_when_a_face_is_lost(people, background, predictor, watcher):
    def way(time):
        return HeadPosition((160, 130), 80.0, opacity=float(time < 1.5))

    tracker = Tracker(predictor, every=0.5)
    frames = follow([Actor(people[0], way)], background, watcher, tracker, 1.5)
    assert all(len(found) == 1 for _, found in frames)
    assert 3 <= watcher.calls <= 4
    tracker = Tracker(predictor, every=20)
    follow([Actor(people[0], way)], background, watcher, tracker, 1.5)
    assert watcher.calls == 1
    calls = []
    for index in range(38, 63):  # it is gone: asked at once, then ever less often
        frame, watcher.truths = draw_frame([Actor(people[0], way)], background, index / RATE)
        before = watcher.calls
        assert tracker.update(frame, index / RATE) == []
        calls += [index] * (watcher.calls - before)
    assert calls[0] == 38 and 3 <= len(calls) <= 8
    assert (np.diff(calls)[1:] >= np.diff(calls)[:-1]).all()


def test_raw_and_smoothed_landmarks(people, background, predictor, watcher):
    actor = swaying_actor(people[0], WIDTH, HEIGHT, size=80, reach=0.3, period=1.5)
    with_filter, without = (
        follow([actor], background, watcher, Tracker(predictor, smooth=settings), 0.6)
        for settings in (OneEuro(), None)
    )
    for (_, (a,)), (_, (b,)) in zip(with_filter, without, strict=True):
        assert np.array_equal(b.smoothed, b.face.landmarks)
        assert a.smoothed.dtype == b.smoothed.dtype == np.float32
        assert np.array_equal(a.face.landmarks, b.face.landmarks)  # what is written does not steer
        assert a.face.box == pytest.approx(box_from_landmarks(a.face.landmarks))
    assert np.abs(with_filter[-1][1][0].smoothed - without[-1][1][0].smoothed).max() > 0.05


def test_frames_may_come_at_any_time(people, background, predictor, watcher):
    generator = np.random.default_rng(0)
    times = np.cumsum(generator.choice([0.01, 0.04, 0.2], 40)).tolist()
    actor = swaying_actor(people[0], WIDTH, HEIGHT, size=80, reach=0.4, period=2.0)
    frames = follow([actor], background, watcher, Tracker(predictor), 1.6, times=times)
    result = score(frames)
    assert (result["id_switches"], result["fragmentations"], result["lost"]) == (0, 0, 0)
    with pytest.raises(ValueError, match="time must grow"):
        tracker = Tracker(predictor)
        watcher.truths = []
        tracker.update(background, 1.0)
        tracker.update(background, 1.0)


def test_a_bad_frame_does_not_harm_the_tracker(people, background, predictor, watcher):
    actor = swaying_actor(people[0], WIDTH, HEIGHT, size=80, reach=0.3, period=2.0)
    tracker = Tracker(predictor)
    follow([actor], background, watcher, tracker, 0.2)
    for bad in (background[..., 0], background.astype(np.float32)):
        with pytest.raises(InputError, match="uint8"):
            tracker.update(bad, 0.3)
    frame, watcher.truths = draw_frame([actor], background, 0.3)
    assert [face.identity for face in tracker.update(frame, 0.3)] == [1]


def test_a_model_without_confidence_tracks_too(people, background, watcher, tmp_path):
    model = write_changed(tmp_path / "m.pb", lambda values: values.pop("confidence"))
    predictor = Predictor(model, engine="opencv", detector=watcher)
    actors = [
        Actor(people[0], going((80, 130), (120, 130))),
        Actor(people[1], lambda time: HeadPosition((240, 130), 80.0, opacity=float(time < 0.4))),
    ]
    frames = follow(actors, background, watcher, Tracker(predictor), 0.8)
    assert all(np.isnan(face.face.confidence) for _, found in frames for face in found)
    assert [face.identity for face in frames[5][1]] == [1, 2]
    assert [face.identity for face in frames[-1][1]] == [1]
