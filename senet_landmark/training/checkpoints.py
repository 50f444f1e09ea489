"""What a run's folder holds, and how weights get in and out of it.

RUN/config.json        the whole configuration
RUN/records.json       what the records said of themselves
RUN/environment.json   versions, processor, digest of the records (`environment.py`)
RUN/state.json         minutes trained, figures of the validation
RUN/shape_model.json   what makes the ASM copies, where the loss has such
RUN/skipped.json       corrupt records, where there are such
RUN/checkpoints/       the last three: weights, optimiser, averages, step; and the state of each
RUN/best/              the weights alone, of the best validation
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
from senet_landmark.training.task_stopping import TaskHistory

SHAPE_MODEL = "shape_model.json"
"""Name of the file with the shape model, in a run's folder."""


@dataclass(frozen=True)
class RunState:
    """What a run remembers beside its checkpoint.

    Attributes:
      minutes: minutes trained, all sessions added up.
      best_nme: lowest validation NME so far, percent; None before the first validation.
      best_step: the step that it was measured at.
      figures: of the validation that the run stands for: its best if it keeps that, else its last.
      tasks: task beside the landmarks -> its errors, where `train.task_stopping` watches them.
    """

    minutes: float = 0.0
    best_nme: float | None = None
    best_step: int = 0
    figures: dict[str, float] = field(default_factory=dict)
    tasks: dict[str, TaskHistory] = field(default_factory=dict)


def same_recipe(begun: Config, config: Config) -> bool:
    """Whether a run that was begun with one configuration may go on with the other.

    Longer is not another recipe: a run may be given more steps, epochs, minutes or patience. Nor
    is another machine: threads and memory.
    """
    free = {name: getattr(config.train, name) for name in _FREE}
    return replace(begun, train=replace(begun.train, **free)) == config


_FREE = (
    "steps", "epochs", "minutes", "patience", "threads", "cache_mb", "max_corrupt", "summary_every",
    "report",
)  # fmt: skip


def save_run(run: Path, config: Config, info: RecordsInfo, records: Path) -> None:
    """Writes the files that describe a run."""
    save_config(run / "config.json", config)
    write_json(run / "records.json", {"folder": str(records.resolve()), "info": to_json(info)})


def load_run(run: Path | str) -> tuple[Config, RecordsInfo, Path]:
    """Configuration, description of the records, and their folder, as `save_run` wrote them.

    Raises:
      InputError: the folder is not a run's, or a file of it is damaged.
    """
    run = require_folder(run, "a training run (train's --run)")
    if not (run / "config.json").is_file():
        raise InputError(f"{run}: no config.json, so this is not a run; give train's --run.")
    described = read_json(run / "records.json")
    if not isinstance(described, dict) or set(described) != {"folder", "info"}:
        raise InputError(f"{run / 'records.json'}: does not describe records; train anew.")
    info = from_json(RecordsInfo, described["info"], str(run / "records.json"))
    return load_config(run / "config.json"), info, Path(described["folder"])


def save_state(run: Path, state: RunState) -> None:
    """Writes the run's state, whole or not at all."""
    write_json(run / "state.json", to_json(state))


def load_state(run: Path, prefix: str | None = None) -> RunState:
    """The run's state, or that which was saved with the checkpoint `prefix`; a new one without."""
    path = Path(f"{prefix}.state.json") if prefix else run / "state.json"
    if prefix and not path.exists():  # of a run that an earlier version began
        path = run / "state.json"
    return from_json(RunState, read_json(path), str(path)) if path.exists() else RunState()


def latest_checkpoint(run: Path) -> str | None:
    """Prefix of the newest whole checkpoint of a run, or None."""
    return next(_newest_first(run / "checkpoints"), None)


def readable_checkpoint(run: Path) -> str | None:
    """Prefix of the newest checkpoint whose every value can be read; a broken one is named.

    A checkpoint gets its name once it is whole, but a disk may damage it afterwards.
    """
    for prefix in _newest_first(run / "checkpoints"):
        try:
            reader = tf.train.load_checkpoint(prefix)
            for name in reader.get_variable_to_shape_map():
                reader.get_tensor(name)  # checks its checksum
            return prefix
        except (tf.errors.OpError, ValueError, RuntimeError, IndexError) as error:
            print(
                f"{prefix}: the checkpoint is damaged ({error}); the one before is taken.",
                file=sys.stderr,
            )
    return None


def _newest_first(folder: Path) -> Iterator[str]:
    # By the folder's own files, not by the absolute paths in TensorFlow's `checkpoint` file: a run
    # may have been moved. The index is written last, so a prefix that has one is whole.
    prefixes = [str(index.with_suffix("")) for index in folder.glob("*.ckpt-*.index")]
    return iter(sorted(prefixes, key=step_of, reverse=True))


def step_of(prefix: str) -> int:
    """The global step in a checkpoint's name."""
    return int(prefix.rpartition("-")[2])


def weights_of(run: Path | str) -> tuple[Weights, int, str]:
    """The weights that a run stands for: its best if it kept one, its latest (averaged) otherwise.

    Returns:
      Weights by variable name; the step that they are from; the checkpoint's path.

    Raises:
      InputError: the run has no checkpoint yet, or it cannot be read.
    """
    run = Path(run)
    prefix = next(_newest_first(run / "best"), None) or latest_checkpoint(run)
    if prefix is None:
        raise InputError(f"{run}: has no checkpoint yet. Train with `senet-landmark train` first.")
    return read_weights(prefix), step_of(prefix), prefix


def read_weights(prefix: str) -> Weights:
    """The weights of a checkpoint, averaged where an average was kept.

    Raises:
      InputError: it cannot be read.
    """
    try:
        reader = tf.train.load_checkpoint(prefix)
    except (tf.errors.OpError, ValueError) as error:
        raise InputError(f"{prefix}: the checkpoint cannot be read ({error}).") from error
    names = set(reader.get_variable_to_shape_map())
    averaged = "/ExponentialMovingAverage"
    return {
        name: reader.get_tensor(name + averaged if name + averaged in names else name)
        for name in names
        if not name.endswith(averaged)
    }


def save_checkpoint(
    saver: tf.train.Saver,
    session: tf.Session,
    folder: Path,
    step: int,
    state: RunState | None = None,
) -> None:
    """Writes the saver's variables to `FOLDER/model.ckpt-STEP`, whole or not at all.

    They are written under another name, brought to the disk and renamed, the index, which makes a
    checkpoint of them, last. `state` becomes a file beside them: a run that goes on from this
    checkpoint goes on from this state.

    Raises:
      InputError: the disk is full, or cannot be written for another reason. What was there stays.
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
        # For TensorFlow's own tools; nothing here reads it.
        tf.train.update_checkpoint_state(str(folder), prefix.name)
    except (OSError, tf.errors.OpError) as error:
        if is_lost_connection(error):
            raise
        shutil.rmtree(unfinished, ignore_errors=True)
        raise _not_saved(prefix, error) from error


def _not_saved(prefix: Path, error: Exception) -> InputError:
    reason = error.strerror if isinstance(error, OSError) else _reason(str(error))
    last = next(_newest_first(prefix.parent), None)
    keeps = f"{last} stays: the same command goes on from it" if last else "there is none before it"
    free = shutil.disk_usage(prefix.parent if prefix.parent.exists() else Path()).free
    return InputError(
        f"{prefix}: the checkpoint could not be written ({reason}); {free / 1e6:.0f} MB are free. "
        f"{keeps}. Make room, and start again."
    )


def _reason(message: str) -> str:
    """What went wrong, out of TensorFlow's many lines: `FILE; No space left on device`."""
    lines = message.splitlines()
    told = [line for before, line in itertools.pairwise(lines) if before.startswith("Node: ")]
    return next(iter(told), lines[0]).rpartition("; ")[2]


def keep_checkpoints(folder: Path, keeps: Callable[[int, int], bool]) -> None:
    """Deletes the checkpoints that are not to be kept.

    Args:
      folder: of checkpoints.
      keeps: (how many are newer, step) -> whether to keep it.
    """
    prefixes = [Path(prefix).name for prefix in _newest_first(folder)]
    kept = {name for n, name in enumerate(prefixes) if keeps(n, step_of(name))}
    files = [p for p in folder.glob("*.ckpt-*.*") if not any(p.match(f"{k}.*") for k in kept)]
    # Indices first: what is left after a kill is no checkpoint, and goes the next time.
    for path in sorted(files, key=lambda path: path.suffix != ".index"):
        path.unlink(missing_ok=True)
