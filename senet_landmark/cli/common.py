"""What the commands share: the choices that `--help` shows, and how skipped files are told."""

import sys
from pathlib import Path
from typing import Literal

from senet_landmark.errors import InputError

BoxSource = Literal["landmarks", "annotation", "dlib", "dlib_cnn"]
DatasetName = Literal[
    "300w_lp", "300w", "aflw2000", "cofw", "csv", "dlib_xml", "mtfl", "tfds_300w_lp", "wflw", "ytf"
]
DetectorName = Literal["dlib", "dlib_cnn"]
EngineName = Literal["opencv", "onnxruntime", "tflite", "tensorflow", "tensorflow2"]
PeerName = Literal["dlib", "mediapipe"]
PresetName = Literal[
    "senet",
    "senet_small",
    "senet_original",
    "quickstart",
    "tcdcn",
    "tcdcn_attributes",
    "tcdcn_pose",
    "tcdcn_landmarks",
    "tcdcn_augmented",
    "tcdcn_attributes_augmented",
    "tcdcn_pose_augmented",
    "tcdcn_landmarks_augmented",
    "cnn",
    "pfld",
    "pfld_025",
    "pfld_unaugmented",
    "asmnet",
    "asmnet_without_asm",
]


def print_skipped(skipped: list[dict[str, str]], where: Path | None = None, most: int = 5) -> None:
    """Says how many faces or photos were skipped, and why the first were; to stderr."""
    if not skipped:
        return
    print(f"Skipped {len(skipped)}:", file=sys.stderr)
    for skip in skipped[:most] if where else skipped:
        print(f"  {skip['reason']}", file=sys.stderr)
    if where and len(skipped) > most:
        print(f"  … all of them in {where}", file=sys.stderr)


def sets_of(on: tuple[str, ...]) -> list[tuple[str, Path]]:
    """`300w=300w/helen/testset` -> (data set, folder) of each. Raises InputError that says so."""
    return _pairs(on, "--on", "DATASET=FOLDER, as 300w=300w/helen/testset")


def trainings_of(train: tuple[str, ...]) -> list[tuple[str, Path]]:
    """`senet=records` -> (preset, folder of records) of each. Raises InputError that says so."""
    return _pairs(train, "--train", "PRESET=RECORDS, as senet=records")


def _pairs(texts: tuple[str, ...], option: str, wanted: str) -> list[tuple[str, Path]]:
    found = []
    for text in texts:
        name, equals, folder = text.partition("=")
        if not (name and equals and folder):
            raise InputError(f"{option} {text}: give {wanted}.")
        found.append((name, Path(folder)))
    return found
