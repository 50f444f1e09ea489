"""Whether two forms of one model give the same: a checkpoint, a `.pb`, what it was converted to."""

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
    "pose": Tolerance(0.01, "degrees"),
    "attributes": Tolerance(1e-4, "of a probability"),
}
"""Output of a model -> how far two forms of it may differ."""

Outputs = Mapping[str, np.ndarray]


def differences(found: Outputs, expected: Outputs, problem: str) -> dict[str, float]:
    """The largest difference of each output, in its unit.

    Args:
      found: name of an output -> its values.
      expected: the same outputs of the other form, on the same crops.
      problem: what a message begins with: the file that was not written, and what differs.

    Raises:
      InputError: an output differs by more than its tolerance, or is NaN.
    """
    largest = {name: float(np.abs(found[name] - expected[name]).max()) for name in expected}
    for name, difference in largest.items():
        most, unit = TOLERANCES[name]
        if not difference <= most:  # also when it is NaN
            raise InputError(f"{problem} by {difference:.2g} {unit} in {name}, more than {most:g}.")
    return largest


def described(largest: Mapping[str, float]) -> str:
    """`landmarks to 1.2e-07 of the crop, pose to …`, of what `differences` gives."""
    return ", ".join(
        f"{name} to {value:.1e} {TOLERANCES[name].unit}" for name, value in largest.items()
    )
