"""Identities of faces followed through clips whose truth is known."""

import numpy as np
import pytest

from followed import HEIGHT, WIDTH, follow, going, score
from made_clips import (
    Actor,
    HeadPosition,
    crop_head,
    crossing_actors,
    draw_frame,
    made_background,
    swaying_actor,
)
from senet_landmark.data_tools.datasets.registry import list_entries, load_sample
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.export.video import tracking
from senet_landmark.export.video.tracking import Tracker
from senet_landmark.io.images import read_photo

pytestmark = pytest.mark.slow


def test_crossing_faces_keep_their_identities(people, background, predictor, watcher):
    """One passes in front of the other, which is hidden for some frames."""
    actors = [
        Actor(people[0], going((70, 130), (250, 130))),
        Actor(people[1], going((250, 130), (70, 130))),
    ]
    frames = follow(actors, background, watcher, Tracker(predictor), 2)
    hidden = [truths for truths, _ in frames if min(t.seen for t in truths) < 0.2]
    assert 2 <= len(hidden) < 20
    result = score(frames)
    assert (result["id_switches"], result["fragmentations"], result["false_positives"]) == (0, 0, 0)
    assert result["faces"] > 70 and result["lost"] < 15 and result["nme"] < 6
    assert {face.identity for _, found in frames for face in found} == {1, 2}
    assert [face.identity for face in frames[-1][1]] == [1, 2]


def test_identity_returns_to_who_was_lost_and_not_to_a_stranger(
    people, background, predictor, watcher
):
    """One fades out, another comes to the very place; then the first comes back elsewhere."""

    def between(start, stop):
        return lambda time: float(np.clip(min(time - start, stop - time) / 0.3 + 0.5, 0, 1))

    def first(time):
        centre = (100, 130) if time < 2 else (230, 130)
        return HeadPosition(centre, 80.0, opacity=max(between(-9, 1)(time), between(3.4, 99)(time)))

    actors = [
        Actor(people[0], first),
        Actor(
            people[1], lambda time: HeadPosition((100, 130), 80.0, opacity=between(1.6, 99)(time))
        ),
    ]
    frames = follow(actors, background, watcher, Tracker(predictor), 4.8)
    result = score(frames)
    assert (result["id_switches"], result["fragmentations"], result["false_positives"]) == (0, 0, 0)
    assert [face.identity for face in frames[10][1]] == [1]
    assert [face.identity for face in frames[60][1]] == [2]
    assert [face.identity for face in frames[-1][1]] == [1, 2]
    assert result["longest"] < 20


def test_a_cut_to_another_face_is_another_identity(people, background, predictor, watcher):
    """In the very place, from one frame to the next."""
    actors = [
        Actor(people[0], lambda time: HeadPosition((160, 130), 80.0, opacity=float(time < 0.5))),
        Actor(people[1], lambda time: HeadPosition((160, 130), 80.0, opacity=float(time >= 0.5))),
    ]
    frames = follow(actors, background, watcher, Tracker(predictor), 1.6)
    assert {face.identity for _, found in frames[:12] for face in found} == {1}
    assert {face.identity for _, found in frames[13:] for face in found} == {2}


def test_lost_faces_are_forgotten(people, background, predictor, watcher, monkeypatch):
    def way(time):
        return HeadPosition((160, 130), 80.0, opacity=float(not 0.2 <= time < 1.2))

    for memory, most, identities in ((30.0, 64, {1}), (0.6, 64, {1, 2}), (30.0, 0, {1, 2})):
        monkeypatch.setattr(tracking, "MOST_LOST", most)
        tracker = Tracker(predictor, memory=memory)
        frames = follow([Actor(people[0], way)], background, watcher, tracker, 1.8)
        assert {face.identity for _, found in frames for face in found} == identities


def test_two_boxes_of_one_face_are_one_face(people, background, watcher):
    """A detector that finds every face twice, and one where none is."""

    def find(frame):
        boxes, _ = watcher(frame)
        noise = np.array([[10.0, 10.0, 90.0, 90.0]])
        found = np.concatenate([boxes, boxes + [6, -5, 9, 4], noise])
        return found, np.ones(len(found))

    tracker = Tracker(Predictor(engine="opencv", detector=find), every=0.1)
    actor = swaying_actor(people[0], WIDTH, HEIGHT, size=80, reach=0.3, period=2.0)
    frames = follow([actor], background, watcher, tracker, 1)
    assert all([face.identity for face in found] == [1] for _, found in frames)


def test_short_clip_with_the_real_detector(shared_data):
    """People of 300W-LP that cross, turn and fade, as in the benchmark `tracking.py`; shorter."""
    names = ("HELEN/HELEN_1402640447_1_0", "HELEN/HELEN_1499030378_1_0", "LFPW/LFPW_image_0082_0")
    heads = []
    for entry in list_entries("300w_lp", shared_data("300W_LP")):
        if entry.source.removesuffix(".jpg") in names:
            sample = load_sample("300w_lp", entry)
            heads.append(crop_head(read_photo(entry.photo), sample.landmarks))
    assert len(heads) == 3
    width, height = 480, 360
    actors = crossing_actors(heads, width, height)
    tracker = Tracker(Predictor(engine="opencv"))
    frames = []
    for index in range(85):
        time = index / 12.5  # 6.8 s: two of the three fade out and come back, and all cross
        frame, truths = draw_frame(actors, made_background(width, height), time)
        frames.append((truths, tracker.update(frame, time)))
    pairs = [(a, b) for truths, _ in frames for a in truths for b in truths if a.actor < b.actor]
    assert any(np.abs(a.landmarks.mean(0) - b.landmarks.mean(0)).max() < 40 for a, b in pairs)
    assert min(t.seen for truths, _ in frames for t in truths) < 0.3
    result = score(frames)
    assert (result["id_switches"], result["fragmentations"], result["false_positives"]) == (0, 0, 0)
    assert result["faces"] > 120 and result["lost"] < 0.25 * result["faces"]
    assert result["nme"] < 6
