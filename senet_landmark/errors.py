"""The exception whose message is written for the user."""

import contextlib
from collections.abc import Iterator
from pathlib import Path


class InputError(ValueError):
    """Something that the user gave is wrong: the message says what, in which file, and what to do.

    The command line prints it without a traceback and exits with status 2.
    """


@contextlib.contextmanager
def concerning(file: Path | str) -> Iterator[None]:
    """Turns what a library raises over one file into an `InputError` that names the file.

    So the other files do not suffer. What concerns all files, a package that is absent, is left.
    """
    try:
        yield
    except (InputError, ModuleNotFoundError):
        raise
    except Exception as error:
        raise InputError(f"{file}: fails ({type(error).__name__}: {error}).") from error
