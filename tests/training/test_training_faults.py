"""Training that meets NaN or damaged records."""

import json

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from made_records import damaged_records
from repeated import recipe, values_of
from senet_landmark.errors import InputError
from senet_landmark.training import checkpoints
from senet_landmark.training.train import train

pytestmark = pytest.mark.slow


def test_nan_keeps_the_last_good_checkpoint(synthetic_records, tmp_path):
    run = tmp_path / "run"
    config = recipe(steps=5)
    train(config, synthetic_records, run)
    prefix = checkpoints.latest_checkpoint(run)
    with tf.Graph().as_default(), tf.Session() as session:
        values = values_of(prefix)
        name = next(n for n in values if n.endswith("coordinates/biases/Adam"))
        values[name] = np.full_like(values[name], np.nan)  # the next step's weights are NaN
        made = {n: tf.Variable(v, name=n) for n, v in values.items()}
        session.run(tf.global_variables_initializer())
        tf.train.Saver(made).save(session, prefix, write_meta_graph=False, write_state=False)
    with pytest.raises(
        InputError, match=r"no longer finite at step 5\..*checkpoints.*SYNTH/SYNTH_0"
    ):
        train(recipe(steps=6), synthetic_records, run)
    assert checkpoints.latest_checkpoint(run) == prefix


def test_corrupt_records_are_skipped_and_named(synthetic_records, tmp_path, capsys):
    records = damaged_records(synthetic_records, tmp_path / "records", count=2)
    result = train(recipe(steps=5), records, tmp_path / "run")
    assert result.steps == 5 and result.skipped == 2
    listed = json.loads((tmp_path / "run" / "skipped.json").read_text())
    assert len(listed) == 2 and all("train-" in of["path"] for of in listed)
    assert "Skipped 2 corrupt records" in capsys.readouterr().err
    with pytest.raises(InputError, match="2 records are corrupt"):
        train(recipe(steps=5, max_corrupt=1), records, tmp_path / "other")
