"""Records, batches, and the training loop."""

import dataclasses
import json
import os
import signal
import threading
import time

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from made_records import changed_records, example_record, open_store
from runs import short
from senet_landmark.config import (
    NO_AUGMENTATION,
    AugmentConfig,
    Config,
    LossConfig,
    NetworkConfig,
    ScheduleConfig,
    from_json,
    load_config,
    save_config,
)
from senet_landmark.data.input_pipeline import (
    BatchMaker,
    RecordStore,
    batches,
    in_order,
    shape_model_of,
    true_poses,
)
from senet_landmark.data.records import (
    Record,
    encode_example,
    load_records_info,
    parse_example,
    shard_paths,
)
from senet_landmark.errors import InputError
from senet_landmark.evaluation.metrics import NORMALISERS
from senet_landmark.face.geometry import CropSpec
from senet_landmark.face.pose import pose_from_landmarks
from senet_landmark.face.schemes import get_scheme
from senet_landmark.face.shape_model import (
    asm_copy,
    fit_shape_model,
    load_shape_model,
    save_shape_model,
)
from senet_landmark.presets import PRESETS, get_preset
from senet_landmark.training import checkpoints
from senet_landmark.training.optimisation import learning_rate
from senet_landmark.training.task_stopping import STRIP
from senet_landmark.training.train import train

pytestmark = pytest.mark.slow


# --- records ---------------------------------------------------------------------------------


def test_encode_then_parse_is_the_identity():
    record = example_record()
    back = parse_example(encode_example(record))
    for field in dataclasses.fields(Record):
        np.testing.assert_array_equal(getattr(back, field.name), getattr(record, field.name))


def test_record_of_another_schema_is_refused():
    example = tf.train.Example.FromString(encode_example(example_record()))
    example.features.feature["schema_version"].int64_list.value[0] = 99
    with pytest.raises(InputError, match=r"shard 3.*version 99"):
        parse_example(example.SerializeToString(), "shard 3")
    with pytest.raises(InputError, match="no schema version"):
        parse_example(tf.train.Example().SerializeToString())
    with pytest.raises(InputError, match=r"not a tf\.train\.Example"):
        parse_example(b"\xff\xff\xff")


def test_damaged_or_foreign_records_are_refused(synthetic_records, tmp_path):
    with pytest.raises(InputError, match=r"no report\.json"):
        load_records_info(tmp_path)
    report = json.loads((synthetic_records / "report.json").read_text())
    (tmp_path / "report.json").write_text(json.dumps(report | {"schema_version": 0}))
    with pytest.raises(InputError, match="schema version 0"):
        load_records_info(tmp_path)
    (tmp_path / "report.json").write_text(json.dumps(report))
    info = load_records_info(tmp_path)
    with pytest.raises(InputError, match="absent"):
        shard_paths(tmp_path, info, "train")
    with pytest.raises(InputError, match="no records of split"):
        shard_paths(tmp_path, info, "test")
    name = report["splits"]["train"][0]
    data = bytearray((synthetic_records / name).read_bytes())
    data[len(data) // 2] ^= 0xFF
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match="not a whole TFRecord"):
        RecordStore([tmp_path / name])
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match="holds no record"):
        RecordStore([tmp_path / name])


# --- batches ---------------------------------------------------------------------------------


def test_batches_depend_on_seed_and_step_alone(synthetic_records):
    maker = BatchMaker(open_store(synthetic_records), CropSpec(), (128, 128), AugmentConfig(), 5)
    other = dataclasses.replace(maker, store=open_store(synthetic_records, cache_mb=0))
    for step in (3, 0, 7):
        one, two = maker.batch(step), other.batch(step)
        np.testing.assert_array_equal(one["image"], two["image"])
        np.testing.assert_array_equal(one["landmarks"], two["landmarks"])
    assert (maker.batch(0)["image"] != maker.batch(5)["image"]).any()
    seeded = dataclasses.replace(maker, seed=1)
    assert (seeded.batch(0)["image"] != maker.batch(0)["image"]).any()


def test_each_epoch_sees_each_face_once(synthetic_records):
    store = open_store(synthetic_records)
    maker = BatchMaker(store, CropSpec(), (128, 128), NO_AUGMENTATION, 4)
    seen = np.concatenate([maker.indices(step) for step in range(len(store))])
    for epoch in np.split(seen, 4):
        assert sorted(epoch) == list(range(len(store)))


def test_poses_turn_and_mirror_with_the_faces(synthetic_records):
    """On synthetic faces, whose pose is exact: the label fits the landmarks it comes with."""
    store = open_store(synthetic_records)
    strong = AugmentConfig(rotation=60, box_jitter=0)
    maker = BatchMaker(store, CropSpec(), (128, 128), strong, len(store), seed=2)
    plain = dataclasses.replace(maker, augment=NO_AUGMENTATION, shuffle=False)
    changed = dataclasses.replace(maker, shuffle=False)

    def fitted(batch):
        return np.array([pose_from_landmarks(points * 128) for points in batch["landmarks"]])

    before, after = plain.batch(0), changed.batch(0)
    rolls = fitted(after)[:, 2] - after["pose"][:, 2]
    assert np.abs(rolls).max() < 15
    assert np.abs(after["pose"][:, 2] - before["pose"][:, 2]).max() > 20
    yaw = fitted(after)[:, 0]
    assert np.corrcoef(yaw, after["pose"][:, 0])[0, 1] > 0.8
    assert np.corrcoef(yaw, before["pose"][:, 0])[0, 1] < 0.5  # half of the faces are mirrored


@pytest.fixture(scope="module")
def task_records(synthetic_records, tmp_path_factory):
    """The synthetic records with attributes.

    `gender` cannot be learnt: it is one class in training, the other in validation. `head_pose`
    is the side that the face looks to.
    """

    def described(split, number, record):
        side = 1 if record.pose[0] > 0 else 3
        values = np.array([split == "train", number % 2, side], np.float32)
        return dataclasses.replace(record, attributes=values)

    out = tmp_path_factory.mktemp("tasks") / "records"
    names = ["gender", "smile", "head_pose"]
    return changed_records(synthetic_records, out, described, attributes=names)


def test_attributes_and_classes_are_mirrored_with_the_faces(task_records):
    store = open_store(task_records)
    names = ("gender", "smile", "head_pose")
    mirrored = dataclasses.replace(NO_AUGMENTATION, mirror=True)
    maker = BatchMaker(
        store, CropSpec(), (64, 64), mirrored, len(store), shuffle=False, attributes=names
    )
    plain = dataclasses.replace(maker, augment=NO_AUGMENTATION).batch(0)
    batch = maker.batch(0)
    changed = batch["attributes"][:, 2] != plain["attributes"][:, 2]
    assert 0 < changed.sum() < len(store)
    flipped = (batch["image"] == plain["image"][:, :, ::-1]).all(axis=(1, 2, 3))
    np.testing.assert_array_equal(changed, flipped)
    for found in (plain, batch):
        np.testing.assert_array_equal(found["attributes"][:, 2] == 1, found["pose"][:, 0] > 0)
        assert found["classes"].any(axis=1).all()
        # gender's two classes, smiling, the five head poses, none.
        np.testing.assert_array_equal(found["classes"][:, 2], found["attributes"][:, 1])
        np.testing.assert_array_equal(found["classes"][:, 4], found["attributes"][:, 2] == 1)
    np.testing.assert_array_equal(batch["attributes"][:, :2], plain["attributes"][:, :2])


def test_asm_copies_are_of_the_faces_as_they_were_changed(synthetic_records):
    store = open_store(synthetic_records)
    shapes = shape_model_of(store, 0.9)
    maker = BatchMaker(store, CropSpec(), (64, 64), AugmentConfig(), 6)
    assert "asm_landmarks" not in maker.batch(0)
    batch = dataclasses.replace(maker, shape_model=shapes).batch(0)
    np.testing.assert_array_equal(batch["asm_landmarks"], asm_copy(shapes, batch["landmarks"]))
    distance = np.abs(batch["asm_landmarks"] - batch["landmarks"])
    assert 1e-4 < distance.mean() < 0.03  # near the truth, but smoother


def test_fitted_poses_turn_and_mirror_with_the_faces(synthetic_records):
    store = open_store(synthetic_records)
    strong = dataclasses.replace(NO_AUGMENTATION, mirror=True, rotation=30, rotation_step=5)
    maker = BatchMaker(
        store, CropSpec(), (64, 64), strong, len(store), poses=true_poses(store, "landmarks")
    )
    batch = maker.batch(0)
    fitted = np.array([pose_from_landmarks(points * 64) for points in batch["landmarks"]])
    # 11 points and those of `STABLE_POINTS` agree but roughly.
    assert np.abs(fitted - batch["pose"])[:, [0, 2]].mean() < 4


def test_dataset_resumes_where_it_was(synthetic_records):
    store = open_store(synthetic_records)
    maker = BatchMaker(store, CropSpec(), (128, 128), AugmentConfig(), 3)
    with tf.Graph().as_default(), tf.Session() as session:
        tensors = batches(maker, first_step=6)
        session.run(tf.tables_initializer())
        assert tensors["image"].shape.as_list() == [3, 128, 128, 3]
        for step in (6, 7, 8):
            np.testing.assert_array_equal(
                session.run(tensors["landmarks"]), maker.batch(step)["landmarks"]
            )


def test_validation_batches_are_every_face_in_order(synthetic_records):
    maker = BatchMaker(open_store(synthetic_records), CropSpec(), (128, 128), NO_AUGMENTATION, 9)
    parts = in_order(maker)
    assert [len(p["image"]) for p in parts] == [9, 9, 4]
    landmarks = np.concatenate([p["landmarks"] for p in parts])
    low, high = landmarks.min((1, 2)), landmarks.max((1, 2))
    np.testing.assert_allclose(low, 0.1, atol=0.01)  # the tight box, 0.125 of it from the edge
    np.testing.assert_allclose(high, 0.9, atol=0.01)


# --- configuration ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
def test_configuration_round_trip(tmp_path, name):
    config = get_preset(name)
    save_config(tmp_path / "config.json", config)
    assert load_config(tmp_path / "config.json") == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": {"steps": "many"}}, r"config\.train\.steps"),
        ({"train": {"step": 3}}, "unknown field 'step'"),
        ({"network": {"head": "tail"}}, "not one of"),
        ({"records": {"crop": {"margins": [1, 2]}}}, "needs 4 values"),
        ({"loss": 3}, "expected an object"),
        ([], "expected an object"),
    ],
)
def test_bad_configuration_names_the_field(change, message):
    with pytest.raises(InputError, match=message):
        from_json(Config, change)


@pytest.mark.parametrize(
    ("field", "value"),
    [("steps", 0), ("batch_size", -1), ("minutes", -1.0), ("ema_decay", 1.0), ("threads", -2)],
)
def test_values_that_no_run_can_have(synthetic_records, tmp_path, field, value):
    config = Config(train=dataclasses.replace(Config().train, **{field: value}))
    with pytest.raises(InputError, match=rf"train\.{field} must"):
        train(config, synthetic_records, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_unknown_preset():
    with pytest.raises(InputError, match="senet_original"):
        get_preset("best")


# --- the loop --------------------------------------------------------------------------------


def scalars(run):
    """Tag -> step -> value of a run's summaries."""
    found = {}
    for events in sorted(run.glob("events*")):
        for event in tf.train.summary_iterator(str(events)):
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


def test_run_writes_what_it_should(small_run):
    run = small_run.run
    for name in ("config.json", "records.json", "state.json", "result.json"):
        assert (run / name).exists()
    result = json.loads((run / "result.json").read_text())
    assert result["steps"] == 6 and result["best_nme"] > 0 and result["ended"] == "done"
    assert set(scalars(run)) == {
        "train/loss",
        "train/learning_rate",
        "train/faces_per_second",
        "train/loss_landmarks",
        "validation/predictions",
        "validation/mse_pixels",
        *(f"validation/nme_{kind}" for kind in NORMALISERS),
        *(f"validation/{of}_{at}" for of in ("auc", "failure_rate") for at in ("0.08", "0.10")),
    }


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
        schedule=ScheduleConfig(initial=1e-4, decay_steps=1000, warmup_steps=0),
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


def test_steps_are_counted_in_epochs_where_there_are_such(synthetic_records, tmp_path):
    def config(epochs):
        options = {"batch_size": 8, "validate_every": 50}
        return dataclasses.replace(
            short("tcdcn_landmarks", steps=1, epochs=epochs, **options),
            schedule=ScheduleConfig(initial=1e-4, final=1e-4),
        )

    assert len(open_store(synthetic_records)) == 22
    assert train(config(1), synthetic_records, tmp_path / "run").steps == 3
    assert train(config(2), synthetic_records, tmp_path / "run").steps == 6  # 44 faces by 8


@pytest.mark.parametrize("name", ["tcdcn", "cnn", "pfld", "asmnet"])
def test_published_recipe_trains(task_records, tmp_path, name):
    options = {"batch_size": 2, "epochs": 0, "validate_every": 1}
    config = short(name, steps=1, **options)
    if name == "tcdcn":
        network = dataclasses.replace(config.network, attributes=("gender", "smile", "head_pose"))
        loss = dataclasses.replace(config.loss, attribute_weights=(2.0, 4.0, 3.0))
        config = dataclasses.replace(config, network=network, loss=loss)
    result = train(config, task_records, tmp_path / "run")
    assert result.steps == 1 and np.isfinite(result.loss)
    assert np.isfinite(list(result.figures.values())).all()
    assert ("pose_mae_yaw" in result.figures) == (name == "asmnet")
    assert ("accuracy_head_pose" in result.figures) == (name == "tcdcn")
    assert (tmp_path / "run" / checkpoints.SHAPE_MODEL).exists() == (name == "asmnet")


def test_run_keeps_the_shape_model_of_its_asm_copies(synthetic_records, tmp_path):
    def config(steps=1, **options):
        return dataclasses.replace(
            short("tcdcn_landmarks", steps=steps, epochs=0, batch_size=2, validate_every=1),
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


def test_option_that_the_network_does_not_heed_ends_a_run(synthetic_records, tmp_path):
    config = dataclasses.replace(short(), network=NetworkConfig(batch_norm=True))
    with pytest.raises(InputError, match=r"no use for network\.batch_norm"):
        train(config, synthetic_records, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_learning_rates():
    with tf.Graph().as_default(), tf.Session() as session:
        step, progress = tf.placeholder(tf.int64), tf.placeholder(tf.float32)
        original = ScheduleConfig(initial=0.001, decay_steps=1000, decay_rate=0.98, warmup_steps=0)
        rates = [learning_rate(c, step, progress) for c in (original, ScheduleConfig())]

        def at(s, p):
            return session.run(rates, {step: s, progress: p})

        assert at(2500, 0)[0] == pytest.approx(0.001 * 0.98**2.5, rel=1e-5)
        assert at(10**5, 0.0)[1] == pytest.approx(5e-3)
        assert at(10**5, 0.5)[1] == pytest.approx(5e-4, rel=1e-4)
        assert at(10**5, 1.0)[1] == pytest.approx(5e-5, rel=1e-4)
        assert at(99, 0.0)[1] == pytest.approx(2.5e-3)  # half way through the warm-up


def test_finished_run_does_nothing_more(small_run):
    before = checkpoints.latest_checkpoint(small_run.run)
    result = train(short(steps=6), small_run.records, small_run.run)
    assert result.steps == 6 and checkpoints.latest_checkpoint(small_run.run) == before
    assert result.loss is None and "NaN" not in (small_run.run / "result.json").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_saves_and_ends(synthetic_records, tmp_path, number):
    config = short(steps=100_000, validate_every=100_000, summary_every=1)

    def kill_once_it_trains():
        # The first summary is flushed some steps after the first one is written.
        while not any(p.stat().st_size > 500 for p in (tmp_path / "run").glob("events*")):
            time.sleep(0.2)
        os.kill(os.getpid(), number)

    threading.Thread(target=kill_once_it_trains, daemon=True).start()
    result = train(config, synthetic_records, tmp_path / "run")
    assert result.interrupted and 0 < result.steps < 100_000
    latest = checkpoints.latest_checkpoint(tmp_path / "run")
    assert latest and checkpoints.step_of(latest) == result.steps
    assert checkpoints.load_state(tmp_path / "run").minutes > 0


def test_minutes_end_a_run(synthetic_records, tmp_path):
    result = train(short(steps=10**6, minutes=0.05), synthetic_records, tmp_path / "run")
    assert not result.interrupted and result.steps < 10**6 and result.minutes >= 0.05


def test_nan_loss_stops_and_names_the_photos(synthetic_records, tmp_path):
    config = short(steps=40)
    schedule = dataclasses.replace(config.schedule, initial=float("inf"), warmup_steps=0)
    config = dataclasses.replace(config, schedule=schedule)
    with pytest.raises(InputError, match=r"loss is no longer finite.*SYNTH/SYNTH_0"):
        train(config, synthetic_records, tmp_path / "run")


def test_original_recipe_trains(synthetic_tree, tmp_path):
    from senet_landmark.data_tools.records.build_records import build_records

    config = short("senet_original", steps=30, batch_size=8, validate_every=30, summary_every=5)
    build_records("300w_lp", synthetic_tree, tmp_path / "records", config.records, workers=1)
    train(config, tmp_path / "records", tmp_path / "run")
    losses = list(scalars(tmp_path / "run")["train/loss"].values())
    assert losses[-1] < losses[0]
    assert not (tmp_path / "run" / "best").exists()  # its test set chooses nothing


def test_damaged_run_is_named(small_run, tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        checkpoints.load_run(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"no config\.json"):
        checkpoints.load_run(tmp_path)
    with pytest.raises(InputError, match="no checkpoint"):
        checkpoints.weights_of(tmp_path)
    (tmp_path / "config.json").write_text("{")
    (tmp_path / "records.json").write_text((small_run.run / "records.json").read_text())
    with pytest.raises(InputError, match="not valid JSON"):
        checkpoints.load_run(tmp_path)


def test_metrics_by_hand():
    from senet_landmark.evaluation.metrics import nme
    from senet_landmark.face.schemes import get_scheme

    scheme = get_scheme("300w_68")
    truth = np.zeros((2, 68, 2))
    truth[:, 45] = (30, 40)  # 50 from point 36
    predicted = truth + (3, 4)  # each off by 5
    predicted[1] += (3, 4)
    np.testing.assert_allclose(nme(predicted, truth, scheme), [0.1, 0.2])
    with pytest.raises(InputError, match="different landmark schemes"):
        nme(predicted[:, :5], truth, scheme)
    with pytest.raises(InputError, match="coincide"):
        nme(predicted, truth * 0, scheme)
    with pytest.raises(InputError, match="NaN"):
        nme(predicted * np.nan, truth, scheme)
