"""Runs, and parts of runs, for tests."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class SmallRun:
    """A run of a few steps, and its frozen model."""

    records: Path
    run: Path
    model: Path


PB_ENGINES = ("opencv", "tensorflow")
"""What runs a `.pb` in a process of TensorFlow 1's graph mode."""


def random_weights(variables, seed: int = 0) -> dict:
    """Values of a network's variables at random, averages too: what a checkpoint would hold."""
    generator = np.random.default_rng(seed)
    ranges = {"moving_variance": (0.5, 2.0), "gamma": (0.7, 1.4)}
    weights = {}
    for variable in variables:
        name, shape = variable.op.name, variable.shape.as_list()
        kind = name.rpartition("/")[2]
        if kind in ranges:
            value = generator.uniform(*ranges[kind], shape)
        elif len(shape) == 1:
            value = generator.normal(0, 0.2, shape)
        else:
            inputs = np.prod(shape[:2] if kind == "depthwise_weights" else shape[:-1])
            value = generator.normal(0, np.sqrt(2 / inputs), shape)
        weights[name] = value.astype(np.float32)
    return weights


def total_loss(*arguments, **options):
    """The sum of `loss_terms`, whose arguments it takes."""
    import tensorflow.compat.v1 as tf

    from senet_landmark.losses import loss_terms

    return tf.add_n(list(loss_terms(*arguments, **options).values()))


def short(preset: str = "senet", steps: int = 4, **train_options):
    """A preset cut down to a few small steps."""
    from senet_landmark.presets import get_preset

    config = get_preset(preset)
    options = {
        "steps": steps, "epochs": 0, "batch_size": 4, "validate_every": 3, "summary_every": 2,
        "report": False,  # seconds a run; `test_training_report` has it
        "replicas": 1,  # half the graph; `test_training_graph` and the quickstart have more
    }  # fmt: skip
    return replace(config, train=replace(config.train, **(options | train_options)))


def plain(steps: int = 4, **train_options):
    """`short` of a network whose graph is made in a second, for what any network shows."""
    return short("tcdcn_landmarks", steps, **train_options)
