"""Tab completion of the whole command line: the scripts, run in the shells that there are."""

import os
import shutil
import subprocess

import pytest

from senet_landmark.cli.app import COMMANDS, main
from senet_landmark.cli.completion import SHELLS, completion_script


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """shell -> its script, and beside it a folder of files to complete."""
    folder = tmp_path_factory.mktemp("completion")
    (folder / "in").mkdir()
    (folder / "in" / "my photo.jpg").touch()
    (folder / "in" / "mine.png").touch()
    for shell in SHELLS:
        (folder / shell).write_text(completion_script(shell, COMMANDS))
    return folder


BASH = """
source {script}
complete -p senet-landmark >/dev/null || exit 1
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}}-1))
_tyro_senet_landmark
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
ZSH = """
compdef() {{ : }}
_files() {{ print -l -- ${{words[CURRENT]}}*(N) }}
_describe() {{ print -l -- "${{(@)completion_array%%:*}}" }}
words=({words}); CURRENT=${{#words}}
source {script}
"""
FISH = "source {script}; complete -C '{line}' | string replace -r '\\t.*' ''; or true"
PROGRAMS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def completed(scripts, shell, *words):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    script = PROGRAMS[shell].format(
        script=scripts / shell,
        words=" ".join(f"'{word}'" for word in ("senet-landmark", *words)),
        line=" ".join(("senet-landmark", *words)),
    )
    options = {"bash": ["--norc", "-c"], "zsh": ["-f", "-c"], "fish": ["--no-config", "-c"]}
    run = subprocess.run(
        [shell, *options[shell], script], capture_output=True, text=True, check=True,
        cwd=scripts / "in",
    )  # fmt: skip
    assert not run.stderr, run.stderr
    return set(run.stdout.split("\n")) - {""}


@pytest.mark.parametrize("shell", SHELLS)
def test_the_tab_key_knows_commands_options_choices_and_files(scripts, shell):
    assert completed(scripts, shell, "") == set(COMMANDS)
    assert completed(scripts, shell, "pre") == {"predict"}
    assert completed(scripts, shell, "predict", "--det") == {"--detector", "--detector-model"}
    assert {"blazeface", "dlib"} <= completed(scripts, shell, "predict", "--detector", "")
    assert completed(scripts, shell, "train", "--step") == {"--steps"}
    assert completed(scripts, shell, "predict", "m") == {"mine.png", "my photo.jpg"}
    assert {"mine.png"} <= completed(scripts, shell, "predict", "--quiet", "")


@pytest.mark.parametrize("shell", SHELLS)
def test_scripts_have_what_was_put_into_them(scripts, shell):
    """Another tyro may have other words there; this is where that would be seen."""
    script = (scripts / shell).read_text()
    assert "completions or ['__TYRO_COMPLETE_FILES__']" in script
    assert all(f"'{command}'" in script for command in COMMANDS)
    assert ("compopt -o filenames" in script) == (shell == "bash")
    assert ("set -a words (commandline -ct)" in script) == (shell == "fish")


def test_a_script_is_printed_or_written(tmp_path, capsys):
    assert main(["predict", "--tyro-print-completion", "bash"]) == 0  # of the program, not of one
    printed = capsys.readouterr().out
    assert main(["--tyro-write-completion", "bash", str(tmp_path / "new" / "script")]) == 0
    assert (tmp_path / "new" / "script").read_text().strip() == printed.strip()
    assert os.listdir(tmp_path / "new") == ["script"]


@pytest.mark.parametrize(
    "arguments", [["--tyro-print-completion"], ["--tyro-print-completion", "csh"],
                  ["--tyro-write-completion", "bash"]],
)  # fmt: skip
def test_wrong_shells_are_told(arguments, capsys):
    assert main(arguments) == 2
    assert "SHELL is one of bash, zsh, fish" in capsys.readouterr().err
