"""The clips that tests and benchmarks make, and their scores."""

import numpy as np
import pytest

from identity_scores import score_identities
from made_clips import (
    Actor,
    HeadPosition,
    Truth,
    change_head,
    draw_frame,
)
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.face.geometry import box_from_landmarks

pytestmark = pytest.mark.slow


def test_truth_of_made_clips(people, background, predictor):
    """The network finds the landmarks where the clip says that they are, however they moved."""
    for place in (
        HeadPosition((150.0, 120.0), 90.0, roll=15),
        HeadPosition((200.5, 140.25), 110.0, roll=-20),
        HeadPosition((120.0, 130.0), 80.0, yaw=15),
    ):
        frame, (truth,) = draw_frame([Actor(people[0], lambda _, p=place: p)], background, 0.0)
        assert truth.actor == 0 and truth.seen > 0.98
        (face,) = predictor.faces(frame, box_from_landmarks(truth.landmarks)[None], "landmarks")
        corners = np.linalg.norm(truth.landmarks[36] - truth.landmarks[45])
        error = np.linalg.norm(face.landmarks - truth.landmarks, axis=1).mean() / corners
        assert error < 0.06, place
    assert change_head(people[0], 25).landmarks[30, 0] != people[0].landmarks[30, 0]


def test_how_much_is_seen(people, background):
    far = Actor(people[0], lambda _: HeadPosition((150, 130), 80.0))
    near = Actor(people[1], lambda time: HeadPosition((150 + 80 * time, 130), 80.0, opacity=0.5))
    seen = [[t.seen for t in draw_frame([far, near], background, time)[1]] for time in (0, 1, 3)]
    assert seen[0] == pytest.approx([0.5, 0.5], abs=0.02)  # half of each: one through the other
    assert 0.5 < seen[1][0] < 0.98 and seen[2][0] > 0.98
    outside = Actor(people[0], lambda _: HeadPosition((-300, 130), 80.0))
    frame, (truth,) = draw_frame([outside], background, 0.0)
    assert truth.seen == 0 and np.array_equal(frame, background)
    gone = Actor(people[0], lambda _: HeadPosition((150, 130), 80.0, opacity=0.0))
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
    assert (result["id_switches"], result["fragmentations"], result["false_positives"]) == (2, 3, 1)
    corners = np.linalg.norm(here[36] - here[45])
    assert result["nme"] == pytest.approx(100 * np.sqrt(2) / corners / 10)
