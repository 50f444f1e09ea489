"""The configuration: to JSON and back, and values that no run can have."""

import dataclasses

import pytest

from senet_landmark.config import (
    Config,
    LossConfig,
    NetworkConfig,
    check_config,
    from_json,
    load_config,
    save_config,
    to_json,
)
from senet_landmark.errors import InputError
from senet_landmark.presets import PRESETS, get_preset
from senet_landmark.training.train import train


@pytest.mark.parametrize("name", PRESETS)
def test_configuration_round_trip(tmp_path, name):
    config = get_preset(name)
    save_config(tmp_path / "config.json", config)
    assert load_config(tmp_path / "config.json") == config


def test_configuration_of_an_older_run_loads():
    old = to_json(get_preset("senet"))
    del old["train"]["measure_training"]
    assert from_json(Config, old) == get_preset("senet")


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


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [
        ("network", "width", 0.0),
        ("network", "dropout_keep", 0.0),
        ("loss", "asm_share", 0.0),
        ("loss", "asm_share", 1.5),
        ("loss", "asm_weight", -1.0),
        ("loss", "l2_unit", -1.0),
        ("loss", "pose_weight", float("nan")),
        ("loss", "attribute_weights", (1.0, 2.0)),
        ("augment", "occlusion_area", 1.5),
        ("augment", "rotation_step", -5.0),
        ("train", "epochs", -1),
        ("train", "task_stopping", -0.1),
    ],
)
def test_values_that_no_run_can_have_are_named(section, field, value):
    config = Config()
    part = dataclasses.replace(getattr(config, section), **{field: value})
    with pytest.raises(InputError, match=rf"{section}\.{field}"):
        check_config(dataclasses.replace(config, **{section: part}))
    attributes = NetworkConfig(attributes=("gender", "smile"))
    negative = LossConfig(attribute_weights=(1.0, -2.0))
    with pytest.raises(InputError, match=r"loss\.attribute_weights must not be negative"):
        check_config(Config(network=attributes, loss=negative))
