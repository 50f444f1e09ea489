"""Every network is what its paper says."""

import cv2
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from graphs import POINTS, built, count_flops, count_weights, map_of, random_batch
from senet_landmark.config import (
    NetworkConfig,
)
from senet_landmark.networks import heads
from senet_landmark.networks.model import build_model
from senet_landmark.networks.registry import get_network

pytestmark = pytest.mark.slow


def dense(inputs, outputs):
    return (inputs + 1) * outputs


@pytest.mark.parametrize(
    ("options", "points", "parameters"),
    [
        # Layer by layer: weights and biases of the convolutions, then of the full connections.
        (
            {
                "name": "tcdcn",
                "attributes": ("gender", "smile", "glasses", "head_pose"),
                "binary_output": "sigmoid",
            },
            5,
            dense(5 * 5 * 3, 16) + dense(3 * 3 * 16, 48) + dense(3 * 3 * 48, 64)
            + dense(2 * 2 * 64, 64) + dense(17 * 17 * 64, 100) + dense(100, 10)
            + dense(100, 1 + 1 + 1 + 5),
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
        ({"name": "senet_original"}, 68, (1_022_796, 1_022_796), 0.06),
        # Guo et al., 2019: the 0.25X model is a small part of the 1X one.
        ({"name": "pfld"}, 68, (1_217_768, 1_217_768), 0.57),
        ({"name": "pfld"}, 98, (1_228_388, 1_228_388), 0.57),
        ({"name": "pfld", "width": 0.25}, 68, (91_712, 91_712), 0.045),
        ({"name": "pfld", "flatten_scales": True}, 68, (1_850_984, 1_850_984), 0.57),
        ({"name": "pfld", "flatten_scales": True}, 98, (2_140_964, 2_140_964), 0.57),
        ({"name": "asmnet", "pose": True}, 68, (1.40e6, 1.43e6), 0.53),
        ({"name": "tcdcn"}, 5, (1.90e6, 1.91e6), 0.24),
        ({"name": "cnn"}, 68, (11.8e6, 11.9e6), 1.0),
    ],
)
def test_network_is_as_large_as_it_should_be(options, points, trainable, gflops):
    graph, _ = built(NetworkConfig(**options), points)
    assert trainable[0] <= count_weights(graph)[0] <= trainable[1]
    assert 0.8 * gflops <= count_flops(graph) / 1e9 <= gflops


def test_original_network_is_the_write_ups():
    """Every block's map, reduction to a quarter of the input's channels, sums without a ReLU."""
    graph, model = built(NetworkConfig(name="senet_original"))
    assert model.end_points["features"].shape.as_list() == [1, 2, 2, 512]
    inputs = (32, 64, 128, 128, 256)
    channels, sides = (64, 128, 128, 256, 512), (32, 16, 8, 4, 2)
    for index in range(5):
        block = f"senet_original/block_{index}"
        assert map_of(graph, f"{block}/conv/Relu") == (sides[index],) * 2 + (inputs[index] // 4,)
        assert map_of(graph, f"{block}/add") == (sides[index],) * 2 + (channels[index],)
        squeezed = graph.get_operation_by_name(f"{block}/squeeze_excite/reduce/Conv2D")
        assert squeezed.outputs[0].shape.as_list()[-1] == channels[index] // 16
        assert "Relu" not in {
            user.type for user in graph.get_operation_by_name(f"{block}/add").outputs[0].consumers()
        }


@pytest.mark.parametrize(
    ("name", "variance", "layers"),
    [
        # He et al., 2015; 1 over the inputs; Glorot and Bengio, 2010; PyTorch's layers.
        ("senet_original", lambda fan_in, fan_out: 2 / fan_in, 8),
        ("pfld", lambda fan_in, fan_out: 1 / fan_in, 20),
        ("asmnet", lambda fan_in, fan_out: 1 / fan_in, 15),
        ("tcdcn", lambda fan_in, fan_out: 2 / (fan_in + fan_out), 3),
        ("cnn", lambda fan_in, fan_out: 1 / (3 * fan_in), 3),
    ],
)
def test_network_begins_with_its_variance(name, variance, layers):
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(1)
        build_model(NetworkConfig(name=name), POINTS, is_training=False)
        session.run(tf.global_variables_initializer())
        kernels = [v for v in tf.trainable_variables() if v.op.name.endswith("/weights")]
        values = {v.op.name: value for v, value in zip(kernels, session.run(kernels), strict=True)}
        biases = {v.op.name: v for v in tf.trainable_variables() if v.op.name.endswith("/biases")}
        biases = session.run(biases)
    if name in ("pfld", "asmnet"):  # their last layer begins near the middle of the crop
        values.pop(f"{name}/coordinates/weights")
    large = {key: value for key, value in values.items() if value.size > 4_000}
    assert len(large) >= layers
    for key, value in large.items():
        field = int(np.prod(value.shape[:-2]))
        expected = variance(field * value.shape[-2], field * value.shape[-1])
        assert value.var() == pytest.approx(expected, rel=0.12), key
    if name == "tcdcn":
        assert not any(value.any() for value in biases.values())
    if name == "cnn":
        for key, value in biases.items():
            kernel = values[key.replace("biases", "weights")]
            assert 0.8 < np.abs(value).max() * np.sqrt(np.prod(kernel.shape[:-1])) <= 1, key


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("senet", -1, 1),
        ("senet_original", 0, 255),
        ("tcdcn", -1, 1),
        ("cnn", 0, 1),
        ("pfld", -1, 1),
        ("asmnet", -1, 1),
    ],
)
def test_network_gets_its_input_range(name, low, high):
    graph, model = built(NetworkConfig(name=name))
    inside = [
        op
        for op in graph.get_operations()
        if op.type == "Conv2D" and op.name.startswith(f"{name}/")
    ]
    first = inside[0].inputs[0]
    assert first.shape[-1] == (1 if name == "cnn" else 3)
    with tf.Session(graph=graph) as session:
        for value, expected in ((0, low), (255, high)):
            crop = np.full(model.image.shape.as_list(), value, np.float32)
            np.testing.assert_allclose(session.run(first, {model.image: crop}), expected, atol=1e-5)


def test_asmnet_has_the_papers_parameters_and_flops():
    """Fard et al., CVPRW 2021, table 1: 1.43 M parameters, 0.51 GFLOPs."""
    graph, _ = built(NetworkConfig(name="asmnet", pose=True))
    assert count_weights(graph)[1] == pytest.approx(1.43e6, rel=0.01)
    assert count_flops(graph) == pytest.approx(0.51e9, rel=0.03)


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("tcdcn", [(156, 16), (78, 16), (76, 48), (38, 48), (36, 64), (18, 64), (17, 64)]),
        ("cnn", [(220, 32), (110, 32), (108, 64), (54, 64), (52, 128), (26, 128)]),
    ],
)
def test_maps_of_plain_convolutions_shrink_as_published(name, stages):
    """Every convolution and every pooling, by side and channels."""
    graph, _ = built(NetworkConfig(name=name), 5 if name == "tcdcn" else POINTS)
    maps = [
        map_of(graph, op.name)
        for op in graph.get_operations()
        if op.type in ("Relu", "MaxPool") and op.outputs[0].shape.ndims == 4
    ]
    assert maps == [(side, side, channels) for side, channels in stages]


@pytest.mark.parametrize(
    ("name", "stem", "stages"),
    [
        # Guo et al., 2019, table 1: (side, channels, blocks) of each row.
        ("pfld", (56, 64), [(28, 64, 5), (14, 128, 1), (14, 128, 6), (14, 16, 1)]),
        # Sandler et al., CVPR 2018, table 2, up to block 15: Fard et al., CVPRW 2021, section 3.1.
        (
            "asmnet",
            (112, 32),
            [(112, 16, 1), (56, 24, 2), (28, 32, 3), (14, 64, 4), (14, 96, 3), (7, 160, 3)],
        ),
    ],
)
def test_inverted_residuals_are_the_papers_rows(name, stem, stages):
    graph, _ = built(NetworkConfig(name=name))
    assert map_of(graph, f"{name}/stem/Relu6") == (stem[0], stem[0], stem[1])
    projected = [
        op.name
        for op in graph.get_operations()
        if op.type.startswith("FusedBatchNorm") and "/project/" in op.name
    ]
    expected = [(side, side, channels) for side, channels, count in stages for _ in range(count)]
    assert [map_of(graph, block) for block in projected] == expected


def test_scales_of_pfld_are_the_papers():
    """Guo et al., 2019, table 1: 56x56 after the stem; S1 14x14x16, S2 7x7x32, S3 1x1x128."""
    graph, model = built(NetworkConfig(name="pfld", pose=True))
    assert map_of(graph, "pfld/stem/Relu6") == (56, 56, 64)
    second = graph.get_operation_by_name("pfld/second_scale/Conv2D")
    assert second.inputs[0].shape.as_list() == [1, 14, 14, 16]
    assert map_of(graph, "pfld/second_scale/Relu6") == (7, 7, 32)
    assert map_of(graph, "pfld/third_scale/Relu6") == (1, 1, 128)
    assert model.end_points["features"].shape.as_list() == [1, 16 + 32 + 128]
    _, flat = built(NetworkConfig(name="pfld", pose=True, flatten_scales=True))
    assert flat.end_points["features"].shape.as_list() == [1, 14 * 14 * 16 + 7 * 7 * 32 + 128]
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
        biases.load(np.where(np.arange(2 * POINTS) % 2, 1e4, -1e4), session)
        image = {model.image: random_batch(1, (128, 128))["image"]}
        found = session.run(model.landmarks, image)
    assert (found[..., 0] == 0).all() and (found[..., 1] > 0).all()
    graph, _ = built(NetworkConfig(name="senet_original", last_relu=False))
    assert not [op for op in graph.get_operations() if op.name.endswith("coordinates/Relu")]


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
        biases.load(np.zeros(biases.shape), session)
        at_zero = session.run(model.landmarks, image)
        biases.load(np.ones(biases.shape), session)
        at_one = session.run(model.landmarks, image)
    np.testing.assert_allclose(at_zero * 224, 100, atol=1e-3)
    np.testing.assert_allclose(at_one * 224, 150, atol=1e-3)


def test_grid_reaches_beyond_the_crop():
    grid = heads._grid(16, 16)
    assert grid.min() == pytest.approx(-heads.GRID_REACH) and grid.max() > 1
    np.testing.assert_allclose(grid[:16, 1], grid[0, 1])  # rows are y
