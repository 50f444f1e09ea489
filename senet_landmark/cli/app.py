"""`senet-landmark COMMAND`: the commands are functions in `commands/`; tyro derives the options."""

import sys
from collections.abc import Callable
from typing import Any

import tyro

from senet_landmark.cli.conversion import convert
from senet_landmark.cli.data import inspect, make_build_records, turn_views
from senet_landmark.cli.inference import bench, predict, pseudo_label
from senet_landmark.cli.model import compare, evaluate, freeze
from senet_landmark.cli.service import serve
from senet_landmark.cli.training import make_train, quickstart, shape_model
from senet_landmark.cli.tuning import make_find_learning_rate, report
from senet_landmark.config import Config
from senet_landmark.errors import InputError
from senet_landmark.presets import get_preset


def _preset_of(arguments: list[str]) -> Config:
    """The preset that the arguments name: its values are the defaults of the other options."""
    for index, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == "--preset":
            value = value if equals else "".join(arguments[index + 1 : index + 2])
            return get_preset(value)
    return get_preset("senet")


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit status: 0 done, 2 bad input, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        preset = _preset_of(arguments)
        app = tyro.extras.SubcommandApp()
        commands: list[Callable[..., Any]] = [
            quickstart, turn_views, make_build_records(preset), inspect,
            shape_model, make_find_learning_rate(preset), make_train(preset), report, freeze,
            convert, predict, pseudo_label, evaluate, compare, bench, serve,
        ]  # fmt: skip
        # Options are derived by reading code, which takes a while: those of one command suffice.
        named = [
            of for of in commands if arguments and of.__name__ == arguments[0].replace("-", "_")
        ]
        for command in named or commands:
            app.command(command)
        app.cli(prog="senet-landmark", description=_DESCRIPTION, args=arguments or ["--help"])
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"error: {place}{error.strerror or error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


_DESCRIPTION = (
    "Train a facial-landmark detector from your own data; run it anywhere as one frozen graph."
)

if __name__ == "__main__":
    sys.exit(main())
