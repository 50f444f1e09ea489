"""The mesh of turned views: pixels and landmarks move together."""

import cv2
import numpy as np
import pytest
import scipy.io

from senet_landmark.data_tools.synthesis import turned_mesh
from senet_landmark.data_tools.synthesis.mesh import doubled_area
from senet_landmark.errors import InputError
from senet_landmark.face.pose import mirror_pose, pose_from_landmarks
from senet_landmark.face.schemes import get_scheme
from senet_landmark.io.images import read_photo

pytestmark = pytest.mark.slow

MIRROR = get_scheme("300w_68").mirror_index


def synthetic_face(tree, index=3):
    photo = tree / "SYNTH" / f"SYNTH_{index:05d}_0.jpg"
    values = scipy.io.loadmat(tree / "landmarks" / "SYNTH" / f"{photo.stem}_pts.mat")
    return read_photo(photo), values["pts_2d"].astype(np.float64)


def turn(photo, points, pose):
    face = turned_mesh.fit_face(points, photo.shape[1::-1])
    moved, depth = turned_mesh.turn_face(face, pose)
    return turned_mesh.draw_face(photo, face, moved, depth), *turned_mesh.landmarks_of(moved, pose)


def outwards(pose, degrees):
    """The pose turned to `degrees` of yaw on the side to which the face looks."""
    return (float(np.copysign(degrees, pose[0])), *pose[1:])


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
