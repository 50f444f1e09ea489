"""The training loop: no network, data set or loss is named in it."""

import contextlib
import math
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf
from tqdm import tqdm

from senet_landmark import checkpoints
from senet_landmark.checkpoints import RunState
from senet_landmark.config import (
    NO_AUGMENTATION,
    Config,
    LossConfig,
    TrainConfig,
    check_config,
    to_json,
)
from senet_landmark.errors import InputError
from senet_landmark.files import write_json
from senet_landmark.input_pipeline import (
    BatchMaker,
    RecordStore,
    batches,
    shape_model_of,
    true_poses,
)
from senet_landmark.losses import get_loss, learns_pose, loss_terms
from senet_landmark.model import build_model
from senet_landmark.networks.registry import get_network, resolved
from senet_landmark.optimisation import learning_rate, update_operation
from senet_landmark.records import (
    RecordsInfo,
    check_splits_apart,
    load_records_info,
    shard_paths,
)
from senet_landmark.runtime import session_config
from senet_landmark.shape_model import ShapeModel, load_shape_model, save_shape_model
from senet_landmark.summaries import scalar_summary
from senet_landmark.task_stopping import TaskHistory, after_validation
from senet_landmark.validation import Validator


@dataclass(frozen=True)
class TrainResult:
    """How a run ended; also written to `RUN/result.json`.

    Attributes:
      steps: steps done.
      minutes: minutes trained, all sessions added up.
      loss: mean training loss since the last summary.
      best_nme: lowest validation NME (inter-ocular), percent; None without a validation.
      best_step: the step of it.
      figures: of the validation that the run stands for (see `validation.Validation`).
      interrupted: ended by Ctrl-C or SIGTERM, everything saved.
    """

    steps: int
    minutes: float
    loss: float
    best_nme: float | None
    best_step: int
    figures: dict[str, float]
    interrupted: bool


def train(config: Config, records: Path | str, run: Path | str) -> TrainResult:
    """Trains, or goes on with, the run in folder `run`.

    Args:
      config: the whole configuration; a resumed run must have been begun with the same, but for
        `train.steps`, `train.epochs` and `train.minutes`.
      records: folder made by `build-records`.
      run: folder of checkpoints, config.json and TensorBoard events; made if absent.

    Returns:
      How it ended. Ctrl-C and SIGTERM save first and end the run in good order.

    Raises:
      InputError: a value that no run can have, records of another schema or split or with one
        identity in two splits, a run begun with another configuration, or a loss that became NaN
        (the last good checkpoint stays).
    """
    check_config(config)
    run, info = Path(run), load_records_info(records)
    config = replace(config, records=info.records)
    spec = get_network(config.network.name)
    get_loss(config.loss.name)  # a wrong name is told before anything is written
    resolved(config.network)
    stores = [
        RecordStore(shard_paths(records, info, split), config.train.cache_mb)
        for split in ("train", info.held_out)
    ]
    check_splits_apart(records, info)
    if config.loss.asm_weight and not info.crop.square:
        raise InputError(f"{records}: their crops are not square, which ASM copies need.")
    shapes = _shape_model(config.loss, stores[0], run)
    _begin_or_resume(run, config, info, Path(records))
    if shapes is not None:
        save_shape_model(run / checkpoints.SHAPE_MODEL, shapes)
    poses = [_true_poses(config, store) for store in stores]
    maker = BatchMaker(
        store=stores[0],
        crop=info.crop,
        size=spec.input_size,
        augment=config.augment,
        batch_size=config.train.batch_size,
        seed=config.train.seed,
        attributes=info.attributes,
        poses=poses[0],
        shape_model=shapes,
    )
    held_out = replace(
        maker, store=stores[1], augment=NO_AUGMENTATION, poses=poses[1], shape_model=None
    )
    validator = Validator(config, held_out)
    with tf.Graph().as_default():
        loop = _Loop(config, run, maker, validator)
        with _stop_signals() as stopped:
            result = loop.run(stopped)
    write_json(run / "result.json", to_json(result))
    return result


def _begin_or_resume(run: Path, config: Config, info: RecordsInfo, records: Path) -> None:
    if checkpoints.latest_checkpoint(run) is not None:
        begun, _, _ = checkpoints.load_run(run)
        if not checkpoints.same_recipe(begun, config):
            raise InputError(
                f"{run}: was begun with another configuration (see its config.json). "
                "Resume it with the same options, or give a new --run folder."
            )
    checkpoints.save_run(run, config, info, records)


def _shape_model(options: LossConfig, store: RecordStore, run: Path) -> ShapeModel | None:
    """What makes the ASM copies, where the loss has such: the run's own, a file, or fitted now."""
    if not options.asm_weight:
        return None
    # Of a run that ended before its first checkpoint, and so begins anew, nothing is kept.
    if checkpoints.latest_checkpoint(run) and (run / checkpoints.SHAPE_MODEL).exists():
        return load_shape_model(run / checkpoints.SHAPE_MODEL)
    if not options.shape_model:
        return shape_model_of(store, options.asm_share)
    model = load_shape_model(options.shape_model)
    if model.scheme != store.scheme.name:
        raise InputError(
            f"{options.shape_model}: is of {model.scheme}, the records have {store.scheme.name}."
        )
    return model


def _true_poses(config: Config, store: RecordStore) -> np.ndarray | None:
    """The angles to be learnt; None where no pose is: fitting them takes a millisecond a face."""
    if not learns_pose(config):
        return None
    return true_poses(store, config.loss.pose_truth)


class _Loop:
    """The training graph in the default graph, and the steps through it."""

    def __init__(self, config: Config, run: Path, maker: BatchMaker, validator: Validator):
        self._run, self._maker, self._validator = run, maker, validator
        self._options = _in_steps(config.train, len(maker.store))
        self._restored = checkpoints.latest_checkpoint(run)
        self._step = checkpoints.step_of(self._restored) if self._restored else 0
        self._state = checkpoints.load_state(run) if self._restored else RunState()
        self._begun = 0.0
        self._minutes_before = self._state.minutes
        self._losses: list[float] = []
        self._task_losses: list[np.ndarray] = []
        tf.set_random_seed(config.train.seed)
        global_step = tf.train.get_or_create_global_step()
        threads = config.train.threads or os.cpu_count() or 2
        batch = batches(maker, self._step, threads)
        model = build_model(
            config.network, maker.store.scheme.points, is_training=True, image=batch["image"]
        )
        self._progress = tf.placeholder(tf.float32, [], "progress")
        self._rate = learning_rate(config.schedule, global_step, self._progress)
        terms = loss_terms(
            config, model.end_points, batch, maker.size, maker.attributes, self._progress
        )
        self._tasks = list(terms)
        self._terms = tf.stack(list(terms.values()))
        # 1, or 0 for a task that is left alone.
        self._switches = tf.placeholder_with_default(tf.ones(len(terms)), [len(terms)])
        self._loss = tf.reduce_sum(self._terms * self._switches)
        self._update, self._average = update_operation(
            self._loss, self._rate, global_step, config.train
        )
        self._saver = tf.train.Saver(max_to_keep=3)

    def run(self, stopped: list[int]) -> TrainResult:
        """Steps until the run is done or `stopped` is no longer empty."""
        saved_at = self._step
        writer = tf.summary.FileWriter(str(self._run))
        total = None if self._options.minutes else self._options.steps  # told by the first summary
        bar = tqdm(total=total, initial=self._step, unit="step", dynamic_ncols=True)
        with tf.Session(config=session_config(self._options.threads)) as session, bar:
            session.run(tf.global_variables_initializer())
            if self._restored:
                self._saver.restore(session, self._restored)
            self._begun = time.monotonic()  # building the graph is not training
            while self._done() < 1 and not stopped:
                rate = self._train_step(session)
                bar.update()
                if self._step % self._options.summary_every == 0:
                    loss = self._mean_loss(forget=True)
                    writer.add_summary(scalar_summary("train/loss", loss), self._step)
                    writer.add_summary(scalar_summary("train/learning_rate", rate), self._step)
                    bar.total = max(self._step, round(self._step / max(self._done(), 1e-9)))
                    bar.set_postfix(self._postfix(loss, bar.format_dict["rate"]))
                if self._step % self._options.validate_every == 0:
                    self._validate_and_save(session, writer)
                    saved_at = self._step
            if saved_at != self._step:
                self._validate_and_save(session, writer)
        writer.close()
        self._state = replace(self._state, minutes=self._minutes())
        checkpoints.save_state(self._run, self._state)
        return TrainResult(
            steps=self._step,
            minutes=self._state.minutes,
            loss=self._mean_loss(),
            best_nme=self._state.best_nme,
            best_step=self._state.best_step,
            figures=self._state.figures,
            interrupted=bool(stopped),
        )

    def _train_step(self, session: tf.Session) -> float:
        fetches = [self._loss, self._terms, self._rate, self._update]
        switches = [not self._stopped(task) for task in self._tasks]
        feed = {self._progress: self._done(), self._switches: switches}
        loss, terms, rate, _ = session.run(fetches, feed)
        if not math.isfinite(loss):
            faces = [
                self._maker.store.record(int(i)).source for i in self._maker.indices(self._step)
            ]
            raise InputError(
                f"The loss became {loss} at step {self._step}. The last good checkpoint is in "
                f"{self._run / 'checkpoints'}; try a lower learning rate. Photos of the batch: "
                + ", ".join(faces)
            )
        self._step += 1
        self._losses.append(float(loss))
        self._task_losses.append(terms)
        return float(rate)

    def _stopped(self, task: str) -> bool:
        return bool(self._state.tasks.get(task, TaskHistory()).stopped_at)

    def _validate_and_save(self, session: tf.Session, writer: tf.summary.FileWriter) -> None:
        weights = checkpoints.current_weights(session, self._average)
        found = self._validator.validate(weights)
        nme = found.figures["nme_inter_ocular"]
        trained = dict(zip(self._tasks, np.mean(self._task_losses, 0).tolist(), strict=True))
        self._task_losses.clear()
        for name, value in found.figures.items():
            writer.add_summary(scalar_summary(f"validation/{name}", value), self._step)
        for task, value in trained.items():
            writer.add_summary(scalar_summary(f"train/loss_{task}", value), self._step)
        writer.add_summary(found.picture, self._step)
        writer.flush()
        self._state = replace(self._state, minutes=self._minutes())
        best = self._state.best_nme is None or nme < self._state.best_nme
        if best:
            self._state = replace(self._state, best_nme=nme, best_step=self._step)
            if self._options.keep_best:
                self._validator.save(self._run / "best", self._step)
        if best or not self._options.keep_best:
            self._state = replace(self._state, figures=found.figures)
        if self._options.task_stopping:
            tasks = after_validation(
                self._state.tasks, trained, found.task_errors, self._options.task_stopping,
                self._step,
            )  # fmt: skip
            self._state = replace(self._state, tasks=tasks)
        checkpoints.save_checkpoint(self._saver, session, self._run / "checkpoints", self._step)
        checkpoints.save_state(self._run, self._state)

    def _minutes(self) -> float:
        return self._minutes_before + (time.monotonic() - self._begun) / 60

    def _done(self) -> float:
        """Share of the run that is done: of its steps or of its minutes, whichever is further."""
        by_time = self._minutes() / self._options.minutes if self._options.minutes else 0.0
        return min(1.0, max(by_time, self._step / self._options.steps))

    def _mean_loss(self, forget: bool = False) -> float:
        mean = float(np.mean(self._losses)) if self._losses else float("nan")
        if forget:
            self._losses = self._losses[-1:]
        return mean

    def _postfix(self, loss: float, rate: float | None) -> dict[str, Any]:
        shown: dict[str, Any] = {"loss": f"{loss:.4g}"}
        if rate:
            shown["faces/s"] = round(rate * self._options.batch_size)
        if self._state.best_nme is not None:
            shown["best NME"] = f"{self._state.best_nme:.2f}%"
        return shown


def _in_steps(options: TrainConfig, faces: int) -> TrainConfig:
    """The loop with its epochs, if it counts in such, as steps."""
    if not options.epochs:
        return options
    return replace(options, steps=math.ceil(options.epochs * faces / options.batch_size))


@contextlib.contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """A list that SIGINT and SIGTERM append to; a second Ctrl-C ends at once, as usual."""
    received: list[int] = []

    def note(number: int, frame: Any) -> None:
        del frame
        if received:
            raise KeyboardInterrupt
        received.append(number)

    try:
        before = {s: signal.signal(s, note) for s in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread: whoever runs the thread handles signals
        before = {}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
