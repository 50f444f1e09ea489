"""Keeps libraries from speaking between our own messages."""

import contextlib
import os
import threading
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def without_stderr() -> Iterator[None]:
    """Drops what the process writes to the descriptor of stderr in the block, past Python too.

    It is descriptor 2 whatever `sys.stderr` is: libraries write there, and in a notebook the kernel
    reads it and has another for `sys.stderr`.
    """
    kept = -1
    try:
        kept = os.dup(2)
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 2)
        os.close(nothing)
    except OSError:  # a process without stderr
        pass
    try:
        yield
    finally:
        if kept >= 0:
            os.dup2(kept, 2)
            os.close(kept)


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Drops what C libraries, such as libpng and libjpeg, write to the terminal about a file.

    They write to the descriptor of stderr, past Python; one damaged photo gives dozens of lines.
    The descriptor belongs to the whole process, so this does it only in the main thread: the
    messages of a service's threads reach its log.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with without_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns in Python
        yield
