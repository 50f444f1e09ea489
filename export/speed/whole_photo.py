"""The time of a whole photo, detection and landmarks, with each detector, beside other people's.

The others are MediaPipe's FaceMesh, and dlib's detector with its shape predictor. Everything runs
in one process and takes turns on every photo.
"""

import math
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import dlib
import numpy as np

from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.detectors.dlib_hog import HOG_DETECTOR
from senet_landmark.detectors.registry import DETECTORS, DLIB
from senet_landmark.errors import InputError
from senet_landmark.export.engines.registry import ENGINES
from senet_landmark.export.engines.timing import alternated
from senet_landmark.export.evaluation.peers import find_dlib_model, load_face_mesh
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.export.speed.harness import answer_job, in_fresh_process
from senet_landmark.face.geometry import shrink
from senet_landmark.io.folders import find_photos
from senet_landmark.io.images import read_photo
from senet_landmark.visualisation.tables import markdown_table

SIDE = 320
"""Default of the longer side, in pixels, to which larger photos are reduced before any run."""

FACE_MESH = "mediapipe"
DLIB_PAIR = "dlib"

PEERS = {FACE_MESH: "MediaPipe's FaceMesh", DLIB_PAIR: "dlib's detector and shape predictor"}
"""Name in the figures -> title. dlib's detector gets the photo as it is, not doubled."""

Stage = Callable[[np.ndarray], int]
"""Photo RGB uint8 [H, W, 3] -> how many faces it found."""

Key = tuple[str, ...]
"""(a peer,) or (index of a model, detector, `whole` or `detection`)."""


def measure_photos(
    models: Sequence[Path],
    photos: Sequence[Path],
    rounds: int,
    *,
    side: int = SIDE,
    detector_models: Mapping[str, Path] = {},
    dlib_model: Path | None = None,
) -> dict[str, Any]:
    """The time of a whole photo in a fresh process: median milliseconds over the photos.

    Args:
      models: `.pb` files with their contracts; each runs in the fastest engine that is installed.
      photos: files and folders; none: the portrait that ships.
      rounds: at least so many timed runs of each; every photo is run equally often.
      side: longer side to which larger photos are reduced first; 0: they stay as they are.
      detector_models: name of a detector -> its file. Detectors that need one and have none are
        not measured.
      dlib_model: as in `bench`.

    Returns:
      `photos`, how many; `sides`, the smallest and the largest longer side; `peers`: name -> `ms`,
      `cpu` (processor time of all threads, ms) and `faces`, how many were found in all photos, or
      `error`; `models`: for each `model`, `engine` and `detectors`: name -> `ms`, `cpu`,
      `detection` (ms of the detector alone), `faces`, `over_mediapipe` and `over_dlib` (ms over
      that of the peers), `over_detector_dlib` (over that of the same model with dlib's detector),
      or `error`, why it cannot run.

    Raises:
      InputError: a photo cannot be read, or a detector is unknown.
    """
    if unknown := set(detector_models) - set(DETECTORS):
        raise InputError(f"Unknown detectors {sorted(unknown)}. Known: {', '.join(DETECTORS)}.")
    files = find_photos(list(photos)) if photos else []
    for file in files:
        read_photo(file)  # a message now, not a process that failed
    job = {
        "models": [str(model.resolve()) for model in models],
        "photos": [str(file.resolve()) for file in files],
        "rounds": rounds,
        "side": side,
        "detector_models": {name: str(file) for name, file in detector_models.items()},
        "dlib_model": str(dlib_model) if dlib_model else None,
    }
    result: dict[str, Any] = in_fresh_process("senet_landmark.export.speed.whole_photo", job)
    return result


def photo_table(result: dict[str, Any]) -> str:
    """The figures as a Markdown table, with a line for each detector that ran."""
    titles = [
        "model", "detector", "engine", "whole photo, ms", "processor, ms", "detection, ms",
        "over FaceMesh", "over dlib's two", "over the detector dlib", "faces",
    ]  # fmt: skip
    photos = result["photos"]
    lines = []
    for name, figures in result["peers"].items():
        if "error" not in figures:
            times = [f"{figures[kind]:.2f}" for kind in ("ms", "cpu")]
            faces = f"{figures['faces']} in {photos}"
            lines.append(["", PEERS[name], "–", *times, *["–"] * 4, faces])
    for model in result["models"]:
        for name, figures in model["detectors"].items():
            if "error" in figures:
                continue
            ratios = (
                figures.get(f"over_{peer}") for peer in (FACE_MESH, DLIB_PAIR, "detector_dlib")
            )
            lines.append(
                [
                    model["model"], DETECTORS[name].title, ENGINES[model["engine"]].title,
                    *(f"{figures[kind]:.2f}" for kind in ("ms", "cpu", "detection")),
                    *("–" if ratio is None else f"{ratio:.2f}" for ratio in ratios),
                    f"{figures['faces']} in {photos}",
                ]
            )  # fmt: skip
    return markdown_table(titles, lines, texts=3)


def _measure(
    models: Sequence[Path],
    photos: Sequence[np.ndarray],
    rounds: int,
    detector_models: Mapping[str, Path],
    dlib_model: Path | None,
) -> dict[str, Any]:
    """The result of `measure_photos`; in this process."""
    stages: dict[Key, Stage] = {}
    detectors: list[dict[str, Any]] = [{} for _ in models]
    engines = []
    for number, model in enumerate(models):
        for name in DETECTORS:
            try:
                predictor = Predictor(
                    model, detector=name, detector_model=detector_models.get(name)
                )
            except InputError as error:
                detectors[number][name] = {"error": str(error)}
                continue
            detectors[number][name] = {}
            stages[str(number), name, "whole"] = partial(_predict, predictor)
            stages[str(number), name, "detection"] = partial(_detect, predictor)
        engines.append(predictor.engine)
    peers: dict[str, Any] = {}
    for name, load in ((FACE_MESH, _face_mesh), (DLIB_PAIR, partial(_dlib_pair, dlib_model))):
        try:
            stages[(name,)] = load()
            peers[name] = {}
        except InputError as error:
            peers[name] = {"error": str(error)}
    times: dict[Key, list[dict[str, Any]]] = {key: [] for key in stages}
    faces = dict.fromkeys(stages, 0)
    for photo in photos:
        for key, stage in stages.items():
            faces[key] += stage(photo)
        runs = {key: partial(stage, photo) for key, stage in stages.items()}
        for key, time in alternated(runs, math.ceil(rounds / len(photos))).items():
            times[key].append(time)
    medians = {key: _median(values, "median") for key, values in times.items()}
    cpu = {key: _median(values, "cpu") for key, values in times.items()}
    for name, figures in peers.items():
        if "error" not in figures:
            figures |= {"ms": medians[name,], "cpu": cpu[name,], "faces": faces[name,]}
    for number, names in enumerate(detectors):
        for name, figures in names.items():
            if "error" in figures:
                continue
            whole = (str(number), name, "whole")
            figures |= {
                "ms": medians[whole],
                "cpu": cpu[whole],
                "detection": medians[str(number), name, "detection"],
                "faces": faces[whole],
            }
            others: dict[str, Key] = {f"over_{peer}": (peer,) for peer in PEERS}
            others["over_detector_dlib"] = (str(number), DLIB, "whole")
            figures |= {
                title: round(medians[whole] / medians[key], 3)
                for title, key in others.items()
                if key in medians
            }
    sides = [max(photo.shape[:2]) for photo in photos]
    return {
        "photos": len(photos),
        "sides": [min(sides), max(sides)],
        "peers": peers,
        "models": [
            {"model": model.stem, "engine": engine, "detectors": names}
            for model, engine, names in zip(models, engines, detectors, strict=True)
        ],
    }


def _median(times: Sequence[dict[str, Any]], kind: str) -> float:
    """The median over the photos of one figure of `alternated`."""
    return round(statistics.median(time[kind] for time in times), 3)


def _predict(predictor: Predictor, photo: np.ndarray) -> int:
    return len(predictor.predict(photo))


def _detect(predictor: Predictor, photo: np.ndarray) -> int:
    return len(predictor.detect(photo).boxes)


def _dlib_pair(model: Path | None) -> Stage:
    """dlib's detector, and its shape predictor on what that finds."""
    predictor = dlib.shape_predictor(str(find_dlib_model(model)))
    detector = dlib.fhog_object_detector(str(HOG_DETECTOR))

    def run(photo: np.ndarray) -> int:
        rectangles = detector(photo)
        return sum(predictor(photo, rectangle).num_parts > 0 for rectangle in rectangles)

    return run


def _face_mesh() -> Stage:
    """MediaPipe's detector and mesh, as it treats photos that do not follow each other."""
    # MediaPipe imports TensorFlow, where it is installed, only for decorators of its documents; a
    # TensorFlow of another protobuf would keep it from being loaded.
    sys.modules.setdefault("tensorflow", None)  # type: ignore[arg-type]
    mesh = load_face_mesh(static_image_mode=True, max_num_faces=1)
    return lambda photo: len(mesh.process(photo).multi_face_landmarks or ())


def _answer(job: dict[str, Any]) -> dict[str, Any]:
    photos = [read_photo(file) for file in job["photos"]] or [portrait()[0]]
    if job["side"]:
        photos = [shrink(photo, job["side"])[0] for photo in photos]
    return _measure(
        [Path(model) for model in job["models"]],
        [np.ascontiguousarray(photo) for photo in photos],
        job["rounds"],
        {name: Path(file) for name, file in job["detector_models"].items()},
        Path(job["dlib_model"]) if job["dlib_model"] else None,
    )


if __name__ == "__main__":
    answer_job(_answer, tensorflow=False)
