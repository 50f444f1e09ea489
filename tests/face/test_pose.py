"""Pose: round trips, signs on genuine annotations, the mean face."""

import numpy as np
import pytest
import scipy.io

from senet_landmark.data.augment import turned_poses
from senet_landmark.data_tools.datasets.aflw2000 import facing_camera
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.face import pose
from senet_landmark.face.pose import (
    MEAN_FACE_3D,
    PFLD_POINTS,
    pose_of,
    rotation_matrix,
)
from senet_landmark.face.scheme_conversion import convert, targets_of
from senet_landmark.face.schemes import SCHEMES, get_scheme

AFLW2000 = ("image00050", "image00251", "image00516", "image01322", "image02616", "image03614")


@pytest.mark.parametrize("angles", [(0, 0, 0), (35, -20, 25), (-80, 60, -170), (10, 120, 3)])
def test_euler_angles_invert_rotation_matrix(angles):
    rotation = pose.rotation_matrix(*angles)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(pose.euler_angles(rotation), angles, atol=1e-9)


@pytest.mark.parametrize("yaw", [90, -90])
def test_gimbal_lock_gives_the_same_rotation(yaw):
    rotation = pose.rotation_matrix(yaw, 20, 10)
    np.testing.assert_allclose(
        pose.rotation_matrix(*pose.euler_angles(rotation)), rotation, atol=1e-6
    )


def test_signs_are_as_documented():
    nose = pose.MEAN_FACE_3D[30] - pose.MEAN_FACE_3D[27]
    assert nose[2] < 0, "the nose tip points to the camera"
    turned = pose.rotation_matrix(30, 0, 0) @ nose
    assert turned[0] < -0.1, "positive yaw turns to the left edge of the image"
    raised = pose.rotation_matrix(0, 30, 0) @ nose
    assert raised[1] < nose[1], "positive pitch looks up"
    eyes = pose.rotation_matrix(0, 0, 30) @ (pose.MEAN_FACE_3D[45] - pose.MEAN_FACE_3D[36])
    assert eyes[1] > 0.4, "positive roll lowers the eye on the image's right"


def test_mean_face_is_symmetric_and_normalised():
    face = pose.MEAN_FACE_3D
    mirrored = face[get_scheme("300w_68").mirror_index] * [-1, 1, 1]
    np.testing.assert_allclose(face, mirrored, atol=1e-6)
    np.testing.assert_allclose(face[45] - face[36], [1, 0, 0], atol=1e-3)
    np.testing.assert_allclose((face[45] + face[36]) / 2, 0, atol=1e-3)
    assert face.dtype == np.float32 and not face.flags.writeable


@pytest.mark.parametrize("angles", [(0, 0, 0), (35, -20, 25), (-60, 15, -100), (70, 40, 5)])
def test_landmarks_of_the_turned_mean_face_give_its_pose(angles):
    turned = pose.MEAN_FACE_3D @ pose.rotation_matrix(*angles).T
    points = turned[:, :2] * 80 + [300, 20]
    np.testing.assert_allclose(pose.pose_from_landmarks(points), angles, atol=1e-3)


@pytest.mark.parametrize("share", [0.1, 0.03, 0.001])
def test_points_that_are_squeezed_to_a_line_have_a_pose_or_are_told(share):
    points = portrait()[1].astype(np.float64)
    points[:, 0] = 200 + share * (points[:, 0] - 200)
    try:
        assert np.isfinite(pose.pose_from_landmarks(points)).all()
    except ValueError as error:
        assert "no head" in str(error) or "line" in str(error) or "edge" in str(error)


def test_mirror_pose_matches_mirrored_landmarks():
    angles = (25.0, -12.0, 18.0)
    points = (pose.MEAN_FACE_3D @ pose.rotation_matrix(*angles).T)[:, :2] * 90
    flipped = (points * [-1, 1])[get_scheme("300w_68").mirror_index]
    expected = pose.mirror_pose(angles)
    np.testing.assert_allclose(pose.pose_from_landmarks(flipped), expected, atol=1e-2)
    assert pose.mirror_pose(expected) == angles


def test_genuine_300w_lp_view_looks_to_the_right_of_the_image(shared_data):
    file = shared_data("300W_LP_format", "IBUG", "IBUG_image_008_1_0.mat")
    data = scipy.io.loadmat(file)
    yaw, pitch, roll = pose.pose_from_para(data["Pose_Para"])
    assert (yaw, pitch, roll) == pytest.approx((-44.0, -7.6, 3.2), abs=0.1)
    fitted = pose.pose_from_landmarks(data["pt2d"].T)
    np.testing.assert_allclose(fitted, (yaw, pitch, roll), atol=6)
    # Seen in the photo: the nose tip is right of the middle of the face.
    assert data["pt2d"][0, 30] > data["pt2d"][0, :17].mean() + 20


@pytest.mark.parametrize("name", AFLW2000)
def test_landmark_pose_agrees_with_aflw2000(shared_data, name):
    data = scipy.io.loadmat(shared_data("aflw2000", f"{name}.mat"))
    expected = pose.pose_from_para(data["Pose_Para"])
    fitted = pose.pose_from_landmarks(data["pt3d_68"][:2].T)
    np.testing.assert_allclose(fitted, expected, atol=4)


@pytest.mark.parametrize("name", AFLW2000)
def test_pose_para_turns_the_mean_face_onto_aflw2000(shared_data, name):
    data = scipy.io.loadmat(shared_data("aflw2000", f"{name}.mat"))
    rotation = pose.rotation_matrix(*pose.pose_from_para(data["Pose_Para"]))
    face = pose.MEAN_FACE_3D @ rotation.T
    # AFLW2000's z grows towards the camera.
    real = data["pt3d_68"].T * [1, 1, -1]
    face, real = face - face.mean(axis=0), real - real.mean(axis=0)
    scale = (face * real).sum() / (face**2).sum()
    assert np.abs(scale * face - real).mean() < 0.05 * scale


@pytest.mark.parametrize(
    "points", [np.zeros((68, 2)), np.zeros((5, 2)), np.full((68, 2), np.nan), np.zeros((68, 3))]
)
def test_unusable_landmarks_are_refused(points):
    with pytest.raises(ValueError):
        pose.pose_from_landmarks(points)


def test_unusable_poses_are_refused():
    with pytest.raises(ValueError, match="finite"):
        pose.pose_from_para([np.nan] * 7)
    with pytest.raises(ValueError, match="3 to 7"):
        pose.pose_from_para([0.0, 0.0])
    with pytest.raises(ValueError, match="not a rotation"):
        pose.euler_angles(np.eye(3) * 2)
    with pytest.raises(ValueError, match="finite"):
        pose.rotation_matrix(np.inf, 0, 0)
    with pytest.raises(ValueError, match="yaw, pitch, roll"):
        pose.mirror_pose([1.0, 2.0])


def test_turned_and_mirrored_photos_have_their_pose():
    pose_before, turn = (30, -15, 10), 25.0
    seen = pose.MEAN_FACE_3D @ pose.rotation_matrix(*pose_before).T
    points = seen[:, :2] * 80 + [300, 200]
    cosine, sine = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    clockwise = points @ np.array([[cosine, -sine], [sine, cosine]]).T
    (expected,) = turned_poses(np.array([pose_before], float), np.array([turn]))
    np.testing.assert_allclose(pose.pose_from_landmarks(clockwise), expected, atol=1e-3)
    mirrored = points[get_scheme("300w_68").mirror_index] * [-1, 1]
    expected = pose.mirror_pose(pose_before)
    np.testing.assert_allclose(pose.pose_from_landmarks(mirrored), expected, atol=1e-3)


@pytest.mark.parametrize("scheme", targets_of("300w_68"))
@pytest.mark.parametrize("angles", [(0, 0, 0), (35, -20, 25), (-60, 15, -100), (70, 40, 5)])
def test_pose_of_the_turned_mean_face_in_other_schemes(scheme, angles):
    turned = pose.MEAN_FACE_3D @ pose.rotation_matrix(*angles).T
    points = convert(turned[:, :2] * 80 + [300, 20], "300w_68", scheme)
    # The mouth corners of 29 points become those of 5, which differ by some hundredths.
    atol = 4 if scheme == "cofw_29" else 1e-2
    np.testing.assert_allclose(pose.pose_of(points, scheme), angles, atol=atol)
    assert pose.pose_of(points, get_scheme(scheme)) == pose.pose_of(points, scheme)


@pytest.mark.parametrize("name", AFLW2000)
def test_pose_of_68_points_is_pose_from_landmarks(shared_data, name):
    points = scipy.io.loadmat(shared_data("aflw2000", f"{name}.mat"))["pt3d_68"][:2].T
    expected = pose.pose_from_landmarks(points)
    np.testing.assert_allclose(pose.pose_of(points, "300w_68"), expected)
    half = points.astype(float)
    half[:17] = np.nan  # not read by the fit
    np.testing.assert_allclose(pose.pose_of(half, "300w_68"), expected)
    half[[19, 33, 40, 47, 51]] = np.nan
    np.testing.assert_allclose(pose.pose_of(half, "300w_68"), expected, atol=2)
    # Five points know less.
    coarse = pose.pose_of(convert(points, "300w_68", "mtfl_5"), "mtfl_5")
    np.testing.assert_allclose(coarse, expected, atol=15)


def test_pose_of_wflw_follows_the_68_points(shared_data):
    lines = shared_data("wflw", "list_98pt_test_largepose.txt").read_text().splitlines()
    points = np.array([line.split()[:196] for line in lines[:40]], float).reshape(-1, 98, 2)
    for face in points:
        expected = pose.pose_from_landmarks(convert(face, "wflw_98", "300w_68"))
        np.testing.assert_allclose(pose.pose_of(face, "wflw_98"), expected)
        yaw, _, roll = pose.pose_of(face, "wflw_98")
        flipped = (face * [-1, 1])[get_scheme("wflw_98").mirror_index]
        mirrored = pose.pose_of(flipped, "wflw_98")
        np.testing.assert_allclose((mirrored[0], mirrored[2]), (-yaw, -roll), atol=0.1)


def test_yaw_of_5_points_follows_the_pose_classes_of_mtfl(shared_data):
    faces = {label: [] for label in "12345"}
    for line in shared_data("mtfl", "training.txt").read_text().splitlines():
        fields = line.split()
        if len(fields) == 15 and len(faces[fields[-1]]) < 130:
            faces[fields[-1]].append(np.array(fields[1:11], float).reshape(2, 5).T)
    yaws = [np.mean([pose.pose_of(f, "mtfl_5")[0] for f in faces[label]]) for label in "12345"]
    # 1 is the left profile: positive yaw looks to the left edge of the image.
    assert (np.diff(yaws) < -10).all(), yaws
    assert abs(yaws[2]) < 5 and yaws[0] > 30 and yaws[4] < -30


@pytest.mark.parametrize("scheme", [*targets_of("300w_68"), "300w_68_3d"])
@pytest.mark.parametrize("angles", [(0, 0, 0), (35, -20, 25), (-60, 15, -100), (85, 40, 170)])
def test_pose_of_the_turned_mean_face_with_its_depth(scheme, angles):
    """At any place and size, from all points or from some."""
    turned = pose.MEAN_FACE_3D @ pose.rotation_matrix(*angles).T * 80 + [300, 20, -7]
    points = turned if scheme == "300w_68_3d" else convert(turned, "300w_68", scheme)
    atol = 4 if scheme == "cofw_29" else 1e-2  # as in two dimensions
    found = pose.rotation_matrix(*pose.pose_of_3d(points, scheme))
    between = np.trace(found @ pose.rotation_matrix(*angles).T)
    assert np.degrees(np.arccos(np.clip((between - 1) / 2, -1, 1))) < atol
    if scheme.startswith("300w_68"):
        half = points.copy()
        half[::2] = np.nan
        np.testing.assert_allclose(pose.pose_of_3d(half, scheme), angles, atol=1e-2)


def test_noise_turns_a_face_with_depth_little():
    generator = np.random.default_rng(3)
    for _ in range(30):
        angles = generator.uniform((-90, -60, -180), (90, 60, 180))
        turned = pose.MEAN_FACE_3D @ pose.rotation_matrix(*angles).T
        noisy = turned + generator.normal(0, 0.02, turned.shape)
        found = pose.rotation_matrix(*pose.pose_of_3d(noisy, "300w_68"))
        between = np.trace(found @ pose.rotation_matrix(*angles).T)
        assert np.degrees(np.arccos(np.clip((between - 1) / 2, -1, 1))) < 4


def test_points_with_depth_that_fit_no_head_are_refused():
    face = pose.MEAN_FACE_3D.astype(float)
    line = np.linspace(0, 1, 68)[:, None] * (1, 2, 3)
    for points, message in (
        (face[:, :2], r"must be \[K, 3\]"),
        (np.full((68, 3), np.nan), "needs 4 known points"),
        (np.zeros((68, 3)), "coincide or lie on one line"),
        (line, "coincide or lie on one line"),
        (np.where(face == face[30], np.inf, face), "infinity"),
    ):
        with pytest.raises(ValueError, match=message):
            pose.pose_of_3d(points, "300w_68_3d")


def test_pose_of_refuses_what_it_cannot_fit():
    points = pose.MEAN_FACE_3D[:, :2] * 80
    with pytest.raises(ValueError, match=r"needs 5 known points of the 5 .* got 4"):
        five = convert(points, "300w_68", "mtfl_5")
        five[2] = np.nan
        pose.pose_of(five, "mtfl_5")
    with pytest.raises(ValueError, match="got 0"):
        pose.pose_of(np.full((98, 2), np.nan), "wflw_98")
    with pytest.raises(ValueError, match="infinity"):
        pose.pose_of(np.full((68, 2), np.inf), "300w_68")
    with pytest.raises(ValueError, match="plane"):
        brows = np.full((68, 2), np.nan)
        brows[17:27] = points[17:27]
        pose.pose_of(brows, "300w_68")
    with pytest.raises(ValueError, match="coincide"):
        pose.pose_of(np.zeros((5, 2)), "mtfl_5")
    with pytest.raises(ValueError, match="must be"):
        pose.pose_of(np.zeros((5, 2)), "300w_68")
    with pytest.raises(ValueError, match=r"\[K, 2\]"):
        pose.pose_of(np.zeros((68, 3)), "300w_68")
    with pytest.raises(ValueError, match="Unknown landmark scheme"):
        pose.pose_of(points, "dlib")


SCHEME = get_scheme("300w_68")


def turned_mean_face(angles):
    """The mean face as a camera far away sees it, [68, 2], about 100 pixels wide."""
    return (MEAN_FACE_3D @ rotation_matrix(*angles).T)[:, :2] * 70


@pytest.mark.parametrize("angles", [(0, 0, 0), (35, -20, 25), (-60, 15, -100), (70, 40, 5)])
def test_pflds_points_recover_a_turned_mean_face(angles):
    points = turned_mean_face(angles) + (300, 20)
    np.testing.assert_allclose(pose_of(points, "300w_68", PFLD_POINTS), angles, atol=1e-3)
    others = np.setdiff1d(np.arange(68), PFLD_POINTS)
    points[others] += 50  # they are not looked at
    np.testing.assert_allclose(pose_of(points, "300w_68", PFLD_POINTS), angles, atol=1e-3)


def test_pflds_points_are_eleven_and_symmetric():
    assert len(set(PFLD_POINTS)) == 11
    assert set(SCHEME.mirror_index[PFLD_POINTS]) == set(PFLD_POINTS)


def test_visibility_follows_the_turn():
    def hidden(yaw):
        return set(np.flatnonzero(~facing_camera(MEAN_FACE_3D @ rotation_matrix(yaw, 0, 0).T)))

    mirror = SCHEMES["300w_68"].mirror
    assert hidden(0) == set() and len(hidden(80)) > len(hidden(50)) > 3
    assert {mirror[i] for i in hidden(60)} == hidden(-60)
