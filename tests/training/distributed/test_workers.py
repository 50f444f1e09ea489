"""Training as several processes: the same result as one, and processes that die."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from senet_landmark.config import RecordsConfig
from senet_landmark.data.records import load_records_info, shard_paths, shards_of
from senet_landmark.training.run_log import curves

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def halves(synthetic_tree, tmp_path_factory):
    """Records whose 22 training faces lie in two files of 11."""
    from senet_landmark.data_tools.records.build_records import build_records

    out = tmp_path_factory.mktemp("halves") / "records"
    build_records("300w_lp", synthetic_tree, out, RecordsConfig(shard_size=11), workers=1)
    info = load_records_info(out)
    paths = shard_paths(out, info, "train")
    assert [len(shards_of(paths, part, 2)) for part in (0, 1)] == [1, 1]
    return out


@dataclass
class Started:
    """A process of a run."""

    process: subprocess.Popen
    log: object

    def text(self):
        self.log.seek(0)
        return self.log.read()

    def ends(self, seconds=400):
        """Its exit status."""
        return self.process.wait(seconds)


@pytest.fixture
def start(tmp_path):
    """Starts `train` as one process of a cluster; what is left at the end is killed."""
    with ExitStack() as stack:
        count = 0

        def begin(records, run, *options, cluster=None, job="worker", index=0):
            nonlocal count
            count += 1
            log = stack.enter_context(open(tmp_path / f"log-{count}.txt", "w+"))
            environment = dict(os.environ)
            environment.pop("TF_CONFIG", None)
            if cluster:
                task = {"type": job, "index": index}
                environment["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
            command = [
                sys.executable, "-m", "senet_landmark", "train", "--records", records,
                "--run", run, "--preset", "tcdcn_landmarks", "--train.epochs", "0",
                "--train.threads", "1", "--schedule.initial", "1e-4", "--schedule.final", "1e-4",
                *options,
            ]  # fmt: skip
            process = subprocess.Popen(
                list(map(str, command)), env=environment, stdout=log, stderr=subprocess.STDOUT
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            return Started(process, log)

        yield begin


def addresses(count):
    """Free ports of this machine."""
    sockets = [socket.socket() for _ in range(count)]
    for free in sockets:
        free.bind(("localhost", 0))
    found = [f"localhost:{free.getsockname()[1]}" for free in sockets]
    for free in sockets:
        free.close()
    return found


def steps_logged(run):
    return max(curves(run).get("train/loss", {0: 0.0}))


def wait_until(condition, *processes, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        for started in processes:
            assert started.process.poll() in (None, 0), started.text()
        assert time.monotonic() < end, "\n\n".join(started.text() for started in processes)
        time.sleep(0.05)


def test_two_workers_train_as_one_with_the_same_global_batch(halves, tmp_path, start):
    """With all faces in each step the batch is the same whoever reads it: so is every loss."""
    options = [
        *("--steps", 8, "--train.batch-size", 22, "--train.summary-every", 1),
        *("--train.validate-every", 4, "--train.gradient-clip", 1.0, "--train.ema-decay", 0.9),
        *("--schedule.initial", "1e-2", "--schedule.final", "1e-2"),
    ]
    alone = start(halves, tmp_path / "one", *options)
    first, second = addresses(2)
    cluster = {"chief": [first], "worker": [second]}
    worker = start(halves, tmp_path / "two", *options, cluster=cluster)
    chief = start(halves, tmp_path / "two", *options, cluster=cluster, job="chief")
    for started in (alone, chief, worker):
        assert started.ends() == 0, started.text()
    assert "worker done at step 8" in worker.text()
    one, two = curves(tmp_path / "one"), curves(tmp_path / "two")
    assert len(one["train/loss"]) == 8
    for tag in ("train/loss", "validation/nme_inter_ocular", "validation/mse_pixels"):
        assert two[tag] == pytest.approx(one[tag], rel=1e-4)
    assert one["train/loss"][8] < 0.8 * one["train/loss"][1]


def test_killed_processes_are_replaced_and_the_run_ends_well(halves, tmp_path, start):
    """Worker, then chief, then the one who holds the parameters."""
    run = tmp_path / "run"
    options = [
        *("--steps", 200, "--train.batch-size", 8, "--train.validate-every", 20),
        *("--train.summary-every", 1),
    ]
    first, second, third = addresses(3)
    cluster = {"chief": [first], "worker": [second], "ps": [third]}

    def begin(job):
        return start(halves, run, *options, cluster=cluster, job=job)

    holder, chief, worker = begin("ps"), begin("chief"), begin("worker")
    wait_until(lambda: steps_logged(run) > 5, chief, worker, holder)
    worker.process.send_signal(signal.SIGKILL)
    worker = begin("worker")
    time.sleep(0.5)
    stood = steps_logged(run)
    wait_until(lambda: steps_logged(run) > max(stood + 5, 45), chief, worker, holder)
    chief.process.send_signal(signal.SIGKILL)
    stood, sessions = steps_logged(run), len(list(run.glob("*.tfevents.*")))
    chief = begin("chief")
    wait_until(
        lambda: len(list(run.glob("*.tfevents.*"))) > sessions and steps_logged(run) > stood + 10,
        chief, worker, holder,
    )  # fmt: skip
    assert steps_logged(run) < 200  # what is killed after the end is not missed
    holder.process.send_signal(signal.SIGKILL)
    holder = begin("ps")
    for started in (chief, worker, holder):
        assert started.ends() == 0, started.text()
    assert json.loads((run / "result.json").read_text())["steps"] == 200
    found = curves(run)["train/loss"]
    assert sorted(found) == list(range(1, 201))  # one curve, though steps were done twice
    assert sum(found[s] for s in range(190, 201)) < 0.5 * sum(found[s] for s in range(1, 12))
    # Killed in its last moment, and started again when the others have left: nobody will come.
    late = [begin("worker"), begin("ps")]
    elsewhere = dict(zip(("chief", "worker"), ([a] for a in addresses(2)), strict=True))
    blind = start(
        halves, tmp_path / "not-seen", *options, "--train.wait-minutes", 0.02, cluster=elsewhere
    )
    for started in late:
        assert started.ends(100) == 0 and "has ended without it" in started.text(), started.text()
    assert "worker done at step 200" in late[0].text()
    assert blind.ends(100) == 2 and "saw no run for 0.02 minutes" in blind.text(), blind.text()


def test_too_few_files_for_the_workers(synthetic_records, tmp_path, start):
    cluster = {"worker": addresses(3)}
    # The trackers are the chief's affair: other processes need not have their packages.
    one_file = start(
        synthetic_records, tmp_path / "run", "--train.trackers", "nobody", cluster=cluster, index=1
    )
    assert one_file.ends() == 2
    assert "batch_size is that of all workers" in one_file.text()
    one_file = start(
        synthetic_records, tmp_path / "run", "--train.batch-size", 6, cluster=cluster, index=1
    )
    assert one_file.ends() == 2
    assert "1 files for 3 workers" in one_file.text()
    assert not (tmp_path / "run").exists()
