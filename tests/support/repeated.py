"""A short run that must end alike however often it is repeated."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import tensorflow.compat.v1 as tf

from runs import plain
from senet_landmark.config import NO_AUGMENTATION, ScheduleConfig
from senet_landmark.training import checkpoints
from senet_landmark.training.run_log import curves

STEPS = 60


def recipe(steps=STEPS, **options):
    """Of one thread: what it computes is the same to the last bit."""
    loop = {"threads": 1, "batch_size": 4, "validate_every": 5, "summary_every": 1}
    config = plain(steps, **(loop | {"ema_decay": 0.9} | options))
    return dataclasses.replace(
        config,
        augment=dataclasses.replace(NO_AUGMENTATION, mirror=True, rotation=20, light=0.3),
        schedule=ScheduleConfig(initial=1e-3, final=1e-4, warmup_steps=5),
    )


def values_of(prefix):
    reader = tf.train.load_checkpoint(str(prefix))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def assert_same_end(one, two):
    """Weights, optimiser, averages, step and state, to the last bit; and one curve of each."""
    ends = [checkpoints.latest_checkpoint(run) for run in (one, two)]
    assert checkpoints.step_of(ends[0]) == checkpoints.step_of(ends[1])
    first, second = (values_of(end) for end in ends)
    assert first.keys() == second.keys()
    assert any("Adam" in name for name in first) and any("Average" in name for name in first)
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)
    states = [dataclasses.replace(checkpoints.load_state(r), minutes=0.0) for r in (one, two)]
    assert states[0] == states[1]
    logged = [curves(run) for run in (one, two)]
    for found in logged:
        found.pop("train/faces_per_second")
    assert logged[0] == logged[1]


_PROCESS = """
import sys
sys.path[:0] = {folders!r}
from senet_landmark.runtime import start_tensorflow
start_tensorflow()
from repeated import recipe
from senet_landmark.training.train import train
train(recipe(), {records!r}, {run!r})
"""


def begin(records, run):
    """A process with the run: one thread needs one, as the threads of a process are made once."""
    folders = [str(Path(__file__).parent)]
    text = _PROCESS.format(folders=folders, records=str(records), run=str(run))
    return subprocess.Popen([sys.executable, "-c", text], stderr=subprocess.DEVNULL)
