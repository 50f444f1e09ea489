"""What the tests share: real data where it is at hand, and one small run through the pipeline."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from senet_landmark.runtime import start_tensorflow

start_tensorflow()  # before any test module imports TensorFlow

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Callable[..., Path]:
    """(*parts) -> a path in the folder of real data; skips the test where it is absent.

    The folder is $SENET_LANDMARK_DATA, by default `../shared/data` beside the repository.
    """
    root = Path(os.environ.get("SENET_LANDMARK_DATA", REPOSITORY.parent / "shared" / "data"))

    def find(*parts: str) -> Path:
        path = root.joinpath(*parts)
        if not path.exists():
            pytest.skip(f"needs real data: {path} is absent (set SENET_LANDMARK_DATA)")
        return path

    return find


@pytest.fixture(scope="session")
def synthetic_tree(tmp_path_factory) -> Path:
    """A 300W-LP tree of 24 synthetic faces."""
    from data_tools.datasets.synthetic import write_synthetic

    root = tmp_path_factory.mktemp("tree")
    write_synthetic(root, count=24, seed=5, workers=1, progress=False)
    return root


@pytest.fixture(scope="session")
def synthetic_records(synthetic_tree, tmp_path_factory) -> Path:
    """Records of the tree, by the default preset."""
    from data_tools.build_records import build_records

    out = tmp_path_factory.mktemp("records") / "out"
    build_records("300w_lp", synthetic_tree, out, workers=1)
    return out


@dataclass(frozen=True)
class SmallRun:
    """A run of a few steps, and its frozen model."""

    records: Path
    run: Path
    model: Path


@pytest.fixture(scope="session")
def small_run(synthetic_records, tmp_path_factory) -> SmallRun:
    """Six steps of the default network on the synthetic records, frozen."""
    from export.freeze import freeze
    from senet_landmark.train import train

    folder = tmp_path_factory.mktemp("run")
    train(short(steps=6), synthetic_records, folder / "run")
    freeze(folder / "run", folder / "model.pb")
    return SmallRun(synthetic_records, folder / "run", folder / "model.pb")


PB_ENGINES = ("opencv", "tensorflow")
"""What runs a `.pb` in a process of TensorFlow 1's graph mode."""


def random_weights(variables, seed: int = 0) -> dict:
    """Values of a network's variables at random, averages too: what a checkpoint would hold."""
    import numpy as np

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


@pytest.fixture(scope="session")
def full_run(synthetic_records, tmp_path_factory) -> SmallRun:
    """A run with random weights whose network predicts all there is, and its frozen model."""
    import tensorflow.compat.v1 as tf
    import tf_slim as slim

    from export.freeze import freeze
    from senet_landmark import checkpoints
    from senet_landmark.model import build_model
    from senet_landmark.presets import get_preset
    from senet_landmark.records import load_records_info

    folder = tmp_path_factory.mktemp("full")
    config = get_preset("tcdcn")
    config = replace(config, network=replace(config.network, pose=True))
    checkpoints.save_run(
        folder / "run", config, load_records_info(synthetic_records), synthetic_records
    )
    with tf.Graph().as_default(), tf.Session() as session:
        build_model(config.network, 68, is_training=False)
        variables = slim.get_model_variables()
        checkpoints.assign_weights(session, random_weights(variables), "random weights")
        saver = tf.train.Saver(variables)
        checkpoints.save_checkpoint(saver, session, folder / "run" / "best", 7)
    freeze(folder / "run", folder / "full.pb")
    return SmallRun(synthetic_records, folder / "run", folder / "full.pb")


def short(preset: str = "senet", steps: int = 4, **train_options):
    """A preset cut down to a few small steps."""
    from senet_landmark.presets import get_preset

    config = get_preset(preset)
    options = {"steps": steps, "batch_size": 4, "validate_every": 3, "summary_every": 2}
    options["report"] = False  # seconds a run; `test_training_report` has it
    return replace(config, train=replace(config.train, **(options | train_options)))


SLOW_LAST = (
    "test_turned_views", "test_inspect", "test_losses", "test_tasks", "test_networks",
    "test_build_faults", "test_records_train", "test_export", "test_engines",
    "test_serve_load", "test_serve_page", "test_convert", "test_examples", "test_predict",
    "test_tracking", "test_video", "test_learning_rate_finder", "test_training_report",
    "test_fine_tuning", "test_training_faults", "test_distributed",
    "test_bench", "test_evaluate", "test_compare", "test_cli",
)  # fmt: skip
"""Modules that build graphs or run whole commands; the others take seconds."""


def pytest_collection_modifyitems(items):
    """Fast tests first, so that a simple mistake shows at once."""

    def place(item):
        name = item.path.stem
        return SLOW_LAST.index(name) + 1 if name in SLOW_LAST else 0

    items.sort(key=place)


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """What a service answers with: the default model, and one that gives other landmarks."""
    from served import write_narrow_model

    from export.models import DEFAULT_MODEL
    from export.service.answer import load_models

    return load_models([DEFAULT_MODEL, write_narrow_model(tmp_path_factory.mktemp("models"))])


@pytest.fixture(scope="session")
def portrait_faces(models):
    """Model -> the portrait's faces, by the predictor itself."""
    from served import PHOTO, faces_of

    return {name: faces_of(name, models, PHOTO) for name in models.predictors}
