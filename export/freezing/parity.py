"""Parity: whether two forms of a model (checkpoint, `.pb`, conversion) give the same outputs."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from senet_landmark.errors import InputError


class Tolerance(NamedTuple):
    """The largest difference that an output may have, and its unit."""

    most: float
    unit: str


TOLERANCES = {
    "landmarks": Tolerance(1e-4, "of the crop"),
    "variance": Tolerance(1e-5, "of the crop's area"),
    "depth": Tolerance(1e-4, "of the face box"),
    "pose": Tolerance(0.01, "degrees"),
    "attributes": Tolerance(1e-4, "of a probability"),
}
"""Output of a model -> the largest difference between two forms of the model."""

Outputs = Mapping[str, np.ndarray]


def differences(outputs: Outputs, expected: Outputs, problem: str) -> dict[str, float]:
    """The largest difference of each output, in its unit.

    Args:
      outputs: name of an output -> its values.
      expected: the same outputs of the other form, on the same crops.
      problem: the beginning of the error message: the file that was not written, and what differs.

    Raises:
      InputError: an output differs by more than its tolerance, or is NaN.
    """
    largest = {name: float(np.abs(outputs[name] - expected[name]).max()) for name in expected}
    for name, difference in largest.items():
        most, unit = TOLERANCES[name]
        if not difference <= most:  # also when it is NaN
            raise InputError(f"{problem} by {difference:.2g} {unit} in {name}, more than {most:g}.")
    return largest


def described(largest: Mapping[str, float]) -> str:
    """`landmarks to 1.2e-07 of the crop, pose to …`: the result of `differences` as text."""
    return ", ".join(
        f"{name} to {value:.1e} {TOLERANCES[name].unit}" for name, value in largest.items()
    )
