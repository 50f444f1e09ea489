"""Training that is killed ends as an undisturbed run."""

import signal
import time

import numpy as np
import pytest

from repeated import assert_same_end, begin
from senet_landmark.training.run_log import curves

pytestmark = pytest.mark.slow


def test_run_killed_at_any_moment_ends_as_an_undisturbed_one(
    undisturbed, synthetic_records, tmp_path
):
    """So too is a second run of one seed the same to the last bit."""
    run, moments = tmp_path / "run", np.random.default_rng()
    killed = 0
    for goal in (12, 35, None):
        process = begin(synthetic_records, run)
        while process.poll() is None and goal is not None:
            if run.exists() and max(curves(run).get("train/loss", {0: 0})) >= goal:
                time.sleep(moments.uniform(0, 0.2))
                process.send_signal(signal.SIGKILL)
                killed += process.wait() == -signal.SIGKILL
            time.sleep(0.01)
        process.wait()
    assert killed >= 1 and process.returncode == 0
    assert_same_end(undisturbed, run)
