"""A folder of results: one line a photo in `landmarks.jsonl`, written as it comes.

The folder holds
    landmarks.jsonl          {"image": path, "name": beginning of its files' names, …, "faces": […]}
    landmarks.run.json       the options of the run, which a run that goes on must have too
    landmarks.skipped.jsonl  {"photo", "reason"} of each photo that the last run skipped, if any
    .landmarks.tmp/          files that are being written, during a run; and the names of all files
                             that were begun, so that a run knows its own after a kill
One process owns the lines and writes them, each in one piece. After a kill the last one may be cut
off; the next run removes it, and that photo is done again.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from senet_landmark.errors import InputError
from senet_landmark.export.inference.batch.inputs import Names
from senet_landmark.export.inference.batch.lines import (
    BEGUN,
    HEADER,
    LINES,
    SKIPPED,
    VIDEOS,
    WORK,
    Line,
    begun_names,
    cannot_go_on,
    folder_key,
    key_of,
    line_of,
    photo_key,
    read_lines,
)
from senet_landmark.io.addresses import scheme_of
from senet_landmark.io.files import read_json, sha256, write_json

MOST_SORTED = 200_000
"""Up to so many lines, files that are made of them follow the order of the inputs."""


@dataclass
class Results:
    """A folder of results while a run is at work on it.

    Attributes:
      out: the folder.
      folder: the folder in which relative paths of photos start.
      done: key of a photo (`photo_key`) -> number of its faces.
      names: the names that were given.
      begun: keys of names whose files an interrupted run may have begun.
      overwrite: whether files that no run recorded may be replaced.
    """

    out: Path
    folder: Path
    overwrite: bool
    done: dict[int, int] = field(default_factory=dict)
    names: Names = field(default_factory=Names)
    begun: set[int] = field(default_factory=set)
    _lines: int = -1
    _size: int = 0
    _begun: int = -1
    _skipped: int = -1

    def image_of(self, path: Path | str) -> str:
        """How a photo's path is written: as given, if the run began in the current folder."""
        as_given = scheme_of(path) or self.folder == Path.cwd()
        return str(path) if as_given else os.path.abspath(path)

    def has_begun(self, name: str) -> bool:
        """Whether an interrupted run may have begun to write files of this name."""
        return key_of(name) in self.begun

    def begin(self, name: str) -> None:
        """Notes a name before files of that name are written."""
        try:
            os.write(self._begun, name.encode("utf-8", "surrogateescape") + b"\0")
        except OSError as error:
            raise InputError(cannot_go_on(self.out / WORK / BEGUN, error)) from error

    def append(self, data: bytes) -> None:
        """Writes whole lines at the end, all or nothing.

        Raises:
          InputError: they cannot be written, for example because the disk is full.
        """
        try:
            written = 0
            while written < len(data):
                written += os.write(self._lines, data[written:])
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._lines, self._size)
            raise InputError(cannot_go_on(self.out / LINES, error)) from error
        self._size += len(data)

    def skip(self, photo: Path | str, reason: str) -> None:
        """Notes a photo that was skipped, for those who look later."""
        with contextlib.suppress(OSError):  # it is also told on the terminal
            if self._skipped < 0:
                self._skipped = _opened(self.out / SKIPPED)
            os.write(self._skipped, line_of({"photo": str(photo), "reason": reason}))

    def read(self, order: Mapping[int, int]) -> Iterator[dict[str, Any]]:
        """The lines; up to `MOST_SORTED` of them in the order of the inputs.

        Args:
          order: key of a photo -> its place among the inputs; others come first.
        """
        path = self.out / LINES
        if len(self.done) > MOST_SORTED:
            with open(path, "rb") as stream:
                yield from map(json.loads, stream)
            return
        places = sorted(
            (order.get(photo_key(line.image, self.folder), -1), line.offset)
            for line in read_lines(path)
        )
        with open(path, "rb") as stream:
            for _, offset in places:
                stream.seek(offset)
                yield json.loads(stream.readline())

    def install(self, name: str, chunks: Iterable[str]) -> None:
        """Writes a file that is made of the lines, whole, and records that it is the run's own.

        Raises:
          InputError: it cannot be written.
        """
        path, temporary = self.out / name, self.out / WORK / name
        try:
            digest = hashlib.sha256()
            with open(temporary, "wb") as stream:
                for chunk in chunks:
                    data = chunk.encode("utf-8", "backslashreplace")
                    digest.update(data)
                    stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            header = read_json(self.out / HEADER)
            files = header["files"]
            # Both, because a kill may come between this and the next step.
            files[name] = list(dict.fromkeys([*files.get(name, [])[-1:], digest.hexdigest()]))
            write_json(self.out / HEADER, header)
            os.replace(temporary, path)
        except OSError as error:
            raise InputError(cannot_go_on(path, error)) from error


@contextlib.contextmanager
def results_folder(
    out: Path, settings: Mapping[str, Any], files: Iterable[str], overwrite: bool = False
) -> Iterator[Results]:
    """Opens a folder of results, new or begun, for one run at a time.

    Args:
      out: the folder; made if absent.
      settings: the options of the run, as JSON has them.
      files: files of `out` that the run will write at its end.
      overwrite: begin anew, whatever is there.

    Raises:
      InputError: another run is at work there; the folder's results are of other options; or there
        are files of these names that no run wrote, or that somebody changed.
    """
    with locked_folder(out):
        results = Results(out, Path.cwd(), overwrite)
        try:
            try:
                _claim(results, settings, files)
                (out / SKIPPED).unlink(missing_ok=True)
                _resume(results)
            except OSError as error:
                raise InputError(cannot_go_on(error.filename or out, error)) from error
            yield results
        finally:
            for file in (results._lines, results._begun, results._skipped):
                if file >= 0:
                    with contextlib.suppress(OSError):
                        os.fsync(file)
                    os.close(file)


@contextlib.contextmanager
def locked_folder(out: Path) -> Iterator[None]:
    """Makes a folder of results one run's own, and removes what a killed run left unfinished.

    Raises:
      InputError: another run is at work there, or it cannot be written.
    """
    lock = FileLock(out / WORK / "lock")  # the system releases the lock of a killed process
    try:
        (out / WORK).mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(
            f"{out}: another run writes its results there. Wait for it, or give another --out."
        ) from error
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror}).") from error
    try:
        try:
            for path in (out / WORK).iterdir():
                if path.name not in ("lock", BEGUN):
                    path.unlink() if path.is_file() else shutil.rmtree(path)
            for name in (HEADER, VIDEOS):  # half-written by `write_json`
                for path in out.glob(f".{Path(name).stem}-????????.json"):
                    path.unlink()
        except OSError as error:
            raise InputError(cannot_go_on(error.filename or out, error)) from error
        yield
    finally:
        if not (out / WORK / BEGUN).exists():
            shutil.rmtree(out / WORK, ignore_errors=True)
        lock.release()


def close_folder(results: Results) -> None:
    """Removes what only an interrupted run needs, and all of it if the folder has no line.

    Call it when a run is complete.
    """
    shutil.rmtree(results.out / WORK, ignore_errors=True)
    if not results._size:
        for name in (LINES, HEADER, SKIPPED):
            (results.out / name).unlink(missing_ok=True)


def _claim(results: Results, settings: Mapping[str, Any], files: Iterable[str]) -> None:
    out, header = results.out, results.out / HEADER
    settings = json.loads(json.dumps(settings))
    if results.overwrite:
        for path in (out / LINES, out / WORK / BEGUN, header):
            path.unlink(missing_ok=True)
    begun: dict[str, Any] = read_json(header) if header.exists() else {"files": {}}
    try:
        before = begun.get("settings", settings)
        recorded = dict(begun["files"])
        results.folder = Path(begun.get("folder", results.folder))
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(f"{header}: is no file of predict. Give another --out.") from error
    if before != settings and (out / LINES).exists() and (out / LINES).stat().st_size:
        names = sorted(n for n in {*before, *settings} if before.get(n) != settings.get(n))
        differences = ", ".join(f"{n} {before.get(n)}, now {settings.get(n)}" for n in names)
        raise InputError(
            f"{out}: holds results of other options ({differences}). Give the same options to add "
            "to them, another --out, or --overwrite to begin anew."
        )
    if not results.overwrite:
        for name in [*files, *([] if header.exists() else [LINES])]:
            path = out / name
            if path.exists() and sha256(path) not in recorded.get(name, []):
                raise InputError(
                    f"{path}: is there already, and is not as predict wrote it. Give another "
                    "--out, or --overwrite to replace it."
                )
    if not header.exists() or before != settings:
        folder = str(results.folder)
        write_json(header, {"folder": folder, "settings": settings, "files": recorded})


def _resume(results: Results) -> None:
    """Reads the lines that are there, cuts off a half-written one, and opens the file."""
    path = results.out / LINES
    results.begun = begun_names(results.out)
    if path.exists():
        last = None
        for line in read_lines(path):
            if last is not None:
                _note(results, last)
            last = line
        results._size = 0
        if last is not None:
            with open(path, "rb") as stream:
                stream.seek(last.offset)
                data = stream.readline()
            results._size = last.offset
            with contextlib.suppress(ValueError):
                json.loads(data)  # after a power cut a line may end well and hold zeros
                _note(results, last)
                results._size += len(data)
        os.truncate(path, results._size)
    results._lines = _opened(path)
    results._begun = _opened(results.out / WORK / BEGUN)
    os.write(results._begun, b"\0")  # ends a name that a kill cut off


def _opened(path: Path) -> int:
    """A file to append to, without a buffer."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)


def _note(results: Results, line: Line) -> None:
    key = photo_key(line.image, results.folder)
    results.done[key] = line.faces
    results.names.take(line.name, key, folder_key(line.image, results.folder))
