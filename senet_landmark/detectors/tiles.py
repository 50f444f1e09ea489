"""The parts of a photo that a detector of anchors searches, and the merging of what it finds there.

A network takes a picture of fixed size and finds faces from a certain share of its side on. So a
large photo is searched as a whole, for large faces, and in overlapping tiles, for small ones.
"""

import math

import numpy as np

from senet_landmark.detectors.anchors import (
    AnchorDetector,
    Candidates,
    letterboxed,
    overlaps_with,
)
from senet_landmark.face.geometry import Box, apply

OVERLAP = 0.2
"""Least overlap of neighbouring tiles, as a share of their side. A face up to this size is whole in
one of them, so tiles of one size find all faces from the smallest to this share of their side."""

BEYOND = 0.15
"""A box that reaches beyond its tile by more than this share of its side, where the photo goes on,
is of a face that is cut off; another tile, or the whole photo, has more of it."""

SAME_IOU, SAME_SHARE = 0.3, 0.6
"""Two detections are of one face if their IoU is above the first number, or if they share more than
the second one of the smaller box: parts of a large face may look like faces in a small tile."""


def tile_sides(side: float, smallest: float, min_face: float) -> list[float]:
    """The sides of the tiles, largest first, with which faces from `min_face` on are found.

    Args:
      side: longer side of the photo in pixels; the photo as a whole is searched, too.
      smallest: smallest face that the network finds, as a share of its input's side.
      min_face: smallest face to find, in pixels.
    """
    last = min_face / smallest
    if last >= side:
        return []
    # Each size finds faces up to OVERLAP of its side; the larger one must find those beyond.
    steps = max(math.ceil(math.log(side / last) / math.log(OVERLAP / smallest) - 1e-6), 1)
    return [side * (last / side) ** (step / steps) for step in range(1, steps + 1)]


def tiles(width: int, height: int, side: float) -> list[Box]:
    """Squares of at most `side` pixels that overlap by `OVERLAP` or more and cover the photo."""
    fewest = max((max(width, height) / side - OVERLAP) / (1 - OVERLAP), 1)
    count = math.ceil(fewest - 1e-6)
    side = max(width, height) / (count - OVERLAP * (count - 1))
    starts = [_starts(length, side) for length in (width, height)]
    return [
        np.array([left, top, left + side, top + side]) - 0.5
        for top in starts[1]
        for left in starts[0]
    ]


def _starts(length: int, side: float) -> np.ndarray:
    if length <= side:
        return np.array([(length - side) / 2])
    count = math.ceil((length / side - OVERLAP) / (1 - OVERLAP) - 1e-6)
    return np.linspace(0, length - side, count)


def search_whole(photo: np.ndarray, detector: AnchorDetector, turn: float = 0.0) -> Candidates:
    """The faces that the detector finds in the photo as a whole, turned by quarter turns.

    Args:
      photo: RGB uint8 [H, W, 3].
      detector: the detector.
      turn: 0, 90, 180 or -90 degrees, as for `letterboxed`.
    """
    picture, to_photo = letterboxed(photo, detector.contract.size, turn=turn)
    (candidates,) = detector.run(picture[None])
    corners = apply(to_photo, candidates.corners)
    if turn:  # the first two corners are then other corners of the box
        corners[:, :2] = np.sort(corners[:, :2], axis=1)
    return Candidates(corners, candidates.scores)


def search_tiles(photo: np.ndarray, detector: AnchorDetector, side: float) -> Candidates:
    """The faces that the detector finds in tiles of at most `side` pixels of the photo."""
    height, width = photo.shape[:2]
    found = []
    for tile in tiles(width, height, side):
        picture, to_photo = letterboxed(photo, detector.contract.size, tile)
        (candidates,) = detector.run(picture[None])
        candidates = Candidates(apply(to_photo, candidates.corners), candidates.scores)
        found.append(candidates.take(~_cut_off(candidates, tile, width, height)))
    return merged(found)


def _cut_off(candidates: Candidates, tile: Box, width: int, height: int) -> np.ndarray:
    """Which candidates reach beyond their tile where the photo goes on, bool [N]."""
    low, high = candidates.corners[:, 0], candidates.corners[:, 1]
    room = BEYOND * (high - low)
    inner_low, inner_high = tile[:2] > 0, tile[2:] < np.array([width, height]) - 1
    cut_low = inner_low & (low < tile[:2] - room)
    cut_high = inner_high & (high > tile[2:] + room)
    return np.asarray((cut_low | cut_high).any(axis=1))


def merged(parts: list[Candidates]) -> Candidates:
    """All candidates in one list, best first; of those of one face only the best."""
    corners = np.concatenate([part.corners for part in parts])
    scores = np.concatenate([part.scores for part in parts])
    candidates = Candidates(corners, scores).take(np.argsort(-scores, kind="stable"))
    chosen: list[int] = []
    free = np.ones(len(scores), bool)
    areas = (candidates.corners[:, 1] - candidates.corners[:, 0]).prod(axis=1)
    for index in range(len(scores)):
        if free[index]:
            chosen.append(index)
            ious = overlaps_with(candidates.corners[index], candidates.corners)
            # The shared area follows from the IoU and both areas.
            shared = ious * (areas + areas[index]) / (1 + ious)
            part = shared / np.minimum(areas, areas[index])
            free &= (ious <= SAME_IOU) & (part <= SAME_SHARE)
    return candidates.take(np.array(chosen, int))
