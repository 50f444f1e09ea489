"""What the commands share: pairs of names and folders, and how skipped files are told."""

import sys
from pathlib import Path

from senet_landmark.errors import InputError


def print_skipped(skipped: list[dict[str, str]], where: Path | None = None, most: int = 5) -> None:
    """Prints to stderr how many faces or photos were skipped, and why the first ones were."""
    if not skipped:
        return
    print(f"Skipped {len(skipped)}:", file=sys.stderr)
    for skip in skipped[:most] if where else skipped:
        print(f"  {skip['reason']}", file=sys.stderr)
    if where and len(skipped) > most:
        print(f"  … all of them in {where}", file=sys.stderr)


def sets_of(on: tuple[str, ...]) -> list[tuple[str, Path]]:
    """`300w=300w/helen/testset` -> (data set, folder) of each. Raises InputError that says so."""
    return _pairs(on, "--on", "DATASET=FOLDER, as 300w=300w/helen/testset")


def trainings_of(train: tuple[str, ...]) -> list[tuple[str, Path]]:
    """`senet=records` -> (preset, folder of records) of each. Raises InputError that says so."""
    return _pairs(train, "--train", "PRESET=RECORDS, as senet=records")


def _pairs(texts: tuple[str, ...], option: str, wanted: str) -> list[tuple[str, Path]]:
    found = []
    for text in texts:
        name, equals, folder = text.partition("=")
        if not (name and equals and folder):
            raise InputError(f"{option} {text}: give {wanted}.")
        found.append((name, Path(folder)))
    return found
