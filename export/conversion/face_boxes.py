"""Fits the boxes of BlazeFace's faces to annotated ones (`detectors/face_boxes.py`).

`senet_landmark/detectors/assets/blazeface_boxes.json` was made by

    python -m senet_landmark.export.conversion.face_boxes --data DATA --out blazeface_boxes.json

DATA is a folder with `300W_LP` (its original views) and `ytf`, of which the frames `training` are
taken, every third. Each photo is searched at a size of its own, as users' faces have all sizes.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from senet_landmark.data_tools.datasets.registry import list_entries, load_photo, load_sample
from senet_landmark.data_tools.datasets.samples import by_photo
from senet_landmark.detectors.anchors import AnchorDetector, load_anchor_detector
from senet_landmark.detectors.blazeface import FOLDER, FULL_SCORE
from senet_landmark.detectors.face_boxes import fitted, roll_of
from senet_landmark.detectors.tiles import search_whole
from senet_landmark.face.boxes import MATCH_IOU, canonical_box
from senet_landmark.face.geometry import best_match
from senet_landmark.face.roll import UPRIGHT
from senet_landmark.io.files import write_json

SOURCES = (("300w_lp", "300W_LP", "", 1), ("ytf", "ytf", "training", 3))
"""Data set, its folder, how the names of the subset begin, every n-th photo."""

SCALES = (0.35, 1.0)
"""Smallest and largest factor by which a photo is reduced."""

SEED = 0


def photos(data: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Photos RGB uint8 [H, W, 3] at their sizes, with the boxes [N, 4] of their landmarks."""
    random = np.random.default_rng(SEED)
    for dataset, folder, subset, every in SOURCES:
        entries = list_entries(dataset, data / folder)
        chosen = by_photo(entry for entry in entries if entry.subset.startswith(subset))
        for faces in chosen[::every]:
            scale = random.uniform(*SCALES)
            photo = cv2.resize(
                load_photo(dataset, faces[0]), None, fx=scale, fy=scale,
                interpolation=cv2.INTER_AREA,
            )  # fmt: skip
            samples = [load_sample(dataset, face) for face in faces]
            boxes = [canonical_box(one.landmarks, one.scheme) for one in samples]
            yield photo, (np.stack(boxes) + 0.5) * scale - 0.5


def fit(data: Path, detector: AnchorDetector) -> np.ndarray:
    """The weights [91, 4] for the faces that a detector finds in the photos of `SOURCES`."""
    corners, canonical = [], []
    for photo, boxes in photos(data):
        found = search_whole(photo, detector).corners
        for box in boxes:
            match = best_match(found[:, :2].reshape(-1, 4), box, MATCH_IOU)
            if match is not None and abs(roll_of(found[match : match + 1, 2:])[0]) < UPRIGHT:
                corners.append(found[match])
                canonical.append(box)
    return fitted(np.stack(corners), np.stack(canonical))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of 300W_LP and ytf")
    parser.add_argument("--out", type=Path, required=True, help="the .json to write")
    arguments = parser.parse_args()
    detectors = {
        "blazeface_short": load_anchor_detector(FOLDER / "blazeface-short.onnx"),
        "blazeface_full": load_anchor_detector(FOLDER / "blazeface-full.onnx", FULL_SCORE),
    }
    weights = {name: fit(arguments.data, one).round(5) for name, one in detectors.items()}
    write_json(arguments.out, {name: rows.tolist() for name, rows in weights.items()})


if __name__ == "__main__":
    main()
