"""Records built by Apache Beam are the same files."""

import pytest

from built_records import CONFIG, contents, report_of
from senet_landmark.data_tools.records.build_records import build_records
from senet_landmark.errors import InputError

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("mode", ["in_memory", "multi_processing"])
def test_beam_writes_the_same_files(synthetic_tree, tmp_path, mode):
    pytest.importorskip("apache_beam", reason="needs the extra [beam]")
    from senet_landmark.data_tools.records.beam import build_records_beam

    options = [f"--direct_running_mode={mode}", "--direct_num_workers=2"]
    boxes = "dlib" if mode == "in_memory" else "landmarks"
    build_records("300w_lp", synthetic_tree, tmp_path / "local", CONFIG, boxes=boxes, workers=1)
    build_records_beam(
        "300w_lp", synthetic_tree, tmp_path / "beam", CONFIG, boxes=boxes, options=options
    )
    assert contents(tmp_path / "beam") == contents(tmp_path / "local")
    assert report_of(tmp_path / "beam") == report_of(tmp_path / "local")


def test_beam_refuses_a_runner_that_is_none(synthetic_tree, tmp_path):
    pytest.importorskip("apache_beam", reason="needs the extra [beam]")
    from senet_landmark.data_tools.records.beam import build_records_beam

    with pytest.raises(InputError, match="no runner 'LocalRunner'"):
        build_records_beam("300w_lp", synthetic_tree, tmp_path / "out", runner="LocalRunner")
