"""The tree of turned views: files, fields and poses are as promised."""

import shutil

import numpy as np
import pytest
import scipy.io

from senet_landmark.data_tools.datasets import w300lp
from senet_landmark.data_tools.datasets.reading.mat_files import pose_para
from senet_landmark.data_tools.synthesis import turned_mesh
from senet_landmark.data_tools.synthesis.turned_views import write_turned_views
from senet_landmark.errors import InputError
from senet_landmark.face.pose import pose_from_landmarks, pose_from_para
from senet_landmark.io.images import read_photo

pytestmark = pytest.mark.slow


def outwards(pose, degrees):
    """The pose turned to `degrees` of yaw on the side to which the face looks."""
    return (float(np.copysign(degrees, pose[0])), *pose[1:])


def contents(root):
    return {
        p.relative_to(root): p.read_bytes()
        for p in root.rglob("*")
        if p.is_file() and p.name != "report.json"
    }


def copy_photos(tree, root, count):
    for photo in sorted((tree / "SYNTH").glob("*.jpg"))[:count]:
        points = tree / "landmarks" / "SYNTH" / f"{photo.stem}_pts.mat"
        for path in (photo, photo.with_suffix(".mat"), points):
            (root / path.relative_to(tree)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, root / path.relative_to(tree))
    return root


@pytest.fixture(scope="module")
def originals(synthetic_tree, tmp_path_factory):
    return copy_photos(synthetic_tree, tmp_path_factory.mktemp("originals"), 9)


@pytest.fixture(scope="module")
def views(originals, tmp_path_factory):
    out = tmp_path_factory.mktemp("turned") / "out"
    return out, write_turned_views(originals, out, workers=1, progress=False)


def test_tree_is_that_of_300w_lp(views, originals):
    out, report = views
    assert report["photos"] == 9 and report["skipped_count"] == 0
    assert report["views"] == 3 * (9 - report["not_turned_count"])
    found = list(w300lp.entries(out))
    assert len(found) == report["photos"] + report["views"]
    assert {e.identity for e in found} == {e.identity for e in w300lp.entries(originals)}
    for path, content in contents(originals).items():
        assert (out / path).read_bytes() == content


def test_fields_and_poses(views):
    out, _ = views
    yaws = {}
    for entry in w300lp.entries(out):
        sample = w300lp.load(entry)
        yaws.setdefault(entry.identity, []).append(sample.pose[0])
        if entry.photo.stem.endswith("_0"):
            continue
        meta = scipy.io.loadmat(entry.photo.with_suffix(".mat"))
        points = scipy.io.loadmat(entry.annotations[0])
        assert meta["pt2d"].shape == (2, 68) and meta["pt2d"].dtype == np.float64
        assert meta["Pose_Para"].shape == (1, 7) and meta["Pose_Para"].dtype == np.float32
        assert meta["roi"].shape == (1, 4)
        for key in ("pts_2d", "pts_3d"):
            assert points[key].shape == (68, 2) and points[key].dtype == np.float32
        np.testing.assert_allclose(meta["pt2d"].T, points["pts_2d"], atol=1e-4)
        assert read_photo(entry.photo).shape == (450, 450, 3)
        if abs(sample.pose[0]) < 60:
            seen = pose_from_landmarks(points["pts_3d"])
            assert abs(seen[0] - sample.pose[0]) < 12
    turned = [np.abs(y[1:]) for y in yaws.values() if len(y) > 1]
    assert all((np.diff(y) > 0).all() and y.max() <= 75.001 for y in turned)
    assert np.max(turned) > 60


def test_pose_para_agrees_with_a_genuine_view(shared_data):
    """What is written for the un-turned pose is what 300W-LP itself says of the photo."""
    path = shared_data("300W_LP_format", "IBUG", "IBUG_image_008_1_0.mat")
    genuine = scipy.io.loadmat(path)
    face = turned_mesh.fit_face(genuine["pt2d"].T, (450, 450))
    para = pose_para(face.pose, face.scale, turned_mesh.origin_of(face, face.pose), 450)
    assert para[0, 6] == pytest.approx(genuine["Pose_Para"][0, 6], rel=0.1)
    np.testing.assert_allclose(para[0, 3:5], genuine["Pose_Para"][0, 3:5], atol=20)
    expected = pose_from_para(genuine["Pose_Para"])
    np.testing.assert_allclose(pose_from_para(para), expected, atol=6)


def test_origin_turns_with_the_head(real_faces):
    photo, points = real_faces[2]
    face = turned_mesh.fit_face(points, photo.shape[1::-1])
    pose = outwards(face.pose, 60)
    moved, _ = turned_mesh.turn_face(face, pose)
    # The origin lies midway between the outer eye corners, as far as the face is the mean one.
    eyes = moved[[36, 45]].mean(axis=0)
    assert np.linalg.norm(turned_mesh.origin_of(face, pose) - eyes) < 0.15 * face.scale


def test_files_depend_on_the_seed_only(originals, views, tmp_path):
    one = contents(views[0])
    write_turned_views(originals, tmp_path / "two", workers=2, progress=False)
    assert one == contents(tmp_path / "two")
    write_turned_views(originals, tmp_path / "other", seed=1, workers=1, progress=False)
    other = contents(tmp_path / "other")
    assert one.keys() == other.keys()
    assert all(one[p] != other[p] for p in one if p.name.endswith("_1.jpg"))


def test_an_interrupted_run_goes_on(synthetic_tree, tmp_path):
    root = copy_photos(synthetic_tree, tmp_path / "root", 3)
    out, options = tmp_path / "out", {"views": 2, "workers": 1, "progress": False}
    first = write_turned_views(root, out, **options)
    before = contents(out)
    made = sorted(out.glob("SYNTH/*_1.jpg"))
    kept = made[1].stat().st_mtime_ns
    for lost in (made[0], made[2].with_suffix(".mat"), out / "SYNTH" / "SYNTH_00001_0.jpg"):
        lost.unlink()
    (out / "SYNTH" / ".SYNTH_00001_1-abcdefgh.tmp.jpg").write_bytes(b"half")
    second = write_turned_views(root, out, **options)
    assert first["views"] == 6 and first["views_present"] == 0
    assert second["views"] == 2 and second["views_present"] == 4
    assert contents(out) == before and made[1].stat().st_mtime_ns == kept
    with pytest.raises(InputError, match="other options"):
        write_turned_views(root, out, **options, seed=4)


def test_bad_files_are_skipped_and_named(synthetic_tree, tmp_path):
    root = copy_photos(synthetic_tree, tmp_path / "root", 6)
    folder = root / "SYNTH"
    (folder / "SYNTH_00000_0.jpg").write_bytes(b"no photo")
    (root / "landmarks" / "SYNTH" / "SYNTH_00001_0_pts.mat").write_bytes(b"no annotation")
    bad = {"pts_2d": np.full((68, 2), np.nan, np.float32)}
    scipy.io.savemat(root / "landmarks" / "SYNTH" / "SYNTH_00002_0_pts.mat", bad)
    odd = {"pts_2d": np.random.default_rng(0).uniform(50, 400, (68, 2)).astype(np.float32)}
    scipy.io.savemat(root / "landmarks" / "SYNTH" / "SYNTH_00003_0_pts.mat", odd)
    shutil.copy(folder / "SYNTH_00004_0.jpg", folder / "SYNTH_00004_7.jpg")
    shutil.copy(folder / "SYNTH_00004_0.mat", folder / "SYNTH_00004_7.mat")
    report = write_turned_views(root, tmp_path / "out", views=1, workers=1, progress=False)
    assert [s["source"][-7:-6] for s in report["skipped"]] == ["0", "1", "2"]
    assert all(s["source"][6:-4] in s["reason"] for s in report["skipped"])
    assert [s["source"][-7:-6] for s in report["not_turned"]] == ["3"]
    assert report["photos"] == 3 and report["views"] == 2 and report["other_views_ignored"] == 1
    assert (tmp_path / "out" / "SYNTH" / "SYNTH_00003_0.jpg").exists()
    assert not (tmp_path / "out" / "SYNTH" / "SYNTH_00004_7.jpg").exists()


def test_steps_of_yaw(synthetic_tree, tmp_path):
    root = copy_photos(synthetic_tree, tmp_path / "root", 2)
    report = write_turned_views(
        root, tmp_path / "out", views=9, step=20, max_yaw=60, workers=1, progress=False
    )
    assert 2 <= report["views"] <= 6 and report["yaw_degrees"][2] <= 60


def test_wrong_arguments_are_refused(synthetic_tree, tmp_path):
    wrong = [{"views": 0}, {"max_yaw": 0}, {"max_yaw": 100}, {"step": 0}, {"seed": -1}]
    for options in [*wrong, {"max_yaw": float("nan")}, {"workers": -1}]:
        with pytest.raises(InputError):
            write_turned_views(synthetic_tree, tmp_path / "out", **options)
    inside = synthetic_tree / "SYNTH"
    for out in (synthetic_tree, inside, synthetic_tree.parent):
        with pytest.raises(InputError, match="neither"):
            write_turned_views(synthetic_tree, out)
    assert not (tmp_path / "out").exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="to turn"):
        write_turned_views(tmp_path / "empty", tmp_path / "out")
    with pytest.raises(InputError, match="does not exist"):
        write_turned_views(tmp_path / "absent", tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("x")
    with pytest.raises(InputError, match="not empty"):
        write_turned_views(synthetic_tree, tmp_path / "mine")
