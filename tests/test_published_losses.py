"""The loss of each published system's preset, anew in NumPy from what its write-up says."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from loss_references import CLASSES, class_matrix, numpy_loss
from runs import total_loss
from senet_landmark.networks.registry import get_network
from senet_landmark.presets import get_preset

pytestmark = pytest.mark.slow

FACES = 4
ATTRIBUTES = ("gender", "smile", "glasses", "head_pose")


def made(points, attributes=(), pose=False):
    """(end points, batch) of random faces, float64."""
    generator = np.random.default_rng(3)
    truth = generator.uniform(0.1, 0.9, (FACES, points, 2))
    ends = {
        "landmarks": truth + generator.normal(0, 0.05, truth.shape),
    }
    angles = generator.uniform(-40, 40, (FACES, 3))
    if pose:
        ends["pose"] = angles
    batch = {
        "landmarks": truth,
        "asm_landmarks": truth + generator.normal(0, 0.02, truth.shape),
        "pose": angles + generator.normal(0, 15, (FACES, 3)),
        "attributes": generator.integers(0, 2, (FACES, len(ATTRIBUTES))).astype(float),
        "classes": class_matrix(),
    }
    for name in attributes:
        ends[f"logits/{name}"] = generator.normal(0, 2, (FACES, 5 if name == "head_pose" else 1))
    return ends, batch


def computed(name, ends, batch, progress=0.0):
    config = get_preset(name)
    size = get_network(config.network.name).input_size
    with tf.Graph().as_default(), tf.Session() as session:
        tensors = [
            {key: tf.constant(value, tf.float32) for key, value in values.items()}
            for values in (ends, batch)
        ]
        return session.run(total_loss(config, *tensors, size, ATTRIBUTES, progress=progress))


@pytest.mark.parametrize(
    ("name", "landmarks", "weights"),
    [
        ("tcdcn", 7, {"gender": 2, "smile": 4, "glasses": 1, "head_pose": 3}),
        ("tcdcn_attributes", 2, {"gender": 1, "smile": 4, "glasses": 1}),
        ("tcdcn_pose", 4, {"head_pose": 11}),
        ("tcdcn_landmarks", 1, {}),
    ],
)
def test_tcdcn_adds_squared_pixels_and_cross_entropies(name, landmarks, weights):
    ends, batch = made(5, weights)
    expected = landmarks * np.mean(((ends["landmarks"] - batch["landmarks"]) * 160) ** 2)
    for task, weight in weights.items():
        truth = batch["attributes"][:, ATTRIBUTES.index(task)]
        logits = ends[f"logits/{task}"]
        if task == "head_pose":
            shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            entropies = -np.log(shares[np.arange(FACES), truth.astype(int)])
        else:
            yes = 1 / (1 + np.exp(-logits[:, 0]))
            entropies = -(truth * np.log(yes) + (1 - truth) * np.log(1 - yes))
        expected += weight * entropies.mean()
    assert computed(name, ends, batch) == pytest.approx(expected, rel=1e-5)


def test_cnn_compares_points_less_100_over_50():
    ends, batch = made(68)
    first, second = ((224 * points["landmarks"] - 100) / 50 for points in (ends, batch))
    assert computed("cnn", ends, batch) == pytest.approx(np.mean((first - second) ** 2), rel=1e-4)


@pytest.mark.parametrize("name", ["senet_original", "senet_original_augmented"])
def test_original_network_compares_normalised_points(name):
    ends, batch = made(68)
    expected = np.mean((ends["landmarks"] - batch["landmarks"]) ** 2)
    assert computed(name, ends, batch) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", ["pfld", "pfld_025", "pfld_published", "pfld_unaugmented"])
def test_pfld_multiplies_classes_angles_and_normalised_distances(name):
    assert len(CLASSES) == FACES
    ends, batch = made(98, pose=True)
    assert computed(name, ends, batch) == pytest.approx(numpy_loss("pfld", ends, batch), rel=1e-4)


@pytest.mark.parametrize(
    ("name", "copies", "pose"),
    [("asmnet", 2, 1), ("asmnet_without_asm", 0, 1), ("asmnet_balanced", 2, 0.1)],
)
@pytest.mark.parametrize(("progress", "factor"), [(0.1, 1), (0.5, 0.5), (0.9, 0.25)])
def test_asmnet_adds_copies_and_squared_radians(name, copies, pose, progress, factor):
    ends, batch = made(68, pose=True)
    to_truth, to_copies = (
        np.mean((ends["landmarks"] - batch[key]) ** 2) for key in ("landmarks", "asm_landmarks")
    )
    angles = np.mean(np.radians(ends["pose"] - batch["pose"]) ** 2)
    expected = to_truth + copies * factor * to_copies + pose * angles
    assert computed(name, ends, batch, progress) == pytest.approx(expected, rel=1e-4)


def test_recipes_without_averages_or_clip_are_the_published_ones():
    published = ["senet_original", "tcdcn", "tcdcn_pose", "cnn", "pfld_published"]
    for name in published:
        train = get_preset(name).train
        assert (train.ema_decay, train.gradient_clip, train.keep_best) == (0, 0, False), name
    recipe = get_preset("pfld_published")
    assert (recipe.train.batch_size, recipe.train.steps) == (256, 64_000)
    assert recipe.schedule.initial == recipe.schedule.final == 1e-4
