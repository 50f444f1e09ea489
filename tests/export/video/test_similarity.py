"""How alike faces look."""

import numpy as np
import pytest

from made_clips import (
    Actor,
    HeadPosition,
    crop_head,
    draw_frame,
)
from senet_landmark.data_tools.datasets.registry import list_entries, load_sample
from senet_landmark.export.video import appearance, tracking
from senet_landmark.export.video.appearance import Look, face_chip, learn, similarity
from senet_landmark.face.geometry import box_from_landmarks
from senet_landmark.io.images import read_photo

pytestmark = pytest.mark.slow


def chip_of(head, background, predictor, **place):
    actor = Actor(head, lambda _: HeadPosition(**{"centre": (160, 130), "size": 80.0, **place}))
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
        heads.append(crop_head(read_photo(entry.photo), sample.landmarks))
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
