"""Commands around a training: find-learning-rate before it, report during and after it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from senet_landmark.cli.choices import PresetName
from senet_landmark.config import AugmentConfig, Config, LossConfig, NetworkConfig, TrainConfig


def report(run: Path) -> None:
    """A training run -> report.html in its folder: curves, faces and configuration on one page.

    Training writes this page itself at its end. The command also works while a run goes on.

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
    """The `find-learning-rate` command; a preset gives the defaults of its options."""

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
        train: TrainConfig = default.train,
    ) -> None:
        """Records -> a learning rate to begin with, by a short training at higher and higher rates.

        This is the learning-rate range test of Smith, "Cyclical Learning Rates" (2017). It writes
        learning_rate.png and learning_rate.json; the weights are not kept.

        For example:
          senet-landmark find-learning-rate --records records --out rates
          senet-landmark train --records records --run run --schedule.initial 2e-3

        Args:
          records: Folder that build-records wrote.
          out: Folder for the chart and the figures.
          preset: Recipe that the test begins with; it sets the defaults of the options below.
          lowest: Learning rate of the first step.
          highest: Learning rate of the last step; the test stops earlier if the loss diverges.
          steps: Steps of the test, from the lowest rate to the highest.
          network: The network.
          augment: Random changes of training faces.
          loss: The loss.
          train: The training loop.
        """
        from senet_landmark.runtime import start_tensorflow

        start_tensorflow()
        from senet_landmark.training import learning_rate_finder as finder

        config = replace(
            default, preset=preset, network=network, augment=augment, loss=loss, train=train
        )
        range_test = finder.find_learning_rate(
            config, records, lowest=lowest, highest=highest, steps=steps
        )
        chart = finder.save_range_test(out, range_test, config)
        print(
            f"The loss falls fastest at {range_test.suggested:.1e} and is lowest at "
            f"{range_test.lowest_at:.1e}; the preset has {config.schedule.initial:.1e}. "
            f"Look at {chart}"
        )
        print(
            f"Use it: senet-landmark train --preset {preset} --records {records} --run RUN "
            f"--schedule.initial {range_test.suggested:.1e}"
        )

    return find_learning_rate
