"""MLflow. Server or database, experiment and the rest are set by its own MLFLOW_… variables.

https://mlflow.org/docs/latest/ml/tracking
"""

from collections.abc import Mapping
from pathlib import Path

import mlflow
import numpy as np

from senet_landmark.config import Config, flat, to_json

STATUS = {"done": "FINISHED", "early_stopped": "FINISHED", "interrupted": "KILLED"}
"""How a session ended -> MLflow's status of the run; otherwise FAILED."""


class MLflowRun:
    """A `tracker.Tracker`: the run's folder is the run's name.

    The settings are parameters, which MLflow never changes; `config.json` among its files is that
    of the last session, in which the length of the run may be another.
    """

    name = "mlflow"

    def begin(self, run: Path, config: Config, step: int, tracked: str) -> str:
        """See `Tracker`."""
        del step
        started = mlflow.start_run(run_id=tracked or None, run_name=run.resolve().name)
        if not tracked:
            mlflow.log_params(dict(flat(to_json(config))))
        mlflow.log_dict(to_json(config), "config.json")
        return started.info.run_id

    def log(
        self, step: int, scalars: Mapping[str, float], pictures: Mapping[str, np.ndarray]
    ) -> None:
        """See `Tracker`."""
        mlflow.log_metrics(dict(scalars), step=step)
        for tag, picture in pictures.items():
            mlflow.log_image(picture, key=tag, step=step)

    def end(self, ended: str) -> None:
        """See `Tracker`."""
        mlflow.end_run(STATUS.get(ended, "FAILED"))
