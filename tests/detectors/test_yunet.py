"""YuNet: the user's file, and what its rows mean."""

import numpy as np
import pytest

from senet_landmark.detectors.registry import YUNET, get_detector
from senet_landmark.detectors.yunet import from_rows
from senet_landmark.errors import InputError


def test_without_its_file_it_says_where_it_is_from(tmp_path):
    with pytest.raises(InputError, match=r"--detector-model.*opencv_zoo"):
        get_detector(YUNET)
    with pytest.raises(InputError, match="absent"):
        get_detector(YUNET, tmp_path / "absent.onnx")
    (tmp_path / "junk.onnx").write_bytes(b"junk")
    with pytest.raises(InputError, match=r"junk\.onnx.*YuNet"):
        get_detector(YUNET, tmp_path / "junk.onnx")


def test_rows():
    row = [10, 20, 40, 50, 20, 30, 40, 30, 30, 40, 22, 55, 38, 55, 0.9]
    boxes, scores, roll = from_rows(np.array([row]), 0.5)
    np.testing.assert_allclose(boxes, [[19.5, 39.5, 99.5, 139.5]])
    assert scores == [0.9] and roll == [0]
    assert len(from_rows(None, 1.0).boxes) == 0
