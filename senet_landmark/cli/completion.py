"""Tab completion: `senet-landmark --tyro-print-completion SHELL`, and `--tyro-write-completion`.

The script is tyro's, of all commands. It completes commands, options and choices, and elsewhere
names of files, which tyro gives after options alone.
"""

import contextlib
import importlib
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from senet_landmark.cli.parser import write_script
from senet_landmark.errors import InputError
from senet_landmark.io.files import write_bytes
from senet_landmark.presets import get_preset

if TYPE_CHECKING:
    from senet_landmark.cli.app import Command

SHELLS = ("bash", "zsh", "fish")

PRINT = "--tyro-print-completion"
WRITE = "--tyro-write-completion"

_CHANGES = (
    # Options where a word begins with -, and files where there is nothing else to complete.
    (
        "    # Output one completion per line.\n",
        "    word = (words[current_index:] or [''])[0]\n"
        "    completions = [c for c in completions if word[:1] == '-' or c[:1] != '-']\n"
        "    completions = completions or ['__TYRO_COMPLETE_FILES__']\n",
    ),
    # bash: of the last word, and names with spaces.
    (
        'COMPREPLY=($(compgen -f -- "$cur"))',
        "local IFS=$'\\n'\n"
        '    COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))\n'
        "    compopt -o filenames 2>/dev/null",
    ),
    # fish: tyro leaves the word out.
    (
        "    set -l current (count $words)\n",
        "    set -l current (count $words)\n    set -a words (commandline -ct)\n",
    ),
)
"""What is found in tyro's script, and what is put in its place."""


def complete(arguments: Sequence[str], commands: "Mapping[str, Command]") -> None:
    """Prints the script, or writes it to a file: `--tyro-write-completion SHELL FILE`.

    Args:
      arguments: from that option on.
      commands: the table of the commands.

    Raises:
      InputError: the arguments are others, or the file cannot be written.
    """
    option, *values = [argument.replace("_", "-") for argument in arguments[:1]] + [*arguments[1:]]
    if len(values) != (1 if option == PRINT else 2) or values[0] not in SHELLS:
        raise InputError(
            f"Give {PRINT} SHELL, or {WRITE} SHELL FILE; SHELL is one of {', '.join(SHELLS)}."
        )
    script = completion_script(values[0], commands)
    if option == PRINT or values[1] == "-":
        print(script)
        return
    try:
        write_bytes(values[1], script.encode())
    except OSError as error:
        raise InputError(f"{values[1]}: cannot be written ({error.strerror}).") from error
    print(f"{values[0]}: completion -> {Path(values[1])}")


def completion_script(shell: str, commands: "Mapping[str, Command]") -> str:
    """The script of a shell, for all commands with the options of their default preset."""
    functions: dict[str, Callable[..., Any]] = {}
    short: dict[str, str] = {}
    for name, command in commands.items():
        module = importlib.import_module(f"senet_landmark.cli.commands.{command.file}")
        function = name.replace("-", "_")
        functions[name] = (
            getattr(module, f"make_{function}")(get_preset("senet"))
            if command.preset
            else getattr(module, function)
        )
        short |= command.short
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        write_script(functions, [PRINT, shell], short)
    script = printed.getvalue()
    for before, after in _CHANGES:
        script = script.replace(before, after)
    return script
