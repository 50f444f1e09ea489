"""What a tracker is, and the registry of those that `train.trackers` names."""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from senet_landmark.config import Config
from senet_landmark.errors import InputError


class Tracker(Protocol):
    """Receives the curves and pictures of a run, as in `train(..., trackers=[tracker])`.

    Of each session of a run `begin` is called once, `log` any number of times and `end` once, all
    in one thread that has nothing else to do: training does not wait for it, except for `begin`,
    and for at most a minute at the end. What they raise becomes a warning. A run that a kill sets
    back to its last checkpoint logs the steps after it again.

    Attributes:
      name: in messages and in `RUN/trackers.json`; another for each tracker of a run.
    """

    name: str

    def begin(self, run: Path, config: Config, step: int, tracked: str) -> str:
        """A session begins.

        Args:
          run: folder of the run.
          config: configuration of the run.
          step: number of steps done before.
          tracked: what `begin` of the run's last session returned; empty in the first.

        Returns:
          The tracker's own identifier of the run, by which the next session goes on with it; may be
          empty.
        """

    def log(
        self, step: int, scalars: Mapping[str, float], pictures: Mapping[str, np.ndarray]
    ) -> None:
        """Logs points of curves by their names, and pictures, RGB uint8 [H, W, 3].

        A step may come twice, with other names.
        """

    def end(self, ended: str) -> None:
        """A session ended: `TrainResult.ended`, or empty after an error."""


TRACKERS = {
    "wandb": "weights_and_biases.WeightsAndBiases",
    "mlflow": "mlflow_run.MLflowRun",
}
"""Name -> file and class. A new tracker is one file in this folder and one line here."""


def make_trackers(names: Sequence[str]) -> list[Tracker]:
    """The trackers of these names.

    Raises:
      InputError: a name is not in the registry.
      ModuleNotFoundError: the tracker's package is not installed.
    """
    trackers: list[Tracker] = []
    for name in names:
        if name not in TRACKERS:
            raise InputError(
                f"train.trackers: {name!r} is not one of {', '.join(TRACKERS)}. TensorBoard needs "
                "none: it reads the folder of every run."
            )
        file, _, class_name = TRACKERS[name].partition(".")
        module = importlib.import_module(f"senet_landmark.training.tracking.{file}")
        trackers.append(getattr(module, class_name)())
    return trackers


def check_names(trackers: Sequence[Tracker]) -> None:
    """Raises InputError if two trackers have one name."""
    names = [tracker.name for tracker in trackers]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{name}: two trackers have this name; each needs one of its own.")
