"""The synthetic 300W-LP tree: layout, exact and plausible landmarks, determinism."""

import cv2
import numpy as np
import pytest
import scipy.io

from senet_landmark.data_tools.synthesis import synthetic_tree
from senet_landmark.face import pose

COUNT, VIEWS = 6, 2


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("synthetic")
    photos = synthetic_tree.write_synthetic(
        root, count=COUNT, views=VIEWS, seed=3, workers=1, progress=False
    )
    return root, photos


def load(root, photo):
    points = scipy.io.loadmat(root / "landmarks" / "SYNTH" / f"{photo.stem}_pts.mat")
    return cv2.imread(str(photo)), scipy.io.loadmat(photo.with_suffix(".mat")), points


def test_layout_is_that_of_300w_lp(tree):
    root, photos = tree
    names = [f"SYNTH_{i:05d}_{view}" for i in range(COUNT) for view in range(VIEWS)]
    assert [photo.stem for photo in photos] == names
    files = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    expected = {f"SYNTH/{name}{suffix}" for name in names for suffix in (".jpg", ".mat")}
    assert files == expected | {f"landmarks/SYNTH/{name}_pts.mat" for name in names}


def test_fields_and_shapes(tree):
    root, photos = tree
    for photo in photos:
        image, meta, points = load(root, photo)
        assert image.shape == (450, 450, 3)
        assert meta["pt2d"].shape == (2, 68) and meta["pt2d"].dtype == np.float64
        assert meta["Pose_Para"].shape == (1, 7) and meta["Pose_Para"].dtype == np.float32
        assert meta["roi"].shape == (1, 4)
        for key in ("pts_2d", "pts_3d"):
            assert points[key].shape == (68, 2) and points[key].dtype == np.float32
            assert np.isfinite(points[key]).all()
        np.testing.assert_allclose(meta["pt2d"].T, points["pts_2d"], atol=1e-4)
        np.testing.assert_array_equal(points["pts_2d"][17:], points["pts_3d"][17:])


def test_points_lie_inside_and_are_not_mirrored(tree):
    root, photos = tree
    for photo in photos:
        _, meta, points = load(root, photo)
        p = points["pts_2d"]
        assert p.min() > 0 and p.max() < 449
        assert 120 < np.ptp(p, axis=0).mean() < 300
        upright = p @ pose.rotation_matrix(0, 0, np.degrees(meta["Pose_Para"][0, 2]))[:2, :2]
        assert upright[36, 0] < upright[39, 0] < upright[42, 0] < upright[45, 0]
        assert upright[0, 0] < upright[8, 0] < upright[16, 0]
        assert upright[[36, 45], 1].mean() < upright[33, 1] < upright[57, 1] < upright[8, 1]


def test_pose_agrees_with_landmarks(tree):
    root, photos = tree
    error = []
    for photo in photos:
        _, meta, points = load(root, photo)
        expected = pose.pose_from_para(meta["Pose_Para"])
        error.append(np.subtract(pose.pose_from_landmarks(points["pts_3d"]), expected))
    assert np.abs(error).mean() < 4 and np.abs(error).max() < 15


def test_visible_contour_lies_outside_of_the_hidden_jaw(tree):
    root, photos = tree
    for photo in photos:
        _, meta, points = load(root, photo)
        roll = np.degrees(meta["Pose_Para"][0, 2])
        moved = (points["pts_2d"] - points["pts_3d"]) @ pose.rotation_matrix(0, 0, roll)[:2, :2]
        assert moved[:8, 0].max() < 1e-3 and moved[9:17, 0].min() > -1e-3


def test_landmarks_are_on_the_pixels(tree):
    """Undoing the warp by the landmarks alone brings the eyes back onto the portrait's."""
    root, photos = tree
    portrait, source = synthetic_tree.portrait()
    eyes = np.r_[36:48]
    likeness = []
    for photo in photos:
        image, _, points = load(root, photo)
        matrix, _ = cv2.estimateAffine2D(points["pts_2d"][eyes], source[eyes])
        back = cv2.warpAffine(image, matrix, portrait.shape[1::-1])
        box = np.s_[92:110, 186:264]
        a, b = (cv2.cvtColor(x, cv2.COLOR_BGR2GRAY)[box] for x in (back, portrait[..., ::-1]))
        likeness.append(np.corrcoef(a.ravel(), b.ravel())[0, 1])
    assert np.median(likeness) > 0.6, likeness


def test_dlib_finds_most_faces(tree):
    dlib = pytest.importorskip("dlib", reason="needs dlib (or dlib-bin)")
    root, photos = tree
    detector = dlib.get_frontal_face_detector()
    found = 0
    for photo in photos:
        image, _, points = load(root, photo)
        x, y = points["pts_2d"][17:].mean(axis=0)
        boxes = detector(np.ascontiguousarray(image[..., ::-1]), 1)
        found += any(b.left() < x < b.right() and b.top() < y < b.bottom() for b in boxes)
    assert found >= 0.6 * len(photos)


def test_the_files_depend_on_the_seed_only(tree, tmp_path):
    def contents(root):
        return {p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()}

    common = {"size": 96, "progress": False}
    for name, seed, workers in (("one", 1, 1), ("two", 1, 2), ("other", 2, 1)):
        synthetic_tree.write_synthetic(
            tmp_path / name, count=9, seed=seed, workers=workers, **common
        )
    one = contents(tmp_path / "one")
    assert one == contents(tmp_path / "two")
    other = contents(tmp_path / "other")
    assert one.keys() == other.keys()
    assert all(one[path] != other[path] for path in one)


def test_portrait_is_annotated():
    image, points = synthetic_tree.portrait()
    assert image.shape == (512, 512, 3) and image.dtype == np.uint8
    assert points.shape == (68, 2) and points.dtype == np.float32
    assert synthetic_tree.portrait_path().is_file()
    yaw, pitch, roll = pose.pose_from_landmarks(points)
    assert max(abs(yaw), abs(pitch), abs(roll)) < 8


@pytest.mark.parametrize(
    "wrong", [{"count": 0}, {"views": 0}, {"size": 10}, {"seed": -1}, {"subset": "../x"}]
)
def test_wrong_arguments_are_refused(tmp_path, wrong):
    with pytest.raises(ValueError):
        synthetic_tree.write_synthetic(tmp_path, progress=False, **wrong)
    assert not any(tmp_path.iterdir())
