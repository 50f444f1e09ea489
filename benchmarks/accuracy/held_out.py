"""Errors of models on crops: what the scripts that measure held-out faces of records share."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from senet_landmark.evaluation.metrics import point_errors
from senet_landmark.export.engines.interface import Engine
from senet_landmark.export.engines.registry import load_engine
from senet_landmark.export.freezing.recorded_faces import RecordedFaces, recorded_faces
from senet_landmark.face.schemes import Scheme
from senet_landmark.frozen.contract import load_contract
from senet_landmark.frozen.models import find_model

BATCH = 32


def held_out_faces(
    models: list[str], folders: list[Path]
) -> Iterator[tuple[str, Path, Engine, Scheme, RecordedFaces]]:
    """Each model with the held-out faces of each folder of records."""
    for name in models:
        path = find_model(name)
        contract = load_contract(path)
        engine = load_engine(path, contract)
        for folder in folders:
            faces = recorded_faces(folder, contract.scheme, contract.crop, contract.size)
            yield name, folder, engine, contract.landmark_scheme, faces


def errors_of(engine: Engine, crops: np.ndarray, truth: np.ndarray, scheme: Scheme) -> np.ndarray:
    """`metrics.point_errors` by the eye corners, in %, [N, K]; NaN where the truth is unknown.

    Args:
      engine: a model.
      crops: uint8 [N, S, S, 3], as it gets them.
      truth: [N, K, 2], normalised by the crops.
      scheme: of the truth.
    """
    found = [engine(crops[i : i + BATCH])["landmarks"] for i in range(0, len(crops), BATCH)]
    known = np.isfinite(truth).all(axis=2)
    errors = point_errors(np.concatenate(found), truth, scheme, points=known, strict=False)
    return 100 * errors
