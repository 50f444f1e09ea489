"""Which track a face belongs to."""

from dataclasses import replace

import numpy as np

from followed import RATE
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.export.inference.face import Face
from senet_landmark.export.video import appearance, tracks
from senet_landmark.export.video.smoothing import OneEuro
from senet_landmark.export.video.tracks import Sighting
from senet_landmark.face.geometry import box_from_landmarks


def sighting(points, chip, confidence=1.0):
    """A face with these landmarks, that looks so."""
    points = np.asarray(points, np.float32)
    face = Face(box_from_landmarks(points), points, confidence=confidence, known_pose=np.zeros(3))
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
    far, unsure = (
        sighting(points + 400, [0.2, 1]),
        sighting(points, [1, 0.2], confidence=0.7),
    )
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
