"""MATLAB files: what SciPy reads, and damaged or huge ones."""

import io
import struct
import zlib

import numpy as np
import pytest
import scipy.io

from senet_landmark.data_tools.datasets.reading import mat_files
from senet_landmark.data_tools.datasets.reading.mat_files import load_mat, points_of
from senet_landmark.errors import InputError

ARRAYS = {
    "pt2d": np.random.default_rng(0).uniform(0, 400, (2, 68)),
    "pts_2d": np.random.default_rng(1).uniform(0, 400, (68, 2)).astype(np.float32),
    "roi": np.array([[1, 2, 450, 450]], np.int16),
    "cube": np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
}


def mat(compressed, **more):
    stream = io.BytesIO()
    scipy.io.savemat(stream, {**ARRAYS, **more}, do_compression=compressed)
    return stream.getvalue()


@pytest.mark.parametrize("compressed", [True, False])
def test_arrays_are_those_that_scipy_reads(tmp_path, compressed):
    path = tmp_path / "a.mat"
    path.write_bytes(mat(compressed, text="face", cell=np.array([1, "a"], object)))
    values = load_mat(path)
    assert values.keys() == {*ARRAYS, "text", "cell"} and values["text"] is None
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(values[name], array)
    with pytest.raises(InputError, match=r"a\.mat.*'text'"):
        points_of(values, "text", path)


def test_version_4_is_read(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"pt2d": ARRAYS["pt2d"]}, format="4")
    np.testing.assert_array_equal(load_mat(tmp_path / "a.mat")["pt2d"], ARRAYS["pt2d"])


def test_compressed_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(mat_files, "MAX_BYTES", 1_000_000)
    head, packed = mat(False)[:128], zlib.compress(bytes(50_000_000), 9)
    (tmp_path / "a.mat").write_bytes(head + struct.pack("<II", 15, len(packed)) + packed)
    with pytest.raises(InputError, match=r"a\.mat.*more than 1 MB"):
        load_mat(tmp_path / "a.mat")


@pytest.mark.parametrize("compressed", [True, False])
def test_damaged_files_are_named_and_nothing_else_happens(tmp_path, compressed):
    """Among them files with which SciPy's reader ends the process."""
    generator = np.random.default_rng(0)
    good = mat(compressed, cell=np.array([1, "a"], object), struct={"a": 1})
    path = tmp_path / "a.mat"
    refused = 0
    for _ in range(300):
        data = bytearray(good)
        for _ in range(generator.integers(1, 6)):
            data[generator.integers(len(data))] = generator.integers(256)
        path.write_bytes(data[: generator.integers(200, 2 * len(data))])
        try:
            points_of(load_mat(path), "pt2d", path)
        except InputError as error:
            assert "a.mat" in str(error)
            refused += 1
    assert refused > 100
