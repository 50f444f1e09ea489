"""Fits the expected error of frozen models anew, as `freeze` does, when their runs are gone.

python benchmarks/shipped/expected_error.py --models senet-68 --records records records-ytf

Only the field `expected_error` of the contract changes. For each folder it prints how far the
expected error is from the true one: on average over all points, the contour and the others.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from senet_landmark.export.engines.registry import load_engine
from senet_landmark.export.freezing.calibration import (
    FITTED,
    annotated_faces,
    with_expected_error,
)
from senet_landmark.export.inference.confidence import expected_errors, with_spread
from senet_landmark.frozen.contract import load_contract, save_contract
from senet_landmark.frozen.models import find_model

GROUPS = {"all": slice(None), "contour": slice(0, 17), "others": slice(17, None)}
"""Points of 300W's 68."""


def main() -> None:
    """Rewrites the contracts, unless --dry-run, and prints the ratios of expected to true error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", required=True)
    parser.add_argument("--records", nargs="+", type=Path, required=True)
    parser.add_argument("--dry-run", action="store_true", help="change no contract")
    options = parser.parse_args()
    for name in options.models:
        path = find_model(name)
        contract = load_contract(path)
        engine = load_engine(path, contract, "tensorflow")
        annotated = annotated_faces(options.records, contract)
        fitted, count = with_expected_error(contract, engine, annotated)
        curve = fitted.expected_error
        print(f"{name}: fitted to {count} faces, exponent {curve.exponent if curve else None}")
        for faces in annotated:
            outputs, spread = with_spread(engine, faces.crops(FITTED), contract.landmark_scheme)
            errors = np.linalg.norm(outputs["landmarks"] - faces.landmarks(FITTED), axis=2)
            expected = expected_errors(curve, spread)
            ratios = [
                f"{group} {np.nanmean(expected[:, points]) / np.nanmean(errors[:, points]):.2f}"
                for group, points in GROUPS.items()
            ]
            print(
                f"  {len(errors):4} faces of {faces.store.record(0).dataset}: {', '.join(ratios)}"
            )
        if not options.dry_run:
            save_contract(path, replace(contract, expected_error=curve))


if __name__ == "__main__":
    main()
