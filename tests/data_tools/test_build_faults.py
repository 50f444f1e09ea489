"""The record builder against what goes wrong: kills, full disks, bad files, two at once."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from filelock import FileLock

from made_records import copy_tree, example_record, parse, write_csv
from senet_landmark.config import RecordsConfig
from senet_landmark.data.records import load_records_info, shard_paths
from senet_landmark.data_tools.records.build_records import build_records
from senet_landmark.data_tools.records.photos import Face, Job
from senet_landmark.data_tools.records.shards import PARTS, Shard, write_faces
from senet_landmark.errors import InputError
from senet_landmark.face import geometry
from senet_landmark.io.images import decode_photo
from senet_landmark.presets import get_preset
from senet_landmark.training.train import train

pytestmark = pytest.mark.slow

CONFIG = RecordsConfig(shard_size=3, size=64)

# One process that has everything imported and forks a build at a time: imports would take most of
# the test, and nothing can go wrong in them. Arguments: tree, folder, workers, then for each build
# how many files it may add and the seconds after that until it is killed.
BUILDS = """
import os, pathlib, signal, sys, time
from senet_landmark.runtime import start_tensorflow
start_tensorflow()
from senet_landmark.data_tools.records.build_records import build_records
from senet_landmark.config import RecordsConfig
tree, out, workers, *limits = sys.argv[1:]
count = lambda: sum(1 for _ in pathlib.Path(out).rglob("*"))
for number, limit in enumerate(limits):
    files, delay = map(float, limit.split(":"))
    before = count()
    pid = os.fork()
    if not pid:
        os.setsid()
        build_records("300w_lp", tree, out, RecordsConfig(shard_size=3, size=64), boxes="dlib",
                      workers=int(workers))
        os._exit(0)
    ended = 0
    while not ended and count() < before + files:
        ended, _ = os.waitpid(pid, os.WNOHANG)
        time.sleep(0.002)
    time.sleep(delay)
    if not ended and not os.waitpid(pid, os.WNOHANG)[0]:
        # A tree of processes; every other time the workers outlive their parent.
        (os.killpg if number % 2 else os.kill)(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        print("killed", pid, flush=True)
"""


def builds(log, tree, out, workers, limits):
    """Builds in `out`, each killed at a limit; the process groups of those that were."""
    command = [sys.executable, "-c", BUILDS, *map(str, (tree, out, workers)), *limits]
    with open(log, "w") as stream:  # not a pipe: workers that live on would keep it open
        subprocess.run(command, check=True, stdout=stream, stderr=subprocess.DEVNULL)
    return [int(line.split()[1]) for line in log.read_text().splitlines()]


def contents(folder):
    paths = [*folder.glob("*.tfrecords"), *folder.glob("identities.json")]
    return {path.name: path.read_bytes() for path in sorted(paths)}


def report_of(folder):
    report = json.loads((folder / "report.json").read_text())
    return {k: v for k, v in report.items() if k not in ("seconds", "faces_per_second")}


@pytest.mark.parametrize(("workers", "kills"), [(1, 10), (2, 2)])
def test_killed_at_random_moments_it_ends_as_if_undisturbed(
    synthetic_tree, tmp_path, workers, kills
):
    whole, out = tmp_path / "whole", tmp_path / "out"
    build_records("300w_lp", synthetic_tree, whole, CONFIG, boxes="dlib", workers=1)
    generator, killed = random.Random(0), []
    for _ in range(5):
        limits = [
            f"{generator.randint(1, 5)}:{generator.uniform(0, 0.15)}" for _ in range(kills + 1)
        ]
        killed += builds(tmp_path / "log", synthetic_tree, out, workers, limits)
        if (out / "report.json").exists():
            assert contents(out) == contents(whole) and report_of(out) == report_of(whole)
            shutil.rmtree(out)
        if len(killed) >= kills:
            break
    assert len(killed) >= kills
    # A worker that outlived its parent holds nothing: the next build may start at once.
    build_records("300w_lp", synthetic_tree, out, CONFIG, boxes="dlib", workers=1)
    assert contents(out) == contents(whole) and report_of(out) == report_of(whole)
    assert not (out / PARTS).exists() and not list(out.glob(".*"))
    for group in killed:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


def test_two_builders_on_one_folder(synthetic_tree, tmp_path):
    out = tmp_path / "out"
    (out / PARTS).mkdir(parents=True)
    with (
        FileLock(out / PARTS / "lock"),
        pytest.raises(InputError, match="another build is at work"),
    ):
        build_records("300w_lp", synthetic_tree, out, CONFIG, workers=1)
    assert [p.name for p in out.rglob("*")] == [PARTS, "lock"]
    build_records("300w_lp", synthetic_tree, out, CONFIG, workers=1)
    with pytest.raises(InputError, match="already holds finished"):
        build_records("300w_lp", synthetic_tree, out, CONFIG, workers=1)


def test_foreign_records_are_left_alone(synthetic_tree, tmp_path):
    (tmp_path / "mine.tfrecords").write_bytes(b"precious")
    with pytest.raises(InputError, match="not of this build"):
        build_records("300w_lp", synthetic_tree, tmp_path, CONFIG, workers=1)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.tfrecords"]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 300 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"needs the right to mount a tmpfs: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_full_disk_stops_with_a_message_and_loses_nothing(synthetic_tree, small_disk, tmp_path):
    whole = tmp_path / "whole"
    config = RecordsConfig(shard_size=3, size=160)
    build_records("300w_lp", synthetic_tree, whole, config, workers=1)
    out = small_disk / "out"
    with pytest.raises(OSError) as caught:
        build_records("300w_lp", synthetic_tree, out, config, workers=1)
    assert "space" in str(caught.value) and "tfrecords" in str(caught.value.filename)
    done = contents(out)
    assert done and all(contents(whole)[name] == data for name, data in done.items())
    assert not (out / "report.json").exists() and not list(out.glob(".*.tfrecords"))
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    build_records("300w_lp", synthetic_tree, out, config, workers=1)
    assert contents(out) == contents(whole)


def test_writer_on_a_device_that_is_full_names_its_file(tmp_path, monkeypatch):
    """As above, where nothing may be mounted: the system's own full device, through a link."""
    from senet_landmark.data_tools.records import shards

    @contextlib.contextmanager
    def on_full_device(path):
        yield Path("/dev/full")

    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    monkeypatch.setattr(shards, "written_whole", on_full_device)
    record = replace(example_record(), image=b"x" * 100_000)
    shard = Shard("train.tfrecords", "train", (), tmp_path, Job("300w_lp", CONFIG))
    with pytest.raises(OSError, match=r"could not be written.*space") as caught:
        write_faces(shard, [[Face("a", "a.jpg", record=record)]])
    assert caught.value.filename == str(tmp_path / "train.tfrecords")
    assert not shard.stats_path.exists()


def test_bad_photos_of_every_kind(synthetic_tree, tmp_path):
    """The job goes on; each is named with its reason; the good ones are all there."""
    tree = copy_tree(synthetic_tree, tmp_path / "tree", 10)
    photos = sorted((tree / "SYNTH").glob("*.jpg"))
    photos[0].write_bytes(photos[0].read_bytes()[:5000])
    photos[1].write_bytes(b"")
    photos[2].rename(photos[2].with_suffix(".txt"))  # an annotation without photo
    photos[3].write_text("<html>not a photo</html>")
    photos[4].with_suffix(".mat").unlink()
    (tree / "landmarks" / "SYNTH" / f"{photos[4].stem}_pts.mat").unlink()
    moved = photos[5].with_name("ein Name mit Ümläuten 名_0.jpg")
    for old, new in (
        (photos[5], moved),
        (photos[5].with_suffix(".mat"), moved.with_suffix(".mat")),
        (
            tree / "landmarks" / "SYNTH" / f"{photos[5].stem}_pts.mat",
            tree / "landmarks" / "SYNTH" / f"{moved.stem}_pts.mat",
        ),
    ):
        old.rename(new)
    out = tmp_path / "out"
    report = build_records("300w_lp", tree, out, RecordsConfig(held_out=0), workers=2)
    assert report["faces"] == 5 and report["skipped_count"] == 5
    reasons = {Path(skip["photo"]).stem: skip["reason"] for skip in report["skipped"]}
    wanted = ["cut off", "empty", "cannot be read", "does not decode", "no annotation"]
    for photo, words in zip(photos, wanted, strict=False):
        assert words in reasons[photo.stem] and photo.stem in reasons[photo.stem]
    assert f"SYNTH/{moved.name}" in {record.source for record in parse(out)}


def test_landmarks_outside_the_photo_are_kept(synthetic_tree, tmp_path):
    import scipy.io

    tree = copy_tree(synthetic_tree, tmp_path / "tree", 2)
    path = next((tree / "landmarks" / "SYNTH").glob("*.mat"))
    points = scipy.io.loadmat(path)["pts_2d"] - (180, 0)
    scipy.io.savemat(path, {"pts_2d": points})
    build_records("300w_lp", tree, tmp_path / "out", RecordsConfig(held_out=0), workers=1)
    (record,) = (r for r in parse(tmp_path / "out") if Path(r.source).stem in path.stem)
    size = record.region[2:] - record.region[:2]
    np.testing.assert_allclose(record.landmarks * size + record.region[:2], points, atol=2e-3)
    assert decode_photo(record.image)[:, :20].max() == 0  # black where there is no photo


def test_copies_of_a_photo_are_reported(synthetic_tree, tmp_path):
    tree = copy_tree(synthetic_tree, tmp_path / "tree", 6)
    one, two = sorted((tree / "SYNTH").glob("*.jpg"))[:2]
    shutil.copy(one, two)
    report = build_records("300w_lp", tree, tmp_path / "out", CONFIG, workers=1)
    assert report["duplicates"] == [[f"SYNTH/{one.name}", f"SYNTH/{two.name}"]]


def test_published_test_part_is_kept_apart(tmp_path):
    rows = [(f"{i}.jpg", f"person{i}", "") for i in range(6)]
    rows += [("t.jpg", "tess", "test"), ("u.jpg", "tess", "")]
    root = write_csv(tmp_path / "tree", rows)
    config = RecordsConfig(held_out=0.2, test=0.2)
    report = build_records("csv", root, tmp_path / "out", config, workers=1)
    assert report["faces_by_split"] == {"train": 4, "validation": 1, "test": 2}
    (skip,) = report["skipped"]
    assert skip["face"] == "u.jpg" and "published test part" in skip["reason"]


def test_records_whose_splits_share_an_identity_are_refused(tmp_path):
    root = write_csv(tmp_path / "tree", [(f"{i}.jpg", f"person{i % 3}", "") for i in range(6)])
    leaking = RecordsConfig(held_out=0.5, split_by="view", seed=1)
    report = build_records("csv", root, tmp_path / "out", leaking, workers=1)
    # Split by view on purpose it passes; said to be split by source it is refused.
    report["records"]["split_by"] = "source"
    (tmp_path / "out" / "report.json").write_text(json.dumps(report))
    with pytest.raises(InputError, match=r"identities are in more than one split: person"):
        train(get_preset("quickstart"), tmp_path / "out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


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


@pytest.mark.parametrize("mode", ["in_memory", "multi_processing"])
def test_beam_writes_the_same_files(synthetic_tree, tmp_path, mode):
    pytest.importorskip("apache_beam", reason="needs the extra [beam]")
    from senet_landmark.data_tools.records.beam import build_records_beam

    options = [f"--direct_running_mode={mode}", "--direct_num_workers=2"]
    boxes = "dlib" if mode == "in_memory" else "landmarks"
    build_records("300w_lp", synthetic_tree, tmp_path / "local", CONFIG, boxes=boxes, workers=1)
    build_records_beam(
        "300w_lp", synthetic_tree, tmp_path / "beam", CONFIG, boxes=boxes, options=options
    )
    assert contents(tmp_path / "beam") == contents(tmp_path / "local")
    assert report_of(tmp_path / "beam") == report_of(tmp_path / "local")


def test_beam_refuses_a_runner_that_is_none(synthetic_tree, tmp_path):
    pytest.importorskip("apache_beam", reason="needs the extra [beam]")
    from senet_landmark.data_tools.records.beam import build_records_beam

    with pytest.raises(InputError, match="no runner 'LocalRunner'"):
        build_records_beam("300w_lp", synthetic_tree, tmp_path / "out", runner="LocalRunner")


def test_attributes_of_a_csv_reach_training(tmp_path):
    root = write_csv(tmp_path / "tree", [(f"{i}.jpg", f"person{i}", "") for i in range(6)])
    header, *lines = (root / "a.csv").read_text().splitlines()
    smiles = [f"{line},{index % 2}" for index, line in enumerate(lines)]
    smiles[5] = f"{lines[5]},"  # unknown
    (root / "a.csv").write_text("\n".join([f"{header},smile", *smiles]))
    build_records("csv", root, tmp_path / "out", RecordsConfig(held_out=0.3), workers=1)
    config = get_preset("quickstart")
    network = replace(config.network, attributes=("smile",))
    short = replace(config.train, steps=1, minutes=0, batch_size=4)
    config = replace(config, network=network, train=short)
    result = train(config, tmp_path / "out", tmp_path / "run")
    assert 0 <= result.figures["accuracy_smile"] <= 100
