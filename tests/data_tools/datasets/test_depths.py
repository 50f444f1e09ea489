"""The depth of landmarks in the data sets that have it."""

import numpy as np
import pytest
import scipy.io

from senet_landmark.data_tools.datasets.registry import list_entries, load_sample
from senet_landmark.data_tools.synthesis.turned_views import write_turned_views
from senet_landmark.errors import InputError
from senet_landmark.face.pose import MEAN_FACE_3D, rotation_matrix
from senet_landmark.face.schemes import TRUE_JAW
from small_trees import photo_in

POINTS = 68


def turned_face(yaw=30.0, scale=100.0):
    """The mean face, turned: x, y, depth [68, 3] in pixels, depth 0 at the mean."""
    face = scale * MEAN_FACE_3D @ rotation_matrix(yaw, 0, 0).T + (250, 250, 0)
    face[:, 2] -= face[:, 2].mean()
    return face


def write_table(folder, faces, columns="xy", photo="a/b.png"):
    axes = {"x": 0, "y": 1, "z": 2}
    names = ",".join(f"{axis}{i}" for i in range(POINTS) for axis in columns)
    rows = [",".join(f"{face[i, axes[a]]:.3f}" for i in range(POINTS) for a in columns)
            for face in faces]  # fmt: skip
    lines = [f"photo,{names}", *(f"{photo},{row}" for row in rows)]
    (folder / "mine.csv").write_text("\n".join(lines))


def samples(name, root, points="auto"):
    return [load_sample(name, entry) for entry in list_entries(name, root, points)]


def test_csv_with_columns_of_depth(tmp_path):
    face = turned_face()
    write_table(tmp_path, [face], "xyz")
    (sample,) = samples("csv", tmp_path)
    assert sample.scheme == TRUE_JAW and sample.depth.dtype == np.float32
    np.testing.assert_allclose(sample.depth, face[:, 2], atol=2e-3)
    text = (tmp_path / "mine.csv").read_text()
    last = f",{face[-1, 2]:.3f}"
    (tmp_path / "mine.csv").write_text(text.removesuffix(last) + ",")
    (sample,) = samples("csv", tmp_path)
    assert np.isnan(sample.depth).tolist() == [False] * 67 + [True]
    assert np.nanmean(sample.depth) == pytest.approx(0, abs=1e-3)


def test_csv_with_a_file_of_depths(tmp_path):
    """Towards the camera, as AFLW2000-3D has it; a photo's rows are of its faces in their order."""
    faces = [turned_face(yaw) for yaw in (0, 40, 70)]
    write_table(tmp_path, faces)
    rows = [turned_face(5), *faces[:2]]
    photos = ["other.png", "a/b.png", "a/b.png"]
    z = 7 - np.stack([face[:, 2] for face in rows]).astype(np.float32)
    np.savez(tmp_path / "depth.npz", photo=photos, z=z)
    first, second, third = samples("csv", tmp_path)
    for sample, face in ((first, faces[0]), (second, faces[1])):
        np.testing.assert_allclose(sample.depth, face[:, 2], atol=1e-3)
    assert third.scheme == TRUE_JAW and third.depth is None


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"photo": ["a/b.png"], "z": np.zeros((1, 5))},
            "has 5 depths a face, 68 landmarks need as many",
        ),
        ({"photo": ["a/b.png"]}, "is not an archive of `photo`"),
        ({"photo": ["a/b.png"], "z": np.zeros((2, 68))}, "is not an archive of `photo`"),
        (None, "is not an archive of `photo`"),
    ],
)
def test_damaged_file_of_depths_is_named(tmp_path, arrays, message):
    write_table(tmp_path, [turned_face()])
    if arrays is None:
        (tmp_path / "depth.npz").write_bytes(b"no archive")
    else:
        np.savez(tmp_path / "depth.npz", **arrays)
    with pytest.raises(InputError, match=rf"depth\.npz: {message}"):
        samples("csv", tmp_path)


def test_depth_of_aflw2000_is_away_from_the_camera(tmp_path):
    photo_in(tmp_path, "image00001.jpg")
    face = turned_face(-50)
    scipy.io.savemat(
        tmp_path / "image00001.mat",
        {"pt3d_68": (face * (1, 1, -1) + (0, 0, 12)).T, "Pose_Para": np.zeros((1, 7))},
    )
    (sample,) = samples("aflw2000", tmp_path)
    np.testing.assert_allclose(sample.depth, face[:, 2], atol=1e-3)


def test_views_that_were_turned_have_the_depth_of_their_points(synthetic_tree, tmp_path):
    write_turned_views(
        synthetic_tree, tmp_path / "out", views=1, workers=1, progress=False, max_yaw=60
    )
    entries = list_entries("300w_lp", tmp_path / "out", "pts_3d")
    turned = [entry for entry in entries if entry.photo.stem.endswith("_1")]
    assert len(turned) > 10
    for entry in turned:
        sample = load_sample("300w_lp", entry)
        # Which half of a face is farther away is told by its yaw.
        left, right = sample.depth[:17][:8].mean(), sample.depth[:17][9:].mean()
        if abs(sample.pose[0]) > 15:
            assert np.sign(right - left) == -np.sign(sample.pose[0])
        assert sample.depth.mean() == pytest.approx(0, abs=1e-2)
        assert sample.depth[30] < sample.depth[[0, 16]].mean() - 10  # nose tip before ears
    assert load_sample("300w_lp", list_entries("300w_lp", tmp_path / "out")[0]).depth is None


def test_depth_of_other_points_is_refused(synthetic_tree, tmp_path):
    from made_records import copy_tree

    root = copy_tree(synthetic_tree, tmp_path / "tree", 1)
    (path,) = (root / "landmarks" / "SYNTH").glob("*_pts.mat")
    values = {k: v for k, v in scipy.io.loadmat(path).items() if not k.startswith("__")}
    scipy.io.savemat(path, {**values, "depth": np.zeros((5, 1))})
    with pytest.raises(InputError, match=r"'depth' is \(5, 1\) float64, not \(68, 1\)"):
        samples("300w_lp", root, "pts_3d")
    del values["depth"]  # as in the published data set
    scipy.io.savemat(path, values)
    assert samples("300w_lp", root, "pts_3d")[0].depth is None
