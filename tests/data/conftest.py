"""A file of records that a test may spoil."""

import shutil

import pytest

from senet_landmark.data.records import load_records_info, shard_paths


@pytest.fixture
def shard(synthetic_records, tmp_path):
    """A copy of the training records: one file of `FACES` faces."""
    (path,) = shard_paths(synthetic_records, load_records_info(synthetic_records), "train")
    return shutil.copy(path, tmp_path / path.name)
