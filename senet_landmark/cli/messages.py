"""What a command says, and to whom: the terminal, and a log file.

Results go to stdout, notes and problems to stderr. `--quiet` leaves the problems; the log has all,
with the time, and the records of the library below (`logging`).
"""

import contextlib
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from senet_landmark.errors import InputError

_ROOT = logging.getLogger("senet_landmark")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Messages:
    """Where messages go; `quiet`: results and notes are not printed."""

    quiet: bool = False

    def result(self, text: str) -> None:
        """Says what was done, on stdout."""
        _LOG.info(text.strip())
        if not self.quiet:
            print(text)

    def note(self, text: str) -> None:
        """Says something that is good to know, on stderr."""
        _LOG.info(text.strip())
        if not self.quiet:
            print(text, file=sys.stderr)

    def problem(self, text: str) -> None:
        """Says what was wrong, on stderr, also if it is quiet."""
        # Where no file listens, a warning would be printed a second time.
        _LOG.info("problem: %s", text.strip())
        print(text, file=sys.stderr)


@contextlib.contextmanager
def messages(quiet: bool = False, log_file: Path | None = None) -> Iterator[Messages]:
    """Yields where messages go during a command; what ends it is in the log file, too.

    Raises:
      InputError: the log file cannot be written.
    """
    if log_file is None:
        yield Messages(quiet)
        return
    try:
        log_file.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(log_file, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise InputError(f"--log-file {log_file}: cannot be written ({error.strerror}).") from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    level = _ROOT.level
    _ROOT.addHandler(handler)
    _ROOT.setLevel(logging.INFO)
    try:
        yield Messages(quiet)
    except (InputError, ModuleNotFoundError, OSError) as error:
        _LOG.info("error: %s", error)
        raise
    except KeyboardInterrupt:
        _LOG.info("interrupted")
        raise
    except Exception:
        _LOG.info("failed", exc_info=True)
        raise
    finally:
        _ROOT.removeHandler(handler)
        _ROOT.setLevel(level)
        handler.close()
