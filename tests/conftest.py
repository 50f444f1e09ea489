"""What the tests share: real data where it is at hand, and one small run through the pipeline."""

import importlib.util
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from browsers import chromium
from runs import REPOSITORY, SmallRun, random_weights, short
from senet_landmark.runtime import start_tensorflow

# Before any test module imports it. The tests that MediaPipe needs run without.
if importlib.util.find_spec("tensorflow"):
    start_tensorflow()


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
    from senet_landmark.data_tools.synthesis.synthetic_tree import write_synthetic

    root = tmp_path_factory.mktemp("tree")
    write_synthetic(root, count=24, seed=5, workers=1, progress=False)
    return root


@pytest.fixture(scope="session")
def synthetic_records(synthetic_tree, tmp_path_factory) -> Path:
    """Records of the tree, by the default preset."""
    from senet_landmark.data_tools.records.build_records import build_records

    out = tmp_path_factory.mktemp("records") / "out"
    build_records("300w_lp", synthetic_tree, out, workers=1)
    return out


@pytest.fixture(scope="session")
def deep_records(synthetic_tree, tmp_path_factory) -> Path:
    """Records of the tree's true jaw, with the depth of every landmark."""
    from senet_landmark.data_tools.records.build_records import build_records

    out = tmp_path_factory.mktemp("deep") / "out"
    build_records("300w_lp", synthetic_tree, out, points="pts_3d", workers=1)
    return out


@pytest.fixture(scope="session")
def wflw_tree(tmp_path_factory) -> Path:
    """A WFLW tree of 20 made faces, 8 of them for testing."""
    from senet_landmark.data_tools.synthesis.synthetic_tree import write_synthetic

    root = tmp_path_factory.mktemp("tree") / "WFLW"
    write_synthetic(
        root, count=20, test=8, layout="wflw", seed=5, size=200, workers=1, progress=False
    )
    return root


@pytest.fixture(scope="session")
def task_records(synthetic_records, tmp_path_factory) -> Path:
    """The synthetic records with attributes.

    `gender` cannot be learnt: it is one class in training, the other in validation. `head_pose`
    is the side that the face looks to.
    """
    from made_records import changed_records

    def described(split, number, record):
        side = 1 if record.pose[0] > 0 else 3
        values = np.array([split == "train", number % 2, side], np.float32)
        return replace(record, attributes=values)

    out = tmp_path_factory.mktemp("tasks") / "records"
    names = ["gender", "smile", "head_pose"]
    return changed_records(synthetic_records, out, described, attributes=names)


@pytest.fixture(scope="session")
def small_run(synthetic_records, tmp_path_factory) -> SmallRun:
    """Six steps of the default network on the synthetic records, frozen."""
    from senet_landmark.export.freezing.freeze import freeze
    from senet_landmark.training.train import train

    folder = tmp_path_factory.mktemp("run")
    train(short(steps=6), synthetic_records, folder / "run")
    freeze(folder / "run", folder / "model.pb")
    return SmallRun(synthetic_records, folder / "run", folder / "model.pb")


@pytest.fixture(scope="session")
def full_run(synthetic_records, tmp_path_factory) -> SmallRun:
    """A run with random weights whose network predicts all there is, and its frozen model."""
    import tensorflow.compat.v1 as tf
    import tf_slim as slim

    from senet_landmark.data.records import load_records_info
    from senet_landmark.export.freezing.freeze import freeze
    from senet_landmark.networks.model import build_model
    from senet_landmark.networks.weights import assign_weights
    from senet_landmark.presets import get_preset
    from senet_landmark.training import checkpoints

    folder = tmp_path_factory.mktemp("full")
    config = get_preset("tcdcn")
    config = replace(config, network=replace(config.network, pose=True))
    checkpoints.save_run(
        folder / "run", config, load_records_info(synthetic_records), synthetic_records
    )
    with tf.Graph().as_default(), tf.Session() as session:
        build_model(config.network, 68, is_training=False)
        variables = slim.get_model_variables()
        assign_weights(session, random_weights(variables), "random weights")
        saver = tf.train.Saver(variables)
        checkpoints.save_checkpoint(saver, session, folder / "run" / "best", 7)
    freeze(folder / "run", folder / "full.pb")
    return SmallRun(synthetic_records, folder / "run", folder / "full.pb")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 300 kB; `mount -o remount,size=20m` makes it larger."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"needs the right to mount a tmpfs: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def pytest_collection_modifyitems(items):
    """Fast tests first, so that a simple mistake shows at once."""

    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """What a service answers with: the default model, and one that gives other landmarks."""
    from senet_landmark.export.service.answer import load_models
    from senet_landmark.frozen.models import DEFAULT_MODEL
    from served import write_narrow_model

    return load_models([DEFAULT_MODEL, write_narrow_model(tmp_path_factory.mktemp("models"))])


@pytest.fixture(scope="session")
def portrait_faces(models):
    """Model -> the portrait's faces, by the predictor itself."""
    from served import PHOTO, faces_of

    return {name: faces_of(name, models, PHOTO) for name in models.predictors}


# A driver has an event loop, of which a thread has one at a time: it ends with its module.
@pytest.fixture(scope="module")
def driver():
    """Playwright."""
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="needs Playwright (pip install playwright)"
    )
    with sync_api.sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def browser(driver):
    """Chromium, driven by Playwright."""
    with chromium(driver) as started:
        yield started
