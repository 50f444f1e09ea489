"""Copies of a photo, by picture and by name, are one identity."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from senet_landmark.config import RecordsConfig
from senet_landmark.data_tools.datasets.registry import list_entries, load_sample
from senet_landmark.data_tools.datasets.samples import Entry, identity_of
from senet_landmark.data_tools.records.build_records import build_records
from senet_landmark.data_tools.records.copies import joined_copies
from senet_landmark.io import pts
from senet_landmark.io.images import read_photo, write_picture


@pytest.mark.parametrize(
    ("source", "identity"),
    [
        ("helen/p1_mirror.jpg", "helen/p1"),
        ("p1-Flipped.png", "p1"),
        ("AFW/1000000_2.jpg", "AFW/1000000"),
        ("1000000_12.jpg", "1000000"),
        ("AFW/1000000_1_mirror.jpg", "AFW/1000000"),
        ("frames/photo_2.jpg", "frames/photo_2"),
        ("lfpw/image_0012.png", "lfpw/image_0012"),
        ("mirror.jpg", "mirror"),
    ],
)
def test_names_of_one_photo(source, identity):
    assert identity_of(source) == identity


@pytest.fixture
def photos(synthetic_tree, tmp_path):
    """A function that writes the n-th photo, changed, and one that lists what was written."""
    originals = sorted(synthetic_tree.glob("*/*.jpg"))

    def write(name, number, change=lambda photo: photo):
        write_picture(tmp_path / name, change(read_photo(originals[number])))

    def entries():
        return [
            Entry(p, p.name, p.stem, (p.with_suffix(".pts"),), "300w_68")
            for p in sorted(tmp_path.glob("*.*"))
            if p.suffix in (".jpg", ".png")
        ]

    return write, entries


def test_changed_copies_are_joined_and_others_are_not(photos):
    write, entries = photos
    changes = {
        "saved": lambda p: cv2.imdecode(cv2.imencode(".jpg", p, [1, 40])[1], 1),
        "small": lambda p: cv2.resize(p, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA),
        "mirrored": lambda p: p[:, ::-1],
        "bright": lambda p: np.clip(p * 1.15 + 4, 0, 255).astype(np.uint8),
        "trimmed": lambda p: p[2:-2, 2:-2],
    }
    for number, (name, change) in enumerate(changes.items()):
        write(f"photo{number}.png", number)
        write(f"copy {name}.jpg", number, change)
    for number in range(5, 20):
        write(f"photo{number}.png", number)
    write("blank1.png", 0, np.zeros_like)
    write("blank2.png", 0, np.zeros_like)
    joined, groups = joined_copies("300w", entries())
    wanted = [sorted([f"copy {name}.jpg", f"photo{n}.png"]) for n, name in enumerate(changes)]
    assert sorted(groups) == sorted(wanted)
    assert len({entry.identity for entry in joined}) == 22


def test_a_series_before_one_background_is_not_one_identity(photos):
    write, entries = photos
    for shift in range(6):  # as of a fixed camera: each next to the one before
        write(f"frame{shift}.png", 0, lambda p, s=shift: p[:, 3 * s : 420 + 3 * s])
    joined, groups = joined_copies("300w", entries())
    assert len({entry.identity for entry in joined}) == 6 and not groups


def test_identities_that_the_user_gave_are_kept(photos):
    write, entries = photos
    write("a.png", 0)
    write("b.png", 0)
    joined, _ = joined_copies("csv", [replace(entry, given=True) for entry in entries()])
    assert [entry.identity for entry in joined] == ["a", "b"]


def test_a_split_keeps_copies_together_and_names_them(synthetic_tree, tmp_path):
    root = tmp_path / "root"
    for number, entry in enumerate(list_entries("300w_lp", synthetic_tree)[:8]):
        photo = read_photo(entry.photo)
        points = load_sample("300w_lp", entry).landmarks
        for name in (f"{number}.png", f"other{number}.png"):
            write_picture(root / name, photo)
            (root / name).with_suffix(".pts").write_text(pts.write_pts(points))
    report = build_records("300w", root, tmp_path / "out", RecordsConfig(held_out=0.5), workers=1)
    assert report["faces_by_split"] == {"train": 8, "validation": 8}
    assert report["duplicate_photos"] == 8 and not report["duplicates_across_splits"]
    assert report["joined"] == [[f"{n}.png", f"other{n}.png"] for n in range(8)]
