"""Trains dlib's own shape predictor on records: a `.dat` that programs which use dlib can load.

python benchmarks/accuracy/dlib_trainer.py --records records --out predictor.dat

It is the method of dlib's 68-point model (Kazemi and Sullivan, "One Millisecond Face Alignment",
CVPR 2014), on the faces that a network of this project is trained on, and their mirror images.
All crops are in memory, 60 kB each. Measure it beside a network on the same photos and boxes:

senet-landmark evaluate --model model.pb --on 300w=300w --peer dlib --dlib-model predictor.dat
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import dlib
import numpy as np
from tqdm import tqdm

from senet_landmark.data.record_store import RecordStore
from senet_landmark.data.records import load_records_info, shard_paths
from senet_landmark.detectors.dlib_hog import dlib_rectangle
from senet_landmark.detectors.registry import DLIB, default_corrections
from senet_landmark.errors import InputError
from senet_landmark.evaluation.metrics import nme
from senet_landmark.export.evaluation.peers import invert_correction
from senet_landmark.face.boxes import canonical_box
from senet_landmark.face.geometry import BoxCorrection, apply, correct_box, to_pixels
from senet_landmark.io.files import written_whole

Faces = Iterator[tuple[np.ndarray, dlib.full_object_detection, np.ndarray]]


def faces_of(store: RecordStore, *, mirrored: bool) -> Faces:
    """Crop, grey uint8 [H, W]; the face as dlib is trained with it; landmarks [K, 2] in its pixels.

    The box is where dlib's detector would draw it: the canonical box by the inverse of dlib's
    correction, as in evaluations. Faces with unknown points are left out.

    Args:
      store: the records.
      mirrored: whether each face comes a second time, as in a mirror.
    """
    to_dlib = invert_correction(default_corrections()[DLIB])
    for index in range(len(store)):
        record = store.record(index)
        if not np.isfinite(record.landmarks).all():
            continue
        crop = cv2.cvtColor(store.image(index), cv2.COLOR_RGB2GRAY)
        height, width = crop.shape
        points = apply(to_pixels((width, height)), record.landmarks.astype(np.float64))
        yield crop, _detection(points, store.scheme.name, to_dlib), points
        if mirrored:
            turned = points[store.scheme.mirror_index] * (-1, 1) + (width - 1, 0)
            crop = np.ascontiguousarray(crop[:, ::-1])
            yield crop, _detection(turned, store.scheme.name, to_dlib), turned


def _detection(
    points: np.ndarray, scheme: str, to_dlib: BoxCorrection
) -> dlib.full_object_detection:
    box = dlib_rectangle(correct_box(canonical_box(points, scheme), to_dlib))
    return dlib.full_object_detection(
        box, [dlib.point(x, y) for x, y in np.rint(points).astype(int)]
    )


def train(records: Path, out: Path, options: dlib.shape_predictor_training_options) -> int:
    """Trains on the training faces and writes `out`; returns the number of faces, mirrored too.

    Raises:
      InputError: no folder of records, or no face with all of its points.
    """
    info = load_records_info(records)
    store = RecordStore(shard_paths(records, info, "train"), cache_mb=0)
    faces = list(tqdm(faces_of(store, mirrored=True), total=2 * len(store), unit="face"))
    if not faces:
        raise InputError(f"{records}: no training face has all of its points.")
    predictor = dlib.train_shape_predictor(
        [crop for crop, _, _ in faces], [[detection] for _, detection, _ in faces], options
    )
    with written_whole(out) as temporary:
        predictor.save(str(temporary))
    return len(faces)


def held_out_error(records: Path, model: Path) -> float:
    """Mean NME (inter-ocular) of the held-out faces, a share."""
    info = load_records_info(records)
    store = RecordStore(shard_paths(records, info, info.held_out), cache_mb=0)
    predictor = dlib.shape_predictor(str(model))
    predicted, truth = [], []
    for crop, detection, points in faces_of(store, mirrored=False):
        parts = predictor(crop, detection.rect).parts()
        predicted.append([(part.x, part.y) for part in parts])
        truth.append(points)
    return float(np.mean(nme(np.array(predicted, np.float64), np.array(truth), store.scheme)))


def main() -> None:
    """Trains, and prints how long it took, the file's size and its error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--trees", type=int, default=500, help="trees of each of the ten levels")
    parser.add_argument("--depth", type=int, default=4, help="of a tree")
    parser.add_argument("--oversampling", type=int, default=20, help="first shapes of each face")
    parser.add_argument("--jitter", type=float, default=0.1, help="of the box, share of its size")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    options = dlib.shape_predictor_training_options()
    options.num_trees_per_cascade_level = arguments.trees
    options.tree_depth = arguments.depth
    options.oversampling_amount = arguments.oversampling
    options.oversampling_translation_jitter = arguments.jitter
    options.num_threads = arguments.threads
    began = time.monotonic()
    count = train(arguments.records, arguments.out, options)
    minutes = (time.monotonic() - began) / 60
    error = held_out_error(arguments.records, arguments.out)
    print(
        f"{count} faces, {minutes:.1f} minutes, {arguments.out.stat().st_size / 1e6:.1f} MB: "
        f"NME of the held-out faces {100 * error:.2f}%"
    )


if __name__ == "__main__":
    main()
