"""Hidden names under which files and folders are written, and what a killed process left of them.

A process holds the lock of what it writes (`flock`), and the system releases it when the process
ends, however it ends. So a hidden file that nobody holds is a leftover. Where there are no such
locks, nothing is removed.
"""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_NAME = re.compile(r"\..*-[a-z0-9_]{8}\.tmp(\.[^.]+)?")

_STEM = 50
"""Characters of the target's name that are kept: the longest names leave no room for more."""

_searched: set[Path] = set()
"""Folders that this process has searched; a listing for each file would cost too much."""


@contextlib.contextmanager
def temporary_beside(path: Path, folder: bool = False) -> Iterator[Path]:
    """Yields a hidden, empty file (or folder) beside `path`, with its suffix, which is then gone.

    The first call for a folder removes what killed processes left there.

    Raises:
      OSError: it cannot be written; its `filename` is `path`, not the hidden name.
    """
    if path.parent not in _searched:
        _searched.add(path.parent)
        remove_leftovers(path.parent)
    prefix, suffix = f".{path.stem[:_STEM]}-", f".tmp{path.suffix}"

    def make() -> tuple[Path, int | None]:
        if not folder:
            handle, name = tempfile.mkstemp(suffix, prefix, path.parent)
            return Path(name), handle
        name = tempfile.mkdtemp(suffix, prefix, path.parent)
        return Path(name), None if fcntl is None else os.open(name, os.O_RDONLY)

    with _named(path):
        temporary, handle = _make_locked(make)
        try:
            yield temporary
        finally:
            if folder:
                shutil.rmtree(temporary, ignore_errors=True)
            else:
                temporary.unlink(missing_ok=True)
            if handle is not None:
                os.close(handle)


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        parts = Path(str(error.filename or "")).parts
        if error.errno and (not parts or any(map(_NAME.fullmatch, parts))):
            error.filename, error.filename2 = str(path), None
        raise


def remove_leftovers(folder: Path) -> None:
    """Removes the hidden files and folders of processes that were killed, if it may."""
    with contextlib.suppress(OSError):
        for path in [Path(entry) for entry in os.scandir(folder) if _NAME.fullmatch(entry.name)]:
            with contextlib.suppress(OSError):
                handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW) if fcntl else None
                try:
                    if handle is not None and _lock(handle):
                        shutil.rmtree(path) if path.is_dir() else path.unlink()
                finally:
                    if handle is not None:
                        os.close(handle)


def _make_locked(make: Callable[[], tuple[Path, int | None]]) -> tuple[Path, int | None]:
    while True:
        path, handle = make()
        if fcntl is None:
            if handle is not None:
                os.close(handle)  # there, what is open cannot be renamed
            return path, None
        assert handle is not None
        # Between the two, another process may have taken it for a leftover.
        if _lock(handle) is not False and path.exists():
            return path, handle
        os.close(handle)


def _lock(handle: int) -> bool | None:
    """Whether this process holds the lock now; None: the file system has no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    except OSError:
        return None
