"""Runs that learn more than landmarks: resumed, with tasks that are stopped, by ASM copies."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from made_records import open_store
from run_summaries import scalars
from runs import plain, short
from senet_landmark.config import (
    LossConfig,
    NetworkConfig,
    ScheduleConfig,
)
from senet_landmark.data.input_pipeline import (
    shape_model_of,
)
from senet_landmark.errors import InputError
from senet_landmark.face.schemes import get_scheme
from senet_landmark.face.shape_model import (
    fit_shape_model,
    load_shape_model,
    save_shape_model,
)
from senet_landmark.training import checkpoints
from senet_landmark.training.task_stopping import STRIP
from senet_landmark.training.train import train

pytestmark = pytest.mark.slow

FIRST_STOP = STRIP + 1
"""The first step at which a task can be stopped, with a validation after each step."""


@pytest.fixture(scope="module")
def runs_of_tasks(task_records, tmp_path_factory):
    """(folder, state after each session): `whole` in one session, `parts` in two.

    Two steps beyond the one where `gender`, which over-fits, is stopped; the second session of
    `parts` does the last.
    """
    config = dataclasses.replace(
        short(validate_every=1, summary_every=1, threads=1, task_stopping=1e-6),
        network=NetworkConfig(
            name="tcdcn", batch_norm=True, pose=True, attributes=("smile", "gender")
        ),
        # Decay by steps: `share of the run` would differ while the first part believes in fewer.
        schedule=ScheduleConfig(initial=5e-5, decay_steps=1000, warmup_steps=0),
    )
    folder, states = tmp_path_factory.mktemp("runs"), []
    for run, steps in (("whole", 2), ("parts", 1), ("parts", 2)):
        options = dataclasses.replace(config.train, steps=FIRST_STOP + steps)
        result = train(dataclasses.replace(config, train=options), task_records, folder / run)
        assert result.steps == FIRST_STOP + steps
        states.append(checkpoints.load_state(folder / run))
    return folder, states


def test_resumed_run_equals_an_undisturbed_one(runs_of_tasks, task_records):
    """Weights, optimiser, averages, step and data order all come back."""
    folder, _ = runs_of_tasks
    one, two = (
        tf.train.load_checkpoint(
            str(folder / name / "checkpoints" / f"model.ckpt-{FIRST_STOP + 2}")
        )
        for name in ("whole", "parts")
    )
    for name in one.get_variable_to_shape_map():
        np.testing.assert_allclose(
            one.get_tensor(name), two.get_tensor(name), rtol=1e-5, atol=1e-6, err_msg=name
        )
    with pytest.raises(InputError, match="another configuration"):
        train(short(steps=8, batch_size=2), task_records, folder / "parts")


def test_stopped_task_stays_stopped_in_a_resumed_run(runs_of_tasks):
    _, (whole, before, after) = runs_of_tasks
    assert set(whole.tasks) == {"pose", "smile", "gender"}  # never the landmarks
    for state in (whole, before, after):
        assert state.tasks["gender"].stopped_at == FIRST_STOP
    for task, history in after.tasks.items():
        assert history.stopped_at == whole.tasks[task].stopped_at
        for kind in ("train", "validation"):
            errors = getattr(history, kind)
            assert len(errors) == FIRST_STOP + 2
            assert errors[:-1] == getattr(before.tasks[task], kind)
            np.testing.assert_allclose(errors, getattr(whole.tasks[task], kind), rtol=1e-4)


def test_loss_of_a_stopped_task_is_no_part_of_the_whole(runs_of_tasks):
    folder, (whole, *_) = runs_of_tasks
    found = scalars(folder / "whole")
    terms = {task: found[f"train/loss_{task}"] for task in ("landmarks", *whole.tasks)}

    def of_step(step):
        stopped = [t for t, history in whole.tasks.items() if 0 < history.stopped_at < step]
        return sum(values[step] for task, values in terms.items() if task not in stopped)

    for step in (FIRST_STOP - 1, FIRST_STOP, FIRST_STOP + 2):
        assert found["train/loss"][step] == pytest.approx(of_step(step), rel=1e-5)
    assert terms["gender"][FIRST_STOP + 2] > 0.005  # its absence shows


def test_figures_of_a_run_are_of_all_its_tasks(runs_of_tasks):
    folder, (state, *_) = runs_of_tasks
    angles = {f"pose_mae_{angle}" for angle in ("yaw", "pitch", "roll")}
    accuracies = {"accuracy_smile", "accuracy_gender"}
    assert angles | accuracies | {"nme_inter_ocular", "mse_pixels"} <= set(state.figures)
    assert all(0 <= state.figures[name] <= 100 for name in accuracies)
    result = json.loads((folder / "whole" / "result.json").read_text())
    assert result["figures"] == state.figures
    assert state.figures["nme_inter_ocular"] == state.best_nme == result["best_nme"]
    found = scalars(folder / "whole")
    for name, value in state.figures.items():
        assert found[f"validation/{name}"][state.best_step] == pytest.approx(value, rel=1e-5)


def test_run_keeps_the_shape_model_of_its_asm_copies(synthetic_records, tmp_path):
    def config(steps=1, **options):
        return dataclasses.replace(
            plain(steps, batch_size=2, validate_every=1),
            loss=LossConfig(name="l2", asm_weight=2.0, **options),
        )

    def same(path, model):
        kept = load_shape_model(path / checkpoints.SHAPE_MODEL)
        return kept.share == model.share and (kept.components == model.components).all()

    store, given = open_store(synthetic_records), tmp_path / "given.json"
    coarse, fine = shape_model_of(store, 0.5), shape_model_of(store, 0.9)
    assert len(coarse.variances) < len(fine.variances)
    # A model that a run left behind which did not reach its first checkpoint does not count.
    save_shape_model(tmp_path / "fitted" / checkpoints.SHAPE_MODEL, coarse)
    train(config(), synthetic_records, tmp_path / "fitted")
    assert same(tmp_path / "fitted", fine)
    save_shape_model(given, coarse)
    train(config(shape_model=str(given)), synthetic_records, tmp_path / "given")
    assert same(tmp_path / "given", coarse)
    given.unlink()  # a resumed run has its own
    train(config(steps=2, shape_model=str(given)), synthetic_records, tmp_path / "given")
    assert same(tmp_path / "given", coarse)
    with pytest.raises(InputError, match=r"given\.json: cannot be read"):
        train(config(shape_model=str(given)), synthetic_records, tmp_path / "other")
    five = np.random.default_rng(0).normal(size=(9, 5, 2))
    save_shape_model(given, fit_shape_model(five, get_scheme("mtfl_5")))
    with pytest.raises(InputError, match=r"given\.json: is of mtfl_5, the records have 300w_68"):
        train(config(shape_model=str(given)), synthetic_records, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_attribute_that_the_records_lack_ends_a_run(synthetic_records, tmp_path):
    config = dataclasses.replace(short(), network=NetworkConfig(attributes=("smile",)))
    with pytest.raises(InputError, match="no attribute 'smile'; they have: none"):
        train(config, synthetic_records, tmp_path / "run")
