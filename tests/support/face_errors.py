"""The error of one face."""

from senet_landmark.evaluation import metrics
from senet_landmark.face.schemes import get_scheme


def nme(landmarks, truth):
    return float(metrics.nme(landmarks[None], truth[None], get_scheme("300w_68"))[0])
