"""Faces followed through clips whose truth is known: identities, smoothing, detection."""

from dataclasses import replace

import numpy as np
import pytest

from identity_scores import score_identities
from made_clips import (
    Actor,
    Place,
    Truth,
    clip_frames,
    crossing_actors,
    cut_head,
    draw_frame,
    made_background,
    swaying_actor,
    turn_head,
)
from senet_landmark.data_tools.datasets.registry import list_entries, load_sample
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.errors import InputError
from senet_landmark.export.inference.predictor import Face, Predictor
from senet_landmark.export.video import appearance, tracking, tracks
from senet_landmark.export.video.appearance import Look, face_chip, learn, similarity
from senet_landmark.export.video.smoothing import OneEuro, smooth, start_smoothing
from senet_landmark.export.video.tracking import Tracker
from senet_landmark.export.video.tracks import Sighting
from senet_landmark.face.geometry import box_from_landmarks
from senet_landmark.face.schemes import get_scheme
from senet_landmark.io.images import read_photo

pytestmark = pytest.mark.slow

WIDTH, HEIGHT, RATE = 320, 240, 25.0


@pytest.fixture(scope="module")
def people():
    """Three who look different: the portrait, its mirror image in other colours, and in others."""
    photo, points = portrait()
    mirror = get_scheme("300w_68").mirror_index
    turned = ((photo.shape[1] - 1, 0) + points * (-1, 1))[mirror]
    return [
        cut_head(photo, points),
        cut_head(np.ascontiguousarray(photo[:, ::-1, ::-1]), turned),
        cut_head(np.ascontiguousarray(photo[..., [1, 2, 0]]), points),
    ]


@pytest.fixture(scope="module")
def background():
    return made_background(WIDTH, HEIGHT)


class Watcher:
    """A detector that knows the truth: of each frame, the boxes of the faces that are well seen."""

    def __init__(self):
        self.truths, self.calls = [], 0

    def __call__(self, frame):
        self.calls += 1
        boxes = [box_from_landmarks(t.landmarks) for t in self.truths if t.seen > 0.4]
        return np.array(boxes).reshape(-1, 4), np.ones(len(boxes))


@pytest.fixture(scope="module")
def watcher():
    return Watcher()


@pytest.fixture(scope="module")
def predictor(watcher):
    return Predictor(engine="opencv", detector=watcher)


def follow(actors, background, watcher, tracker, seconds, noise=0.0, times=None):
    """(truths, tracked faces) of each frame."""
    watcher.calls = 0
    frames = []
    for time, frame, truths in clip_frames(actors, background, RATE, int(seconds * RATE), noise):
        watcher.truths = truths
        frames.append((truths, tracker.update(frame, times[len(frames)] if times else time)))
    return frames


def score(frames):
    return score_identities((t, [(f.identity, f.smoothed) for f in found]) for t, found in frames)


def going(start, stop, size=80.0, opacity=lambda time: 1.0):
    """Time -> place on a straight line, in two seconds."""

    def way(time):
        share = min(time / 2, 1.0)
        x, y = np.array(start) + share * (np.array(stop) - start)
        return Place((float(x), float(y)), size, opacity=opacity(time))

    return way


# ------------------------------------------------------------------------------- the filter


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


# ------------------------------------------------------------------------------ how faces look


def chip_of(head, background, predictor, **place):
    actor = Actor(head, lambda _: Place(**{"centre": (160, 130), "size": 80.0, **place}))
    frame, (truth,) = draw_frame([actor], background, 0.0)
    box = box_from_landmarks(truth.landmarks)[None]
    (face,) = predictor.faces(frame, box, "landmarks")
    return face_chip(frame, face.landmarks, predictor.scheme), face.pose


def test_chips_tell_faces_apart(people, background, predictor):
    own = [chip_of(head, background, predictor)[0] for head in people]
    for index, head in enumerate(people):
        assert np.linalg.norm(own[index]) == pytest.approx(1, abs=1e-5)
        for place in ({"roll": 20}, {"size": 120.0}, {"opacity": 0.7}, {"yaw": 12}):
            chip, _ = chip_of(head, background, predictor, **place)
            assert chip @ own[index] > 0.8, (index, place)
        others = [own[other] @ own[index] for other in range(3) if other != index]
        assert max(others) < tracking.SIMILAR


def test_chips_tell_real_people_apart(shared_data, predictor, background):
    entries = list_entries("300w_lp", shared_data("300W_LP"))[::150]
    heads = []
    for entry in entries:
        sample = load_sample("300w_lp", entry)
        heads.append(cut_head(read_photo(entry.photo), sample.landmarks))
    chips = np.stack([chip_of(head, background, predictor)[0] for head in heads])
    faded = np.stack([chip_of(h, background, predictor, opacity=0.8, roll=10)[0] for h in heads])
    alike = chips @ faded.T
    same = np.eye(len(heads), dtype=bool)
    assert (alike[same] > tracking.SIMILAR).mean() > 0.9
    assert (alike[~same] > tracking.SIMILAR).mean() < 0.1


def test_a_face_is_learnt_from_all_sides(people, background, predictor):
    """Turned step by step it stays itself, though its profile is not like its front."""
    first, pose = chip_of(people[0], background, predictor)
    look = learn(Look(first), first, pose)
    sides = [chip_of(people[0], background, predictor, yaw=yaw) for yaw in range(6, 49, 6)]
    for chip, pose in sides:
        assert similarity(look, chip) > tracking.SIMILAR
        for _ in range(appearance.YOUNG):
            look = learn(look, chip, pose)
    assert 2 <= len(look.views) <= appearance.MOST_VIEWS
    assert similarity(look, sides[-1][0]) > sides[-1][0] @ first + 0.1
    stranger, pose = chip_of(people[1], background, predictor)
    for _ in range(3 * appearance.YOUNG):  # what takes its place without turning is not learnt
        look = learn(look, stranger, np.array(pose))
    assert similarity(look, first) > 0.9 and similarity(look, stranger) < 0.7


# ------------------------------------------------------------------------------- identities


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
    assert (result["swaps"], result["renewed"], result["strays"]) == (0, 0, 0)
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
        return Place(centre, 80.0, opacity=max(between(-9, 1)(time), between(3.4, 99)(time)))

    actors = [
        Actor(people[0], first),
        Actor(people[1], lambda time: Place((100, 130), 80.0, opacity=between(1.6, 99)(time))),
    ]
    frames = follow(actors, background, watcher, Tracker(predictor), 4.8)
    result = score(frames)
    assert (result["swaps"], result["renewed"], result["strays"]) == (0, 0, 0)
    assert [face.identity for face in frames[10][1]] == [1]
    assert [face.identity for face in frames[60][1]] == [2]
    assert [face.identity for face in frames[-1][1]] == [1, 2]
    assert result["longest"] < 20


def test_a_cut_to_another_face_is_another_identity(people, background, predictor, watcher):
    """In the very place, from one frame to the next."""
    actors = [
        Actor(people[0], lambda time: Place((160, 130), 80.0, opacity=float(time < 0.5))),
        Actor(people[1], lambda time: Place((160, 130), 80.0, opacity=float(time >= 0.5))),
    ]
    frames = follow(actors, background, watcher, Tracker(predictor), 1.6)
    assert {face.identity for _, found in frames[:12] for face in found} == {1}
    assert {face.identity for _, found in frames[13:] for face in found} == {2}


def test_lost_faces_are_forgotten(people, background, predictor, watcher, monkeypatch):
    def way(time):
        return Place((160, 130), 80.0, opacity=float(not 0.2 <= time < 1.2))

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
    """People of 300W-LP that cross, turn and fade: as in `benchmarks/tracking.py`, but shorter."""
    names = ("HELEN/HELEN_1402640447_1_0", "HELEN/HELEN_1499030378_1_0", "LFPW/LFPW_image_0082_0")
    heads = []
    for entry in list_entries("300w_lp", shared_data("300W_LP")):
        if entry.source.removesuffix(".jpg") in names:
            sample = load_sample("300w_lp", entry)
            heads.append(cut_head(read_photo(entry.photo), sample.landmarks))
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
    assert (result["swaps"], result["renewed"], result["strays"]) == (0, 0, 0)
    assert result["faces"] > 120 and result["lost"] < 0.25 * result["faces"]
    assert result["nme"] < 6


# ------------------------------------------------------------------------- what decides of them


def sighting(points, chip, confidence=1.0):
    """A face with these landmarks, that looks so."""
    points = np.asarray(points, np.float32)
    face = Face(box_from_landmarks(points), points, confidence=confidence, pose=np.zeros(3))
    return Sighting(face, appearance.unit(np.asarray(chip, np.float32)))


def track_of(seen_as, identity, born, seen):
    track = tracks.new_track(seen_as, [seen_as], born)
    return replace(track, identity=identity, seen=seen)


def test_a_face_is_that_of_the_track_it_is_like():
    """Two tracks came to one face: the front one's, though the other is older."""
    _, points = portrait()
    behind, front = sighting(points, [1, 0.2]), sighting(points + 300, [0.2, 1])
    known = [track_of(behind, 1, born=0.0, seen=4.9), track_of(front, 2, born=3.0, seen=4.9)]
    here = sighting(points + 301, [0.3, 1])
    left, found = tracks.settle(known, {0: here, 1: here})
    assert [track.identity for track in left] == [1, 2] and list(found) == [1]
    left, found = tracks.settle(known, {0: behind, 1: front})  # two faces: nothing to settle
    assert len(left) == len(found) == 2


def test_two_tracks_of_one_face_become_the_older():
    """If they were never seen together: the younger was taken for new while the older was lost."""
    _, points = portrait()
    face = sighting(points, [1, 0.2])
    for last_seen, identities in ((2.0, [1]), (4.0, [1, 2])):
        known = [track_of(face, 1, born=0.0, seen=last_seen), track_of(face, 2, born=3.0, seen=4.9)]
        left, found = tracks.settle(known, {0: face, 1: face})
        assert [track.identity for track in left] == identities and list(found) == [0]


def test_a_look_is_learnt_where_it_is_plain_to_see():
    _, points = portrait()
    face, beside = sighting(points, [1, 0.2]), sighting(points + (110, 0), [0.2, 1])
    far, unsure = sighting(points + 400, [0.2, 1]), sighting(points, [1, 0.2], confidence=0.7)
    assert tracks.new_track(face, [face, far], 1.0).plain == 1.0
    for seen_as, everyone in ((face, [face, beside]), (unsure, [unsure])):
        track = tracks.new_track(seen_as, everyone, 1.0)
        assert track.plain == np.inf and not track.look.views
        track = tracks.continued(track, face, [face, far], 1.04, OneEuro())
        assert track.plain == 1.04 and len(track.look.views) == 1


def test_a_face_goes_on_as_it_went():
    _, points = portrait()
    track = tracks.new_track(sighting(points, [1, 0]), [], 0.0)
    for index in range(1, 26):
        moved = sighting(points + (6.0 * index, -3.0 * index), [1, 0])
        track = tracks.continued(track, moved, [moved], index / RATE, OneEuro())
    expected = points + (6.0 * 26, -3.0 * 26)
    assert np.linalg.norm(track.landmarks_at(26 / RATE) - expected, axis=1).max() < 1.5
    assert tracks.is_plausible_move(box_from_landmarks(expected), track.face.box)
    assert not tracks.is_plausible_move(box_from_landmarks(expected + 200), track.face.box)
    assert not tracks.is_plausible_move(box_from_landmarks(2 * expected), track.face.box)


def test_a_new_face_waits_until_it_is_none_of_the_lost():
    _, points = portrait()
    lost = track_of(sighting(points, [1, 0]), 1, born=0.0, seen=1.0)
    for chip, waits in (([0, 1], tracks.PROOF), ([1, 1.4], tracks.LONGEST_DOUBT)):
        face = tracks.new_track(sighting(points + 300, chip), [], 2.0)
        assert tracks.is_new(face, [], 2.0)
        assert not tracks.is_new(face, [lost], 2.0 + waits - 0.01)
        assert tracks.is_new(face, [lost], 2.0 + waits + 0.01)
    near, far = tracks.SIMILAR + 0.03, tracks.SIMILAR_ANYWHERE + 0.03
    for alike, shift, known in ((near, 20, True), (near, 900, False), (far, 900, True)):
        chip = [alike, np.sqrt(1 - alike**2)]
        face = tracks.new_track(sighting(points + shift, chip), [], 2.0)
        assert bool(tracks.reidentified([face], [lost], 2.0)) == known


# -------------------------------------------------------------------------------- the tracker


def test_detects_now_and_then_and_when_a_face_is_lost(people, background, predictor, watcher):
    def way(time):
        return Place((160, 130), 80.0, opacity=float(time < 1.5))

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
    assert (result["swaps"], result["renewed"], result["lost"]) == (0, 0, 0)
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


def test_a_model_without_confidence_tracks_too(people, background, watcher):
    predictor = Predictor(engine="opencv", detector=watcher)
    predictor.contract = replace(predictor.contract, confidence=None)
    actors = [
        Actor(people[0], going((80, 130), (120, 130))),
        Actor(people[1], lambda time: Place((240, 130), 80.0, opacity=float(time < 0.4))),
    ]
    frames = follow(actors, background, watcher, Tracker(predictor), 0.8)
    assert all(np.isnan(face.face.confidence) for _, found in frames for face in found)
    assert [face.identity for face in frames[5][1]] == [1, 2]
    assert [face.identity for face in frames[-1][1]] == [1]


# -------------------------------------------------------------------------------- made clips


def test_truth_of_made_clips(people, background, predictor):
    """The network finds the landmarks where the clip says that they are, however they moved."""
    for place in (
        Place((150.0, 120.0), 90.0, roll=15),
        Place((200.5, 140.25), 110.0, roll=-20),
        Place((120.0, 130.0), 80.0, yaw=15),
    ):
        frame, (truth,) = draw_frame([Actor(people[0], lambda _, p=place: p)], background, 0.0)
        assert truth.actor == 0 and truth.seen > 0.98
        (face,) = predictor.faces(frame, box_from_landmarks(truth.landmarks)[None], "landmarks")
        corners = np.linalg.norm(truth.landmarks[36] - truth.landmarks[45])
        error = np.linalg.norm(face.landmarks - truth.landmarks, axis=1).mean() / corners
        assert error < 0.06, place
    assert turn_head(people[0], 25).landmarks[30, 0] != people[0].landmarks[30, 0]


def test_how_much_is_seen(people, background):
    far = Actor(people[0], lambda _: Place((150, 130), 80.0))
    near = Actor(people[1], lambda time: Place((150 + 80 * time, 130), 80.0, opacity=0.5))
    seen = [[t.seen for t in draw_frame([far, near], background, time)[1]] for time in (0, 1, 3)]
    assert seen[0] == pytest.approx([0.5, 0.5], abs=0.02)  # half of each: one through the other
    assert 0.5 < seen[1][0] < 0.98 and seen[2][0] > 0.98
    outside = Actor(people[0], lambda _: Place((-300, 130), 80.0))
    frame, (truth,) = draw_frame([outside], background, 0.0)
    assert truth.seen == 0 and np.array_equal(frame, background)
    gone = Actor(people[0], lambda _: Place((150, 130), 80.0, opacity=0.0))
    assert draw_frame([gone], background, 0.0)[1] == []


def test_identities_are_scored():
    _, points = portrait()
    here, there = points.astype(float), points.astype(float) + 500
    both = [Truth(0, here, 1.0), Truth(1, there, 1.0)]
    frames = [
        (both, [(1, here), (2, there)]),
        (both, [(1, here)]),  # 1 lost
        (both, [(2, here), (1, there)]),  # two swaps, two renewed
        (both, [(2, here), (7, there + 1)]),  # one renewed
        ([Truth(0, here, 0.5), both[1]], [(9, here), (7, there)]),  # hardly seen: does not count
        (both, [(2, here), (7, there), (8, here + 200)]),  # one where there is none
    ]
    result = score_identities(frames)
    assert (result["frames"], result["faces"], result["lost"], result["longest"]) == (6, 11, 1, 1)
    assert (result["swaps"], result["renewed"], result["strays"]) == (2, 3, 1)
    corners = np.linalg.norm(here[36] - here[45])
    assert result["nme"] == pytest.approx(100 * np.sqrt(2) / corners / 10)
