"""Copies of the shipped model, a large photo, and the files beside a model."""

import shutil
from pathlib import Path

import cv2
import pytest

from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.face import geometry
from senet_landmark.frozen.models import find_model

pytest.importorskip("tf2onnx", reason="needs the extra [onnx]")

SHIPPED = find_model("senet-68")


def copy_of(model: Path, folder: Path, name: str = "m") -> Path:
    for suffix in (".pb", ".json"):
        shutil.copy(model.with_suffix(suffix), folder / f"{name}{suffix}")
    return folder / f"{name}.pb"


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


def large_photo():
    """The portrait at 1000 pixels, its landmarks, and their tight box."""
    photo, truth = portrait()
    factor = 1000 / photo.shape[0]
    large = cv2.resize(photo, (1000, 1000), interpolation=cv2.INTER_CUBIC)
    truth = (truth + 0.5) * factor - 0.5
    return large, truth, geometry.box_from_landmarks(truth)[None]
