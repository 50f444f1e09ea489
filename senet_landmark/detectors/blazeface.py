"""BlazeFace (Bazarevsky et al., 2019) and its search: the default detector.

Two networks share the work. The short-range one takes a millisecond and finds faces from an eighth
of the photo's side on; the full-range one takes three and finds them from a sixteenth on. Smaller
faces are searched for in tiles (`tiles.py`), and where nothing is found the photo is turned.
"""

import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np

from senet_landmark.detectors.anchors import AnchorDetector, Candidates, load_anchor_detector
from senet_landmark.detectors.face_boxes import roll_of, weights_of, with_face_boxes
from senet_landmark.detectors.interface import Detections, Detector, SearchOptions
from senet_landmark.detectors.search import selected
from senet_landmark.detectors.tiles import merged, search_tiles, search_whole, tile_sides
from senet_landmark.errors import InputError
from senet_landmark.frozen.models import PRETRAINED

FOLDER = PRETRAINED / "detectors"
"""Folder of the detectors that ship."""

MIN_FACE = 40.0
"""Default of the smallest face, in pixels."""

MIN_SHARE = 0.02
"""Default of the smallest face as a share of the photo's longer side, where that is more: as many
tiles for 12 megapixels as for two, and a larger photo shows no fewer faces."""

FULL_SCORE = 0.2
"""Smallest score of the full-range network. It is sure of few faces in a crowd; what it takes for
faces in addition is refused by the landmark model (`FaceDetector.sure_score`)."""

NEAR_SCORE, NEAR_SHARE, NEAR_SMALLEST = 0.8, 0.25, 0.08
"""A face that the short-range network finds with this score, and with this share of the photo's
side, makes faces in the background unlikely: then no smaller ones are searched for, if the
smallest one has at least the third share."""

TURNS = (90.0, -90.0, 180.0)
"""Turns of a photo in which nothing is found, in degrees; the networks find faces up to 45 degrees
from upright."""

MOST_ROLL = 50.0
"""A face that leans by more degrees is found with more accurate points in the turned photo."""

UPRIGHT_SCORE, FOUND_SCORE, TURNED_SCORE = 0.85, 0.65, 0.5
"""Upright faces mostly have the first score. The short-range network also finds faces upside down,
with less and with the points of an upright face: a photo without the first score is turned, first
for the short-range network, then, without the second score, for the other one. What is found in
a turned photo needs the third score, and takes the place of a lower score of the same face."""


class Networks(NamedTuple):
    """The two networks."""

    short: AnchorDetector
    full: AnchorDetector


def load_blazeface(model: Path | None = None, options: SearchOptions = SearchOptions()) -> Detector:
    """Loads the detector. It ships with its networks.

    Raises:
      InputError: a model file was given, or a file of the detector is damaged.
    """
    if model is not None:
        raise InputError(f"blazeface ships with its networks; it takes no file ({model}).")
    find = functools.partial(find_faces, networks=networks(), options=options)
    return Detector(find=find, stages=(find,))


@functools.cache
def networks() -> Networks:
    """The two networks, loaded once a process."""
    short, full = (
        functools.partial(with_face_boxes, weights=weights_of(network))
        for network in ("blazeface_short", "blazeface_full")
    )
    return Networks(
        load_anchor_detector(FOLDER / "blazeface-short.onnx", face_boxes=short),
        load_anchor_detector(FOLDER / "blazeface-full.onnx", FULL_SCORE, full),
    )


def find_faces(photo: np.ndarray, networks: Networks, options: SearchOptions) -> Detections:
    """The faces of a photo RGB uint8 [H, W, 3] at all sizes from the smallest one on.

    Args:
      photo: RGB uint8 [H, W, 3].
      networks: the two networks.
      options: `min_face` 0 is `MIN_FACE` pixels, or `MIN_SHARE` of the photo's side where that is
        more.
    """
    side = max(photo.shape[:2])
    min_face = options.min_face or max(MIN_FACE, MIN_SHARE * side)
    candidates = search_upright(photo, networks, min_face)
    for network, score in ((networks.short, UPRIGHT_SCORE), (networks.full, FOUND_SCORE)):
        if _is_upright(candidates, score):
            break
        turned = merged([search_whole(photo, network, turn) for turn in TURNS])
        candidates = merged([candidates, turned.take(turned.scores >= TURNED_SCORE)])
    return selected(detections(candidates), options)


def search_upright(photo: np.ndarray, networks: Networks, min_face: float) -> Candidates:
    """The whole photo, then tiles, each only where it could show a face that was not found."""
    side = max(photo.shape[:2])
    smallest = min_face / side
    near = []
    if smallest >= NEAR_SMALLEST:
        near.append(search_whole(photo, networks.short))
        enough = smallest >= networks.short.contract.smallest and len(near[0].scores) > 0
        if enough or _is_near(near[0], side):
            return near[0]
    found = [*near, search_whole(photo, networks.full)]
    if not near and found[0].scores.max(initial=0) < UPRIGHT_SCORE:
        found.append(search_whole(photo, networks.short))  # it knows faces that fill the photo
    for tile in tile_sides(side, networks.full.contract.smallest, min_face):
        found.append(search_tiles(photo, networks.full, tile))
    return merged(found)


def _is_upright(candidates: Candidates, score: float) -> bool:
    """Whether there is a face with this score, and the best one is upright."""
    if not len(candidates.scores) or candidates.scores[0] < score:
        return False
    return bool(abs(roll_of(candidates.corners[:1, 2:])[0]) <= MOST_ROLL)


def _is_near(candidates: Candidates, side: float) -> bool:
    """Whether one of the faces is surely there, and large in the photo."""
    sizes = (candidates.corners[:, 1] - candidates.corners[:, 0]).max(axis=1)
    return bool(((candidates.scores >= NEAR_SCORE) & (sizes >= NEAR_SHARE * side)).any())


def detections(candidates: Candidates) -> Detections:
    """The candidates' boxes and scores, and the roll of each face by its points."""
    boxes = candidates.corners[:, :2].reshape(-1, 4)
    return Detections(boxes, candidates.scores, roll_of(candidates.corners[:, 2:]))
