"""The runs that `compare` trains itself, one after another: a preset on records, by minutes."""

import gc
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from senet_landmark.config import Config
from senet_landmark.data.records import load_records_info, shard_paths
from senet_landmark.errors import InputError
from senet_landmark.export.evaluation.evaluate import unique_names
from senet_landmark.presets import for_minutes, get_preset
from senet_landmark.training.checkpoints import latest_checkpoint, load_run, load_state, same_recipe
from senet_landmark.training.train import train


@dataclass(frozen=True)
class Training:
    """A run to train.

    Attributes:
      config: the preset; only its minutes end the run.
      records: folder of the records.
      run: folder of the run.
    """

    config: Config
    records: Path
    run: Path


def plan_trainings(
    presets: Sequence[tuple[str, Path]], minutes: float, folder: Path
) -> list[Training]:
    """The runs to train. Everything that can be checked before training is checked here.

    Args:
      presets: (preset, folder of records) of each run.
      minutes: minutes of training of each run.
      folder: folder of the runs: `FOLDER/PRESET`; where two have the same preset, the name of the
        records comes first.

    Raises:
      InputError: `minutes` is not above 0; a preset is unknown; a folder holds no records; a pair
        is given twice; a folder holds a run with another configuration or other records.
    """
    pairs = [(preset, Path(records).resolve()) for preset, records in presets]
    for pair, (preset, records) in zip(pairs, presets, strict=True):
        if pairs.count(pair) > 1:
            raise InputError(f"--train {preset}={records}: is given twice.")
    names = unique_names([(preset, records.name) for preset, records in pairs])
    trainings = []
    for name, (preset, records) in zip(names, presets, strict=True):
        config, info = for_minutes(get_preset(preset), minutes), load_records_info(records)
        for split in ("train", info.held_out):
            shard_paths(records, info, split)
        config = replace(config, records=info.records)
        trainings.append(Training(config, Path(records), folder / name))
        _check_begun(trainings[-1])
    return trainings


def _check_begun(training: Training) -> None:
    """Raises InputError if the folder holds a run of another configuration or of other records."""
    run = training.run
    if latest_checkpoint(run) is None:
        return
    begun, info, _ = load_run(run)
    if info != load_records_info(training.records):
        raise InputError(
            f"{run}: was trained on other records than {training.records} now holds. Give another "
            "--out, or delete that folder."
        )
    if not same_recipe(begun, training.config):
        raise InputError(
            f"{run}: was begun with another configuration than preset {training.config.preset!r} "
            "now has. Give another --out, or delete that folder."
        )


def train_all(trainings: Sequence[Training]) -> dict[Path, str]:
    """Trains one run after another; a run that has reached its minutes is left as it is.

    Returns:
      Folder of each run that could not be trained -> why.

    Raises:
      KeyboardInterrupt: Ctrl-C or SIGTERM ended a training; the message says what was saved.
    """
    problems: dict[Path, str] = {}
    for number, training in enumerate(trainings, 1):
        run, minutes = training.run, training.config.train.minutes
        if _is_done(training):
            continue
        print(
            f"[{number}/{len(trainings)}] {training.config.preset} on {training.records}, "
            f"{minutes:g} minutes -> {run}",
            file=sys.stderr,
            flush=True,
        )
        try:
            result = train(training.config, training.records, run)
        except InputError as error:
            problems[run] = str(error)
            continue
        finally:
            # TensorFlow's graphs are reference cycles that hold the decoded crops of their records.
            gc.collect()
        if result.interrupted:
            raise KeyboardInterrupt(
                f"{run}: saved at step {result.steps} after {result.minutes:.1f} of {minutes:g} "
                "minutes. The same command goes on from there."
            )
    return problems


def _is_done(training: Training) -> bool:
    trained = latest_checkpoint(training.run) is not None
    return trained and load_state(training.run).minutes >= training.config.train.minutes
