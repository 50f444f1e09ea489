"""Clips whose truth is known, and faces followed through them."""

import numpy as np

from identity_scores import score_identities
from made_clips import (
    HeadPosition,
    clip_frames,
)
from senet_landmark.face.geometry import box_from_landmarks

WIDTH, HEIGHT, RATE = 320, 240, 25.0


class Watcher:
    """A detector that knows the truth: of each frame, the boxes of the faces that are well seen."""

    def __init__(self):
        self.truths, self.calls = [], 0

    def __call__(self, frame):
        self.calls += 1
        boxes = [box_from_landmarks(t.landmarks) for t in self.truths if t.seen > 0.4]
        return np.array(boxes).reshape(-1, 4), np.ones(len(boxes))


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
        return HeadPosition((float(x), float(y)), size, opacity=opacity(time))

    return way
