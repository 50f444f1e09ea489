"""What several commands share: pairs of a name and a folder, and the report of skipped files."""

import sys
from pathlib import Path

from senet_landmark.errors import InputError


def print_skipped(skipped: list[dict[str, str]], where: Path | None = None, most: int = 5) -> None:
    """Prints to stderr how many faces or photos were skipped, and the reasons.

    Args:
      skipped: entries with the key `reason`.
      where: file that has all entries; then only the first `most` are printed.
      most: largest number of reasons.
    """
    if not skipped:
        return
    print(f"Skipped {len(skipped)}:", file=sys.stderr)
    for skip in skipped[:most] if where else skipped:
        print(f"  {skip['reason']}", file=sys.stderr)
    if where and len(skipped) > most:
        print(f"  … all of them in {where}", file=sys.stderr)


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
