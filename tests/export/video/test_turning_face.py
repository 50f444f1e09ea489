"""A face that turns in the plane, all the way round."""

import numpy as np
import pytest

from face_errors import nme
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.export.video.tracking import Tracker
from senet_landmark.face import geometry
from turned_photos import turned_photo

pytestmark = pytest.mark.slow


def test_a_face_that_turns_all_round_is_followed():
    """The detector sees it once, upright; after that its roll is that of the last frame."""
    photo, truth = portrait()
    _, points = turned_photo(photo, truth, 0)
    detections = [(geometry.box_from_landmarks(points)[None], np.ones(1))]
    nothing = (np.zeros((0, 4)), np.zeros(0))
    predictor = Predictor(
        engine="opencv", detector=lambda frame: detections.pop() if detections else nothing
    )
    tracker = Tracker(predictor, smooth=None, detection_side=10_000)
    for number, angle in enumerate(range(0, 361, 9)):
        frame, points = turned_photo(photo, truth, angle)
        (tracked,) = tracker.update(frame, number / 25)
        assert tracked.identity == 1
        assert nme(tracked.face.landmarks, points) < 0.05, angle
