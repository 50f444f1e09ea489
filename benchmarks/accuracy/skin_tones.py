"""Errors of models by the skin tone that held-out faces have in their photos.

python benchmarks/accuracy/skin_tones.py --models senet-68 --records records records-ytf

NME by the outer eye corners, in %, of the groups of `senet_landmark.face.skin`. A tone in a photo
is that of the skin and of the light on it: for people themselves see `groups_of_people.py`.
"""

import argparse
from pathlib import Path

import numpy as np

from held_out import errors_of, held_out_faces
from senet_landmark.data.even_sampling import tones_of
from senet_landmark.face.skin import TONE_NAMES, tone_classes


def main() -> None:
    """Prints a row for each model and folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", required=True)
    parser.add_argument("--records", nargs="+", type=Path, required=True)
    options = parser.parse_args()
    titles = ["model", "records", "all", *TONE_NAMES, "unknown"]
    print(f"| {' | '.join(titles)} |\n{'|---' * len(titles)}|")
    for name, folder, engine, scheme, faces in held_out_faces(options.models, options.records):
        count = len(faces.store)
        errors = np.nanmean(
            errors_of(engine, faces.crops(count), faces.landmarks(count), scheme), axis=1
        )
        groups = tone_classes(tones_of(faces.store))
        cells = [f"{np.nanmean(errors):.2f} ({count})"]
        for group in (*range(len(TONE_NAMES)), -1):
            of_group = errors[groups == group]
            cells.append(f"{np.nanmean(of_group):.2f} ({len(of_group)})" if len(of_group) else "–")
        print(f"| {name} | {folder.name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
