"""What several commands share: pairs of a name and a folder, and the report of skipped files."""

import sys
from collections.abc import Callable
from pathlib import Path

from senet_landmark.errors import InputError


def _on_stderr(text: str) -> None:
    print(text, file=sys.stderr)


def print_skipped(
    skipped: list[dict[str, str]],
    where: Path | None = None,
    most: int = 5,
    say: Callable[[str], None] = _on_stderr,
) -> None:
    """Prints to stderr how many faces or photos were skipped, and the reasons.

    Args:
      skipped: entries with the key `reason`.
      where: file that has all entries; then only the first `most` are printed.
      most: largest number of reasons.
      say: prints a line in another way.
    """
    if not skipped:
        return
    say(f"Skipped {len(skipped)}:")
    for skip in skipped[:most] if where else skipped:
        say(f"  {skip['reason']}")
    if where and len(skipped) > most:
        say(f"  … all of them in {where}")


def sets_of(on: tuple[str, ...]) -> list[tuple[str, Path]]:
    """`300w=300w/helen/testset` -> (data set, folder) of each; else raises InputError."""
    return _pairs(on, "--on", "DATASET=FOLDER, as 300w=300w/helen/testset")


def trainings_of(train: tuple[str, ...]) -> list[tuple[str, Path]]:
    """`senet=records` -> (preset, folder of records) of each; else raises InputError."""
    return _pairs(train, "--train", "PRESET=RECORDS, as senet=records")


def _pairs(texts: tuple[str, ...], option: str, expected_form: str) -> list[tuple[str, Path]]:
    pairs = []
    for text in texts:
        name, equals, folder = text.partition("=")
        if not (name and equals and folder):
            raise InputError(f"{option} {text}: give {expected_form}.")
        pairs.append((name, Path(folder)))
    return pairs
