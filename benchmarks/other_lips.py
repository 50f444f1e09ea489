"""How well models find a mouth whose lips have other tones and heights than the photo's own.

python benchmarks/other_lips.py --models senet-68 senet-68-small --records records records-ytf

Held-out faces of the records, as they are and after `senet_landmark.data.lips.change_lips`. Mean
error of the mouth's points and of the others, in % of the distance of the outer eye corners.
"""

import argparse
from pathlib import Path

import numpy as np

from senet_landmark.data.lips import change_lips
from senet_landmark.export.engines.registry import load_engine
from senet_landmark.export.freezing.recorded_faces import recorded_faces
from senet_landmark.frozen.contract import load_contract
from senet_landmark.frozen.models import find_model

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
    for name in options.models:
        path = find_model(name)
        contract = load_contract(path)
        engine, scheme = load_engine(path, contract), contract.landmark_scheme
        mouth = np.isin(np.arange(scheme.points), scheme.groups["mouth"])
        for folder in options.records:
            faces = recorded_faces(folder, contract.scheme, contract.crop, contract.size)
            crops, truth = faces.crops(MOST), faces.landmarks(MOST).astype(np.float32)
            generator = np.random.default_rng(0)
            changed = [
                change_lips(crop, points, scheme, generator)
                for crop, points in zip(crops, truth, strict=True)
            ]
            cells = []
            pairs = (crops, truth), tuple(map(np.stack, zip(*changed, strict=True)))
            for pictures, points in pairs:
                first, second = (points[:, corner] for corner in scheme.outer_eye_corners)
                eyes = np.linalg.norm(second - first, axis=1)
                found = np.concatenate(
                    [engine(pictures[i : i + 32])["landmarks"] for i in range(0, len(crops), 32)]
                )
                errors = 100 * np.linalg.norm(found - points, axis=2) / eyes[:, None]
                cells += [np.nanmean(errors[:, which]) for which in (mouth, ~mouth)]
            figures = " | ".join(f"{value:.2f}" for value in cells)
            print(f"| {name} | {folder.name} | {len(crops)} | {figures} |")


if __name__ == "__main__":
    main()
