"""The files in a run's folder, and how weights are written to and read from it.

RUN/config.json        the whole configuration
RUN/records.json       folder and description of the records
RUN/environment.json   versions, processor, digest of the records (`environment.py`)
RUN/state.json         minutes trained, figures of the validation
RUN/shape_model.json   the shape model that makes the ASM copies, if the loss uses them
RUN/trackers.json      what `train.trackers` know the run by
RUN/skipped.json       corrupt records, if there are any
RUN/checkpoints/       the last three checkpoints: weights, optimiser, averages, step, run state
RUN/best/              the weights of the best validation, without the optimiser
RUN/result.json        how the last session ended
RUN/report.html        curves and pictures (`report/report.py`)
RUN/events…            TensorBoard
"""

import itertools
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import tensorflow.compat.v1 as tf

from senet_landmark.config import Config, from_json, load_config, save_config, to_json
from senet_landmark.data.records import RecordsInfo
from senet_landmark.errors import InputError
from senet_landmark.io.files import read_json, require_folder, write_json
from senet_landmark.networks.weights import Weights
from senet_landmark.training.distributed.cluster import is_lost_connection
from senet_landmark.training.moving_average import SUFFIX
from senet_landmark.training.task_stopping import TaskHistory

SHAPE_MODEL = "shape_model.json"
"""Name of the file with the shape model, in a run's folder."""


@dataclass(frozen=True)
class RunState:
    """The state of a run that is saved with each checkpoint.

    Attributes:
      minutes: minutes trained, all sessions added up.
      best_nme: lowest validation NME so far, percent; None before the first validation.
      best_step: the step at which `best_nme` was measured.
      figures: figures of the best validation if the run keeps its best weights, else of the last.
      tasks: name of an auxiliary task -> its errors; empty without `train.task_stopping`.
    """

    minutes: float = 0.0
    best_nme: float | None = None
    best_step: int = 0
    figures: dict[str, float] = field(default_factory=dict)
    tasks: dict[str, TaskHistory] = field(default_factory=dict)


def same_recipe(started: Config, config: Config) -> bool:
    """Whether a run that began with configuration `started` may be resumed with `config`.

    Options of the run's length (steps, epochs, minutes, patience), of the machine (threads, memory)
    and of what is measured and written may differ.
    """
    free = {name: getattr(config.train, name) for name in _FREE}
    return replace(started, train=replace(started.train, **free)) == config


_FREE = (
    "steps", "epochs", "minutes", "patience", "threads", "cache_mb", "max_corrupt", "summary_every",
    "report", "wait_minutes", "measure_training", "trackers",
)  # fmt: skip


def save_run(run: Path, config: Config, info: RecordsInfo, records: Path) -> None:
    """Writes the files that describe a run."""
    save_config(run / "config.json", config)
    write_json(run / "records.json", {"folder": str(records.resolve()), "info": to_json(info)})


def load_run(run: Path | str) -> tuple[Config, RecordsInfo, Path]:
    """Reads what `save_run` wrote: configuration, description of the records, and their folder.

    Raises:
      InputError: the folder is not that of a run, or one of its files is damaged.
    """
    run = require_folder(run, "a training run (train's --run)")
    if not (run / "config.json").is_file():
        raise InputError(f"{run}: no config.json, so this is not a run; give train's --run.")
    description = read_json(run / "records.json")
    if not isinstance(description, dict) or set(description) != {"folder", "info"}:
        raise InputError(f"{run / 'records.json'}: does not describe records; start a new run.")
    info = from_json(RecordsInfo, description["info"], str(run / "records.json"))
    return load_config(run / "config.json"), info, Path(description["folder"])


def save_state(run: Path, state: RunState) -> None:
    """Writes the run's state, whole or not at all."""
    write_json(run / "state.json", to_json(state))


def load_state(run: Path, prefix: str | None = None) -> RunState:
    """The state saved with checkpoint `prefix`, or the run's latest; a new one if there is none."""
    path = Path(f"{prefix}.state.json") if prefix else run / "state.json"
    if prefix and not path.exists():  # an earlier version of the program began the run
        path = run / "state.json"
    return from_json(RunState, read_json(path), str(path)) if path.exists() else RunState()


def latest_checkpoint(run: Path) -> str | None:
    """Prefix of the newest complete checkpoint of a run, or None."""
    return next(_newest_first(run / "checkpoints"), None)


def readable_checkpoint(run: Path) -> str | None:
    """Prefix of the newest checkpoint that can be read completely, or None.

    Prints a warning for each damaged one. A checkpoint is complete when it gets its name, but a
    disk may damage it afterwards.
    """
    for prefix in _newest_first(run / "checkpoints"):
        try:
            reader = tf.train.load_checkpoint(prefix)
            for name in reader.get_variable_to_shape_map():
                reader.get_tensor(name)  # verifies the checksum
            return prefix
        except (tf.errors.OpError, ValueError, RuntimeError, IndexError) as error:
            print(
                f"{prefix}: the checkpoint is damaged ({error}); using the one before it.",
                file=sys.stderr,
            )
    return None


def _newest_first(folder: Path) -> Iterator[str]:
    # From the folder's listing, not from the absolute paths in TensorFlow's `checkpoint` file: the
    # run may have been moved. The index is written last, so a prefix that has one is complete.
    prefixes = [str(index.with_suffix("")) for index in folder.glob("*.ckpt-*.index")]
    return iter(sorted(prefixes, key=step_of, reverse=True))


def step_of(prefix: str) -> int:
    """The global step in a checkpoint's name."""
    return int(prefix.rpartition("-")[2])


def weights_of(run: Path | str) -> tuple[Weights, int, str]:
    """The result of a run: its best weights if it kept them, else the latest (averaged) ones.

    Returns:
      Weights by variable name; the step at which they were saved; the checkpoint's prefix.

    Raises:
      InputError: the run has no checkpoint yet, or the checkpoint cannot be read.
    """
    run = Path(run)
    prefix = next(_newest_first(run / "best"), None) or latest_checkpoint(run)
    if prefix is None:
        raise InputError(f"{run}: has no checkpoint yet. Train with `senet-landmark train` first.")
    return read_weights(prefix), step_of(prefix), prefix


def read_weights(prefix: str) -> Weights:
    """The weights of a checkpoint; the moving average of each weight where it was saved.

    Raises:
      InputError: the checkpoint cannot be read.
    """
    try:
        reader = tf.train.load_checkpoint(prefix)
    except (tf.errors.OpError, ValueError) as error:
        raise InputError(f"{prefix}: the checkpoint cannot be read ({error}).") from error
    names = set(reader.get_variable_to_shape_map())
    return {
        name: reader.get_tensor(name + SUFFIX if name + SUFFIX in names else name)
        for name in names
        if not name.endswith(SUFFIX)
    }


def save_checkpoint(
    saver: tf.train.Saver,
    session: tf.Session,
    folder: Path,
    step: int,
    state: RunState | None = None,
) -> None:
    """Writes the saver's variables to `FOLDER/model.ckpt-STEP`, whole or not at all.

    The files are written to a temporary folder, flushed to the disk and moved. The index is moved
    last: without it the other files are no checkpoint. `state` is saved beside them, so that a run
    resumed from this checkpoint also resumes from this state.

    Raises:
      InputError: the disk is full, or cannot be written for another reason. Earlier checkpoints
        stay.
    """
    prefix = folder / f"model.ckpt-{step}"
    unfinished = folder / ".unfinished"
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        saver.save(
            session, str(unfinished / prefix.name), write_meta_graph=False, write_state=False
        )
        if state is not None:
            write_json(unfinished / f"{prefix.name}.state.json", to_json(state))
        for path in sorted(unfinished.iterdir(), key=lambda path: path.suffix == ".index"):
            with open(path, "rb+") as stream:
                os.fsync(stream.fileno())
            path.replace(folder / path.name)
        shutil.rmtree(unfinished)
        # TensorFlow's own tools read this file; this project does not.
        tf.train.update_checkpoint_state(str(folder), prefix.name)
    except (OSError, tf.errors.OpError) as error:
        if is_lost_connection(error):
            raise
        shutil.rmtree(unfinished, ignore_errors=True)
        raise _not_saved(prefix, error) from error


def _not_saved(prefix: Path, error: Exception) -> InputError:
    reason = error.strerror if isinstance(error, OSError) else _reason(str(error))
    last = next(_newest_first(prefix.parent), None)
    keeps = (
        f"{last} stays: the same command continues from it" if last else "There is no earlier one"
    )
    free = shutil.disk_usage(prefix.parent if prefix.parent.exists() else Path()).free
    return InputError(
        f"{prefix}: the checkpoint could not be written ({reason}); {free / 1e6:.0f} MB are free. "
        f"{keeps}. Make room, and start again."
    )


def _reason(message: str) -> str:
    """The cause, taken from TensorFlow's long message: `FILE; No space left on device`."""
    lines = message.splitlines()
    causes = [line for before, line in itertools.pairwise(lines) if before.startswith("Node: ")]
    return next(iter(causes), lines[0]).rpartition("; ")[2]


def keep_checkpoints(folder: Path, keeps: Callable[[int, int], bool]) -> None:
    """Deletes the checkpoints that are not to be kept.

    Args:
      folder: folder of checkpoints.
      keeps: (number of newer checkpoints, step) -> whether to keep a checkpoint.
    """
    prefixes = [Path(prefix).name for prefix in _newest_first(folder)]
    keep = {name for n, name in enumerate(prefixes) if keeps(n, step_of(name))}
    files = [p for p in folder.glob("*.ckpt-*.*") if not any(p.match(f"{k}.*") for k in keep)]
    # Indices first: if the process is killed now, the files that remain are no checkpoint, and the
    # next call deletes them.
    for path in sorted(files, key=lambda path: path.suffix != ".index"):
        path.unlink(missing_ok=True)
