"""Errors of other people's models."""

import numpy as np

from senet_landmark.data_tools.datasets.registry import list_entries, load_photo, load_sample
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.face import geometry
from senet_landmark.face.boxes import LANDMARKS


def error_of(peer, found, truth):
    """Inter-ocular NME over the points that the model has."""
    points = list(peer.points)
    left, right = truth[list(peer.scheme.outer_eye_corners)]
    distances = np.linalg.norm(found[points] - truth[points], axis=-1)
    return distances.mean() / np.linalg.norm(left - right)


def real_errors(peer, dataset, root, count=10):
    """Errors of faces spread over a data set, with the canonical box."""
    entries = list_entries(dataset, root)
    errors = []
    for entry in entries[:: max(len(entries) // count, 1)][:count]:
        truth = load_sample(dataset, entry).landmarks
        box = geometry.box_from_landmarks(truth)[None]
        found = peer.landmarks(load_photo(dataset, entry), box, LANDMARKS)
        errors.append(error_of(peer, found[0], truth))
    return errors


def two_faces():
    """The portrait twice beside itself: photo, truths [2, 68, 2], boxes [2, 4]."""
    photo, truth = portrait()
    truths = np.stack([truth, truth + (photo.shape[1], 0)])
    boxes = np.stack([geometry.box_from_landmarks(points) for points in truths])
    return np.hstack([photo, photo]), truths, boxes
