"""The options of every network."""

import dataclasses

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from graphs import POINTS, built, count_flops, has_maps, random_batch
from senet_landmark.config import (
    NetworkConfig,
)
from senet_landmark.errors import InputError
from senet_landmark.networks.model import build_model
from senet_landmark.networks.registry import NETWORKS, get_network, resolved
from senet_landmark.presets import PRESETS, get_preset

pytestmark = pytest.mark.slow

OTHER_OPTIONS = {
    "width": 0.5,
    "batch_norm": True,
    "dropout_keep": 0.5,
    "last_relu": False,
    "flatten_scales": True,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_is_predicted_that_was_not_asked_for(name):
    _, model = built(NetworkConfig(name=name))
    assert set(model.outputs) == {"landmarks"} | ({"variance"} if has_maps(model) else set())
    assert "pose" not in model.end_points
    with pytest.raises(InputError, match=r"Unknown attribute 'hat'.*gender"):
        built(NetworkConfig(name=name, attributes=("hat",)))


@pytest.mark.parametrize(
    ("is_training", "pose", "present"),
    [(True, False, True), (True, True, True), (False, False, False), (False, True, True)],
)
def test_auxiliary_branch_of_pfld_is_for_training(is_training, pose, present):
    graph, model = built(NetworkConfig(name="pfld", pose=pose), is_training=is_training)
    assert ("pose" in model.end_points) == present
    assert ("pose" in model.outputs) == pose
    with graph.as_default():
        branch = [v for v in tf.trainable_variables() if "auxiliary" in v.op.name]
        predicting = [v for v in tf.trainable_variables() if "pose/" in v.op.name]
    assert bool(branch) == present
    assert len(predicting) == 2 * present  # no second head beside the branch's


@pytest.mark.parametrize("option", OTHER_OPTIONS)
@pytest.mark.parametrize("name", NETWORKS)
def test_option_that_a_network_does_not_heed_is_refused(name, option):
    config = NetworkConfig(name=name, **{option: OTHER_OPTIONS[option]})
    if option in get_network(name).options:
        assert resolved(config) == dataclasses.replace(config, head=get_network(name).heads[0])
        return
    with tf.Graph().as_default(), pytest.raises(InputError, match=rf"'{name}'.*{option}"):
        build_model(config, POINTS, is_training=False)


@pytest.mark.parametrize("name", [n for n, s in NETWORKS.items() if "width" in s.options])
def test_width_narrows_every_layer_but_the_last(name):
    wide, narrow = (built(NetworkConfig(name=name, width=width))[0] for width in (1.0, 0.25))
    with wide.as_default():
        weights = {v.op.name: v.shape.as_list() for v in tf.trainable_variables()}
    with narrow.as_default():
        for variable in tf.trainable_variables():
            shape, before = variable.shape.as_list(), weights.pop(variable.op.name)
            last = any(f"/{part}/" in variable.op.name for part in ("coordinates", "maps"))
            ends_here = last or "depthwise" in variable.op.name
            layer = -2 if variable.op.name.endswith("depthwise_weights") else -1
            if not ends_here or layer == -2:
                assert shape[layer] == before[layer] / 4, variable.op.name
    assert not weights
    assert count_flops(narrow) < count_flops(wide) / 8


@pytest.mark.parametrize("name", [n for n, s in NETWORKS.items() if "batch_norm" in s.options])
def test_batch_norm_takes_the_place_of_the_biases(name):
    def layers(**options):
        graph, _ = built(NetworkConfig(name=name, **options), is_training=True)
        with graph.as_default():
            names = [v.op.name for v in slim.get_model_variables()]
            updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        convolutions = sum("conv_" in n and n.endswith("/weights") for n in names)
        biases = sum("conv_" in n and n.endswith("/biases") for n in names)
        return convolutions, biases, sum(n.endswith("moving_mean") for n in names), len(updates)

    convolutions, *plain = layers()
    assert plain == [convolutions, 0, 0]
    assert layers(batch_norm=True) == (convolutions, 0, convolutions, 2 * convolutions)


@pytest.mark.parametrize("name", [n for n, s in NETWORKS.items() if "dropout_keep" in s.options])
def test_dropout_that_keeps_all_drops_nothing(name):
    spec = get_network(name)
    config = NetworkConfig(name=name, head=spec.heads[-1], dropout_keep=1.0)
    graph, model = built(config, is_training=True)
    image = random_batch(1, spec.input_size)["image"]
    with graph.as_default(), tf.Session() as session:
        session.run(tf.global_variables_initializer())
        one, two = (session.run(model.landmarks, {model.image: image}) for _ in range(2))
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_head_that_a_network_lacks_is_refused():
    for name in ("senet_original", "cnn"):
        with pytest.raises(InputError, match=rf"'{name}' has no 'soft_argmax' head; it has: fc"):
            built(NetworkConfig(name=name, head="soft_argmax"))
    with pytest.raises(InputError, match="senet_original"):
        get_network("resnet")


PUBLISHED = sorted({get_preset(name).network for name in PRESETS}, key=str)


@pytest.mark.parametrize("config", PUBLISHED, ids=range(len(PUBLISHED)))
def test_outputs_of_every_preset_have_the_names_of_the_contract(config):
    """Freezing takes them by these names; one attribute alone needs its name as several do."""
    graph, model = built(config, is_training=False)
    for name, tensor in model.outputs.items():
        assert tensor is graph.get_tensor_by_name(f"{name}:0")
        assert tensor.op.type != "Placeholder"
