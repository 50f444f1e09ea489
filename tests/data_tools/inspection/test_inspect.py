"""The page about records: planted faults are found, and little else is."""

import csv
import html
import json
import re
import shutil
import weakref
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io
import tensorflow.compat.v1 as tf

from senet_landmark.data.records import (
    load_records_info,
    parse_example,
    shard_paths,
)
from senet_landmark.data_tools.inspection import pictures
from senet_landmark.data_tools.inspection.inspect_records import inspect_records
from senet_landmark.data_tools.records.build_records import build_records
from senet_landmark.errors import InputError
from senet_landmark.face.schemes import get_scheme

pytestmark = pytest.mark.slow

SCHEME = get_scheme("300w_68")


SUBSET = "SYNTH"


SWAPPED, SHIFTED, ONE_POINT, BLANK, COPIED, TURNED = range(6)


COPY = f"{SUBSET}/<b>copy_0.jpg"


def name(face: int) -> str:
    return f"{SUBSET}_{face:05d}_0"


def source(face: int) -> str:
    return f"{SUBSET}/{name(face)}.jpg"


def points_file(tree: Path, stem: str) -> Path:
    return tree / "landmarks" / SUBSET / f"{stem}_pts.mat"


def read_points(tree: Path, stem: str) -> np.ndarray:
    return scipy.io.loadmat(points_file(tree, stem))["pts_2d"]


def write_points(tree: Path, stem: str, points: np.ndarray) -> None:
    scipy.io.savemat(points_file(tree, stem), {"pts_2d": points, "pts_3d": points})


def photo_file(tree: Path, stem: str) -> Path:
    return tree / SUBSET / f"{stem}.jpg"


@pytest.fixture(scope="module")
def faulty_tree(synthetic_tree, tmp_path_factory) -> Path:
    """The synthetic tree with a fault in each of its first faces."""
    tree = tmp_path_factory.mktemp("faulty") / "tree"
    shutil.copytree(synthetic_tree, tree)
    points = [read_points(tree, name(face)) for face in range(6)]
    write_points(tree, name(SWAPPED), points[SWAPPED][SCHEME.mirror_index])
    # Half a face aside, towards the middle of the photo's larger part: still inside of it.
    size = np.ptp(points[SHIFTED], axis=0)
    away = np.sign(224.5 - points[SHIFTED].mean(axis=0)) * size * (0.5, 0.3)
    write_points(tree, name(SHIFTED), points[SHIFTED] + away)
    moved = points[ONE_POINT].copy()
    moved[33] += 0.15 * np.ptp(moved, axis=0)
    write_points(tree, name(ONE_POINT), moved)
    photo = cv2.imread(str(photo_file(tree, name(BLANK))))
    cv2.imwrite(str(photo_file(tree, name(BLANK))), np.zeros_like(photo))
    copied = Path(COPY).stem
    shutil.copy(photo_file(tree, name(COPIED)), photo_file(tree, copied))
    shutil.copy(photo_file(tree, name(COPIED)).with_suffix(".mat"), tree / SUBSET / f"{copied}.mat")
    write_points(tree, copied, points[COPIED])
    photo = cv2.imread(str(photo_file(tree, name(TURNED))))
    cv2.imwrite(str(photo_file(tree, name(TURNED))), photo[::-1, ::-1])
    write_points(tree, name(TURNED), 449 - points[TURNED])
    return tree


@pytest.fixture(scope="module")
def faulty_records(faulty_tree, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("faulty-records") / "records"
    build_records("300w_lp", faulty_tree, out, workers=1)
    return out


@pytest.fixture(scope="module")
def inspected(faulty_records, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("inspected") / "out"
    inspect_records([faulty_records], out, workers=1, sheet=6)
    return out


def suspects_of(out: Path) -> list[dict[str, str]]:
    with open(out / "suspects.csv", encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_planted_faults_are_found_and_hardly_anything_else(inspected):
    found: dict[str, set[str]] = {}
    for row in suspects_of(inspected):
        found.setdefault(row["kind"], set()).add(row["source"])
        if row["kind"] == "copy":
            found["copy"].add(row["other_source"])
    assert found["mirrored"] == {source(SWAPPED)}
    assert found["upside_down"] == {source(TURNED)}
    assert found["blank"] == {source(BLANK)}
    assert found["copy"] == {source(COPIED), COPY}
    assert source(ONE_POINT) in found["points"]
    assert source(SHIFTED) in found["picture"] | found.get("outside", set())
    faulty = {source(face) for face in range(6)} | {COPY}
    clean = set().union(*found.values()) - faulty
    assert len(clean) <= 1, clean


def test_moved_landmark_is_named(inspected):
    row = next(r for r in suspects_of(inspected) if r["source"] == source(ONE_POINT))
    assert row["kind"] == "points" and " 33 (nose)" in row["why"]


def test_table_says_where_each_suspect_is(inspected, faulty_records):
    for row in suspects_of(inspected):
        data = list(tf.io.tf_record_iterator(str(faulty_records / row["shard"])))
        record = parse_example(data[int(row["index"])])
        assert (record.source, record.identity) == (row["source"], row["identity"])
    numbers = json.loads((inspected / "inspect.json").read_text(encoding="utf-8"))
    assert numbers["faces"] == 25
    assert sum(numbers["suspects"].values()) == len(suspects_of(inspected))


def test_page_is_self_contained_and_escaped(inspected):
    page = (inspected / "inspect.html").read_text(encoding="utf-8")
    for target in re.findall(r'(?:src|href)\s*=\s*"([^"]*)', page):
        assert target.startswith(("data:image/", "#")), target[:80]
    assert "<script" not in page and "@import" not in page and "url(" not in page
    assert page.count("data:image/jpeg") > 8 and page.count("data:image/svg+xml") >= 4
    assert html.escape(COPY) in page and COPY not in page
    assert page.rstrip().endswith("</html>")
    anchors = set(re.findall(r'id="([^"]+)"', page))
    assert {link for link in re.findall(r'href="#([^"]+)"', page)} <= anchors


def test_clean_faces_are_not_suspect(synthetic_records, tmp_path):
    numbers = inspect_records([synthetic_records], tmp_path, workers=1, sheet=6)
    assert numbers["suspect_faces"] <= 1, suspects_of(tmp_path)


def test_again_the_same_files_and_few_pictures_at_once(
    inspected, faulty_records, tmp_path, monkeypatch
):
    alive, most = set(), [0]
    decode = pictures.decode_photo

    def counted(data: bytes, label: str) -> np.ndarray:
        picture = decode(data, label)
        alive.add(id(picture))
        weakref.finalize(picture, alive.discard, id(picture))
        most[0] = max(most[0], len(alive))
        return picture

    monkeypatch.setattr(pictures, "decode_photo", counted)
    inspect_records([faulty_records], tmp_path / "again", workers=1, sheet=6)
    assert 0 < most[0] <= 3
    for file in ("suspects.csv", "inspect.json", "inspect.html"):
        assert (tmp_path / "again" / file).read_bytes() == (inspected / file).read_bytes()


def test_bad_input_is_named_and_nothing_is_written(synthetic_records, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(InputError, match="not a finished folder of records"):
        inspect_records([tmp_path], out)
    with pytest.raises(InputError, match="does not exist"):
        inspect_records([tmp_path / "gone"], out)
    with pytest.raises(InputError, match="at least one folder"):
        inspect_records([], out)
    with pytest.raises(InputError, match="given twice"):
        inspect_records([synthetic_records, synthetic_records], out)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        inspect_records([synthetic_records], tmp_path / "file")
    damaged = tmp_path / "damaged"
    shutil.copytree(synthetic_records, damaged)
    [path] = shard_paths(damaged, load_records_info(damaged), "train")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    with pytest.raises(InputError, match=f"{path.name}: is not a whole TFRecord file"):
        inspect_records([damaged], out)
    report = json.loads((damaged / "report.json").read_text())
    (damaged / "report.json").write_text(json.dumps(report | {"schema_version": 1}))
    with pytest.raises(InputError, match="schema version 1"):
        inspect_records([damaged], out)
    assert not out.exists()
