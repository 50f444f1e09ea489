"""Readers on small trees that the tests write."""

import numpy as np
import pytest

from senet_landmark.data_tools.datasets.registry import (
    list_entries,
    load_photo,
    load_sample,
)
from senet_landmark.errors import InputError
from senet_landmark.face.attributes import ATTRIBUTES
from senet_landmark.face.scheme_conversion import convert
from senet_landmark.io import pts
from small_trees import XML, photo_in


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


@pytest.mark.parametrize("root", [".", "WFLW", "WFLW/WFLW_annotations", "photos"])
def test_wflw_photos_are_found_from_folders_around_it(tmp_path, root):
    """One folder too high, one too deep, and photos and list side by side."""
    points = photo_in(tmp_path / "WFLW" / "WFLW_images" / "0--Parade")
    lists = tmp_path / "WFLW" / "WFLW_annotations" / "lists"
    if root == "photos":
        photo_in(tmp_path / "photos" / "0--Parade")
        lists = tmp_path / "photos"
    lists.mkdir(parents=True, exist_ok=True)
    line = f"{numbers_of(points)} 1 2 3 4 0 0 0 0 0 0 0--Parade/face.jpg \n"
    (lists / "list_68pt_rect_attr_train.txt").write_text(line)
    (entry,) = list_entries("wflw", tmp_path / root)
    assert load_photo("wflw", entry).shape == (512, 512, 3)
    assert (entry.source, entry.scheme) == ("0--Parade/face.jpg", "300w_68")
    with pytest.raises(InputError, match=r"98 points, .*no list such as list_98pt_rect"):
        list_entries("wflw", tmp_path / root, "98")


def test_wflw_of_98_points_is_also_read_as_68(tmp_path):
    points = np.random.default_rng(0).uniform(0, 400, (98, 2))
    (tmp_path / "list_98pt_test.txt").write_text(f"{numbers_of(points)} face.jpg\n")
    (entry,) = list_entries("wflw", tmp_path, "68")
    sample = load_sample("wflw", entry)
    assert sample.scheme == entry.scheme == "300w_68"
    expected = convert(points, "wflw_98", "300w_68")
    np.testing.assert_allclose(sample.landmarks, expected, atol=1e-3)


def test_wflw_without_its_lists_or_photos_says_what_is_missing(tmp_path):
    photos = tmp_path / "WFLW_images" / "0--Parade"
    points = photo_in(photos)
    with pytest.raises(InputError, match=rf"Give the folder .* and WFLW_images: {tmp_path}\.$"):
        list_entries("wflw", photos)
    (tmp_path / "other").mkdir()
    line = f"{numbers_of(points)} 0--Parade/face.jpg\n"
    (tmp_path / "other" / "list_68pt_train.txt").write_text(line)
    (tmp_path / "WFLW_images").rename(tmp_path / "elsewhere")
    (entry,) = list_entries("wflw", tmp_path / "other")
    with pytest.raises(InputError, match=r"other/WFLW_images/0--Parade/face\.jpg"):
        load_photo("wflw", entry)


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
        "sub folder/fäce, 1.jpg#1", "sub folder/fäce, 1", True,
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


def test_68_points_of_a_table_are_of_the_contour_that_it_says(tmp_path):
    names = ",".join(f"x{i},y{i}" for i in range(68))
    values = ",".join(str(i) for i in range(136))
    (tmp_path / "mine.csv").write_text(f"photo,{names}\na.png,{values}\n")

    def scheme(points="auto"):
        return list_entries("csv", tmp_path, points)[0].scheme

    assert scheme() == "300w_68" and scheme("300w_68_3d") == "300w_68_3d"
    np.savez(tmp_path / "depth.npz", photo=["a.png"], z=np.zeros((1, 68)))
    assert scheme() == "300w_68_3d" and scheme("300w_68") == "300w_68"
