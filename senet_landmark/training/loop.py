"""The training loop; it does not depend on the network, the data set, the loss or the cluster."""

import math
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import tensorflow.compat.v1 as tf

from senet_landmark.config import TrainConfig, to_json
from senet_landmark.errors import InputError
from senet_landmark.io.files import write_json
from senet_landmark.training import checkpoints
from senet_landmark.training.checkpoints import RunState
from senet_landmark.training.fine_tuning import assign_start
from senet_landmark.training.graph import TrainingGraph
from senet_landmark.training.moving_average import current_weights
from senet_landmark.training.optimisation import check_finite
from senet_landmark.training.process import Process
from senet_landmark.training.progress import Progress
from senet_landmark.training.report.report import write_training_report
from senet_landmark.training.setup import Prepared
from senet_landmark.training.task_stopping import TaskHistory, after_validation
from senet_landmark.training.tracking.tracker import Tracker
from senet_landmark.training.tracking.tracking import Tracking


@dataclass(frozen=True)
class TrainResult:
    """How a session of a run ended; the chief also writes it to `RUN/result.json`.

    Attributes:
      steps: steps done.
      minutes: minutes trained, all sessions added up.
      loss: mean training loss since the last summary; None where no step was left to train.
      best_nme: lowest validation NME (inter-ocular), percent; None without a validation.
      best_step: the step at which `best_nme` was measured.
      figures: figures of the best validation if the run keeps its best weights, else of the last
        (see `validation.Validation`).
      ended: `done`; `interrupted` by Ctrl-C or SIGTERM, with everything saved; `early_stopped`
        because the NME no longer fell; `worker` or `ps` in the other processes of a distributed
        run.
      skipped: number of corrupt records that were skipped.
    """

    steps: int
    minutes: float = 0.0
    loss: float | None = None
    best_nme: float | None = None
    best_step: int = 0
    figures: dict[str, float] = field(default_factory=dict)
    ended: str = "done"
    skipped: int = 0

    @property
    def interrupted(self) -> bool:
        """Whether a signal ended the session."""
        return self.ended == "interrupted"


class Loop:
    """The training loop of a run.

    Args:
      prepared: the prepared run, with a validator.
      graph: graph of a training step.
      process: the process that the loop runs in; the chief in a distributed run.
      trackers: trackers besides the event file.
    """

    def __init__(
        self,
        prepared: Prepared,
        graph: TrainingGraph,
        process: Process,
        trackers: Sequence[Tracker] = (),
    ):
        assert prepared.validator
        self._run, self._maker, self._start = prepared.run, prepared.maker, prepared.start
        self._validator, self._graph, self._process = prepared.validator, graph, process
        faces = len(self._maker.store) * process.workers
        self._options = _in_steps(prepared.config.train, faces)
        self._tracking = Tracking(self._run, prepared.config, trackers)
        self._ended = ""
        self._begin_at(prepared.restored)

    def _begin_at(self, checkpoint: str | None) -> None:
        """Makes the next session begin with this checkpoint; None: at step 0."""
        self._restored = checkpoint
        self._step = checkpoints.step_of(checkpoint) if checkpoint else 0
        self._state = checkpoints.load_state(self._run, checkpoint) if checkpoint else RunState()
        self._saved_at = self._step if checkpoint else -1
        self._begun = time.monotonic()
        self._minutes_before = self._state.minutes
        self._losses: list[float] = []
        self._last_loss: float | None = None
        self._task_losses: list[np.ndarray] = []
        if checkpoint:  # a killed session may have saved best weights after this checkpoint
            self._keep_best()

    def run(self, stopped: threading.Event) -> TrainResult:
        """Trains until the run is done or `stopped` is set."""
        try:
            with Progress(self._step, self._options.batch_size) as progress:
                if not self._process.run_sessions(
                    lambda: self._run_session(progress, stopped),
                    lambda: self._begin_at(checkpoints.readable_checkpoint(self._run)),
                ):
                    self._ended = "interrupted"
        finally:
            self._write_skipped()
        self._state = replace(self._state, minutes=self._minutes())
        checkpoints.save_state(self._run, self._state)
        result = TrainResult(
            steps=self._step,
            minutes=self._state.minutes,
            loss=self._mean_loss(),
            best_nme=self._state.best_nme,
            best_step=self._state.best_step,
            figures=self._state.figures,
            ended=self._ended,
            skipped=len(self._maker.store.skipped),
        )
        write_json(self._run / "result.json", to_json(result))
        self._report()
        return result

    def _run_session(self, progress: Progress, stopped: threading.Event) -> None:
        """One session: trains to the end of the run."""
        try:
            with self._session() as session:
                self._tracking.begin(self._step)
                self._begun = time.monotonic()  # building the graph is not training
                progress.begin(self._step)
                self._ended = self._train(session, progress, stopped)
                self._process.finish(session)
        except tf.errors.OpError:
            self._maker.store.check_skipped()  # its message is clearer than TensorFlow's
            raise
        finally:
            self._tracking.end(self._ended)

    def _session(self) -> tf.Session:
        """A session with restored or initialised variables, at the run's step."""
        graph, options, process = self._graph, self._options, self._process
        manager = tf.train.SessionManager(
            local_init_op=tf.group(graph.data, *process.initializers),
            ready_op=tf.report_uninitialized_variables(tf.global_variables()),
            ready_for_local_init_op=tf.report_uninitialized_variables(graph.saved),
        )
        session = manager.prepare_session(
            process.target,
            init_op=tf.variables_initializer(graph.saved),
            saver=graph.saver if self._restored else None,
            checkpoint_filename_with_path=self._restored,
            config=process.session_config(options.threads, options.replicas),
            init_fn=self._assign_start,
        )
        process.begin(session)
        return session

    def _assign_start(self, session: tf.Session) -> None:
        if self._start is not None and not self._restored:
            assign_start(session, self._start, self._graph.average)

    def _train(self, session: tf.Session, progress: Progress, stopped: threading.Event) -> str:
        """Trains to the end and saves; returns how it ended (`TrainResult.ended`)."""
        options, ended = self._options, ""
        while not ended:
            if self._done() >= 1:
                ended = "done"
            elif self._patience_is_over():
                ended = "early_stopped"
            elif stopped.is_set() or (rate := self._train_step(session)) is None:
                ended = "interrupted"
            else:
                progress.stepped()
                if self._step % options.summary_every == 0:
                    self._summarise(progress, rate)
                if self._step % options.validate_every == 0:
                    self._validate_and_save(session, progress)
        if self._saved_at != self._step:
            self._validate_and_save(session, progress)
        return ended

    def _train_step(self, session: tf.Session) -> float | None:
        """Runs one step; returns its learning rate, or None if a signal came before the step."""
        graph, next_step = self._graph, self._step + 1
        switches = [not self._stopped(task) for task in graph.tasks]
        values = self._process.step(
            session,
            self._step,
            [graph.loss, graph.mean_terms, graph.rate, graph.update],
            {graph.progress: self._done(), graph.switches: switches},
            lambda: self._done(next_step),
        )
        if values is None:
            return None
        loss, terms, rate, _ = values
        check_finite(loss, self._maker, self._step, self._run / "checkpoints")
        self._step = next_step
        self._losses.append(float(loss))
        self._task_losses.append(terms)
        return float(rate)

    def _stopped(self, task: str) -> bool:
        return bool(self._state.tasks.get(task, TaskHistory()).stopped_at)

    def _patience_is_over(self) -> bool:
        steps_since_best = self._step - self._state.best_step
        patience = self._options.patience
        return 0 < patience * self._options.validate_every <= steps_since_best and bool(
            self._state.best_nme
        )

    def _summarise(self, progress: Progress, rate: float) -> None:
        self._last_loss = loss = float(np.mean(self._losses))
        self._losses.clear()
        faces = progress.rate(self._step)
        self._tracking.log(
            self._step,
            {
                "train/loss": loss,
                "train/learning_rate": rate,
                "train/faces_per_second": faces,
            },
        )
        progress.show(self._expected_steps(), **{"loss": f"{loss:.4g}", "faces/s": f"{faces:.0f}"})

    def _validate_and_save(self, session: tf.Session, progress: Progress) -> None:
        weights = current_weights(session, self._graph.average)
        for value in weights.values():  # the last gradient may be infinite after a finite loss
            check_finite(value, self._maker, self._step - 1, self._run / "checkpoints")
        validation = self._validator.validate(weights)
        nme = validation.figures["nme_inter_ocular"]
        losses = np.mean(self._task_losses, 0).tolist() if self._task_losses else []
        task_losses = dict(zip(self._graph.tasks, losses, strict=False))
        self._task_losses.clear()
        self._state = replace(self._state, minutes=self._minutes())
        best = self._state.best_nme is None or nme < self._state.best_nme
        if best:
            self._state = replace(self._state, best_nme=nme, best_step=self._step)
            if self._options.keep_best:
                self._validator.save(self._run / "best", self._step)
        if best or not self._options.keep_best:
            self._state = replace(self._state, figures=validation.figures)
        if self._options.task_stopping and task_losses:
            tasks = after_validation(
                self._state.tasks, task_losses, validation.task_errors, self._options.task_stopping,
                self._step,
            )  # fmt: skip
            self._state = replace(self._state, tasks=tasks)
        # Log before saving: values logged after the last checkpoint are logged again after a kill.
        values = {f"validation/{name}": value for name, value in validation.figures.items()}
        values |= {f"train/loss_{task}": value for task, value in task_losses.items()}
        self._tracking.log(self._step, values, {"validation/predictions": validation.picture})
        folder = self._run / "checkpoints"
        checkpoints.save_checkpoint(self._graph.saver, session, folder, self._step, self._state)
        self._saved_at = self._step
        checkpoints.save_state(self._run, self._state)
        checkpoints.keep_checkpoints(folder, lambda newer, _: newer < 3)
        self._keep_best()
        shown = {"NME": f"{nme:.2f}%", "best": f"{self._state.best_nme:.2f}%"}
        progress.show(self._expected_steps(), **shown)
        progress.restart_clock(self._step)

    def _keep_best(self) -> None:
        checkpoints.keep_checkpoints(
            self._run / "best", lambda _, step: step == self._state.best_step
        )

    def _report(self) -> None:
        if not self._options.report:
            return
        try:
            write_training_report(self._run)
        except InputError as error:  # the run itself has succeeded
            print(f"No report: {error}", file=sys.stderr)

    def _write_skipped(self) -> None:
        skipped = self._maker.store.skipped
        if skipped:
            path = self._run / "skipped.json"
            write_json(path, [to_json(record) for record in skipped])
            print(f"Skipped {len(skipped)} corrupt records, listed in {path}.", file=sys.stderr)

    def _minutes(self) -> float:
        return self._minutes_before + (time.monotonic() - self._begun) / 60

    def _done(self, step: int | None = None) -> float:
        """Share of the run that is done, 0 to 1: of its steps or of its minutes, the larger one."""
        by_time = self._minutes() / self._options.minutes if self._options.minutes else 0.0
        by_steps = (self._step if step is None else step) / self._options.steps
        return min(1.0, max(by_time, by_steps))

    def _expected_steps(self) -> int:
        """Expected number of steps of the run, from its pace so far."""
        return max(self._step, round(self._step / max(self._done(), 1e-9)))

    def _mean_loss(self) -> float | None:
        return float(np.mean(self._losses)) if self._losses else self._last_loss


def _in_steps(options: TrainConfig, faces: int) -> TrainConfig:
    """The options with the number of epochs, if set, converted to steps."""
    if not options.epochs:
        return options
    return replace(options, steps=math.ceil(options.epochs * faces / options.batch_size))
