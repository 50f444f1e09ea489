"""Faces that cannot be right are skipped and named; the others are recorded."""

import os

import numpy as np
import pytest

from made_records import parse
from senet_landmark.config import RecordsConfig
from senet_landmark.data_tools.datasets.samples import Sample
from senet_landmark.data_tools.records.build_records import build_records
from senet_landmark.data_tools.records.photos import make_record
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.errors import InputError
from senet_landmark.io import pts
from small_trees import photo_in

PHOTO, POINTS = portrait()
CONFIG = RecordsConfig(held_out=0)


def with_point(x, y):
    points = POINTS.copy()
    points[5] = x, y
    return points


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        (POINTS / 512, "shares of the photo's size"),
        (with_point(1e9, 100), "far beyond the photo"),
        (with_point(100, -6000), "far beyond the photo"),
        (POINTS / 400 + 200, "too small"),
        (POINTS + 600, "no part of the photo"),
        (POINTS - (0, 700), "no part of the photo"),
    ],
)
def test_points_that_are_no_pixels_of_the_photo(points, reason):
    sample = Sample("a.jpg", "a.jpg", "a", "300w_68", points.astype(np.float32), np.ones(68, bool))
    with pytest.raises(InputError, match=rf"a\.jpg.*{reason}"):
        make_record(sample, PHOTO, CONFIG, "csv")


@pytest.mark.parametrize(
    "box", [(10, 10, 10.25, 10.25), (-900, -900, -800, -800), (0, 0, 1e9, 1e9)]
)
def test_boxes_that_show_no_face(box):
    sample = Sample("a.jpg", "a.jpg", "a", "300w_68", POINTS, np.ones(68, bool))
    with pytest.raises(InputError, match=r"a\.jpg.*face box"):
        make_record(sample, PHOTO, CONFIG, "csv", np.array(box, float))


def test_bad_faces_cost_no_others(tmp_path):
    """Also names that are not UTF-8 or very long, a pipe, and an angle beyond half a turn."""
    root = tmp_path / "root"
    photo_in(root, "good.jpg")
    gbk = os.fsdecode(b"\xd5\xd5\xc6\xac.jpg")
    long = "x" * 251 + ".jpg"
    names = ["good.jpg", gbk, "turned.jpg", "far.jpg", "missing.jpg", "pipe.jpg", long]
    for name in (gbk, "turned.jpg", "far.jpg", long):
        photo_in(root, name)
    os.mkfifo(root / "pipe.jpg")
    header = ",".join(["photo", "yaw", "pitch", "roll", *(f"x{i},y{i}" for i in range(68))])
    rows = [header]
    for name in names:
        points = with_point(1e9, 5) if name == "far.jpg" else POINTS
        angle = "206" if name == "turned.jpg" else "5"
        rows.append(",".join([name, angle, "0", "0", *(f"{v:g}" for v in points.ravel())]))
    (root / "a.csv").write_bytes("\n".join(rows).encode("utf-8", "surrogateescape"))
    report = build_records("csv", root, tmp_path / "out", CONFIG, workers=1)
    assert {record.source for record in parse(tmp_path / "out")} == {
        "good.jpg", r"\xd5\xd5Ƭ.jpg", long,
    }  # fmt: skip
    reasons = {skip["face"]: skip["reason"] for skip in report["skipped"]}
    assert reasons.keys() == {"turned.jpg", "far.jpg", "missing.jpg", "pipe.jpg"}
    assert "206" in reasons["turned.jpg"] and "half a turn" in reasons["turned.jpg"]
    assert "named pipe" in reasons["pipe.jpg"]


def test_every_name_with_an_annotation_is_found(tmp_path):
    for name in ("a.b", "c.PNG", "d.jpg", "d.png"):  # "a.b" has no suffix of a picture
        photo_in(tmp_path / "root", name)
    photo_in(tmp_path / "root", "plain")
    (tmp_path / "root" / "README").write_text("not a photo")
    for stem in ("c", "d", "plain"):
        (tmp_path / "root" / f"{stem}.pts").write_text(pts.write_pts(POINTS))
    report = build_records("300w", tmp_path / "root", tmp_path / "out", CONFIG, workers=1)
    assert report["faces"] == 4 and not report["skipped"]
    assert {r.source for r in parse(tmp_path / "out")} == {"c.PNG", "d.jpg", "d.png", "plain"}
