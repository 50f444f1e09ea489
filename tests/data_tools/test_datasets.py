"""Readers, splits and the record builder, on synthetic and real photos."""

import json

import cv2
import numpy as np
import pytest
import scipy.io

from made_records import copy_tree, parse
from senet_landmark.config import RecordsConfig
from senet_landmark.data_tools.datasets import w300lp
from senet_landmark.data_tools.datasets.registry import DATASETS, list_entries, load_sample
from senet_landmark.data_tools.records.build_records import build_records
from senet_landmark.data_tools.records.shards import PARTS
from senet_landmark.data_tools.records.split import split_entries
from senet_landmark.errors import InputError
from senet_landmark.face import geometry
from senet_landmark.io import pts
from senet_landmark.io.images import decode_photo, read_photo
from senet_landmark.presets import get_preset

# --- readers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("HELEN", "HELEN_1629243_1_12"), ("HELEN_Flip", "HELEN_1629243_1_0"), True),
        (("AFW", "AFW_111076519_1_0"), ("AFW", "AFW_111076519_2_4"), True),
        (("IBUG", "IBUG_image_008_1_0"), ("IBUG", "IBUG_image_010_1_0"), False),
        (("LFPW", "LFPW_image_train_0001_0"), ("LFPW", "LFPW_image_train_0002_0"), False),
        (("SYNTH", "SYNTH_1_0"), ("SYNTH", "SYNTH_2_0"), False),
    ],
)
def test_views_flips_and_neighbours_share_their_source(one, other, same):
    assert (w300lp.source_photo(*one) == w300lp.source_photo(*other)) is same


def test_300w_lp_real_counts_and_points(shared_data):
    root = shared_data("300W_LP")
    entries = list_entries("300w_lp", root)
    assert len(entries) == 2012
    for entry in entries[::400]:
        sample = load_sample("300w_lp", entry)
        own = scipy.io.loadmat(entry.photo.with_suffix(".mat"))["pt2d"].T
        np.testing.assert_allclose(sample.landmarks, own, atol=0.01)  # un-turned views: equal


def test_300w_lp_genuine_formats(shared_data):
    root = shared_data("300W_LP_format")
    by_name = {e.photo.stem: e for e in list_entries("300w_lp", root)}
    genuine = load_sample("300w_lp", by_name["IBUG_image_008_1_0"])
    assert genuine.landmarks.shape == (68, 2)
    assert genuine.pose[0] == pytest.approx(np.rad2deg(-0.76809585), abs=0.01)
    choices = {
        points: load_sample("300w_lp", entry).landmarks
        for points in ("auto", "pts_2d", "pts_3d", "pt2d")
        for entry in list_entries("300w_lp", root, points)
        if entry.photo.stem == "image00001"
    }
    np.testing.assert_array_equal(choices["auto"], choices["pts_2d"])
    assert not np.allclose(choices["pts_2d"], choices["pts_3d"])
    assert not np.allclose(choices["pts_2d"], choices["pt2d"])


def test_300w_real_points_are_zero_based(shared_data):
    root = shared_data("300w", "helen", "testset")
    entries = list_entries("300w", root)
    assert len(entries) == 330
    text = entries[0].annotations[0].read_text().split("{")[1].split()
    first = load_sample("300w", entries[0]).landmarks[0]
    np.testing.assert_allclose(first, np.array(text[:2], float) - 1, atol=1e-3)


def test_pts_round_trip(tmp_path):
    points = np.random.default_rng(0).uniform(0, 300, (68, 2)).round(3).astype(np.float32)
    (tmp_path / "a.pts").write_text(pts.write_pts(points))
    np.testing.assert_allclose(pts.read_pts(tmp_path / "a.pts"), points, atol=1e-3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a .pts"),
        ("version: 1\nn_points: 68\n{\n1 2\n}\n", "holds 1 points"),
        ("version: 1\nn_points: 2\n{\n1 2\n3 x\n}\n", "not a .pts"),
        ("version: 1\nn_points: 2\n{\n1 2\n3\n}\n", "not a .pts"),
        ("version: 1\nn_points: 2\n{\n1 2\n", "not a .pts"),
    ],
)
def test_bad_pts_is_named(tmp_path, text, message):
    path = tmp_path / "face.pts"
    path.write_text(text)
    with pytest.raises(InputError, match=f"face.pts.*{message}"):
        pts.read_pts(path)


def test_unknown_names_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"300w_lp"):
        list_entries("300w-lp", tmp_path)
    with pytest.raises(InputError, match="pts_3d"):
        list_entries("300w_lp", tmp_path, "pt3d")
    with pytest.raises(InputError, match="does not exist"):
        list_entries("300w_lp", tmp_path / "nowhere")


@pytest.mark.parametrize("name", DATASETS)
def test_empty_folder_is_refused(tmp_path, name):
    if name == "tfds_300w_lp":
        pytest.importorskip("tensorflow_datasets")
    with pytest.raises(InputError, match="holds no photo"):
        list_entries(name, tmp_path)


# --- splits ----------------------------------------------------------------------------------


def entries_of(views=4, photos=20):
    from pathlib import Path

    from senet_landmark.data_tools.datasets.samples import Entry

    return [
        Entry(Path(f"{p}_{v}.jpg"), f"{p}_{v}.jpg", f"photo{p}", (), "300w_68")
        for p in range(photos)
        for v in range(views)
    ]


def sides_of(entries, held_out=0.2, **options):
    split = split_entries(entries, held_out, **options)
    assert not split.leaking and not split.sides["test"]
    return split.sides["train"], split.sides["validation"]


def test_split_by_source_never_parts_a_photo_and_is_stable():
    entries = entries_of()
    training, held_out = sides_of(entries, seed=1)
    assert len(held_out) == 16 and len(training) == 64
    assert not {e.identity for e in training} & {e.identity for e in held_out}
    assert (training, held_out) == sides_of(entries[::-1], seed=1)
    assert held_out != sides_of(entries, seed=2)[1]


def test_split_by_view_leaks_as_the_original_did():
    training, held_out = sides_of(entries_of(), by="view")
    assert len(held_out) == 16
    assert {e.identity for e in training} & {e.identity for e in held_out}


# --- builder ---------------------------------------------------------------------------------


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


def test_photos_of_every_kind_are_read(tmp_path):
    colour = np.zeros((40, 60, 3), np.uint8)
    colour[:, :30] = (10, 60, 200)
    kinds = {
        "grey.png": colour[..., 2],
        "rgba.png": np.dstack([colour, np.full((40, 60), 128, np.uint8)]),
        "deep.png": colour.astype(np.uint16) * 257,
        "ümlaut und leer.jpg": colour,
    }
    for name, pixels in kinds.items():
        (tmp_path / name).write_bytes(cv2.imencode(name[-4:], pixels)[1].tobytes())
        photo = read_photo(tmp_path / name)
        assert photo.shape == (40, 60, 3) and photo.dtype == np.uint8
        expected = (200, 200, 200) if name == "grey.png" else (200, 60, 10)
        np.testing.assert_allclose(photo[20, 10], expected, atol=6)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.999])
def test_truncated_jpeg_is_refused_rather_than_filled_with_grey(tmp_path, share):
    from senet_landmark.data_tools.synthesis.synthetic_tree import portrait_path

    data = portrait_path().read_bytes()
    path = tmp_path / "half.jpg"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match=r"half\.jpg.*cut off"):
        read_photo(path)
    path.write_bytes(data + b"what some cameras append")
    assert read_photo(path).shape == (512, 512, 3)


def test_exif_turned_photo_is_read_upright(tmp_path):
    """Orientation 6: the camera was turned; the stored picture must be turned clockwise."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :30] = 255
    data = cv2.imencode(".jpg", pixels)[1].tobytes()
    tiff = (
        b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00"
        + bytes(4)
    )
    exif = b"Exif\x00\x00" + tiff
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    path = tmp_path / "turned.jpg"
    path.write_bytes(data[:2] + segment + data[2:])
    photo = read_photo(path)
    assert photo.shape == (60, 40, 3)
    assert photo[10].mean() > 200 and photo[50].mean() < 50
