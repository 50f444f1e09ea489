"""The published recipes train."""

import dataclasses

import numpy as np
import pytest

from run_summaries import scalars
from runs import short
from senet_landmark.training import checkpoints
from senet_landmark.training.train import train

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["tcdcn", "cnn", "pfld", "asmnet"])
def test_published_recipe_trains(task_records, tmp_path, name):
    options = {"batch_size": 2, "validate_every": 1}
    config = short(name, steps=1, **options)
    if name == "tcdcn":
        network = dataclasses.replace(config.network, attributes=("gender", "smile", "head_pose"))
        loss = dataclasses.replace(config.loss, attribute_weights=(2.0, 4.0, 3.0))
        config = dataclasses.replace(config, network=network, loss=loss)
    result = train(config, task_records, tmp_path / "run")
    assert result.steps == 1 and np.isfinite(result.loss)
    assert np.isfinite(list(result.figures.values())).all()
    assert ("pose_mae_yaw" in result.figures) == (name == "asmnet")
    assert ("accuracy_head_pose" in result.figures) == (name == "tcdcn")
    assert (tmp_path / "run" / checkpoints.SHAPE_MODEL).exists() == (name == "asmnet")


def test_original_recipe_trains(synthetic_tree, tmp_path):
    from senet_landmark.data_tools.records.build_records import build_records

    config = short("senet_original", steps=30, batch_size=8, validate_every=30, summary_every=5)
    build_records("300w_lp", synthetic_tree, tmp_path / "records", config.records, workers=1)
    train(config, tmp_path / "records", tmp_path / "run")
    losses = list(scalars(tmp_path / "run")["train/loss"].values())
    assert losses[-1] < losses[0]
    assert not (tmp_path / "run" / "best").exists()  # its test set chooses nothing
