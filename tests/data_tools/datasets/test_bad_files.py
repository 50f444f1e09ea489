"""Bad lines, files and folders are named."""

import pytest

from senet_landmark.data_tools.datasets.reading.files import lines_of, walk
from senet_landmark.data_tools.datasets.registry import (
    list_entries,
    load_photo,
    load_sample,
)
from senet_landmark.errors import InputError
from senet_landmark.io import pts
from small_trees import XML, photo_in

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
    from senet_landmark.data_tools.datasets.reading.files import line_at

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
