"""What the command line tells a person: lists, options, choices and names, without running them."""

import dataclasses
import inspect
import re
import subprocess
import sys
import types
import typing

import pytest

from senet_landmark import __version__
from senet_landmark.cli.app import COMMANDS, GROUPS, main
from senet_landmark.cli.commands.model import evaluate as evaluate_command
from senet_landmark.cli.commands.predict import predict as predict_command
from senet_landmark.config import Config
from senet_landmark.data_tools.datasets.registry import DATASETS
from senet_landmark.detectors.registry import DETECTORS
from senet_landmark.export.conversion.formats import NAMES
from senet_landmark.export.engines.registry import ENGINES
from senet_landmark.export.evaluation.peers import PEERS
from senet_landmark.export.inference.predictor import PASSES
from senet_landmark.losses import LOSSES
from senet_landmark.networks.registry import NETWORKS
from senet_landmark.presets import PRESETS, get_preset

HEAVY = ("tensorflow", "scipy", "h5py", "matplotlib")


def help_of(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    return capsys.readouterr().out


def words_of(text):
    """A help's words without its frames and line breaks."""
    return re.sub(r"[\s│|]+", " ", text)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_list_of_commands_fits_on_a_screen(capsys, arguments):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    assert list(GROUPS) == [
        line.split()[0] for line in lines if re.match(r"(\w+) +[a-z-]+  ", line)
    ]
    for command in COMMANDS:
        assert sum(f" {command} " in line for line in lines) >= 1


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"senet-landmark {__version__}\n"


def test_list_and_version_import_no_library():
    program = (
        "import sys; from senet_landmark.cli.app import main, help_text; help_text();"
        "main(['--version']); sys.exit(bool({'numpy', 'cv2', 'tyro'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("command", ["predict", "evaluate", "convert", "train"])
def test_help_starts_no_heavy_library(command):
    program = (
        "import sys; from senet_landmark.cli.app import main\n"
        f"try: main(['{command}', '--help'])\n"
        f"except SystemExit: sys.exit(str({set(HEAVY)} & set(sys.modules) or '') or 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_speaks_to_people(capsys, command):
    text = help_of(command, capsys)
    for machine_talk in ("{None}", "None", "[[", "(default: )", "(default: '')"):
        assert machine_talk not in words_of(text), machine_talk


def test_mistyped_command_is_corrected(capsys):
    for typed, meant in (("predcit", "predict"), ("evalute", "evaluate"), ("freze", "freeze")):
        assert main([typed, "photo.jpg"]) == 2
        assert (
            capsys.readouterr().err == f"error: {typed}: no such command. Did you mean {meant}?\n"
        )
    assert main(["xyz"]) == 2
    assert "There are: predict, " in capsys.readouterr().err


def test_command_may_be_typed_with_underscores(capsys):
    assert "senet-landmark turn-views" in help_of("turn_views", capsys)


def test_mistyped_option_is_corrected(capsys):
    with pytest.raises(SystemExit) as end:
        main(["predict", "photo.jpg", "--detecter", "dlib"])
    assert end.value.code == 2 and "--detector" in "".join(capsys.readouterr())


def test_predict_has_its_options_in_groups(capsys):
    _, photo, video = re.split(r" (?:photo|video) options ", help_of("predict", capsys))
    assert all(f"{name} " in photo for name in ("--write", "--align", "--box", "--threads"))
    assert all(name in video for name in ("--smooth, --no-smooth", "--every ", "--seconds "))


@pytest.mark.parametrize(
    ("registry", "commands"),
    [
        (ENGINES, ("predict", "evaluate", "serve")),
        (DETECTORS, ("predict", "serve", "build-records", "evaluate", "compare")),
        (DATASETS, ("build-records", "evaluate", "pseudo-label")),
        (PRESETS, ("build-records", "train", "find-learning-rate")),
        (NETWORKS, ("train", "find-learning-rate")),
        (LOSSES, ("train", "find-learning-rate")),
        (PEERS, ("evaluate",)),
        (NAMES, ("convert",)),
    ],
    ids=["engines", "detectors", "datasets", "presets", "networks", "losses", "peers", "formats"],
)
def test_choices_are_those_of_the_registry(monkeypatch, capsys, registry, commands):
    for command in commands:
        assert "made_up" not in help_of(command, capsys)
    monkeypatch.setitem(registry, "made_up", next(iter(registry.values())))
    for command in commands:
        text = words_of(help_of(command, capsys))
        assert "made_up" in text, command
        assert all(name in text for name in registry), command


def test_settings_are_called_as_in_config_json(capsys):
    text = help_of("train", capsys)
    sections = typing.get_type_hints(Config)
    for section in ("network", "augment", "loss", "schedule", "train"):
        for field in dataclasses.fields(sections[section]):
            assert f"--{section}.{field.name.replace('_', '-')}" in text
    assert "--steps INT, --train.steps INT" in text and "--loop" not in text
    build = help_of("build-records", capsys)
    for field in dataclasses.fields(sections["records"]):
        assert f"--records.{field.name.replace('_', '-')}" in build


@pytest.fixture
def trained(monkeypatch):
    """The configurations that `train` was given; nothing is trained."""
    configs = []

    def train(config, records, run):
        configs.append(config)
        return types.SimpleNamespace(ended="ps", steps=0)

    fake = types.SimpleNamespace(train=train)
    monkeypatch.setitem(sys.modules, "senet_landmark.training.train", fake)
    monkeypatch.setattr("senet_landmark.runtime.start_tensorflow", lambda: None)
    return configs


@pytest.mark.parametrize("prefix", ["--", "--train.", "--loop."])
def test_every_name_of_steps_and_minutes_counts(trained, capsys, prefix):
    train = ["train", "--records", "records", "--run", "run"]
    assert main([*train, f"{prefix}steps", "7", f"{prefix}minutes=2.5"]) == 0
    assert (trained[0].train.steps, trained[0].train.minutes) == (7, 2.5)
    told = capsys.readouterr().err
    if prefix == "--loop.":
        assert told.splitlines() == [
            "note: --loop.steps is now called --train.steps",
            "note: --loop.minutes is now called --train.minutes",
        ]
    else:
        assert told == ""


def test_what_is_not_given_is_the_presets(trained):
    assert main(["train", "--records", "r", "--run", "r", "--preset=pfld"]) == 0
    assert trained == [dataclasses.replace(get_preset("pfld"), preset="pfld")]


def test_settings_that_are_not_read_are_refused(capsys):
    command = ["find-learning-rate", "--records", "r", "--out", "o"]
    with pytest.raises(SystemExit) as end:
        main([*command, "--train.steps", "7"])
    assert end.value.code == 2 and "--train.steps" in "".join(capsys.readouterr())


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples(capsys, command):
    assert f"senet-landmark {command}" in help_of(command, capsys).split("For example:")[1]


def test_default_of_the_passes_is_the_predictors():
    # The commands repeat it, as they import the predictor only when they run.
    for command in (predict_command, evaluate_command):
        assert inspect.signature(command).parameters["passes"].default == PASSES


def test_no_command_lists_them(capsys):
    with pytest.raises(SystemExit):
        main([])
    text = capsys.readouterr().out
    assert all(command in text for command in COMMANDS)


def test_preset_sets_the_defaults(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--preset", "senet_original", "--help"])
    text = re.sub(r"[\s│]+", " ", capsys.readouterr().out)
    assert "(default: 150000)" in text and "(default: l2)" in text
