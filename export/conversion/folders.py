"""Folders written whole: made beside their place, then renamed."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from senet_landmark.io.temporaries import temporary_beside


@contextlib.contextmanager
def folder_written_whole(out: Path) -> Iterator[Path]:
    """Yields the name of a folder to make; renames it to `out` if the block succeeds.

    An older folder there is replaced. After an exception `out` is unchanged.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with temporary_beside(out, folder=True) as temporary:
        made = temporary / "made"
        yield made
        # A folder cannot be renamed to the name of a folder that is not empty.
        older = temporary / "older"
        if out.exists():
            out.rename(older)
        try:
            made.rename(out)
        except OSError:
            if older.exists():
                older.rename(out)
            raise
