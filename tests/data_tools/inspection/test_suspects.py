"""Suspects: copies, identities, hidden and unknown landmarks."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from senet_landmark.data.records import (
    encode_example,
    load_records_info,
    parse_example,
    shard_paths,
)
from senet_landmark.data_tools.inspection.inspect_records import inspect_records
from senet_landmark.data_tools.records import copies

pytestmark = pytest.mark.slow


def suspects_of(out: Path) -> list[dict[str, str]]:
    with open(out / "suspects.csv", encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def rewrite(folder: Path, split: str, change) -> None:
    """Writes the only shard of a split anew with `change(record, index)` for each record."""
    [path] = shard_paths(folder, load_records_info(folder), split)
    records = [parse_example(data) for data in tf.io.tf_record_iterator(str(path))]
    with tf.io.TFRecordWriter(str(path)) as writer:
        for index, record in enumerate(records):
            writer.write(encode_example(change(record, index)))


def test_identities_and_copies_across_splits_and_folders(synthetic_records, tmp_path):
    shutil.copytree(synthetic_records, tmp_path / "one")
    shutil.copytree(synthetic_records, tmp_path / "two")
    [path] = shard_paths(tmp_path / "one", load_records_info(tmp_path / "one"), "train")
    first = parse_example(next(iter(tf.io.tf_record_iterator(str(path)))))
    rewrite(
        tmp_path / "one",
        "validation",
        lambda r, i: replace(r, identity=first.identity, image=first.image) if i == 0 else r,
    )
    inspect_records([tmp_path / "one"], tmp_path / "out", workers=1, sheet=6)
    rows = suspects_of(tmp_path / "out")
    [identity] = [r for r in rows if r["kind"] == "identity"]
    assert identity["identity"] == first.identity
    assert "1 in train, 1 in validation" in identity["why"]
    [copy] = [r for r in rows if r["kind"] == "copy"]
    assert "equal to the pixel" in copy["why"] and "in another split" in copy["why"]

    inspect_records(
        [tmp_path / "one", tmp_path / "two"], tmp_path / "both", workers=1, sheet=6, most=2
    )
    rows = suspects_of(tmp_path / "both")
    assert len([r for r in rows if r["kind"] == "identity"]) >= 23
    assert len([r for r in rows if "in another folder" in r["why"]]) >= 22
    page = (tmp_path / "both" / "inspect.html").read_text(encoding="utf-8")
    assert "one/train" in page and "two/validation" in page
    assert "The first 2 are shown" in page


def test_hidden_unknown_and_too_few(synthetic_records, tmp_path):
    """Landmarks that are hidden or unknown, and so few faces that none can be judged by others."""
    shutil.copytree(synthetic_records, tmp_path / "few")

    def change(record, index):
        landmarks, visible = record.landmarks.copy(), record.visible.copy()
        landmarks[3 + index], visible[3 + index], visible[40] = np.nan, False, False
        return replace(record, landmarks=landmarks, visible=visible)

    rewrite(tmp_path / "few", "validation", change)
    info = json.loads((tmp_path / "few" / "report.json").read_text())
    info["splits"] = {"validation": info["splits"]["validation"]}
    (tmp_path / "few" / "report.json").write_text(json.dumps(info))
    numbers = inspect_records([tmp_path / "few"], tmp_path / "out", workers=1, sheet=6)
    [split] = numbers["splits"]
    assert split["landmarks_unknown"] == pytest.approx(1 / 68, abs=1e-3)
    assert split["landmarks_hidden"] == pytest.approx(2 / 68, abs=1e-3)
    assert numbers["suspect_faces"] == 0
    page = (tmp_path / "out" / "inspect.html").read_text(encoding="utf-8")
    assert "Too few faces to judge their shapes" in page


def test_near_pairs_are_those_of_all_pairs():
    generator = np.random.default_rng(0)
    pictures_ = generator.integers(0, 256, (300, 16, 16)).astype(np.uint8)
    signatures = generator.integers(0, 256, (300, 16)).astype(np.uint8)
    wanted = set()
    for copy, bits in ((7, 0), (50, 3), (120, 7), (200, 8)):
        pictures_[copy + 1], signatures[copy + 1] = pictures_[copy], signatures[copy]
        for bit in generator.permutation(128)[:bits]:
            signatures[copy + 1, bit // 8] ^= 1 << (bit % 8)
        if bits <= copies.NEAR_BITS:
            wanted.add((copy, copy + 1))
    assert {pair[:2] for pair in copies.near_pairs(signatures, pictures_)} == wanted
