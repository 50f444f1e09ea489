"""`predict` in several processes: killed and given again, on a cluster; the lines are the same."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from senet_landmark.cli.app import main
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait_path
from senet_landmark.errors import InputError
from senet_landmark.export.inference.batch import lines
from senet_landmark.export.inference.batch.work import Job, Task, in_workers, make_predictor
from senet_landmark.export.inference.predict import predict_photos

pytestmark = pytest.mark.slow

PHOTOS = 20
FORMATS = ("json", "csv", "pts")
OPTIONS = {"engine": "opencv"}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Copies of the portrait in two subfolders."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(PHOTOS):
        path = folder / f"{number % 2}" / f"{number:02d}.jpg"
        path.parent.mkdir(exist_ok=True)
        shutil.copy(portrait_path(), path)
    return folder


@pytest.fixture(scope="module")
def undisturbed(photos, tmp_path_factory):
    """Name -> content of what one process writes."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    predict_photos([photos], out, predictor=OPTIONS, write=FORMATS, workers=1)
    return contents(out)


def contents(out):
    """Name -> content; the lines sorted, the header without the folder and the digests."""
    files = {
        str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()
    }
    files["landmarks.jsonl"] = sorted(files["landmarks.jsonl"].splitlines())
    files[lines.HEADER] = json.loads(files[lines.HEADER])["settings"]
    return files


def test_several_processes_give_the_same(photos, undisturbed, tmp_path):
    out = tmp_path / "out"
    summary = predict_photos([photos], out, predictor=OPTIONS, write=FORMATS, workers=2)
    assert summary["photos"] == summary["faces"] == PHOTOS
    assert contents(out) == undisturbed


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_three_times_and_given_again(photos, undisturbed, tmp_path, workers):
    psutil = pytest.importorskip("psutil")
    out = tmp_path / "out"
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from senet_landmark.export.inference.predict import predict_photos\n"
        "if __name__ == '__main__':\n"
        f"    predict_photos([Path({str(photos)!r})], {str(out)!r}, predictor={OPTIONS!r},\n"
        f"        write={FORMATS!r}, workers={workers})\n"
    )
    (tmp_path / "program.py").write_text(program)
    chance = random.Random(workers)
    before = 0
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        target = before + chance.randint(1, 4)
        process = subprocess.Popen(
            [sys.executable, tmp_path / "program.py"], stderr=subprocess.DEVNULL
        )
        while process.poll() is None and count_in(out) < target:
            time.sleep(0.02)
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        assert process.wait(60) != 0, "it was not interrupted"
        _, alive = psutil.wait_procs(children, timeout=20)
        assert not alive
        assert before < count_in(out) < PHOTOS
        before = count_in(out)
        if number != signal.SIGKILL:  # what was done is written
            assert len(json.loads((out / "landmarks.json").read_text())) == before
    summary = predict_photos([photos], out, predictor=OPTIONS, write=FORMATS, workers=workers)
    assert (summary["photos"], summary["before"]) == (PHOTOS, before)
    assert contents(out) == undisturbed


def count_in(out):
    path = out / "landmarks.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_worker_that_is_killed_is_replaced(photos, tmp_path):
    psutil = pytest.importorskip("psutil")
    tasks = iter(Task(path, str(path), path.stem, False) for path in sorted(photos.rglob("*.jpg")))
    job = Job(tmp_path, OPTIONS, pictures=False)
    this, killed, done = psutil.Process(), 0, []
    others = {child.pid for child in this.children(recursive=True)}
    for outcome in in_workers(tasks, job, 2, lambda: False):
        done.append(outcome)
        if len(done) in (2, 6):
            forked = [c for c in this.children(recursive=True) if c.pid not in others]
            # The newest ones: the process that they are forked from is older.
            max(forked, key=lambda child: child.create_time()).kill()
            killed += 1
    assert killed == 2 and all(outcome.line for outcome in done)
    assert len({outcome.task.image for outcome in done}) == len(done) == PHOTOS


def test_workers_that_cannot_start_are_an_error(tmp_path):
    job = Job(tmp_path, {"model": "no-such-model"}, pictures=False)
    tasks = iter([Task(portrait_path(), "a", "a", False)])
    with pytest.raises(InputError, match="no-such-model"):
        list(in_workers(tasks, job, 1, lambda: False))


def test_several_workers_need_arguments(photos, tmp_path):
    with pytest.raises(InputError, match="arguments of a predictor"):
        predict_photos([photos], tmp_path / "out", predictor=make_predictor(OPTIONS), workers=2)


def test_beam_gives_the_same(photos, undisturbed, tmp_path, monkeypatch):
    pytest.importorskip("apache_beam", reason="needs the extra [beam]")
    monkeypatch.setattr("senet_landmark.export.inference.predict_beam.PART", 6)
    out, write = tmp_path / "out", ("--write", *FORMATS)
    beam = "--direct_running_mode=in_memory"
    arguments = ["predict", str(photos), "--out", str(out), "--engine", "opencv", *write]
    assert main([*arguments, "--runner", "DirectRunner", f"--beam={beam}"]) == 0
    files = contents(out)
    header, expected = files.pop(lines.HEADER), dict(undisturbed)
    assert header["passes"] == 3 and expected.pop(lines.HEADER)["model"] == header["model"]
    assert files == expected
    assert main([*arguments, "--runner", "LocalRunner"]) == 2
