"""Every reader but the embedded ones (`test_readers_embedded.py`): counts, points, bad files."""

import shutil

import numpy as np
import pytest

from senet_landmark.data_tools.datasets import mtfl, wflw
from senet_landmark.data_tools.datasets.aflw2000 import facing_camera
from senet_landmark.data_tools.datasets.files import lines_of, walk
from senet_landmark.data_tools.datasets.registry import (
    DATASETS,
    list_entries,
    load_photo,
    load_sample,
)
from senet_landmark.data_tools.datasets.samples import by_photo
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait, portrait_path
from senet_landmark.errors import InputError
from senet_landmark.face.attributes import ATTRIBUTES, mirror_attributes
from senet_landmark.face.pose import MEAN_FACE_3D, pose_of, rotation_matrix
from senet_landmark.face.schemes import SCHEMES
from senet_landmark.io import pts


def samples_of(name, root, points="auto"):
    return [load_sample(name, entry) for entry in list_entries(name, root, points)]


# --- the real sets -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "folder", "counts"),
    [
        ("300w_lp", "300W_LP", {"AFW": 337, "HELEN": 870, "LFPW": 805}),
        ("300w", "300w/helen/testset", {"common": 330}),
        ("ytf", "ytf", {"training": 3006, "test": 669}),
        ("mtfl", "mtfl", {"training": 10000, "testing": 2995}),
        ("wflw", "wflw", {"largepose": 326}),
        ("aflw2000", "aflw2000", {"": 8}),
        ("dlib_xml", "groups", {"training_with_face_landmarks": 18}),
    ],
)
def test_counts_are_the_published_ones(shared_data, name, folder, counts):
    entries = list_entries(name, shared_data(folder))
    found = {}
    for entry in entries:
        found[entry.subset] = found.get(entry.subset, 0) + 1
    assert found == counts
    assert len({entry.source for entry in entries}) == len(entries)
    for entry in entries[:: max(len(entries) // 20, 1)]:
        sample = load_sample(name, entry)
        assert sample.landmarks.shape == (SCHEMES[entry.scheme].points, 2)
        assert sample.visible.shape == (SCHEMES[entry.scheme].points,)
        assert sample.attributes.shape == (len(DATASETS[name].attributes),)
        if name != "wflw":  # its photos are not at hand
            height, width = load_photo(name, entry).shape[:2]
            inside = (sample.landmarks > -0.2 * width) & (sample.landmarks < 1.2 * width)
            assert inside.mean() > 0.9, (entry.source, height, width)


def test_ytf_counts_pixels_from_one(shared_data):
    read, published = (
        load_sample("ytf", list_entries("ytf", shared_data("ytf"), points)[0]).landmarks
        for points in ("auto", "published")
    )
    np.testing.assert_array_equal(read + 1, published)


def test_ytf_parts_share_people_so_the_split_is_by_person(shared_data):
    entries = list_entries("ytf", shared_data("ytf"))
    people = {
        part: {e.identity for e in entries if e.subset == part} for part in ("training", "test")
    }
    assert len(people["training"]) == 302 and people["test"] <= people["training"]
    assert not any(entry.test for entry in entries)


def test_mtfl_classes_count_from_0_and_1_is_yes(shared_data):
    root = shared_data("mtfl")
    entries = list_entries("mtfl", root)
    first = load_sample("mtfl", entries[0])
    assert entries[0].source == "lfw_5590/Aaron_Eckhart_0001.jpg"
    assert entries[0].identity == "lfw_5590/Aaron_Eckhart"
    np.testing.assert_allclose(first.landmarks[:2], [[85.7, 86.9], [118.1, 90.5]], atol=1e-3)
    # `1 2 2 3`: male, not smiling, no glasses, frontal
    np.testing.assert_array_equal(first.attributes, [0, 0, 0, 2])
    assert {e.test for e in entries[:10000]} == {False} and entries[-1].test
    assert not {e.identity for e in entries if e.test} & {e.identity for e in entries if not e.test}


def test_wflw_formats(shared_data):
    root = shared_data("wflw")
    many, few = samples_of("wflw", root), samples_of("wflw", root, "68")
    assert many[0].scheme == "wflw_98" and few[0].scheme == "300w_68" and len(few) == 2500
    assert np.isnan(many[0].attributes).all() and many[0].box is None
    assert set(few[0].attributes) <= {0, 1} and few[0].box[2] > few[0].box[0]
    assert np.mean([sample.attributes for sample in few], axis=0) == pytest.approx(
        [326 / 2500, 314 / 2500, 698 / 2500, 206 / 2500, 736 / 2500, 773 / 2500], abs=0.002
    )  # the sizes of the published test subsets


def test_aflw2000_points_turned_away_are_invisible(shared_data):
    root = shared_data("aflw2000")
    for sample in samples_of("aflw2000", root):
        yaw = sample.pose[0]
        hidden = ~sample.visible
        assert hidden.sum() == 0 if abs(yaw) < 25 else hidden.sum() > 2
        if abs(yaw) > 50:
            left, right = hidden[:8].sum(), hidden[9:17].sum()
            assert (left > 4 > right) if yaw > 0 else (right > 4 > left)
        assert abs(pose_of(sample.landmarks, "300w_68")[0] - yaw) < 15
    for sample in samples_of("aflw2000", root, "pt2d"):
        assert sample.scheme == "aflw_21"
        np.testing.assert_array_equal(sample.visible, np.isfinite(sample.landmarks).all(axis=1))


def test_visibility_follows_the_turn():
    def hidden(yaw):
        return set(np.flatnonzero(~facing_camera(MEAN_FACE_3D @ rotation_matrix(yaw, 0, 0).T)))

    mirror = SCHEMES["300w_68"].mirror
    assert hidden(0) == set() and len(hidden(80)) > len(hidden(50)) > 3
    assert {mirror[i] for i in hidden(60)} == hidden(-60)


def test_dlib_xml_has_several_faces_a_photo(shared_data):
    entries = list_entries("dlib_xml", shared_data("groups"))
    groups = by_photo(entries)
    assert len(groups) == 4 and sorted(len(group) for group in groups) == [2, 3, 6, 7]
    for sample in (load_sample("dlib_xml", entry) for entry in entries):
        centre = (sample.box[:2] + sample.box[2:]) / 2
        assert np.abs(sample.landmarks.mean(0) - centre).max() < sample.box[2] - sample.box[0]


# --- small trees -------------------------------------------------------------------------------


def photo_in(folder, name="face.jpg"):
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(portrait_path(), folder / name)
    return portrait()[1]


def numbers_of(points):
    return " ".join(f"{v:.3f}" for v in np.ravel(points))


@pytest.mark.parametrize(
    ("folder", "subset", "test"),
    [
        ("afw", "training", False),
        ("helen/trainset", "training", False),
        ("helen/testset", "common", True),
        ("lfpw/testset", "common", True),
        ("ibug", "challenging", True),
        ("300W/01_Indoor", "private", True),
    ],
)
def test_300w_subsets_by_folder(tmp_path, folder, subset, test):
    truth = photo_in(tmp_path / "root" / folder, "ümlaut 1.jpg")
    (tmp_path / "root" / folder / "ümlaut 1.pts").write_text(pts.write_pts(truth))
    for root in (tmp_path / "root", tmp_path / "root" / folder):  # also when only a part is given
        (entry,) = list_entries("300w", root)
        assert (entry.subset, entry.test) == (subset, test)
        np.testing.assert_allclose(load_sample("300w", entry).landmarks, truth, atol=1e-3)


def test_wflw_full_lists_with_several_faces_a_photo(tmp_path):
    points = np.random.default_rng(0).uniform(0, 400, (3, 98, 2))
    folder = tmp_path / "WFLW_annotations" / "list_98pt_rect_attr_train_test"
    folder.mkdir(parents=True)
    line = "{} 10 20 110 140 0 1 0 0 1 0 0--Parade/a b.jpg\n".replace("a b", "ab")
    train = "".join(line.format(numbers_of(p)) for p in points[:2])
    (folder / "list_98pt_rect_attr_train.txt").write_text(train)
    test = line.format(numbers_of(points[2])).replace("ab.jpg", "test.jpg")
    (folder / "list_98pt_rect_attr_test.txt").write_text(test)
    subset = tmp_path / "WFLW_annotations" / "list_98pt_test" / "list_98pt_test_blur.txt"
    subset.parent.mkdir()
    subset.write_text(f"{numbers_of(points[2])} 0--Parade/test.jpg\n")
    (tmp_path / "WFLW_images").mkdir()
    entries = list_entries("wflw", tmp_path)
    assert [e.source for e in entries] == [
        "0--Parade/test.jpg", "0--Parade/ab.jpg", "0--Parade/ab.jpg#1",
    ]  # fmt: skip
    assert [e.test for e in entries] == [True, False, False]
    assert entries[1].shot == entries[2].shot and entries[1].identity == entries[2].identity
    sample = load_sample("wflw", entries[2])
    np.testing.assert_allclose(sample.landmarks, points[1], atol=1e-3)
    np.testing.assert_array_equal(sample.box, [10, 20, 110, 140])
    np.testing.assert_array_equal(sample.attributes, [0, 1, 0, 0, 1, 0])
    assert sample.photo == tmp_path / "WFLW_images" / "0--Parade" / "ab.jpg"


XML = """<?xml version='1.0'?><dataset><images>
<image file='face.jpg'><box top='10' left='20' width='100' height='90'>{parts}</box>
<box top='1' left='1' width='5' height='5' ignore='1'/>
<box top='5' left='6' width='7' height='8'>{more}</box></image></images></dataset>"""


def parts_of(points):
    order = np.random.default_rng(0).permutation(len(points))  # dlib orders parts by name
    return "".join(f"<part name='{i:02d}' x='{points[i][0]}' y='{points[i][1]}'/>" for i in order)


def test_dlib_xml_boxes_parts_and_ignored(tmp_path):
    points = np.arange(10).reshape(5, 2) ** 2
    (tmp_path / "a.xml").write_text(XML.format(parts=parts_of(points), more=parts_of(points)))
    one, two = list_entries("dlib_xml", tmp_path)
    assert (one.source, two.source) == ("face.jpg", "face.jpg#1")
    sample = load_sample("dlib_xml", one)
    np.testing.assert_array_equal(sample.landmarks, points)
    np.testing.assert_array_equal(sample.box, [19.5, 9.5, 119.5, 99.5])
    (tmp_path / "a.xml").write_text(XML.format(parts=parts_of(points), more=""))
    one, two = list_entries("dlib_xml", tmp_path)
    assert load_sample("dlib_xml", one).scheme == "mtfl_5"
    with pytest.raises(InputError, match=r"a\.xml.*face\.jpg#1.*no parts"):
        load_sample("dlib_xml", two)


def test_csv_of_ones_own(tmp_path):
    truth = photo_in(tmp_path / "sub folder", "fäce, 1.jpg")
    names = ",".join(f"x{i},y{i}" for i in range(68))
    values = ",".join(f"{v:.3f}" for v in truth.ravel())
    unknown = values.split(",")
    unknown[:2] = ["", ""]
    (tmp_path / "mine.csv").write_text(
        f"\ufeffphoto,identity,split,subset,{names},visible1,smile,left,top,right,bottom,yaw,pitch,roll\n"
        f'"sub folder/fäce, 1.jpg",ann,,a,{values},0,1,10,20,200,230,5,-6,7\n'
        f'"sub folder/fäce, 1.jpg",,test,b,{",".join(unknown)},1,,,,,,,,\n',
        encoding="utf-8",
    )
    one, two = list_entries("csv", tmp_path)
    assert (one.identity, one.subset, one.test) == ("ann", "a", False)
    assert (two.source, two.identity, two.test) == (
        "sub folder/fäce, 1.jpg#1", "sub folder/fäce, 1.jpg", True,
    )  # fmt: skip
    first, second = load_sample("csv", one), load_sample("csv", two)
    np.testing.assert_allclose(first.landmarks, truth, atol=1e-3)
    assert list(np.flatnonzero(~first.visible)) == [1]
    np.testing.assert_array_equal(first.box, [10, 20, 200, 230])
    np.testing.assert_array_equal(first.pose, [5, -6, 7])
    assert first.attributes[list(ATTRIBUTES).index("smile")] == 1
    assert np.isnan(second.landmarks[0]).all() and not second.visible[0]
    assert second.box is None and np.isnan(second.pose).all() and np.isnan(second.attributes).all()
    assert load_photo("csv", one).shape == (512, 512, 3)


BAD_LINES = [
    ("ytf", "training_frames_keypoints.csv", ",0,1\na_01.jpg,1,2,3\n", "line 2.*136"),
    ("ytf", "training_frames_keypoints.csv", "a_01.jpg" + ",x" * 136, "line 1.*not a number"),
    ("mtfl", "training.txt", "a.jpg 1 2 3\n", "line 1.*14 are needed"),
    ("mtfl", "training.txt", "\n a.jpg" + " 1" * 10 + " 1 3 1 1\n", "line 2.*must be 1 or 2"),
    ("wflw", "list_98pt_test_x.txt", "1 2 3 a.jpg\n", "line 1.*196 are needed"),
    ("csv", "a.csv", "photo,x0,y0,x1,y1,x2,y2,x3,y3,x4,y4\na.jpg,1,2\n", "line 2.*3 fields"),
    (
        "csv",
        "a.csv",
        "photo,x0,y0,x1,y1,x2,y2,x3,y3,x4,y4,smile\na.jpg" + ",1" * 10 + ",7",
        "smile",
    ),
]


@pytest.mark.parametrize(("name", "file", "text", "message"), BAD_LINES)
def test_bad_line_is_named(tmp_path, name, file, text, message):
    (tmp_path / file).write_text(text)
    (entry,) = list_entries(name, tmp_path)
    with pytest.raises(InputError, match=rf"{file}.*{message}"):
        load_sample(name, entry)


BAD_FILES = [
    ("csv", "a.csv", "picture,x0,y0\n", "photo"),
    ("csv", "a.csv", "photo,x0,y0\na.jpg,1,2\n", "1 landmarks.*Known schemes.*68"),
    ("csv", "a.csv", "photo,x0,y0,x1,y1,x2,y2,x3,y3,x4\na.jpg,1\n", "'y4'"),
    (
        "csv",
        "a.csv",
        "photo,x0,y0,x1,y1,x2,y2,x3,y3,x4,y4,note\na.jpg,1\n",
        "unknown column 'note'",
    ),
    ("csv", "a.csv", "photo,photo,x0,y0,x1,y1,x2,y2,x3,y3,x4,y4\na.jpg,1\n", "twice"),
    ("dlib_xml", "a.xml", "<images><image", "not whole XML"),
    ("dlib_xml", "a.xml", XML.format(parts="<part name='0' x='1' y='1'/>", more=""), "1 landmarks"),
]


@pytest.mark.parametrize(("name", "file", "text", "message"), BAD_FILES)
def test_bad_file_is_named(tmp_path, name, file, text, message):
    (tmp_path / file).write_text(text)
    with pytest.raises(InputError, match=rf"{file}.*{message}"):
        list_entries(name, tmp_path)


def test_file_that_is_not_text_is_named(tmp_path):
    (tmp_path / "training.txt").write_bytes(b"a.jpg 1\n\xff\xfe\x00\n")
    with pytest.raises(InputError, match=r"training\.txt.*UTF-8"):
        list_entries("mtfl", tmp_path)


def test_faces_of_several_schemes_are_refused(tmp_path):
    header = "photo,{}\n"
    for name, count in (("a", 5), ("b", 68)):
        columns = ",".join(f"x{i},y{i}" for i in range(count))
        (tmp_path / f"{name}.csv").write_text(header.format(columns) + "p.jpg" + ",1" * 2 * count)
    with pytest.raises(InputError, match="300w_68, mtfl_5"):
        list_entries("csv", tmp_path)


def test_lines_are_found_again_by_their_offset(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("\ufeffé 1\r\n\n  ö 2\nlast", encoding="utf-8")
    lines = list(lines_of(path))
    assert [(number, text) for number, _, text in lines] == [(1, "é 1"), (3, "ö 2"), (4, "last")]
    from senet_landmark.data_tools.datasets.files import line_at

    assert [line_at(path, offset) for _, offset, _ in lines] == ["é 1", "ö 2", "last"]


def test_half_a_pair_is_listed_and_named(tmp_path):
    truth = photo_in(tmp_path, "photo without points.jpg")
    (tmp_path / "points without photo.pts").write_text(pts.write_pts(truth))
    one, two = list_entries("300w", tmp_path)
    with pytest.raises(InputError, match=r"photo without points.*no annotation"):
        load_sample("300w", one)
    with pytest.raises(InputError, match=r"points without photo.*No such file"):
        load_photo("300w", two)


def test_folder_without_permission_is_not_passed_over(tmp_path, monkeypatch):
    """As root every folder can be read: the system's refusal is imitated."""
    import os

    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "a.pts").write_text("")
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert walk(tmp_path, {".pts"}) == [tmp_path / "closed", tmp_path / "open" / "a.pts"]
    closed, _ = list_entries("300w", tmp_path)
    with pytest.raises(InputError, match=r"closed.*cannot be listed"):
        load_sample("300w", closed)
    (tmp_path / "landmarks").mkdir()
    assert [e.photo.name for e in list_entries("300w_lp", tmp_path)] == ["closed"]


def test_mirrored_attributes():
    names = mtfl.ATTRIBUTES
    values = np.array([1, 0, 1, 0], np.float32)
    np.testing.assert_array_equal(mirror_attributes(values, names), [1, 0, 1, 4])
    for pose in [*range(5), np.nan]:
        values[3] = pose
        twice = mirror_attributes(mirror_attributes(values, names), names)
        np.testing.assert_array_equal(twice, values)
    assert set(wflw.ATTRIBUTES) <= set(ATTRIBUTES)
