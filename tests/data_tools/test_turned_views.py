"""Turned views: pixels and landmarks move together, poses and files are as promised."""

import shutil

import cv2
import numpy as np
import pytest
import scipy.io

from senet_landmark.data_tools.datasets import w300lp
from senet_landmark.data_tools.datasets.mat_files import pose_para
from senet_landmark.data_tools.synthesis import turned_mesh
from senet_landmark.data_tools.synthesis.mesh import doubled_area
from senet_landmark.data_tools.synthesis.turned_views import write_turned_views
from senet_landmark.errors import InputError
from senet_landmark.face.pose import mirror_pose, pose_from_landmarks, pose_from_para
from senet_landmark.face.schemes import get_scheme
from senet_landmark.io.images import read_photo

pytestmark = pytest.mark.slow

MIRROR = get_scheme("300w_68").mirror_index
REAL = ("HELEN/HELEN_2165528796_1_0", "LFPW/LFPW_image_0050_0", "LFPW/LFPW_image_0754_0")


@pytest.fixture
def real_faces(shared_data):
    """Photo and landmarks of three real faces, one of them half turned."""
    faces = []
    for name in REAL:
        photo = shared_data("300W_LP", *f"{name}.jpg".split("/"))
        points = scipy.io.loadmat(photo.with_suffix(".mat"))["pt2d"].T
        faces.append((read_photo(photo), points))
    return faces


def synthetic_face(tree, index=3):
    photo = tree / "SYNTH" / f"SYNTH_{index:05d}_0.jpg"
    values = scipy.io.loadmat(tree / "landmarks" / "SYNTH" / f"{photo.stem}_pts.mat")
    return read_photo(photo), values["pts_2d"].astype(np.float64)


def turn(photo, points, pose):
    face = turned_mesh.fit_face(points, photo.shape[1::-1])
    moved, depth = turned_mesh.turn_face(face, pose)
    return turned_mesh.render(photo, face, moved, depth), *turned_mesh.landmarks_of(moved, pose)


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


# --- the mesh --------------------------------------------------------------------------------


def test_mesh_is_symmetric_and_one_sheet():
    mesh = turned_mesh.load_template()
    as_set = {tuple(p) for p in mesh.points.round(6)}
    assert {tuple(p) for p in (mesh.points * [-1, 1, 1]).round(6) + 0.0} == as_set
    corners = mesh.points[mesh.triangles[~mesh.background]][..., :2]
    hull = cv2.contourArea(mesh.points[mesh.outline, :2].astype(np.float32))
    assert np.abs(doubled_area(corners)).sum() / 2 == pytest.approx(hull, rel=1e-3)
    np.testing.assert_array_equal(mesh.probes[:, 0], np.arange(17))


def test_no_turn_gives_the_photo_and_its_points(synthetic_tree, real_faces):
    for photo, points in [synthetic_face(synthetic_tree), *real_faces]:
        pose = pose_from_landmarks(points)
        same, contour, jaw = turn(photo, points, pose)
        np.testing.assert_array_equal(same, photo)
        np.testing.assert_allclose(contour, points, atol=1e-3)
        np.testing.assert_array_equal(contour[17:], jaw[17:])


def test_the_border_keeps_still(real_faces):
    photo, points = real_faces[0]
    photo = photo.copy()
    photo[:3], photo[-3:], photo[:, :3], photo[:, -3:] = 0, 0, 0, 0
    turned, _, _ = turn(photo, points, outwards(pose_from_landmarks(points), 60))
    border = np.concatenate([turned[0], turned[-1], turned[:, 0], turned[:, -1]])
    assert (border > 30).mean() < 0.05


@pytest.mark.parametrize("yaw", [45, 65])
def test_pixels_move_with_the_landmarks(synthetic_tree, real_faces, yaw):
    """Dots painted at landmarks that stay visible are found at the moved landmarks."""
    for photo, points in [synthetic_face(synthetic_tree), *real_faces]:
        pose = outwards(pose_from_landmarks(points), yaw)
        near = (45, 54, 13, 24, 34) if pose[0] > 0 else (36, 48, 3, 19, 32)
        for i in near:
            dotted = cv2.cvtColor(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
            centre = tuple(int(v) for v in np.round(points[i] * 16))
            cv2.circle(dotted, centre, 3 * 16, (255, 0, 255), -1, shift=4)
            turned, contour, _ = turn(dotted, points, pose)
            magenta = turned[..., 0].astype(int) - turned[..., 1] > 100
            assert magenta.any(), i
            found = np.argwhere(magenta).mean(axis=0)[::-1]
            assert np.linalg.norm(found - contour[i]) < 3.5, i


def test_a_mirrored_photo_turns_alike(synthetic_tree):
    photo, points = synthetic_face(synthetic_tree)
    width = photo.shape[1]
    flipped = (points * [-1, 1] + [width - 1, 0])[MIRROR]
    pose = outwards(pose_from_landmarks(points), 50)
    one, contour, jaw = turn(photo, points, pose)
    other, contour_2, jaw_2 = turn(np.ascontiguousarray(photo[:, ::-1]), flipped, mirror_pose(pose))
    for a, b in ((contour, contour_2), (jaw, jaw_2)):
        np.testing.assert_allclose(b, (a * [-1, 1] + [width - 1, 0])[MIRROR], atol=0.05)
    different = np.abs(one.astype(int) - other[:, ::-1]).max(axis=2) > 24
    assert different.mean() < 0.02


def test_faces_keep_their_orientation(real_faces):
    """No part of the visible face is turned over: a texture's triangles keep their turning."""
    mesh = turned_mesh.load_template()
    core = (np.abs(mesh.points[:, 0]) < 0.6) & (np.abs(mesh.points[:, 1] - 0.4) < 0.7)
    for photo, points in real_faces:
        face = turned_mesh.fit_face(points, photo.shape[1::-1])
        sign = 1 if face.pose[0] > 0 else -1
        moved, _ = turned_mesh.turn_face(face, outwards(face.pose, 50))
        near = core & (mesh.points[:, 0] * sign > 0.05)
        inner = mesh.triangles[~mesh.background]
        inner = inner[near[inner].all(axis=1)]
        areas = [doubled_area(p[inner]) for p in (face.source, moved)]
        assert len(inner) > 150 and (areas[0] * areas[1] < 0).mean() < 0.02


def test_the_contour_is_outside_of_the_hidden_jaw(real_faces):
    for photo, points in real_faces:
        pose = outwards(pose_from_landmarks(points), 60)
        _, contour, jaw = turn(photo, points, pose)
        hidden, side = (np.arange(5), -1) if pose[0] > 0 else (np.arange(12, 17), 1)
        assert (side * (contour - jaw)[hidden, 0]).min() > 5
        shown = 16 - hidden
        assert np.abs((contour - jaw)[shown]).max() < 8


def test_pose_of_the_points_is_the_pose_asked(real_faces):
    error = []
    for photo, points in real_faces:
        for yaw in (40, 55, 70):
            pose = outwards(pose_from_landmarks(points), yaw)
            _, _, jaw = turn(photo, points, pose)
            error.append(np.subtract(pose_from_landmarks(jaw), pose))
    assert np.abs(error).mean() < 3 and np.abs(error).max() < 10


@pytest.mark.parametrize("wrong", [np.zeros((68, 2)), np.full((68, 2), np.nan), np.ones((5, 2))])
def test_points_that_are_no_face_are_refused(wrong):
    with pytest.raises(InputError):
        turned_mesh.fit_face(wrong, (100, 100))


# --- the tree --------------------------------------------------------------------------------


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
    (out / "SYNTH" / ".SYNTH_00001_1-abc.jpg").write_bytes(b"half")
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
