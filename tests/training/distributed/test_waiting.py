"""When a process that nobody answers believes that its run has ended."""

import os
import threading
from dataclasses import replace

import pytest

from senet_landmark.config import Config, TrainConfig, save_config
from senet_landmark.errors import InputError
from senet_landmark.io.files import write_json
from senet_landmark.training.distributed import waiting
from senet_landmark.training.distributed.waiting import Waiting

OPTIONS = TrainConfig(steps=50, wait_minutes=0)


def ended_run(folder, ended="done", begun_again=False):
    save_config(folder / "config.json", Config(train=OPTIONS))
    write_json(folder / "result.json", {"steps": 50, "ended": ended})
    if begun_again:
        later = os.stat(folder / "result.json").st_mtime + 5
        os.utime(folder / "config.json", (later, later))
    return folder


def is_over(run, options=OPTIONS):
    return Waiting("worker 0", run, options).is_over()


def test_a_run_that_ended_is_believed_after_a_while(tmp_path, monkeypatch):
    run = ended_run(tmp_path)
    assert not is_over(run)
    monkeypatch.setattr(waiting, "SETTLE", -1.0)
    assert is_over(run) and is_over(ended_run(tmp_path, "early_stopped"))


def test_a_run_that_goes_on_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(waiting, "SETTLE", -1.0)
    assert not is_over(tmp_path / "absent")
    assert not is_over(ended_run(tmp_path), replace(OPTIONS, steps=100))  # it is to be continued
    assert not is_over(ended_run(tmp_path, begun_again=True))
    assert not is_over(ended_run(tmp_path, "interrupted"))
    (tmp_path / "result.json").write_text("{")
    assert not is_over(tmp_path)


def test_what_never_returns_is_left_when_the_run_is_over(tmp_path, monkeypatch):
    never, running, stopped = (threading.Event() for _ in range(3))
    stopped.set()
    patient = Waiting("worker 0", ended_run(tmp_path), OPTIONS)
    assert patient.result_of(never.wait, stopped) is None
    assert patient.result_of(lambda: 3, running) == 3
    with pytest.raises(KeyError):
        patient.result_of(lambda: {}["absent"], running)
    monkeypatch.setattr(waiting, "SETTLE", -1.0)
    assert patient.result_of(never.wait, running) is None
    never.set()


def test_it_gives_up_after_the_stated_time(tmp_path):
    lost = Waiting("worker 0", tmp_path, replace(OPTIONS, wait_minutes=1), _began=-1e9)
    with pytest.raises(InputError, match=r"worker 0: saw no run for 1 minutes \(--train\.wait-min"):
        lost.is_over()
    lost.begin_anew()
    assert not lost.is_over()
