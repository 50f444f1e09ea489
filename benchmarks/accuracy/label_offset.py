"""Tests whether a data set's landmarks are shifted, e.g. by pixels counted from 1 or a bad crop.

python benchmarks/accuracy/label_offset.py --dataset ytf --root ytf --points published --every 2

The mean of a model's landmarks in a face and in its mirror image is not shifted to the left or to
the right, whatever the model was trained on. So the median distance between the annotations and
this mean along x is the shift of the annotations. Along y the distance also contains the model's
own shift.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np
from tqdm import tqdm

from senet_landmark.evaluation.metrics import normaliser
from senet_landmark.export.evaluation.face_sources import Photos, face_source_of
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.export.labelling.pseudo_labels import both_predictions


def main() -> None:
    """Prints the median offset in pixels and in % of the distance of the eye corners, by size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--points", default="auto")
    parser.add_argument("--model", default="senet-68")
    parser.add_argument("--every", type=int, default=1, help="use only every n-th photo")
    options = parser.parse_args()
    predictor = Predictor(options.model, passes=1)
    faces = Photos(options.dataset, options.root, options.points)
    source = face_source_of(faces, ["landmarks"], None, [])
    if source.scheme.name != predictor.scheme.name:
        parser.error(f"the faces have {source.scheme.name}, the model {predictor.scheme.name}")
    offsets, sizes = [], []
    for number, photo in enumerate(tqdm(source.photos(), unit="photo")):
        for face in photo if number % options.every == 0 else []:
            predicted = np.mean(both_predictions(predictor, face), axis=0)
            offsets.append((face.truth - predicted).mean(axis=0))
            lengths = normaliser(face.truth[None], source.scheme, "inter_ocular")
            sizes.append(float(lengths[0]))
    offset, size = np.array(offsets), np.array(sizes)
    edges = np.percentile(size, [0, 25, 50, 75, 100])
    parts = {"all": np.ones(len(size), bool)}
    for low, high in itertools.pairwise(edges):
        parts[f"eyes {low:.0f} to {high:.0f} px apart"] = (size >= low) & (size <= high)
    for name, chosen in parts.items():
        x, y = np.median(offset[chosen], axis=0)
        shares = 100 * np.median(offset[chosen] / size[chosen, None], axis=0)
        print(
            f"{name:26} n {chosen.sum():5}  x {x:+.2f} px ({shares[0]:+.2f}%)  "
            f"y {y:+.2f} px ({shares[1]:+.2f}%)"
        )


if __name__ == "__main__":
    main()
