"""Pictures of faces: small ones enlarged, thin lines, numbers, and axes that follow the pose."""

import cv2
import numpy as np
import pytest

from senet_landmark.visualisation import faces as drawing
from senet_landmark.visualisation.faces import LEAST_FACE, MOST_SIDE, DrawnFace, draw_faces

GREY = 128


def face_at(left, top, side, **fields):
    rows, columns = np.mgrid[0:8, 0:8]
    grid = np.stack([columns.ravel(), rows.ravel()], 1) / 7 * side + (left, top)
    return DrawnFace(grid, np.array([left, top, left + side, top + side]), **fields)


def photo(height, width):
    return np.full((height, width, 3), GREY, np.uint8)


def dots(picture):
    """Number of separate green dots."""
    green = (picture[..., 1] > 180) & (picture[..., 0] < 110) & (picture[..., 2] < 110)
    return cv2.connectedComponents(green.astype(np.uint8))[0] - 1


@pytest.mark.parametrize("side", [20, 40, 80, 150, 400])
def test_points_can_be_told_apart(side):
    picture = draw_faces(photo(4 * side, 3 * side), [face_at(side, side, side)])
    assert dots(picture) == 64
    enlarged = picture.shape[0] / (4 * side)
    assert enlarged * side == pytest.approx(max(side, LEAST_FACE), rel=0.02)
    # At most a small part of the face is covered.
    face = picture[int(1.1 * side * enlarged) : int(1.9 * side * enlarged)]
    face = face[:, int(1.1 * side * enlarged) : int(1.9 * side * enlarged)]
    assert (np.abs(face.astype(int) - GREY).max(axis=2) > 20).mean() < 0.12


def test_small_faces_of_a_large_photo_are_shown_below():
    large = photo(800, MOST_SIDE)
    picture = draw_faces(large, [face_at(100, 100, 300), face_at(900, 300, 40)])
    assert picture.shape == (800 + 2 * LEAST_FACE, MOST_SIDE, 3)
    assert dots(picture[:800]) == 64  # those of the large face alone
    assert dots(picture[800:]) == 64
    narrow = draw_faces(photo(MOST_SIDE, 100), [face_at(30, 300, 40)])
    assert narrow.shape == (MOST_SIDE + 2 * LEAST_FACE, 2 * LEAST_FACE, 3)


def test_a_photo_without_faces_stays():
    plain = photo(50, 60)
    np.testing.assert_array_equal(draw_faces(plain, []), plain)


def test_each_face_has_its_number_confidence_and_angles(monkeypatch):
    texts = []
    monkeypatch.setattr(drawing, "put_label", lambda picture, text, *_: texts.append(text))
    pose = np.array([-12.4, 3.0, 7.6])
    faces = [face_at(100, 100, 200, confidence=0.987, pose=pose), face_at(400, 100, 200)]
    draw_faces(photo(500, 700), faces)
    assert texts == ["yaw -12 pitch 3 roll 8", "1  99%", "2"]


@pytest.mark.parametrize(
    "pose, blue_is",
    [((40, 0, 0), (-1, 0)), ((-40, 0, 0), (1, 0)), ((0, 40, 0), (0, -1)), ((0, -40, 0), (0, 1))],
)
def test_the_axis_out_of_the_face_points_where_it_looks(pose, blue_is):
    """The signs are those of `senet_landmark.face.pose`: yaw above 0 is to the left edge."""
    face = DrawnFace(np.zeros((0, 2)), np.array([200, 200, 400, 400]), pose=np.array(pose))
    picture = draw_faces(photo(600, 600), [face]).astype(int)
    blue = np.argwhere((picture[..., 2] > 200) & (picture[..., 0] < 110))[:, ::-1]
    direction = (blue - (300, 200)).mean(axis=0)
    assert direction @ blue_is > 10 and abs(direction @ blue_is[::-1]) < 3


@pytest.mark.parametrize(("left", "width"), [(40, 500), (260, 500), (40, 330), (100, 320)])
def test_points_are_shown_from_the_side_beside_the_face(left, width):
    """Where there is more room; the lower the room, the smaller the view."""
    face = face_at(left, 100, 200)
    depth = face.points[:, 0] - left - 100  # as far behind each other as they are apart
    deep = DrawnFace(face.points, face.box, depth=depth)
    plain, picture = (draw_faces(photo(400, width), [of]).astype(int) for of in (face, deep))
    changed = np.abs(picture - plain).max(axis=2) > 0
    assert not changed[:, left + 2 : left + 198].any()  # the face itself is as before
    orange = (picture[..., 0] > 200) & (picture[..., 2] < 130) & changed
    assert cv2.connectedComponents(orange.astype(np.uint8))[0] - 1 == 64
    rows, columns = np.nonzero(orange)
    # A square seen from the side, since its depth is its width.
    assert np.ptp(columns) == pytest.approx(np.ptp(rows), abs=4)
    assert (columns.min() > left + 200) == (width - left - 200 >= left)


def test_view_from_the_side_needs_a_known_depth_and_may_cover_a_face_without_room():
    face = face_at(10, 100, 200)
    narrow = DrawnFace(face.points, face.box, depth=face.points[:, 0])
    assert draw_faces(photo(400, 220), [narrow]).shape == (400, 220, 3)
    unknown = DrawnFace(face.points, face.box, depth=np.full(64, np.nan))
    plain = draw_faces(photo(400, 700), [face])
    np.testing.assert_array_equal(draw_faces(photo(400, 700), [unknown]), plain)


def test_strange_numbers_do_not_end_it():
    far = face_at(-1e9, 5, 1e9, pose=np.array([np.nan, 0, 0]))
    flat = DrawnFace(np.full((5, 2), 20.0), np.array([20, 20, 20, 20]))
    deep = face_at(-1e9, -1e9, 1e9, depth=np.linspace(-1e9, 1e9, 64))
    assert draw_faces(photo(50, 60), [far, flat, deep]).dtype == np.uint8
