"""The record builder: what records hold, and that it goes on where it was interrupted."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import scipy.io
import tensorflow.compat.v1 as tf

from built_records import CONFIG
from made_records import copy_tree, parse, write_csv
from runs import plain
from senet_landmark.config import RecordsConfig
from senet_landmark.data.records import load_records_info, shard_paths
from senet_landmark.data_tools.records.build_records import build_records
from senet_landmark.data_tools.records.shards import PARTS
from senet_landmark.errors import InputError
from senet_landmark.face import geometry
from senet_landmark.io.images import decode_photo, read_photo
from senet_landmark.presets import get_preset
from senet_landmark.training.train import train

pytestmark = pytest.mark.slow


def test_records_hold_the_photo_and_its_landmarks(synthetic_tree, synthetic_records):
    report = json.loads((synthetic_records / "report.json").read_text())
    assert report["faces"] == 24 and report["faces_by_split"] == {"train": 22, "validation": 2}
    assert report["skipped"] == [] and (synthetic_records / "contact_sheet.png").exists()
    assert not (synthetic_records / PARTS).exists()
    config = RecordsConfig()
    for record in parse(synthetic_records)[:5]:
        photo = synthetic_tree / record.source
        truth = scipy.io.loadmat(photo.with_suffix(".mat"))["pt2d"].T
        size = record.region[2:] - record.region[:2]
        np.testing.assert_allclose(record.landmarks * size + record.region[:2], truth, atol=2e-3)
        region = record.region.astype(np.float64)
        again = geometry.warp(
            read_photo(photo), geometry.to_crop(region), (config.size, config.size)
        )
        assert np.abs(again.astype(int) - decode_photo(record.image)).mean() < 0.1  # lossless
        assert np.isfinite(record.pose).all()


def test_content_does_not_depend_on_workers(synthetic_tree, tmp_path):
    config = RecordsConfig(shard_size=5)
    for workers in (1, 2):
        build_records("300w_lp", synthetic_tree, tmp_path / str(workers), config, workers=workers)
    for path in sorted((tmp_path / "1").glob("*.tfrecords")):
        assert path.read_bytes() == (tmp_path / "2" / path.name).read_bytes()


def test_original_preset_gives_its_two_files(synthetic_tree, tmp_path):
    out = tmp_path / "records"
    config = get_preset("senet_original").records
    report = build_records("300w_lp", synthetic_tree, out, config, workers=1)
    assert sorted(p.name for p in out.glob("*.tfrecords")) == ["test.tfrecords", "train.tfrecords"]
    assert report["faces_by_split"] == {"train": 19, "test": 5}
    for record in parse(out):
        assert decode_photo(record.image).shape == (128, 128, 3)
        assert record.landmarks.min() >= 0 and record.landmarks.max() <= 1
        # top margin 0.3 of the box's height, 0.05 elsewhere, unless the photo ends there
        assert record.landmarks[:, 0].min() <= 0.05 / 1.1 + 1e-3
        assert record.landmarks[:, 1].min() <= 0.3 / 1.35 + 1e-3


def test_dlib_boxes_of_real_photos(shared_data, tmp_path):
    tree = tmp_path / "tree" / "HELEN"
    tree.mkdir(parents=True)
    for photo in sorted((shared_data("300W_LP") / "HELEN").glob("*.jpg"))[:16]:
        for path in (photo, photo.with_suffix(".mat")):
            (tree / path.name).symlink_to(path)
    report = build_records("300w_lp", tree.parent, tmp_path / "out", boxes="dlib", workers=2)
    assert report["box_source"] == "dlib" and report["faces"] == 16
    assert report["missed_count"] <= 6
    correction = report["box_corrections"]["dlib"]
    assert correction != {"shift": [0.0, 0.0], "scale": [1.0, 1.0]}
    for record in parse(tmp_path / "out"):
        tight = geometry.box_from_landmarks(record.landmarks)
        assert geometry.iou(tight, record.box.astype(np.float64)) > 0.6


def test_interrupted_build_goes_on(synthetic_tree, tmp_path, monkeypatch):
    from senet_landmark.data_tools.records import build_records as module

    config, out, whole = RecordsConfig(shard_size=6), tmp_path / "out", tmp_path / "whole"
    build_records("300w_lp", synthetic_tree, whole, config, workers=1)
    write, calls = module.write_faces, []

    def dies(shard, photos):
        calls.append(shard.name)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return write(shard, photos)

    monkeypatch.setattr(module, "write_faces", dies)
    with pytest.raises(KeyboardInterrupt):
        build_records("300w_lp", synthetic_tree, out, config, workers=1)
    assert not (out / "report.json").exists()
    done = {p.name: p.stat().st_mtime_ns for p in out.glob("*.tfrecords")}
    assert len(done) == 2
    with pytest.raises(InputError, match="other options"):
        build_records("300w_lp", synthetic_tree, out, RecordsConfig(), workers=1)
    monkeypatch.setattr(module, "write_faces", write)
    build_records("300w_lp", synthetic_tree, out, config, workers=1)
    for path in whole.glob("*.tfrecords"):
        assert path.read_bytes() == (out / path.name).read_bytes()
    assert all((out / name).stat().st_mtime_ns == when for name, when in done.items())
    with pytest.raises(InputError, match="already holds"):
        build_records("300w_lp", synthetic_tree, out, config, workers=1)


def test_bad_faces_are_skipped_counted_and_named(synthetic_tree, tmp_path):
    tree = copy_tree(synthetic_tree, tmp_path / "tree")
    photos = sorted((tree / "SYNTH").glob("*.jpg"))
    points = [tree / "landmarks" / "SYNTH" / f"{p.stem}_pts.mat" for p in photos]
    photos[0].write_bytes(photos[0].read_bytes()[:100])
    photos[6].write_bytes(photos[6].read_bytes()[:9000])
    photos[1].write_bytes(b"")
    points[2].unlink()
    photos[2].with_suffix(".mat").unlink()
    good = scipy.io.loadmat(points[3])["pts_2d"]
    scipy.io.savemat(points[3], {"pts_2d": good[:50]})
    scipy.io.savemat(points[4], {"pts_2d": np.where(np.arange(68)[:, None] == 7, np.nan, good)})
    points[5].write_bytes(b"not a matlab file")
    out = tmp_path / "out"
    report = build_records("300w_lp", tree, out, RecordsConfig(held_out=0), workers=1)
    assert report["faces"] == 1 and report["skipped_count"] == 7
    reasons = {skip["photo"].rpartition("/")[2][6:11]: skip["reason"] for skip in report["skipped"]}
    wanted = ["does not decode", "empty", "no annotation", "50 points", "NaN", "MATLAB", "cut off"]
    for number, words in enumerate(wanted):
        assert words in reasons[f"{number:05d}"], reasons
        assert f"{number:05d}" in reasons[f"{number:05d}"]  # the file is named


def test_nothing_usable_is_an_error_and_leaves_no_report(synthetic_tree, tmp_path):
    tree = copy_tree(synthetic_tree, tmp_path / "tree", 3)
    for photo in sorted((tree / "SYNTH").glob("*.jpg")):
        photo.write_bytes(b"junk")
    with pytest.raises(InputError, match="no face could be used"):
        build_records("300w_lp", tree, tmp_path / "out", workers=1)
    assert not any((tmp_path / "out").iterdir())


def test_copies_of_a_photo_are_reported(synthetic_tree, tmp_path):
    tree = copy_tree(synthetic_tree, tmp_path / "tree", 6)
    one, two = sorted((tree / "SYNTH").glob("*.jpg"))[:2]
    shutil.copy(one, two)
    report = build_records("300w_lp", tree, tmp_path / "out", CONFIG, workers=1)
    assert report["duplicates"] == [[f"SYNTH/{one.name}", f"SYNTH/{two.name}"]]


def test_annotated_boxes_are_corrected_to_the_canonical_one(shared_data, tmp_path):
    root = shared_data("groups")
    report = build_records("dlib_xml", root, tmp_path / "out", boxes="annotation", workers=1)
    correction = report["box_corrections"]["annotation"]
    assert report["box_source"] == "annotation" and correction["scale"][0] != 1
    info = load_records_info(tmp_path / "out")
    overlaps = []
    for path in shard_paths(tmp_path / "out", info, "train"):
        for data in tf.io.tf_record_iterator(str(path)):
            from senet_landmark.data.records import parse_example

            record = parse_example(data)
            tight = geometry.box_from_landmarks(record.landmarks)
            overlaps.append(geometry.iou(tight, record.box.astype(np.float64)))
    assert np.median(overlaps) > 0.7


def test_attributes_of_a_csv_reach_training(tmp_path):
    root = write_csv(tmp_path / "tree", [(f"{i}.jpg", f"person{i}", "") for i in range(6)])
    header, *lines = (root / "a.csv").read_text().splitlines()
    smiles = [f"{line},{index % 2}" for index, line in enumerate(lines)]
    smiles[5] = f"{lines[5]},"  # unknown
    (root / "a.csv").write_text("\n".join([f"{header},smile", *smiles]))
    build_records("csv", root, tmp_path / "out", RecordsConfig(held_out=0.3), workers=1)
    config = plain(steps=1)
    network = replace(config.network, attributes=("smile",))
    config = replace(config, network=network)
    result = train(config, tmp_path / "out", tmp_path / "run")
    assert 0 <= result.figures["accuracy_smile"] <= 100


def test_photos_of_a_csv_keep_the_name_of_their_data_set(tmp_path):
    root = write_csv(tmp_path / "tree", [(f"{i}.jpg", f"person{i}", "") for i in range(4)])
    config = RecordsConfig(held_out=0.3, photos_of="aflw2000")
    report = build_records("csv", root, tmp_path / "out", config, workers=1)
    assert report["dataset"] == load_records_info(tmp_path / "out").dataset == "aflw2000"
    wrong = replace(config, photos_of="mtfl (csv), lfw")
    with pytest.raises(InputError, match="photos_of 'mtfl"):
        build_records("csv", root, tmp_path / "wrong", wrong, workers=1)
    with pytest.raises(InputError, match="own terms"):
        build_records("mtfl", root, tmp_path / "wrong", config, workers=1)
    assert not (tmp_path / "wrong").exists()
