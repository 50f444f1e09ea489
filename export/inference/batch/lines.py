"""The lines of `landmarks.jsonl`: what they are, and how they are read without their faces."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from senet_landmark.errors import InputError
from senet_landmark.io.addresses import scheme_of
from senet_landmark.io.files import read_json

WORK = ".landmarks.tmp"
"""Folder in a folder of results for what is not finished."""

LINES = "landmarks.jsonl"
SKIPPED = "landmarks.skipped.jsonl"
HEADER = "landmarks.run.json"

VIDEOS = "landmarks.videos.json"
"""What a folder of results has of videos: {"videos": [{"video": path, "name": …, "files": […]}]}
(`export/video/results.py`)."""

BEGUN = "begun"
"""File in `WORK`: the names of all files that a run has begun, each with a zero byte."""

_PREFIX = b'{"image": '
_decoder = json.JSONDecoder()


class Line(NamedTuple):
    """What a run must know of a line.

    Attributes:
      image: the photo's path.
      name: beginning of the names of its files.
      faces: number of faces.
      offset: of its first byte in the file.
    """

    image: str
    name: str
    faces: int
    offset: int


def line_of(fields: Mapping[str, Any]) -> bytes:
    """A line, with its end. A name that is not UTF-8 is escaped, and is read back as it was."""
    text = json.dumps(fields, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def read_lines(path: Path) -> Iterator[Line]:
    """The whole lines of a file of results; the last one is left out if it is cut off.

    Raises:
      InputError: a line in the middle is none of `predict`.
    """
    offset = 0
    with open(path, "rb") as stream:
        for number, data in enumerate(stream, 1):
            try:
                if not data.endswith(b"}\n"):
                    raise ValueError
                yield _parsed(data, offset)
            except (ValueError, IndexError) as error:
                if stream.read(1):
                    raise InputError(
                        f"{path}: line {number} is none that predict wrote. Remove it, or give "
                        "another --out."
                    ) from error
                return
            offset += len(data)


def _parsed(data: bytes, offset: int) -> Line:
    if not data.startswith(_PREFIX):
        raise ValueError("another beginning")
    # The faces, nearly all of a line, need not be parsed.
    text = data[: data.index(b', "faces": [')].decode()
    image, end = _decoder.raw_decode(text, len(_PREFIX))
    name, _ = _decoder.raw_decode(text, end + len(', "name": '))
    return Line(image, name, data.count(b'"landmarks": ['), offset)


def key_of(text: str | Path) -> int:
    """64 bits that stand for a path or a name in memory."""
    data = os.fspath(text).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")


def photo_key(path: Path | str, folder: Path | str = "") -> int:
    """The `key_of` a photo's absolute path; a relative one is in `folder`, or the current one.

    An address is no path and stands for itself.
    """
    return key_of(path if scheme_of(path) else os.path.abspath(os.path.join(folder, path)))


def folder_key(path: Path | str, folder: Path | str = "") -> int:
    """The `photo_key` of the folder that a photo is in; of an address, what is before its name."""
    if scheme_of(path):
        return key_of(str(path).partition("?")[0].rpartition("/")[0])
    return photo_key(os.path.dirname(os.path.join(folder, path)))


def begun_names(out: Path) -> set[int]:
    """Keys of the names that the last run has begun, if it was not completed."""
    try:
        data = (out / WORK / BEGUN).read_bytes()
    except OSError:
        return set()
    names = data.split(b"\0")[:-1]
    return {key_of(name.decode("utf-8", "surrogateescape")) for name in names}


def read_videos(out: Path) -> list[dict[str, Any]]:
    """The videos of a folder of results; empty where there are none.

    Raises:
      InputError: the file is not as `predict` writes it.
    """
    if not (out / VIDEOS).is_file():
        return []
    content = read_json(out / VIDEOS)
    try:
        return [
            {**video, "video": str(video["video"]), "name": str(video["name"]),
             "files": [str(file) for file in video["files"]]}
            for video in content["videos"]
        ]  # fmt: skip
    except (KeyError, TypeError) as error:
        raise InputError(f"{out / VIDEOS}: is no file of predict. Give another --out.") from error


def cannot_go_on(path: Path | str, error: OSError) -> str:
    """What is said when nothing can be written any more."""
    return (
        f"{path}: cannot be written ({error.strerror}). What was done until now is kept in "
        f"{LINES}; the same command goes on from there."
    )
