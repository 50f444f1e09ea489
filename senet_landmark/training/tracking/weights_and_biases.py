"""Weights & Biases. Project, entity, mode and the rest are set by its own WANDB_… variables.

https://docs.wandb.ai/ref/python
"""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import wandb

from senet_landmark.config import Config, to_json


class WeightsAndBiases:
    """A `tracker.Tracker`: the run's folder is the run's name; files of its own are in RUN/wandb.

    Steps that a killed run does again keep their first values: a step of a run of W&B only grows.
    """

    name = "wandb"

    def begin(self, run: Path, config: Config, step: int, tracked: str) -> str:
        """See `Tracker`."""
        del step
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "senet_landmark"),
            name=os.environ.get("WANDB_NAME", run.resolve().name),
            id=tracked or None,
            resume="allow",
            dir=run,
            config=to_json(config),
        )
        return self._run.id

    def log(
        self, step: int, scalars: Mapping[str, float], pictures: Mapping[str, np.ndarray]
    ) -> None:
        """See `Tracker`."""
        self._run.log(
            {**scalars, **{tag: wandb.Image(picture) for tag, picture in pictures.items()}}, step
        )

    def end(self, ended: str) -> None:
        """See `Tracker`."""
        self._run.finish(exit_code=0 if ended else 1)
