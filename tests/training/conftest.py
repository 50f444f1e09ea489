"""Runs that several files of tests start from."""

from pathlib import Path

import pytest

from fine_tuned import save_run
from repeated import begin
from senet_landmark.config import NetworkConfig


@pytest.fixture(scope="session")
def runs(synthetic_records, tmp_path_factory):
    """network -> folder of a run of it on 68 points, with random weights."""
    made = {}

    def run_of(network: NetworkConfig) -> Path:
        if network not in made:
            made[network] = tmp_path_factory.mktemp("runs") / "run"
            save_run(made[network], network, synthetic_records)
        return made[network]

    return run_of


@pytest.fixture(scope="session")
def undisturbed(synthetic_records, tmp_path_factory):
    """A run of one session."""
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    assert begin(synthetic_records, run).wait() == 0
    return run
