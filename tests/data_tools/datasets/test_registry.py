"""What every reader refuses."""

import pytest

from senet_landmark.data_tools.datasets.registry import DATASETS, list_entries
from senet_landmark.errors import InputError


def test_unknown_names_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"300w_lp"):
        list_entries("300w-lp", tmp_path)
    with pytest.raises(InputError, match="pts_3d"):
        list_entries("300w_lp", tmp_path, "pt3d")
    with pytest.raises(InputError, match="does not exist"):
        list_entries("300w_lp", tmp_path / "nowhere")


@pytest.mark.parametrize("name", DATASETS)
def test_empty_folder_is_refused(tmp_path, name):
    if name == "tfds_300w_lp":
        pytest.importorskip("tensorflow_datasets")
    with pytest.raises(InputError, match="holds no photo"):
        list_entries(name, tmp_path)
