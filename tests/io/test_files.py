"""Files are written whole."""

import pytest

from senet_landmark.io.files import written_whole


def test_half_written_files_never_appear(tmp_path):
    path = tmp_path / "whole.json"
    path.write_text("old")
    with pytest.raises(RuntimeError), written_whole(path) as temporary:
        temporary.write_text("new, but")
        raise RuntimeError
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["whole.json"]
