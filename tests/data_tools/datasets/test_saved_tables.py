"""Tables as spreadsheets and other programs save them: all give the same faces."""

import numpy as np
import pytest

from senet_landmark.data_tools.datasets.reading.files import fields_of, lines_of, walk
from senet_landmark.data_tools.datasets.registry import list_entries, load_photo, load_sample
from small_trees import photo_in

ROWS = 2
COLUMNS = ["photo", *(f"{axis}{i}" for i in range(5) for axis in "xy")]


def table(separator=",", comma=".", header=tuple(COLUMNS), before=(), after=(), path="sub/a.jpg"):
    values = np.random.default_rng(0).uniform(20, 400, (ROWS, 10)).round(2)
    lines = [separator.join([*before[:1], *header, *after])]
    for row in values:
        cells = [f"{v:.2f}".replace(".", comma) for v in row]
        lines.append(separator.join([*before[1:], path, *cells, *after]))
    return values, lines


def saved(kind):
    """(expected points, bytes of the file) of one way to save a table."""
    options = {
        "index": {"before": ("", "0")},
        "saved again": {"before": ("Unnamed: 0", "1")},
        "R": {"before": (), "header": tuple(COLUMNS)},
        "trailing comma": {"after": ("",)},
        "semicolon": {"separator": ";"},
        "decimal comma": {"separator": ";", "comma": ","},
        "tab": {"separator": "\t"},
        "tab and index": {"separator": "\t", "before": ("", "0")},
        "backslash": {"path": "sub\\a.jpg"},
        "empty rows": {},
        "CR": {},
        "CRLF": {},
        "BOM": {},
        "sep": {"separator": ";"},
    }[kind]
    values, lines = table(**options)
    if kind == "R":  # row numbers, but no column for them in the header
        lines[1:] = [f"{n},{line}" for n, line in enumerate(lines[1:], 1)]
    if kind == "empty rows":
        lines = [line for line in lines for line in (line, "," * 10, "", " , ,")]
    if kind == "sep":
        lines.insert(0, "sep=;")
    text = {"CR": "\r", "CRLF": "\r\n"}.get(kind, "\n").join(lines)
    return values, (b"\xef\xbb\xbf" if kind == "BOM" else b"") + text.encode()


@pytest.mark.parametrize(
    "kind",
    [
        "index", "saved again", "R", "trailing comma", "semicolon", "decimal comma", "tab",
        "tab and index", "backslash", "empty rows", "CR", "CRLF", "BOM", "sep",
    ],
)  # fmt: skip
def test_csv_as_people_save_it(tmp_path, kind):
    photo_in(tmp_path / "sub", "a.jpg")
    values, data = saved(kind)
    (tmp_path / "Labels.CSV").write_bytes(data)
    entries = list_entries("csv", tmp_path)
    assert [entry.source for entry in entries] == ["sub/a.jpg", "sub/a.jpg#1"]
    for entry, row in zip(entries, values, strict=True):
        sample = load_sample("csv", entry)
        np.testing.assert_allclose(sample.landmarks.ravel(), row, atol=0.006)
        assert load_photo("csv", entry).shape == (512, 512, 3)


@pytest.mark.parametrize("separator", [" ", "\t", ";", ","])
@pytest.mark.parametrize("index", ["", "7"])
@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_mtfl_and_wflw_with_every_separator(tmp_path, separator, index, end):
    numbers = np.arange(196) + 0.5
    comma = "." if separator == "," else ","
    cells = [f"{v}".replace(".", comma) for v in numbers]
    first = [index] if index else []
    mtfl = separator.join([*first, "sub\\a.jpg", *cells[:10], "1", "2", "1", "3"])
    wflw = separator.join([*first, *cells, "sub\\a.jpg"])
    (tmp_path / "training.txt").write_bytes(f"\ufeff{mtfl}{end}{separator * 3}{end}{mtfl}".encode())
    (tmp_path / "list_98pt_train.txt").write_bytes(f"{wflw}{end}{end}{wflw}{end}".encode())
    photo_in(tmp_path / "sub", "a.jpg")
    for name, expected in (
        ("mtfl", numbers[:10].reshape(2, 5).T),
        ("wflw", numbers.reshape(98, 2)),
    ):
        entries = list_entries(name, tmp_path)
        assert len(entries) == 2 and entries[0].source == "sub/a.jpg"
        for entry in entries:
            np.testing.assert_array_equal(load_sample(name, entry).landmarks, expected)
            assert load_photo(name, entry).shape == (512, 512, 3)


def test_separator_is_the_one_that_gives_most_numbers():
    assert fields_of("a b.jpg\t1\t2") == ["a b.jpg", "1", "2"]
    assert fields_of(" a.jpg 1,5 2,5 ") == ["a.jpg", "1,5", "2,5"]
    assert fields_of("a.jpg,1.5, 2.5,") == ["a.jpg", "1.5", "2.5"]


def test_a_backslash_in_the_name_of_a_file_is_one(tmp_path):
    photo_in(tmp_path, "sub\\a.jpg")  # as a careless unzip leaves it
    (tmp_path / "a.csv").write_text("\n".join(table(path="sub\\a.jpg")[1]))
    assert load_photo("csv", list_entries("csv", tmp_path)[0]).shape == (512, 512, 3)


def test_a_broken_table_is_one_skipped_entry(tmp_path):
    (tmp_path / "a.csv").write_text("nothing,of,the,kind\n1,2,3,4\n")
    (tmp_path / "b.csv").write_text("\n".join(table()[1]))
    *good, bad = list_entries("csv", tmp_path)
    assert len(good) == ROWS
    with pytest.raises(ValueError, match=r"a\.csv.*first line must name the columns"):
        load_sample("csv", bad)


def test_utf_16_is_refused_by_name(tmp_path):
    (tmp_path / "training.txt").write_bytes("a.jpg 1 2".encode("utf-16"))
    with pytest.raises(ValueError, match=r"training\.txt.*UTF-8"):
        list(lines_of(tmp_path / "training.txt"))


def test_linked_folders_are_searched_once(tmp_path):
    for name in ("root/b", "beside"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "x.pts").touch()
    root = tmp_path / "root"
    (root / "a").symlink_to(root / "b")  # its own path is preferred
    (root / "b" / "loop").symlink_to(root)
    (root / "b" / "above").symlink_to(tmp_path)
    (root / "more").symlink_to("../beside")
    (root / "again").symlink_to("../beside")
    assert walk(root, {".pts"}) == [root / "again" / "x.pts", root / "b" / "x.pts"]


def test_linked_subsets_of_300w_lp_are_read_once(tmp_path, synthetic_tree):
    root = tmp_path / "root"
    root.mkdir()
    (root / "linked").symlink_to(synthetic_tree / "SYNTH")
    (root / "twice").symlink_to(synthetic_tree / "SYNTH")
    (root / "loop").symlink_to(root)
    (root / "above").symlink_to(tmp_path)
    sources = [entry.source for entry in list_entries("300w_lp", root)]
    count = len(list_entries("300w_lp", synthetic_tree))
    assert len(sources) == count and all(source.startswith("linked/") for source in sources)
