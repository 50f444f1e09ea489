"""Files are written whole, and what a killed process left is removed."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from senet_landmark.io import temporaries
from senet_landmark.io.files import write_bytes, written_whole
from senet_landmark.io.temporaries import remove_leftovers, temporary_beside

WRITER = """
import sys, time
from senet_landmark.io.temporaries import temporary_beside
from pathlib import Path
with temporary_beside(Path(sys.argv[1]), folder=sys.argv[2] == "folder") as temporary:
    print(temporary.name, flush=True)
    time.sleep(100)
"""


def test_half_written_files_never_appear(tmp_path):
    path = tmp_path / "whole.json"
    path.write_text("old")
    with pytest.raises(RuntimeError), written_whole(path) as temporary:
        temporary.write_text("new, but")
        raise RuntimeError
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["whole.json"]


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.skipif(temporaries.fcntl is None, reason="this system has no flock")
def test_leftovers_of_the_killed_go_and_those_of_the_living_stay(tmp_path, kind):
    mine = tmp_path / ".model-20240101.pb"
    mine.write_text("a hidden file of somebody else")
    path = tmp_path / "model.pb"
    command = [sys.executable, "-c", WRITER, path, kind]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as killed,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as living,
    ):
        names = [process.stdout.readline().strip() for process in (killed, living)]
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert {p.name for p in tmp_path.iterdir()} == {mine.name, *names}
        write_bytes(path, b"whole")  # as the next run does
        assert {p.name for p in tmp_path.iterdir()} == {mine.name, path.name, names[1]}
        living.kill()
    remove_leftovers(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {mine.name, path.name}


@pytest.mark.skipif(temporaries.fcntl is None, reason="this system has no flock")
def test_a_file_that_is_taken_for_a_leftover_is_made_anew(tmp_path, monkeypatch):
    """Another process may search the folder between the making of a file and its lock."""
    lock, searched = temporaries._lock, []

    def lock_after_a_search(handle):
        if not searched:
            searched.append(True)
            remove_leftovers(tmp_path)
        return lock(handle)

    monkeypatch.setattr(temporaries, "_lock", lock_after_a_search)
    with temporary_beside(tmp_path / "a.json") as temporary:
        assert temporary.exists() and searched


def test_the_longest_name_can_be_written(tmp_path):
    path = tmp_path / f"{'ü' * 125}.json"
    write_bytes(path, b"{}")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_an_error_names_the_file_and_not_the_hidden_one(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_bytes(tmp_path / "report.json", b"{}")
    assert caught.value.filename == str(tmp_path / "report.json") and not list(tmp_path.iterdir())
