"""The record builder against kills, full disks and two at once."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from built_records import CONFIG, contents, report_of
from made_records import example_record
from senet_landmark.config import RecordsConfig
from senet_landmark.data_tools.records.build_records import build_records
from senet_landmark.data_tools.records.photos import Job, RecordedFace
from senet_landmark.data_tools.records.shards import PARTS, Shard, write_faces
from senet_landmark.errors import InputError

pytestmark = pytest.mark.slow

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


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_command_that_is_killed_leaves_no_worker(synthetic_tree, tmp_path, number):
    """SIGTERM is how Kubernetes and Slurm stop a job."""
    psutil = pytest.importorskip("psutil")
    out = tmp_path / "out"
    options = ["--boxes", "dlib", "--workers", "2", "--records.shard-size", "3"]
    command = [
        *(sys.executable, "-m", "senet_landmark", "build-records", "--dataset", "300w_lp"),
        *("--root", synthetic_tree, "--out", out, *options),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace") as build:
        while build.poll() is None and not list(out.glob("*.tfrecords")):
            time.sleep(0.02)
        children = psutil.Process(build.pid).children(recursive=True)
        build.send_signal(number)
        assert build.wait(30) == (130 if number == signal.SIGTERM else -number)
        text = build.stderr.read()
        _, alive = psutil.wait_procs(children, timeout=10)
    assert len(children) >= 2 and not alive
    assert "Traceback" not in text and ("interrupted" in text) == (number == signal.SIGTERM)
    assert not (out / "report.json").exists()
    build_records(
        "300w_lp", synthetic_tree, out, RecordsConfig(shard_size=3), boxes="dlib", workers=2
    )
    assert not list(out.glob(".*"))


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
        write_faces(shard, [[RecordedFace("a", "a.jpg", record=record)]])
    assert caught.value.filename == str(tmp_path / "train.tfrecords")
    assert not shard.stats_path.exists()
