"""Commands that help to train well: find-learning-rate before a run, report after it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import tyro

from senet_landmark.cli.common import PresetName
from senet_landmark.config import AugmentConfig, Config, LossConfig, NetworkConfig, TrainConfig


def report(run: Path) -> None:
    """A run's folder -> report.html in it: curves, faces, configuration, on one page.

    Of a run in progress, too. Training writes the page itself when it ends.

    For example:
      senet-landmark report --run run

    Args:
      run: Folder of the run.
    """
    from senet_landmark.runtime import start_tensorflow

    start_tensorflow()
    from senet_landmark.training.report.report import write_training_report

    print(f"Open {write_training_report(run)}")


def make_find_learning_rate(default: Config) -> Callable[..., None]:
    """The `find-learning-rate` command, its options' defaults being those of a preset."""

    def find_learning_rate(
        records: Path,
        out: Path,
        preset: PresetName = "senet",
        lowest: float = 1e-6,
        highest: float = 1.0,
        steps: int = 100,
        network: NetworkConfig = default.network,
        augment: AugmentConfig = default.augment,
        loss: LossConfig = default.loss,
        train: Annotated[TrainConfig, tyro.conf.arg(name="loop")] = default.train,
    ) -> None:
        """Records -> a learning rate to begin with: a short training at ever higher rates.

        The range test of Smith, "Cyclical Learning Rates" (2017). Writes learning_rate.png and
        learning_rate.json; the weights are thrown away.

        For example:
          senet-landmark find-learning-rate --records records --out rates
          senet-landmark train --records records --run run --schedule.initial 2e-3

        Args:
          records: Folder that build-records made.
          out: Folder for the chart and the figures.
          preset: Which recipe; every option below has its value as default.
          lowest: Learning rate of the first step.
          highest: Learning rate of the last step; the test ends before if the loss blows up.
          steps: Steps from the one to the other.
          network: Which network.
          augment: Random changes of training faces.
          loss: Which loss.
          train: Batch size, clipping and seed of the training loop; its length is not heeded.
        """
        from senet_landmark.runtime import start_tensorflow

        start_tensorflow()
        from senet_landmark.training import learning_rate_finder as finder

        config = replace(
            default, preset=preset, network=network, augment=augment, loss=loss, train=train
        )
        found = finder.find_learning_rate(
            config, records, lowest=lowest, highest=highest, steps=steps
        )
        chart = finder.save_range_test(out, found, config)
        print(
            f"The loss falls fastest at {found.suggested:.1e} and is lowest at "
            f"{found.lowest_at:.1e}; the preset has {config.schedule.initial:.1e}. Look at {chart}"
        )
        print(
            f"Use it: senet-landmark train --preset {preset} --records {records} --run RUN "
            f"--schedule.initial {found.suggested:.1e}"
        )

    return find_learning_rate
