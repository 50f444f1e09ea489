"""Clips of a face that moves by known steps, and what is read of their CSV."""

import csv
import signal

import cv2
import numpy as np

from senet_landmark.data_tools.synthesis.synthetic_tree import portrait

FRAMES, RATE = 12, 25.0


def shift_at(number):
    return np.array([14 * np.sin(number / 4), 5 * np.cos(number / 3)])


def frame_at(number):
    """The portrait, moved; RGB uint8 [384, 384, 3] and its landmarks."""
    photo, truth = portrait()
    matrix = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    matrix[:, 2] = shift_at(number) - (32, 0)
    moved = cv2.warpAffine(photo, matrix, (384, 384), borderMode=cv2.BORDER_REPLICATE)
    return moved, truth + matrix[:, 2]


def rows_of(path):
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream))


def interrupt():
    signal.raise_signal(signal.SIGINT)


def write_clip(path, code="MJPG", count=FRAMES):
    """A video of the first frames, with a codec's four letters."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), RATE, (384, 384))
    assert writer.isOpened()
    for number in range(count):
        writer.write(frame_at(number)[0][..., ::-1])
    writer.release()
    return path
