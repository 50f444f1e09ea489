"""Every preset by its name: it is valid, and its network builds."""

import dataclasses
import json

import pytest

from graphs import built, has_maps
from senet_landmark.config import (
    Config,
    check_config,
    from_json,
    to_json,
)
from senet_landmark.errors import InputError
from senet_landmark.losses import get_loss
from senet_landmark.presets import PRESETS, get_preset

pytestmark = pytest.mark.slow


def test_unknown_preset():
    with pytest.raises(InputError, match="senet_original"):
        get_preset("best")


@pytest.mark.parametrize("name", PRESETS)
def test_preset_is_valid_and_builds(name):
    config = PRESETS[name]
    check_config(config)
    assert from_json(Config, json.loads(json.dumps(to_json(config)))) == config
    get_loss(config.loss.name)
    # Weight decay is nothing to an inference graph, and networks that differ in it are built once.
    _, model = built(dataclasses.replace(config.network, weight_decay=1e-5))
    wanted = {"landmarks"} | ({"pose"} if config.network.pose else set())
    wanted |= {"depth"} if config.network.depth else set()
    wanted |= {"attributes"} if config.network.attributes else set()
    wanted |= {"variance"} if has_maps(model) else set()
    assert set(model.outputs) == wanted
