"""MediaPipe behind the project's interface; in an environment without TensorFlow."""

import numpy as np
import pytest

from peer_errors import error_of, real_errors, two_faces
from senet_landmark.detectors.registry import DLIB, get_detector
from senet_landmark.detectors.search import find_annotated_faces
from senet_landmark.errors import InputError
from senet_landmark.export.evaluation import peers
from senet_landmark.export.evaluation.peers import Peer
from senet_landmark.face.boxes import LANDMARKS

pytestmark = pytest.mark.mediapipe


@pytest.fixture(scope="module")
def mediapipe_peer() -> Peer:
    try:
        return peers.load_mediapipe()
    except InputError as error:
        pytest.skip(f"needs MediaPipe: {error}")


def test_mediapipe_on_the_portrait(mediapipe_peer):
    photo, truths, boxes = two_faces()
    assert mediapipe_peer.points == tuple(range(17, 68)) and "51 inner" in mediapipe_peer.note
    found = mediapipe_peer.landmarks(photo, boxes, LANDMARKS)
    assert found.shape == (2, 68, 2) and found.dtype == np.float32
    assert np.isnan(found[:, :17]).all() and np.isfinite(found[:, 17:]).all()
    for points, truth in zip(found, truths, strict=True):
        assert error_of(mediapipe_peer, points, truth) < 0.06
    detections = find_annotated_faces(photo, list(boxes), get_detector(DLIB).stages)
    again = mediapipe_peer.landmarks(photo, np.stack(detections), DLIB)
    for points, truth in zip(again, truths, strict=True):
        assert error_of(mediapipe_peer, points, truth) < 0.06


def test_mediapipe_finds_nothing_where_there_is_nothing(mediapipe_peer):
    photo, _, boxes = two_faces()
    blank = np.full_like(photo, 128)
    assert np.isnan(mediapipe_peer.landmarks(blank, boxes, LANDMARKS)).all()
    assert mediapipe_peer.landmarks(photo, boxes[:0], LANDMARKS).shape == (0, 68, 2)


def test_mediapipe_on_real_photos(mediapipe_peer, shared_data):
    errors = real_errors(mediapipe_peer, "300w", shared_data("300w", "helen", "testset"))
    assert np.nanmedian(errors) < 0.08
