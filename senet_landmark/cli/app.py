"""`senet-landmark COMMAND`: the table of the commands, and the messages when a command fails."""

import difflib
import importlib
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from senet_landmark import __version__
from senet_landmark.errors import InputError
from senet_landmark.signals import sigterm_as_ctrl_c


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
      file: module of `commands` with the command's function, which has the command's name with _
        in place of -. If `preset` is set, the module has a function `make_…` instead, which takes
        the preset and returns the function.
      summary: what it does, for the list of commands; at most 56 characters.
      preset: whether the values of `--preset` are the defaults of its options.
      short: setting of `config.json` -> a second, shorter name of its option.
      unused: settings that the command does not read.
    """

    file: str
    summary: str
    preset: bool = False
    short: Mapping[str, str] = field(default_factory=dict)
    unused: tuple[str, ...] = ()


GROUPS: dict[str, dict[str, Command]] = {
    "use": {
        "predict": Command("predict", "photos, videos, a camera -> landmarks and pictures"),
        "serve": Command("service", "a web page and an HTTP endpoint that find landmarks"),
    },
    "data": {
        "build-records": Command("data", "photos and annotations -> records", preset=True),
        "inspect": Command("data", "records -> a page of pictures, figures and suspects"),
        "turn-views": Command("data", "more poses: turn the faces of a 300W-LP tree"),
        "pseudo-label": Command("labelling", "label a data set with models that are trained"),
    },
    "train": {
        "quickstart": Command("training", "try the whole pipeline, in about three minutes"),
        "train": Command(
            "training",
            "records -> checkpoints, curves and a report",
            preset=True,
            short={"train.steps": "--steps", "train.minutes": "--minutes"},
        ),
        "find-learning-rate": Command(
            "tuning",
            "try learning rates before a long training",
            preset=True,
            unused=(
                "train.steps", "train.epochs", "train.minutes", "train.ema_decay",
                "train.validate_every", "train.summary_every", "train.keep_best",
                "train.task_stopping", "train.start_from", "train.patience", "train.report",
                "train.wait_minutes", "train.trackers",
            ),
        ),
        "report": Command("tuning", "write the report page of a training run"),
        "shape-model": Command("training", "records -> a shape model, for the ASM-assisted loss"),
    },
    "ship": {
        "freeze": Command("model", "training run -> one frozen .pb with its contract"),
        "convert": Command("conversion", "frozen .pb -> ONNX, TFLite, SavedModel, a web page"),
        "evaluate": Command("model", "models on annotated faces -> errors and pictures"),
        "compare": Command("model", "size, speed and error of several models, in one table"),
        "bench": Command("speed", "latency and throughput of models in every engine"),
    },
}  # fmt: skip
"""Heading -> its commands, in the order of the help."""

COMMANDS = {name: command for group in GROUPS.values() for name, command in group.items()}

_USAGE = """\
Train a facial-landmark detector on your data; run it as one frozen graph.

  senet-landmark COMMAND [OPTIONS]    senet-landmark COMMAND --help
"""


_COMPLETION_HELP = "--tyro-print-completion SHELL: for the Tab key"
_COMPLETION = re.compile("--tyro[-_](print|write)[-_]completion")


def help_text() -> str:
    """The list of the commands; it fits on one screen."""
    lines = [_USAGE]
    for heading, group in GROUPS.items():
        for index, (name, command) in enumerate(group.items()):
            lines.append(f"{heading if index == 0 else '':<7}{name:<20}{command.summary}")
    return "\n".join([*lines, "", f"--version, --help; {_COMPLETION_HELP}"])


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit status: 0 done, 2 bad input, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if hasattr(sys.stdout, "reconfigure"):
        # A name that the terminal or file cannot take, in any encoding, is shown escaped.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with sigterm_as_ctrl_c():
            _run(arguments)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        message = _what_to_install(error)
        if message is None:
            raise
        print(f"error: {message}", file=sys.stderr)
        return 2
    except OSError as error:
        file = f"{error.filename}: " if error.filename else ""
        print(f"error: {file}{error.strerror or error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def _run(arguments: list[str]) -> None:
    if words := [word for word in arguments if _COMPLETION.fullmatch(word)]:
        # Also after a command: a shell completes the program.
        from senet_landmark.cli.completion import complete

        complete(arguments[arguments.index(words[0]) :], COMMANDS)
        return
    name, *options = arguments or ["--help"]
    if name in ("-h", "--help"):
        print(help_text())
        raise SystemExit(0)
    if name == "--version":
        print(f"senet-landmark {__version__}")
        return
    name = name.replace("_", "-")
    if name not in COMMANDS:
        raise InputError(_unknown(name))
    command = COMMANDS[name]
    module = importlib.import_module(f"senet_landmark.cli.commands.{command.file}")
    function: Any = name.replace("-", "_")
    if command.preset:
        options = _renamed(options)
        function = getattr(module, f"make_{function}")(_preset_of(options))
    else:
        function = getattr(module, function)
    # Imported here: the list of commands and the version need neither tyro nor NumPy.
    from senet_landmark.cli.parser import run_command

    run_command(function, name, options, command.short, command.unused)


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(COMMANDS)}."
    return f"{name}: no such command. {hint}"


def _renamed(options: list[str]) -> list[str]:
    """The options with the names of `config.json`: --loop.X is the old name of --train.X."""
    renamed = []
    for option in options:
        if option.startswith("--loop."):
            new = "--train." + option.removeprefix("--loop.")
            old_name, new_name = option.partition("=")[0], new.partition("=")[0]
            print(f"note: {old_name} is now called {new_name}", file=sys.stderr)
            option = new
        renamed.append(option)
    return renamed


def _preset_of(options: list[str]) -> Any:
    """The preset that `--preset` names; its values are the defaults of the other options."""
    from senet_landmark.presets import get_preset

    for index, option in enumerate(options):
        name, equals, value = option.partition("=")
        if name == "--preset":
            value = value if equals else "".join(options[index + 1 : index + 2])
            return get_preset(value)
    return get_preset("senet")


def _what_to_install(error: ModuleNotFoundError) -> str | None:
    from senet_landmark.cli.extras import missing_message

    return missing_message(error.name or "")


if __name__ == "__main__":
    sys.exit(main())
