"""Held-out faces -> the curves of how sure the model is (`export/inference/confidence.py`).

The confidence is fitted to crops of faces and beside them. The expected error is fitted to the
annotations that data sets publish, never to pseudo-labels: these say how far a model is from its
teacher, not from the truth.
"""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from senet_landmark.data.identities import identities
from senet_landmark.data.records import RecordsInfo, load_records_info
from senet_landmark.data_tools.datasets.registry import pseudo_labelled
from senet_landmark.errors import InputError
from senet_landmark.export.engines.interface import Engine
from senet_landmark.export.freezing.recorded_faces import RecordedFaces, recorded_faces
from senet_landmark.export.inference.confidence import (
    fit_confidence,
    fit_expected_errors,
    separation,
    with_spread,
)
from senet_landmark.frozen.contract import Contract

FITTED = 300
"""Largest number of held-out faces that are fitted, of each folder of records."""


def with_confidence(contract: Contract, engine: Engine, faces: RecordedFaces) -> Contract:
    """The contract with the curve of the confidence, fitted to `faces` and to crops beside them."""
    scheme = contract.landmark_scheme
    _, spread = with_spread(engine, faces.crops(FITTED), scheme)
    _, spread_beside = with_spread(engine, faces.crops_beside(FITTED), scheme)
    return replace(
        contract,
        confidence=fit_confidence(spread, spread_beside),
        metrics={**contract.metrics, "face_auc": round(100 * separation(spread, spread_beside), 2)},
    )


def with_expected_error(
    contract: Contract, engine: Engine, annotated: Sequence[RecordedFaces]
) -> tuple[Contract, int]:
    """The contract with the curve of the expected error, and the number of faces it is fitted to.

    Args:
      contract: of the model.
      engine: the model.
      annotated: faces with published annotations that the model was not trained on
        (`annotated_faces`). Without any known landmark the model gets no curve.
    """
    spreads, errors = [], []
    for faces in annotated:
        outputs, spread = with_spread(engine, faces.crops(FITTED), contract.landmark_scheme)
        spreads.append(spread)
        errors.append(np.linalg.norm(outputs["landmarks"] - faces.landmarks(FITTED), axis=2))
    if not any(np.isfinite(error).any() for error in errors):
        return replace(contract, expected_error=None), 0
    curve = fit_expected_errors(np.concatenate(spreads), np.concatenate(errors))
    return replace(contract, expected_error=curve), sum(map(len, errors))


def annotated_faces(folders: Sequence[Path], contract: Contract) -> list[RecordedFaces]:
    """The held-out faces in `folders` of records of published annotations, for a model's crop.

    Folders with pseudo-labels, and folders that are gone, are left out; so are faces of identities
    that another folder has in its training split.
    """
    found = dict(_present(folders))
    sides = {folder: identities(folder, info) for folder, info in found.items()}
    trained = set(itertools.chain.from_iterable(side.get("train", ()) for side in sides.values()))
    annotated = []
    for folder, info in found.items():
        held_out = sides[folder].get(info.held_out, ())
        if not pseudo_labelled(info.dataset) and set(held_out) - trained:
            annotated.append(
                recorded_faces(
                    folder, contract.scheme, contract.crop, contract.size, without=trained
                )
            )
    return annotated


def _present(folders: Sequence[Path]) -> list[tuple[Path, RecordsInfo]]:
    """The folders that can be read, each once, with their reports."""
    present = []
    for folder in dict.fromkeys(folder.absolute() for folder in folders):
        try:
            present.append((folder, load_records_info(folder)))
        except InputError:  # moved or deleted since the training
            continue
    return present
