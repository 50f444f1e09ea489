"""How many annotated faces `predict` finds, with each detector, and how long the detector takes.

    python benchmarks/detectors.py /data --detectors blazeface dlib --sets helen ytf profiles

A face is found if a face of `Predictor.predict` has an IoU of 0.35 with the box of its landmarks.
`painted` counts what is found in photos of `300w_lp` whose faces are painted over. The detectors
take turns photo by photo, so that a busy machine slows all of them.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from senet_landmark.data_tools.datasets.registry import list_entries, load_photo, load_sample
from senet_landmark.data_tools.datasets.samples import Entry, by_photo
from senet_landmark.detectors.registry import DETECTORS
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.face.boxes import canonical_box
from senet_landmark.face.geometry import expand, iou

FOUND_IOU = 0.35

Photos = Iterator[tuple[np.ndarray, list[np.ndarray]]]


def annotated(dataset: str, root: Path, chosen: Callable[[Entry], bool] = lambda _: True) -> Photos:
    """The photos of a data set with the canonical boxes of their chosen faces."""
    for faces in by_photo([entry for entry in list_entries(dataset, root) if chosen(entry)]):
        samples = [load_sample(dataset, entry) for entry in faces]
        boxes = [canonical_box(sample.landmarks, sample.scheme) for sample in samples]
        yield load_photo(dataset, faces[0]), boxes


def painted(root: Path) -> Photos:
    """Every tenth photo of 300W-LP's original views, the face painted with the photo's colour."""
    for index, (photo, boxes) in enumerate(annotated("300w_lp", root)):
        if index % 10 == 0:
            photo = photo.copy()
            for box in boxes:
                limits = np.array(photo.shape[1::-1] * 2)
                left, top, right, bottom = np.clip(expand(box, 0.6), 0, limits).astype(int)
                photo[top:bottom, left:right] = photo.mean(axis=(0, 1))
            yield photo, []


SETS: dict[str, Callable[[Path], Photos]] = {
    "helen": lambda data: annotated("300w", data / "300w"),
    "ytf": lambda data: annotated("ytf", data / "ytf", lambda entry: entry.subset == "test"),
    "profiles": lambda data: annotated(
        "csv", data / "aflw2000_3d", lambda entry: entry.subset.startswith("exact")
    ),
    "london": lambda data: annotated("csv", data / "london"),
    "groups": lambda data: annotated("dlib_xml", data / "groups"),
    "afw_full": lambda data: annotated("csv", data / "afw_full"),
    "painted": lambda data: painted(data / "300W_LP"),
}


def measure(photos: Photos, predictors: dict[str, Predictor]) -> dict[str, dict[str, float]]:
    """Detector -> photos, faces, missed, other faces, and milliseconds of its detection."""
    figures = {name: dict.fromkeys(("missed", "others"), 0) for name in predictors}
    times: dict[str, list[float]] = {name: [] for name in predictors}
    faces = 0
    for photo, truths in photos:
        faces += len(truths)
        for name, predictor in predictors.items():
            start = time.perf_counter()
            predictor.detect(photo)
            times[name].append(1000 * (time.perf_counter() - start))
            boxes = [face.box for face in predictor.predict(photo)]
            found = 0
            for truth in truths:
                overlaps = [iou(box, truth) for box in boxes]
                if overlaps and max(overlaps) >= FOUND_IOU:
                    del boxes[int(np.argmax(overlaps))]
                    found += 1
            figures[name]["missed"] += len(truths) - found
            figures[name]["others"] += len(boxes)
    return {
        name: {
            "photos": len(times[name]), "faces": faces, **values,
            "ms": round(float(np.mean(times[name])), 1),
            "median ms": round(float(np.median(times[name])), 1),
        }
        for name, values in figures.items()
    }  # fmt: skip


def main() -> None:
    """Prints one line for each set and detector."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the data sets")
    parser.add_argument("--detectors", nargs="+", choices=DETECTORS, default=["blazeface", "dlib"])
    parser.add_argument("--detector-model", type=Path, help="file of dlib_cnn or yunet")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    options = parser.parse_args()
    predictors = {
        name: Predictor(
            detector=name,
            detector_model=options.detector_model if name in ("dlib_cnn", "yunet") else None,
        )
        for name in options.detectors
    }
    for name in options.sets:
        for detector, figures in measure(SETS[name](options.data), predictors).items():
            print(name, detector, *(f"{key} {value}" for key, value in figures.items()), flush=True)


if __name__ == "__main__":
    main()
