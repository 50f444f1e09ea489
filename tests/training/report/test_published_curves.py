"""`benchmarks/published/published_curves.py`: the picture and the table of several runs."""

import shutil
import sys
from dataclasses import replace

import pytest

import published_curves
from senet_landmark.config import to_json
from senet_landmark.frozen.contract import load_contract
from senet_landmark.io.files import write_json
from senet_landmark.training.checkpoints import load_run

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(small_run, tmp_path):
    """A run called `asmnet`, and one called `pfld_025` that started from its model."""
    for name in ("asmnet", "pfld_025"):
        shutil.copytree(small_run.run, tmp_path / name)
    config = load_run(small_run.run)[0]
    config = replace(config, train=replace(config.train, start_from=str(small_run.model)))
    write_json(tmp_path / "pfld_025" / "config.json", to_json(config))
    return tmp_path


def test_runs_are_drawn_and_counted(folder, small_run, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["", str(folder), "--out", str(folder / "curves.svg")])
    published_curves.main()
    printed = capsys.readouterr()
    rows = {line.split("|")[1].strip(): line for line in printed.out.splitlines()[2:]}
    batch = load_run(small_run.run)[0].train.batch_size
    steps = load_contract(small_run.model).training["step"]
    first, second = (published_curves.read_run(folder / name) for name in ("asmnet", "pfld_025"))
    assert second.faces == first.faces + steps * batch and second.hours > first.hours
    assert f"{first.faces:,}" in rows["asmnet"] and f"{second.faces:,}" in rows["pfld_025"]
    assert "senet_original_augmented" in printed.err and "asmnet," not in printed.err
    picture = (folder / "curves.svg").read_text()
    assert "300W" in picture and "TCDCN" not in picture  # a panel without runs is left out


def test_a_folder_without_runs_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["", str(tmp_path)])
    with pytest.raises(SystemExit, match="none of the runs"):
        published_curves.main()
