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
from conftest import short

from senet_landmark import checkpoints
from senet_landmark.config import (
    NO_AUGMENTATION,
    PRESETS,
    AugmentConfig,
    Config,
    from_json,
    get_preset,
    load_config,
    save_config,
    to_json,
)
from senet_landmark.errors import InputError
from senet_landmark.geometry import CropSpec
from senet_landmark.input_pipeline import BatchMaker, RecordStore, batches, in_order
from senet_landmark.metrics import NORMALISERS
from senet_landmark.pose import pose_from_landmarks
from senet_landmark.records import (
    Record,
    encode_example,
    load_records_info,
    parse_example,
    shard_paths,
)
from senet_landmark.train import train


def example_record():
    generator = np.random.default_rng(0)
    return Record(
        image=b"\x89PNG",
        landmarks=generator.normal(size=(68, 2)).astype(np.float32),
        visible=np.arange(68) % 3 > 0,
        box=np.array([0.2, 0.2, 0.8, 0.8], np.float32),
        region=np.array([-3, 5, 90, 98], np.float32),
        scheme="300w_68",
        dataset="300w_lp",
        subset="HELEN",
        source="HELEN/ümlaut_0.jpg",
        identity="HELEN/ümlaut",
        pose=np.array([1, np.nan, 3], np.float32),
        attributes=np.zeros(0, np.float32),
    )


def open_store(folder, split="train", **options):
    info = load_records_info(folder)
    return RecordStore(shard_paths(folder, info, split), **options)


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
    maker = BatchMaker(store, CropSpec(), (128, 128), strong, len(store))
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


def test_dataset_resumes_where_it_was(synthetic_records):
    store = open_store(synthetic_records)
    maker = BatchMaker(store, CropSpec(), (128, 128), AugmentConfig(), 3)
    with tf.Graph().as_default(), tf.Session() as session:
        tensors = batches(maker, first_step=6)
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


def test_run_writes_what_it_should(small_run):
    run = small_run.run
    for name in ("config.json", "records.json", "state.json", "result.json"):
        assert (run / name).exists()
    result = json.loads((run / "result.json").read_text())
    assert result["steps"] == 6 and result["best_nme"] > 0 and not result["interrupted"]
    tags = set()
    for events in run.glob("events*"):
        for event in tf.train.summary_iterator(str(events)):
            tags |= {value.tag for value in event.summary.value}
    assert tags == {
        "train/loss",
        "train/learning_rate",
        "validation/predictions",
        *(f"validation/nme_{kind}" for kind in NORMALISERS),
        *(f"validation/{of}_{at}" for of in ("auc", "failure_rate") for at in ("0.08", "0.10")),
    }


def test_resumed_run_equals_an_undisturbed_one(synthetic_records, tmp_path):
    """Weights, optimiser, averages, step and data order all come back."""
    steps = {"validate_every": 4, "threads": 1}
    config = short(steps=8, **steps)
    # Decay by steps: `share of the run` would differ while the first half believes in 4 steps.
    config = dataclasses.replace(config, schedule=PRESETS["senet_original"].schedule)
    half = dataclasses.replace(config, train=dataclasses.replace(config.train, steps=4))
    train(config, synthetic_records, tmp_path / "whole")
    train(half, synthetic_records, tmp_path / "halves")
    result = train(config, synthetic_records, tmp_path / "halves")
    assert result.steps == 8
    one, two = (
        tf.train.load_checkpoint(str(tmp_path / name / "checkpoints" / "model.ckpt-8"))
        for name in ("whole", "halves")
    )
    for name in one.get_variable_to_shape_map():
        np.testing.assert_allclose(
            one.get_tensor(name), two.get_tensor(name), atol=2e-4, err_msg=name
        )
    with pytest.raises(InputError, match="another configuration"):
        train(short(steps=8, batch_size=2), synthetic_records, tmp_path / "halves")


def test_finished_run_does_nothing_more(small_run):
    before = checkpoints.latest_checkpoint(small_run.run)
    result = train(short(steps=6), small_run.records, small_run.run)
    assert result.steps == 6 and checkpoints.latest_checkpoint(small_run.run) == before


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
    with pytest.raises(InputError, match=r"loss became.*SYNTH/SYNTH_0"):
        train(config, synthetic_records, tmp_path / "run")


def test_original_recipe_trains(synthetic_tree, tmp_path):
    from data_tools.build_records import build_records

    config = short("senet_original", steps=30, batch_size=8, validate_every=30, summary_every=5)
    build_records("300w_lp", synthetic_tree, tmp_path / "records", config.records, workers=1)
    train(config, tmp_path / "records", tmp_path / "run")
    losses = [
        value.simple_value
        for events in (tmp_path / "run").glob("events*")
        for event in tf.train.summary_iterator(str(events))
        for value in event.summary.value
        if value.tag == "train/loss"
    ]
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
    from senet_landmark.metrics import nme_inter_ocular
    from senet_landmark.schemes import get_scheme

    scheme = get_scheme("300w_68")
    truth = np.zeros((2, 68, 2))
    truth[:, 45] = (30, 40)  # 50 from point 36
    predicted = truth + (3, 4)  # each off by 5
    predicted[1] += (3, 4)
    np.testing.assert_allclose(nme_inter_ocular(predicted, truth, scheme), [0.1, 0.2])
    with pytest.raises(InputError, match="different landmark schemes"):
        nme_inter_ocular(predicted[:, :5], truth, scheme)
    with pytest.raises(InputError, match="coincide"):
        nme_inter_ocular(predicted, truth * 0, scheme)
    with pytest.raises(InputError, match="NaN"):
        nme_inter_ocular(predicted * np.nan, truth, scheme)


def test_json_of_presets_is_plain():
    assert json.loads(json.dumps(to_json(get_preset("senet"))))["preset"] == "senet"
