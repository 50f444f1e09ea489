"""Every network through the registry: it learns, reloads, and is what its paper says."""

import dataclasses
import functools
import json

import cv2
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from runs import total_loss
from senet_landmark.config import (
    Config,
    LossConfig,
    NetworkConfig,
    TrainConfig,
    check_config,
    from_json,
    to_json,
)
from senet_landmark.errors import InputError
from senet_landmark.face.attributes import split_probabilities
from senet_landmark.losses import get_loss
from senet_landmark.networks import heads
from senet_landmark.networks.model import build_model
from senet_landmark.networks.registry import NETWORKS, get_network, resolved
from senet_landmark.networks.weights import assign_weights
from senet_landmark.presets import PRESETS
from senet_landmark.training.optimisation import gradients_of, update_operation

pytestmark = pytest.mark.slow

CASES = [(name, head) for name, spec in NETWORKS.items() for head in spec.heads]
POINTS = 68
ATTRIBUTES = ("gender", "smile", "head_pose")
CLASSES = (2, 2, 5)
RATE = 3e-5
"""Small enough for `cnn`, whose coordinates are sums over 86,528 features."""
OTHER_OPTIONS = {"width": 0.5, "batch_norm": True, "dropout_keep": 0.5}


def random_batch(count, size, seed=0):
    """Random photos, and truths of every task for them."""
    generator = np.random.default_rng(seed)
    attributes = [generator.integers(0, classes, count) for classes in CLASSES]
    return {
        "image": generator.integers(0, 256, (count, size[1], size[0], 3), dtype=np.uint8),
        "landmarks": generator.uniform(0.1, 0.9, (count, POINTS, 2)).astype(np.float32),
        "pose": generator.uniform(-40, 40, (count, 3)).astype(np.float32),
        "attributes": np.stack(attributes, 1).astype(np.float32),
    }


@functools.cache
def built(config, points=POINTS, is_training=False):
    """(graph, model) of a network for one face; built once for all tests that only look at it."""
    with tf.Graph().as_default() as graph:
        model = build_model(config, points, is_training=is_training, batch_size=1)
    return graph, model


def count_weights(graph):
    """Trainable parameters, and those with the moving averages."""
    with graph.as_default():
        return [
            sum(int(np.prod(v.shape)) for v in variables)
            for variables in (tf.trainable_variables(), slim.get_model_variables())
        ]


def count_flops(graph):
    """Additions and multiplications for one face, by TensorFlow's profiler."""
    options = tf.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    return tf.profiler.profile(graph, options=options).total_float_ops


def map_of(graph, operation):
    """(height, width, channels) of what an operation gives."""
    return tuple(graph.get_operation_by_name(operation).outputs[0].shape.as_list()[1:])


# --- learning and reloading ------------------------------------------------------------------


@pytest.mark.parametrize(("name", "head"), CASES)
def test_network_learns_all_tasks_and_reloads_equal(name, head):
    # Without weight decay, which would move weights that no task reaches.
    config = NetworkConfig(name=name, head=head, weight_decay=0.0, pose=True, attributes=ATTRIBUTES)
    size = get_network(name).input_size
    faces = random_batch(2, size)
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(1)
        batch = {key: tf.constant(value) for key, value in faces.items()}
        model = build_model(config, POINTS, is_training=True, image=batch["image"])
        assert {"features", "landmarks", "pose"} <= set(model.end_points)
        loss = total_loss(Config(network=config), model.end_points, batch, size, ATTRIBUTES)
        step = tf.train.get_or_create_global_step()
        options = TrainConfig(ema_decay=0.0)
        updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        update, _ = update_operation(*gradients_of(loss), tf.constant(RATE), step, options, updates)
        session.run(tf.global_variables_initializer())
        variables = {v.op.name: v for v in slim.get_model_variables()}
        before = session.run(variables)
        drops = "dropout_keep" in get_network(name).options and head == "fc"
        one, two = (session.run(model.landmarks) for _ in range(2))
        assert (np.abs(one - two).max() > 1e-4) == drops
        losses = [session.run([loss, update])[0]]
        after = session.run(variables)
        losses += [session.run([loss, update])[0] for _ in range(5)]
        trained = session.run(variables)
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
    for key, value in before.items():
        if "moving_" in key or key.endswith("weights"):
            assert (value != after[key]).any(), f"{key} did not move"

    with tf.Graph().as_default(), tf.Session() as session:
        model = build_model(config, POINTS, is_training=False)

        def predict(count):
            return session.run(model.outputs, {model.image: faces["image"][:count]})

        assign_weights(session, trained, name)
        whole, again, single = predict(2), predict(2), predict(1)
        session.run(tf.global_variables_initializer())
        untrained = predict(2)
        assign_weights(session, trained, name)
        reloaded = predict(2)
    check_outputs(model, whole, size)
    for key, tolerance in {"landmarks": 1e-5, "pose": 1e-2, "attributes": 1e-4}.items():
        np.testing.assert_array_equal(whole[key], again[key])  # no dropout, no batch statistics
        np.testing.assert_array_equal(whole[key], reloaded[key])
        np.testing.assert_allclose(whole[key][:1], single[key], atol=tolerance)
        assert (whole[key] != untrained[key]).any() and (whole[key][0] != whole[key][1]).any()


def has_maps(model):
    """Whether the landmarks are expectations over maps, which have a variance too."""
    return "map_logits" in model.end_points


def check_outputs(model, found, size):
    """Names and shapes are the contract's, and probabilities such."""
    assert model.image.name == "image:0"
    assert model.image.shape.as_list() == [None, size[1], size[0], 3]
    names = {key: tensor.name for key, tensor in model.outputs.items()}
    expected = {"landmarks": (2, POINTS, 2), "pose": (2, 3), "attributes": (2, sum(CLASSES))}
    if has_maps(model):
        expected["variance"] = (2, POINTS)
        assert (found["variance"] > 0).all()
    assert names == {key: f"{key}:0" for key in expected}
    assert {key: value.shape for key, value in found.items()} == expected
    shares = split_probabilities(found["attributes"], ATTRIBUTES)
    assert [values.shape[1] for values in shares.values()] == list(CLASSES)
    for values in shares.values():
        assert (values >= 0).all()
        np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-5)


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


# --- options ---------------------------------------------------------------------------------


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


@pytest.mark.parametrize("name", PRESETS)
def test_preset_is_valid_and_builds(name):
    config = PRESETS[name]
    check_config(config)
    assert from_json(Config, json.loads(json.dumps(to_json(config)))) == config
    get_loss(config.loss.name)
    # Weight decay is nothing to an inference graph, and networks that differ in it are built once.
    _, model = built(dataclasses.replace(config.network, weight_decay=1e-5))
    wanted = {"landmarks"} | ({"pose"} if config.network.pose else set())
    wanted |= {"attributes"} if config.network.attributes else set()
    wanted |= {"variance"} if has_maps(model) else set()
    assert set(model.outputs) == wanted


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


# --- the architectures, against their papers -------------------------------------------------


def dense(inputs, outputs):
    return (inputs + 1) * outputs


@pytest.mark.parametrize(
    ("options", "points", "parameters"),
    [
        # Layer by layer: weights and biases of the convolutions, then of the full connections.
        (
            {"name": "tcdcn", "attributes": ("gender", "smile", "glasses", "head_pose")},
            5,
            dense(5 * 5 * 3, 16) + dense(3 * 3 * 16, 48) + dense(3 * 3 * 48, 64)
            + dense(2 * 2 * 64, 64) + dense(17 * 17 * 64, 100) + dense(100, 10)
            + dense(100, 2 + 2 + 2 + 5),
        ),
        (
            {"name": "cnn"},
            68,
            dense(5 * 5, 32) + dense(3 * 3 * 32, 64) + dense(3 * 3 * 64, 128)
            + dense(26 * 26 * 128, 136),
        ),
    ],
)  # fmt: skip
def test_parameters_are_those_of_the_layers(options, points, parameters):
    graph, _ = built(NetworkConfig(**options), points)
    assert count_weights(graph) == [parameters, parameters]


@pytest.mark.parametrize(
    ("options", "points", "trainable", "gflops"),
    [
        ({"name": "senet"}, 68, (0.5e6, 0.7e6), 0.1),
        ({"name": "senet_original"}, 68, (1.3e6, 1.4e6), 0.09),
        # Guo et al., 2019: the 0.25X model is a small part of the 1X one.
        ({"name": "pfld"}, 68, (1.8e6, 1.9e6), 0.57),
        ({"name": "pfld"}, 98, (2.1e6, 2.2e6), 0.57),
        ({"name": "pfld", "width": 0.25}, 68, (0.24e6, 0.26e6), 0.045),
        ({"name": "asmnet", "pose": True}, 68, (1.40e6, 1.43e6), 0.53),
        ({"name": "tcdcn"}, 5, (1.90e6, 1.91e6), 0.24),
        ({"name": "cnn"}, 68, (11.8e6, 11.9e6), 1.0),
    ],
)
def test_network_is_as_large_as_it_should_be(options, points, trainable, gflops):
    graph, _ = built(NetworkConfig(**options), points)
    assert trainable[0] <= count_weights(graph)[0] <= trainable[1]
    assert 0.8 * gflops <= count_flops(graph) / 1e9 <= gflops


def test_asmnet_has_the_papers_parameters_and_flops():
    """Fard et al., CVPRW 2021, table 1: 1.43 M parameters, 0.51 GFLOPs."""
    graph, _ = built(NetworkConfig(name="asmnet", pose=True))
    assert count_weights(graph)[1] == pytest.approx(1.43e6, rel=0.01)
    assert count_flops(graph) == pytest.approx(0.51e9, rel=0.03)


def test_maps_of_tcdcn_and_cnn_shrink_as_published():
    graph, _ = built(NetworkConfig(name="tcdcn"), 5)
    assert map_of(graph, "tcdcn/conv_3/Relu") == (17, 17, 64)
    graph, model = built(NetworkConfig(name="cnn"))
    assert map_of(graph, "cnn/conv_0/Relu") == (220, 220, 32)
    assert map_of(graph, "cnn/pool_2/MaxPool") == (26, 26, 128)
    assert model.end_points["features"].shape.as_list() == [1, 26, 26, 128]


def test_scales_of_pfld_are_the_papers():
    """Guo et al., 2019, table 1: 56x56 after the stem; S1 14x14x16, S2 7x7x32, S3 1x1x128."""
    graph, model = built(NetworkConfig(name="pfld", pose=True))
    assert map_of(graph, "pfld/stem/Relu6") == (56, 56, 64)
    second = graph.get_operation_by_name("pfld/second_scale/Conv2D")
    assert second.inputs[0].shape.as_list() == [1, 14, 14, 16]
    assert map_of(graph, "pfld/second_scale/Relu6") == (7, 7, 32)
    assert map_of(graph, "pfld/third_scale/Relu6") == (1, 1, 128)
    assert model.end_points["features"].shape.as_list() == [1, 14 * 14 * 16 + 7 * 7 * 32 + 128]
    # Table 2: the branch takes the map of 28x28.
    branch = graph.get_operation_by_name("pfld/auxiliary/conv_1/Conv2D")
    assert branch.inputs[0].shape.as_list() == [1, 28, 28, 64]


def test_asmnet_joins_the_means_of_six_blocks():
    graph, model = built(NetworkConfig(name="asmnet", pose=True))
    assert model.end_points["features"].shape.as_list() == [1, 536]
    joined = graph.get_operation_by_name("asmnet/concat").inputs[:-1]
    maps = [mean.op.inputs[0].shape.as_list()[1:] for mean in joined]
    sides, channels = (56, 28, 14, 14, 7, 7), (24, 32, 64, 96, 160, 160)
    assert maps == [[s, s, c] for s, c in zip(sides, channels, strict=True)]


@pytest.mark.parametrize(("name", "is_grey"), [("cnn", True), ("tcdcn", False)])
def test_grey_network_sees_brightness_alone(name, is_grey):
    """A crop and the same made grey by BT.601, which is OpenCV's, are one to a grey network."""
    colour = random_batch(2, get_network(name).input_size)["image"].astype(np.float32)
    grey = np.stack([cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in colour])
    grey = np.repeat(grey[..., None], 3, axis=-1)
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(3)
        model = build_model(NetworkConfig(name=name), POINTS, is_training=False)
        session.run(tf.global_variables_initializer())
        one, two = (session.run(model.landmarks, {model.image: i}) for i in (colour, grey))
    assert (np.abs(one - two).max() < 1e-5) == is_grey


def test_original_network_never_predicts_below_zero():
    """It ends in a ReLU, as the write-up's: what would be negative is 0."""
    graph, model = built(NetworkConfig(name="senet_original"))
    with graph.as_default(), tf.Session() as session:
        session.run(tf.global_variables_initializer())
        (biases,) = (v for v in tf.trainable_variables() if "coordinates/biases" in v.op.name)
        biases.load(np.where(np.arange(2 * POINTS) % 2, 50.0, -50.0), session)
        image = {model.image: random_batch(1, (128, 128))["image"]}
        found = session.run(model.landmarks, image)
    assert (found[..., 0] == 0).all() and (found[..., 1] > 0).all()


def test_cnn_begins_at_the_middle_that_its_targets_are_about():
    """(p - 100) / 50 in 224 pixels: a target of 0 is pixel 100."""
    with tf.Graph().as_default(), tf.Session() as session:
        model = build_model(NetworkConfig(name="cnn"), POINTS, is_training=False)
        session.run(tf.global_variables_initializer())
        weights, biases = (
            v for v in tf.trainable_variables() if v.op.name.startswith("cnn/coordinates")
        )
        image = {model.image: random_batch(1, (224, 224))["image"]}
        weights.load(np.zeros(weights.shape), session)
        at_zero = session.run(model.landmarks, image)
        biases.load(np.ones(biases.shape), session)
        at_one = session.run(model.landmarks, image)
    np.testing.assert_allclose(at_zero * 224, 100, atol=1e-3)
    np.testing.assert_allclose(at_one * 224, 150, atol=1e-3)


def test_grid_reaches_beyond_the_crop():
    grid = heads._grid(16, 16)
    assert grid.min() == pytest.approx(-heads.GRID_REACH) and grid.max() > 1
    np.testing.assert_allclose(grid[:16, 1], grid[0, 1])  # rows are y
