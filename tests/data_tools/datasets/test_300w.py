"""300W and 300W-LP: counts, formats, points, and views of one photo."""

import numpy as np
import pytest
import scipy.io

from senet_landmark.data_tools.datasets import w300lp
from senet_landmark.data_tools.datasets.registry import list_entries, load_sample
from senet_landmark.errors import InputError
from senet_landmark.io import pts


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("HELEN", "HELEN_1629243_1_12"), ("HELEN_Flip", "HELEN_1629243_1_0"), True),
        (("AFW", "AFW_111076519_1_0"), ("AFW", "AFW_111076519_2_4"), True),
        (("IBUG", "IBUG_image_008_1_0"), ("IBUG", "IBUG_image_010_1_0"), False),
        (("LFPW", "LFPW_image_train_0001_0"), ("LFPW", "LFPW_image_train_0002_0"), False),
        (("SYNTH", "SYNTH_1_0"), ("SYNTH", "SYNTH_2_0"), False),
    ],
)
def test_views_flips_and_neighbours_share_their_source(one, other, same):
    assert (w300lp.source_photo(*one) == w300lp.source_photo(*other)) is same


def test_300w_lp_real_counts_and_points(shared_data):
    root = shared_data("300W_LP")
    entries = list_entries("300w_lp", root)
    assert len(entries) == 2012
    for entry in entries[::400]:
        sample = load_sample("300w_lp", entry)
        own = scipy.io.loadmat(entry.photo.with_suffix(".mat"))["pt2d"].T
        np.testing.assert_allclose(sample.landmarks, own, atol=0.01)  # un-turned views: equal


def test_300w_lp_genuine_formats(shared_data):
    root = shared_data("300W_LP_format")
    by_name = {e.photo.stem: e for e in list_entries("300w_lp", root)}
    genuine = load_sample("300w_lp", by_name["IBUG_image_008_1_0"])
    assert genuine.landmarks.shape == (68, 2)
    assert genuine.pose[0] == pytest.approx(np.rad2deg(-0.76809585), abs=0.01)
    choices = {
        points: load_sample("300w_lp", entry).landmarks
        for points in ("auto", "pts_2d", "pts_3d", "pt2d")
        for entry in list_entries("300w_lp", root, points)
        if entry.photo.stem == "image00001"
    }
    np.testing.assert_array_equal(choices["auto"], choices["pts_2d"])
    assert not np.allclose(choices["pts_2d"], choices["pts_3d"])
    assert not np.allclose(choices["pts_2d"], choices["pt2d"])
    schemes = {p: list_entries("300w_lp", root, p)[0].scheme for p in choices}
    assert {p for p, scheme in schemes.items() if scheme == "300w_68_3d"} == {"pts_3d"}


def test_300w_real_points_are_zero_based(shared_data):
    root = shared_data("300w", "helen", "testset")
    entries = list_entries("300w", root)
    assert len(entries) == 330
    text = entries[0].annotations[0].read_text().split("{")[1].split()
    first = load_sample("300w", entries[0]).landmarks[0]
    np.testing.assert_allclose(first, np.array(text[:2], float) - 1, atol=1e-3)


def test_pts_round_trip(tmp_path):
    points = np.random.default_rng(0).uniform(0, 300, (68, 2)).round(3).astype(np.float32)
    (tmp_path / "a.pts").write_text(pts.write_pts(points))
    np.testing.assert_allclose(pts.read_pts(tmp_path / "a.pts"), points, atol=1e-3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a .pts"),
        ("version: 1\nn_points: 68\n{\n1 2\n}\n", "holds 1 points"),
        ("version: 1\nn_points: 2\n{\n1 2\n3 x\n}\n", "not a .pts"),
        ("version: 1\nn_points: 2\n{\n1 2\n3\n}\n", "not a .pts"),
        ("version: 1\nn_points: 2\n{\n1 2\n", "not a .pts"),
    ],
)
def test_bad_pts_is_named(tmp_path, text, message):
    path = tmp_path / "face.pts"
    path.write_text(text)
    with pytest.raises(InputError, match=f"face.pts.*{message}"):
        pts.read_pts(path)
