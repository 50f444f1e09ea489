"""How well models find a mouth whose lips have other tones and heights than the photo's own.

python benchmarks/accuracy/other_lips.py --models senet-68 --records records records-ytf

Held-out faces of the records, as they are and after `senet_landmark.data.lips.change_lips`. Mean
error of the mouth's points and of the others, in % of the distance of the outer eye corners.
"""

import argparse
from pathlib import Path

import numpy as np

from held_out import errors_of, held_out_faces
from senet_landmark.data.lips import change_lips

MOST = 500
"""Faces of each folder."""


def main() -> None:
    """Prints a row for each model and folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", required=True)
    parser.add_argument("--records", nargs="+", type=Path, required=True)
    options = parser.parse_args()
    print("| model | records | faces | mouth, % | others | mouth, other lips | others |")
    print("|---|---|---:|---|---|---|---|")
    for name, folder, engine, scheme, faces in held_out_faces(options.models, options.records):
        mouth = np.isin(np.arange(scheme.points), scheme.groups["mouth"])
        crops, truth = faces.crops(MOST), faces.landmarks(MOST).astype(np.float32)
        generator = np.random.default_rng(0)
        changed = [
            change_lips(crop, points, scheme, generator)
            for crop, points in zip(crops, truth, strict=True)
        ]
        cells = []
        pairs = (crops, truth), tuple(map(np.stack, zip(*changed, strict=True)))
        for pictures, points in pairs:
            errors = errors_of(engine, pictures, points, scheme)
            cells += [np.nanmean(errors[:, which]) for which in (mouth, ~mouth)]
        figures = " | ".join(f"{value:.2f}" for value in cells)
        print(f"| {name} | {folder.name} | {len(crops)} | {figures} |")


if __name__ == "__main__":
    main()
