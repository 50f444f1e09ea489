"""Files written whole: to a temporary name in the same folder, flushed, then renamed."""

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from senet_landmark.errors import InputError
from senet_landmark.io.temporaries import temporary_beside


@contextlib.contextmanager
def written_whole(path: Path | str) -> Iterator[Path]:
    """Yields a temporary path beside `path`; renames it to `path` when the block succeeds.

    After an exception or a kill, `path` is as it was before: absent, or the complete older file.
    The temporary name has the same suffix, because image writers choose the format by it.

    Raises:
      OSError: the file cannot be written; its `filename` is `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_beside(path) as temporary:
        yield temporary
        with open(temporary, "rb+") as stream:
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes the file private
        temporary.replace(path)


@contextlib.contextmanager
def folder_written_whole(out: Path) -> Iterator[Path]:
    """Yields the path of a folder to make, and renames it to `out` when the block succeeds.

    An older folder there is replaced. After an exception `out` is unchanged.

    Raises:
      OSError: it cannot be written; its `filename` is `out`.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with temporary_beside(out, folder=True) as temporary:
        folder = temporary / "made"
        yield folder
        # A folder cannot be renamed to the name of a folder that is not empty.
        older = temporary / "older"
        if out.exists():
            out.rename(older)
        try:
            folder.rename(out)
        except OSError:
            if older.exists():
                older.rename(out)
            raise


def write_bytes(path: Path | str, data: bytes) -> None:
    """Writes `data` to `path`, whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_bytes(data)


def printable(text: Path | str) -> str:
    """A name or message as text that can be written everywhere.

    Bytes of a file name that are not UTF-8, which Python holds as surrogates, become `\\xe9`.
    """
    escaped = str(text).encode("utf-8", "backslashreplace").decode()
    return re.sub(r"\\udc([89a-f][0-9a-f])", r"\\x\1", escaped)


def write_json(path: Path | str, value: Any) -> None:
    """Writes `value` as indented JSON, whole or not at all."""
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    # A name that is not UTF-8 is escaped, and is read back as it was.
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def read_json(path: Path | str) -> Any:
    """Reads a JSON file. Raises InputError that names the file when it is absent or not JSON."""
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))  # Windows' editors write a mark
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not valid JSON ({error}).") from error


def sha256(path: Path | str) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()


def require_folder(path: Path | str, what: str) -> Path:
    """Checks that `path` is a folder and returns it; `what` names its content in the error.

    Raises:
      InputError: it does not exist, or is a file.
    """
    path = Path(path)
    if not path.is_dir():
        problem = "is a file, not a folder" if path.exists() else "does not exist"
        raise InputError(f"{path}: {problem}. Give the folder of {what}.")
    return path
