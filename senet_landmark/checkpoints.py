"""What a run's folder holds, and how weights get in and out of it.

RUN/config.json        the whole configuration
RUN/records.json       what the records said of themselves
RUN/state.json         minutes trained, figures of the validation
RUN/shape_model.json   what makes the ASM copies, where the loss has such
RUN/checkpoints/       everything: weights, optimiser, averages, step
RUN/best/              the weights alone, of the best validation
RUN/events…            TensorBoard
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

from senet_landmark.config import Config, from_json, load_config, save_config, to_json
from senet_landmark.errors import InputError
from senet_landmark.files import read_json, require_folder, write_json
from senet_landmark.records import RecordsInfo
from senet_landmark.task_stopping import TaskHistory

SHAPE_MODEL = "shape_model.json"
"""Name of the file with the shape model, in a run's folder."""

Weights = dict[str, np.ndarray]
"""Variable name -> value: all that the network needs at inference, batch-norm averages included."""


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

    Longer is not another recipe: a run may be given more steps, epochs or minutes.
    """
    now = config.train
    longer = replace(begun.train, steps=now.steps, epochs=now.epochs, minutes=now.minutes)
    return replace(begun, train=longer) == config


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


def load_state(run: Path) -> RunState:
    """The run's state; a new one where there is none."""
    path = run / "state.json"
    return from_json(RunState, read_json(path), str(path)) if path.exists() else RunState()


def latest_checkpoint(run: Path) -> str | None:
    """Prefix of the newest whole checkpoint of a run, or None."""
    return _latest(run / "checkpoints")


def _latest(folder: Path) -> str | None:
    # By the folder's own files, not by the absolute paths in TensorFlow's `checkpoint` file: a run
    # may have been moved. The index is written last, so a prefix that has one is whole.
    prefixes = [index.with_suffix("") for index in folder.glob("*.ckpt-*.index")]
    return max(map(str, prefixes), key=step_of, default=None)


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
    prefix = _latest(run / "best") or latest_checkpoint(run)
    if prefix is None:
        raise InputError(f"{run}: has no checkpoint yet. Train with `senet-landmark train` first.")
    try:
        reader = tf.train.load_checkpoint(prefix)
    except (tf.errors.OpError, ValueError) as error:
        raise InputError(f"{prefix}: the checkpoint cannot be read ({error}).") from error
    names = set(reader.get_variable_to_shape_map())
    averaged = "/ExponentialMovingAverage"
    weights = {
        name: reader.get_tensor(name + averaged if name + averaged in names else name)
        for name in names
        if not name.endswith(averaged)
    }
    return weights, step_of(prefix), prefix


def save_checkpoint(saver: tf.train.Saver, session: tf.Session, folder: Path, step: int) -> None:
    """Writes the saver's variables to `FOLDER/model.ckpt-STEP`."""
    folder.mkdir(parents=True, exist_ok=True)
    saver.save(session, str(folder / "model.ckpt"), global_step=step, write_meta_graph=False)


def assign_weights(session: tf.Session, weights: Weights, where: str) -> None:
    """Gives the model variables of the session's graph their values.

    Raises:
      InputError: one is missing in `weights`, or has another shape: another network's checkpoint.
    """
    variables = slim.get_model_variables()
    feed = {}
    for variable in variables:
        value = weights.get(variable.op.name)
        if value is None or tuple(value.shape) != tuple(variable.shape.as_list()):
            raise InputError(
                f"{where}: does not fit the network of config.json (variable {variable.op.name})."
            )
        feed[variable.initializer.inputs[1]] = value
    # One run of all initialisers, fed: `variable.load` would take one run a variable.
    session.run([variable.initializer for variable in variables], feed)


def current_weights(
    session: tf.Session, average: tf.train.ExponentialMovingAverage | None
) -> Weights:
    """The model's weights in a training session, averaged where an average is kept."""
    variables = slim.get_model_variables()
    shown = [(average.average(v) if average else None) for v in variables]
    sources = [v if s is None else s for v, s in zip(variables, shown, strict=True)]
    values = session.run(sources)
    return {v.op.name: value for v, value in zip(variables, values, strict=True)}
