"""Detections go to the right annotation."""

import numpy as np
import pytest

from senet_landmark.data_tools.datasets.registry import list_entries, load_photo, load_sample
from senet_landmark.data_tools.datasets.samples import by_photo
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.detectors.registry import DLIB, get_detector
from senet_landmark.detectors.search import assign, find_annotated_faces
from senet_landmark.face.boxes import canonical_box
from senet_landmark.face.geometry import box_from_landmarks, iou


def test_assignment_is_one_to_one_and_the_best_in_sum():
    """Greedy best matches would give box 0 to both faces, or leave one without."""
    truths = [np.array([0, 0, 10, 10.0]), np.array([4, 0, 14, 10.0])]
    boxes = [np.array([3, 0, 13, 10.0]), np.array([-2, 0, 8, 10.0])]
    assert assign(boxes, truths) == {0: 1, 1: 0}
    assert assign(boxes[:1], truths) == {1: 0}
    assert assign([np.array([50, 50, 60, 60.0])], truths) == {}
    assert assign([], truths) == {} and assign(boxes, []) == {}


@pytest.mark.parametrize("shift", [0, 12])
def test_neighbours_in_a_real_photo_get_their_own_box(shift):
    """Two portraits side by side, given in the other order, a third annotation without a face."""
    photo, truth = portrait()
    pair = np.concatenate([photo, np.roll(photo, shift, axis=0)], axis=1)
    right = truth + (photo.shape[1], shift)
    empty = box_from_landmarks(truth) + (0, 250, 0, 250)
    truths = [box_from_landmarks(right), box_from_landmarks(truth), empty]
    found = find_annotated_faces(pair, truths, get_detector(DLIB).stages)
    assert found[2] is None
    for box, own in zip(found[:2], truths, strict=False):
        assert box is not None and iou(box, own) > 0.5


def real_groups(shared_data):
    entries = list_entries("dlib_xml", shared_data("groups"))
    for photo in by_photo(entries):
        samples = [load_sample("dlib_xml", entry) for entry in photo]
        yield load_photo("dlib_xml", photo[0]), [s.landmarks for s in samples]


def test_every_face_of_the_group_photos_gets_the_detection_on_it(shared_data):
    for photo, faces in real_groups(shared_data):
        truths = [canonical_box(landmarks, "300w_68") for landmarks in faces]
        found = find_annotated_faces(photo, truths, get_detector(DLIB).stages)
        assert all(box is not None for box in found)
        for index, box in enumerate(found):
            overlaps = [iou(box, truth) for truth in truths]
            assert int(np.argmax(overlaps)) == index
