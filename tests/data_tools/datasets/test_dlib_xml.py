"""dlib's XML as dlib's own tools and other programs write it."""

import io

import numpy as np
import pytest
from PIL import Image

from senet_landmark.data_tools.datasets.registry import list_entries, load_photo, load_sample
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.errors import InputError
from senet_landmark.io import pts
from senet_landmark.io.images import decode_photo, stored_form, stored_points
from small_trees import photo_in

HEADER = "<?xml version='1.0' encoding='{}'?>\n<dataset><images>\n"
POINTS = np.arange(136).reshape(68, 2) * 3 % 401


def image(name, points=POINTS, names="{:02d}", left=20, only=range(68)):
    parts = "".join(
        f"<part name='{names.format(i)}' x='{points[i][0]:g}' y='{points[i][1]:g}'/>\n"
        for i in only
    )
    box = f"<box top='10' left='{left}' width='300' height='290'>{parts}</box>"
    return f"  <image file='{name}'>\n{box}</image>\n"


def write(path, *images, encoding="ISO-8859-1", as_bytes="utf-8"):
    text = HEADER.format(encoding) + "".join(images) + "</images></dataset>"
    path.write_bytes(text.encode(as_bytes, "surrogateescape"))


@pytest.mark.parametrize(
    ("name", "encoding", "as_bytes"),
    [
        ("josé 张.jpg", "ISO-8859-1", "utf-8"),
        ("josé.jpg", "ISO-8859-1", "latin-1"),
        ("脸.jpg", "gbk", "utf-8"),
        ("脸.jpg", "gbk", "gbk"),
        ("脸.jpg", "UTF-8", "utf-8-sig"),
        ("脸.jpg", "UTF-16", "utf-16"),
        ("é.jpg", "no such encoding", "utf-8"),
        ("a&b <c> d's.jpg", "ISO-8859-1", "utf-8"),
    ],
)
def test_names_in_any_encoding_and_not_escaped(tmp_path, name, encoding, as_bytes):
    photo_in(tmp_path, name)
    write(tmp_path / "a.xml", image(name), encoding=encoding, as_bytes=as_bytes)
    (entry,) = list_entries("dlib_xml", tmp_path)
    assert entry.source == name and load_photo("dlib_xml", entry).shape == (512, 512, 3)
    np.testing.assert_array_equal(load_sample("dlib_xml", entry).landmarks, POINTS)


def test_names_whose_bytes_are_no_utf_8(tmp_path):
    name = b"sub/\xd5\xd5\xc6\xac.jpg".decode("utf-8", "surrogateescape")
    photo_in(tmp_path / "sub", name[4:])
    write(tmp_path / "a.xml", image(name.replace("/", "\\")))
    (entry,) = list_entries("dlib_xml", tmp_path)
    assert entry.source.encode() and load_photo("dlib_xml", entry).shape == (512, 512, 3)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("names", ["{}", "{:02d}", "point_{}", "P{}"])
def test_parts_are_numbered_and_may_be_absent(tmp_path, first, names):
    shifted = np.concatenate([np.zeros((first, 2)), POINTS])
    known = [i for i in range(68) if i not in (0, 30, 67)]
    write(
        tmp_path / "a.xml",
        image("a.jpg", shifted, names, only=range(first, 68 + first)),
        image("b.jpg", shifted, names, only=[i + first for i in reversed(known)]),
    )
    whole, partial = (load_sample("dlib_xml", e) for e in list_entries("dlib_xml", tmp_path))
    np.testing.assert_array_equal(whole.landmarks, POINTS)
    assert list(np.flatnonzero(np.isnan(partial.landmarks).any(axis=1))) == [0, 30, 67]
    assert list(np.flatnonzero(~partial.visible)) == [0, 30, 67]
    np.testing.assert_array_equal(partial.landmarks[known], POINTS[known])


@pytest.mark.parametrize("names", ["nose", "point_3"])
def test_names_that_do_not_say_which_landmark_are_refused(tmp_path, names):
    write(tmp_path / "a.xml", image("a.jpg", only=range(5)), image("b.jpg", names=names))
    with pytest.raises(InputError, match=r"a\.xml.*(no number|two parts)"):
        [load_sample("dlib_xml", entry) for entry in list_entries("dlib_xml", tmp_path)]


def test_test_files_and_faces_that_several_files_list(tmp_path):
    train, test = image("a.jpg"), image("b.jpg")
    second = image("a.jpg", POINTS + 5, left=1000)
    refined = image("a.jpg", POINTS + 1, left=24)
    write(tmp_path / "labels_ibug_300W.xml", train, test, second)
    write(tmp_path / "labels_ibug_300W_train.xml", refined, second)
    write(tmp_path / "labels_ibug_300W_test.xml", test)
    entries = list_entries("dlib_xml", tmp_path)
    assert {entry.source: (entry.test, entry.subset) for entry in entries} == {
        "b.jpg": (True, "labels_ibug_300W_test"),
        "a.jpg": (False, "labels_ibug_300W_train"),
        "a.jpg#1": (False, "labels_ibug_300W_train"),
    }
    for name, test in (("testing_with_landmarks", True), ("contest", False), ("my-test", True)):
        (tmp_path / name).mkdir()
        write(tmp_path / name / f"{name}.xml", train)
        assert [e.test for e in list_entries("dlib_xml", tmp_path / name)] == [test]


@pytest.mark.parametrize(
    "entities",
    [
        "<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>",
        "<!ENTITY a SYSTEM 'file:///etc/hostname'>",
    ],
)
def test_entities_are_refused(tmp_path, entities):
    text = f"<?xml version='1.0'?><!DOCTYPE dataset [{entities}]><dataset>&a;</dataset>"
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(InputError, match=r"a\.xml.*entities"):
        list_entries("dlib_xml", tmp_path)


def photo_with_orientation(orientation):
    """(encoded photo, its face's points in pixels as stored), upright when it is shown."""
    upright, points = portrait()
    upright = upright[:400]  # not square
    steps = {
        2: np.fliplr,
        3: lambda a: a[::-1, ::-1],
        4: np.flipud,
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }
    stored = np.ascontiguousarray(steps.get(orientation, lambda a: a)(upright))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    Image.fromarray(stored).save(stream, "PNG", exif=exif)
    data = stream.getvalue()
    np.testing.assert_array_equal(decode_photo(data), upright)
    return data, stored, stored_points(points, stored_form(data)), points


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_read_as_dlib_reads_them(tmp_path, orientation):
    data, stored, points, upright_points = photo_with_orientation(orientation)
    (tmp_path / "a.png").write_bytes(data)
    write(tmp_path / "a.xml", image("a.png", points))
    (entry,) = list_entries("dlib_xml", tmp_path)
    np.testing.assert_array_equal(load_photo("dlib_xml", entry), stored)
    # 300W and tables are annotated with tools of both kinds: the face tells.
    for landmarks, expected in ((points, stored), (upright_points, decode_photo(data))):
        (tmp_path / "a.pts").write_text(pts.write_pts(landmarks))
        (entry,) = list_entries("300w", tmp_path)
        np.testing.assert_array_equal(load_photo("300w", entry), expected)
        columns = ["photo", *(f"{axis}{i}" for i in range(68) for axis in "xy")]
        row = ["a.png", *(f"{v:.2f}" for v in landmarks.ravel())]
        (tmp_path / "a.csv").write_text(f"{','.join(columns)}\n{','.join(row)}\n")
        (entry,) = list_entries("csv", tmp_path)
        np.testing.assert_array_equal(load_photo("csv", entry), expected)
