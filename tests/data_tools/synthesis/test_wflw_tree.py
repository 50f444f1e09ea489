"""Made faces in WFLW's layout: 98 points, attributes, lists."""

import cv2
import numpy as np
import pytest

from published_points import mirrored, wflw_98
from senet_landmark.data_tools.datasets.registry import list_entries, load_photo, load_sample
from senet_landmark.data_tools.datasets.wflw import ATTRIBUTES
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait, write_synthetic
from senet_landmark.data_tools.synthesis.wflw_tree import points_98, with_attributes
from senet_landmark.face.pose import pose_of
from senet_landmark.face.scheme_conversion import convert
from senet_landmark.face.schemes import get_scheme

SCHEME = get_scheme("wflw_98")


def faces_68(count=20):
    """The portrait's points, distorted at random."""
    rng = np.random.default_rng(0)
    shapes = portrait()[1] @ (np.eye(2) + rng.normal(0, 0.2, (count, 2, 2)))
    return shapes + rng.normal(0, 0.5, shapes.shape)


def test_conversion_gives_the_68_points_back():
    for points in faces_68():
        np.testing.assert_array_equal(convert(points_98(points), "wflw_98", "300w_68"), points)


def test_new_points_are_in_order_between_their_neighbours():
    points = points_98(portrait()[1])
    jaw = points[:33]
    steps = np.linalg.norm(np.diff(jaw, axis=0), axis=1)
    gaps = np.linalg.norm(np.diff(jaw[::2], axis=0), axis=1)
    # A curve's two parts are a little longer than the straight line, and about equal.
    parts = steps.reshape(-1, 2).sum(axis=1)
    assert (parts >= gaps - 1e-9).all() and (parts < 1.02 * gaps).all()
    assert (steps.reshape(-1, 2).max(axis=1) < 0.55 * parts).all()
    for first, *eye in ((96, *range(60, 68)), (97, *range(68, 76))):
        outline = points[eye].astype(np.float32)
        assert cv2.isContourConvex(outline)
        assert cv2.pointPolygonTest(outline, points[first].tolist(), measureDist=False) > 0
        assert points[eye[1:4], 1].max() < points[eye[5:8], 1].min()  # upper and lower lid
    for upper, lower in ((points[34:38], points[41:37:-1]), (points[42:46], points[50:46:-1])):
        assert (lower[:, 1] > upper[:, 1]).all() and (np.diff(lower[:, 0]) > 0).all()


def test_a_mirrored_face_has_the_mirrored_points():
    for points in faces_68():
        np.testing.assert_allclose(
            points_98(mirrored(points, "300w_68")),
            mirrored(points_98(points), "wflw_98"),
            atol=1e-9,
        )


def test_closed_eyes_and_single_points_are_finite():
    closed = portrait()[1].copy()
    closed[36:42] = closed[36]
    for points in (closed, np.full((68, 2), 5.0)):
        assert np.isfinite(points_98(points)).all()


def test_new_points_are_near_those_of_real_faces(shared_data):
    """In percent of the face's diagonal, on WFLW's large poses; pupils look aside there."""
    real = wflw_98(shared_data)[1]
    made = np.stack([points_98(face) for face in convert(real, "wflw_98", "300w_68")])
    diagonal = np.linalg.norm(np.ptp(real, axis=1), axis=1)
    errors = 100 * (np.linalg.norm(made - real, axis=2) / diagonal[:, None]).mean(axis=0)
    known = (errors == 0).sum()
    assert known == 68
    assert errors[1:33:2].max() < 0.5  # jaw
    assert errors[[*range(38, 42), *range(47, 51)]].max() < 1.3  # lower edge of the brows
    assert errors[[62, 66, 70, 74]].max() < 1.2 and errors[[96, 97]].max() < 1.5


def test_attributes_are_true_of_the_picture():
    rng = np.random.default_rng(1)
    photo, points = portrait()[0], points_98(portrait()[1])
    seen = {name: set() for name in ATTRIBUTES}
    for yaw in np.linspace(-30, 30, 60):
        picture, attributes = with_attributes(photo, points, yaw, rng)
        assert list(attributes) == list(ATTRIBUTES) and picture.dtype == np.uint8
        for name, value in attributes.items():
            seen[name].add(value)
        assert attributes["large_pose"] == (abs(yaw) >= 20)
        drawn = [attributes[n] for n in ("illumination", "make_up", "occlusion", "blur")]
        assert (picture != photo).any() == any(drawn)
        assert (picture.mean() < 0.5 * photo.mean()) == attributes["illumination"]
    assert all(values == {0, 1} for name, values in seen.items() if name != "expression")
    opened = points.copy()
    opened[94] += [0, 20]
    assert with_attributes(photo, opened, 0, rng)[1]["expression"] == 1
    assert seen["expression"] == {0}


@pytest.fixture(scope="module")
def other_tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("wflw")
    write_synthetic(root, count=9, views=2, test=4, layout="wflw", workers=1, progress=False)
    return root


def test_tree_is_read_as_wflw(other_tree):
    entries = list_entries("wflw", other_tree)
    assert [entry.subset for entry in entries].count("test") == 8 and len(entries) == 18
    poses = []
    for entry in entries:
        sample, photo = load_sample("wflw", entry), load_photo("wflw", entry)
        assert sample.scheme == "wflw_98" and photo.shape == (450, 450, 3)
        points = sample.landmarks
        assert points.min() > 0 and points.max() < 450
        np.testing.assert_allclose(sample.box[:2], points.min(axis=0), atol=0.51)
        np.testing.assert_allclose(sample.box[2:], points.max(axis=0), atol=0.51)
        assert set(sample.attributes) <= {0, 1} and len(sample.attributes) == 6
        poses.append((abs(pose_of(points, "wflw_98")[0]), sample.attributes[0]))
    assert all(large == (yaw > 10) for yaw, large in poses if not 10 < yaw < 35)


def test_lists_are_in_the_published_format(other_tree):
    folder = other_tree / "WFLW_annotations"
    whole = folder / "list_98pt_rect_attr_train_test" / "list_98pt_rect_attr_test.txt"
    lines = whole.read_text().splitlines()
    for line in lines:
        fields = line.split(" ")
        assert len(fields) == 196 + 4 + 6 + 1
        assert all(len(field.partition(".")[2]) == 6 for field in fields[:196])
        assert all(field.isdigit() for field in fields[196:206])
        assert (other_tree / "WFLW_images" / fields[206]).is_file()
    names = ("largepose", "expression", "illumination", "makeup", "occlusion", "blur")
    for column, name in enumerate(names, 200):
        subset = (folder / "list_98pt_test" / f"list_98pt_test_{name}.txt").read_text().splitlines()
        chosen = [line.split(" ") for line in lines if line.split(" ")[column] == "1"]
        assert [line.split(" ") for line in subset] == [[*f[:196], f[206]] for f in chosen]


@pytest.mark.parametrize(
    "wrong", [{"layout": "cofw"}, {"test": 1}, {"layout": "wflw", "test": 2}, {"test": -1}]
)
def test_wrong_layouts_are_refused(tmp_path, wrong):
    with pytest.raises(ValueError):
        write_synthetic(tmp_path, count=2, progress=False, **wrong)
    assert not any(tmp_path.iterdir())
