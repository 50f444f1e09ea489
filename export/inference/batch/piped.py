"""Standard input as a source: a photo, several photos one after the other, or a clip.

`-` means data, as for FFmpeg and ImageMagick; a list of paths is what `--files-from -` reads, as
for tar and rsync. The data are kept in a folder for the time of the run, as they can be read once
only, and workers read files.
"""

import hashlib
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from senet_landmark.errors import InputError
from senet_landmark.export.inference.batch.inputs import STDIN, Input
from senet_landmark.io.addresses import Limits
from senet_landmark.io.folders import MOST_SNIFFED, kind_of_bytes

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_CHUNK = 1 << 20
_DIGITS = 12
_ALONE = (0x01, *range(0xD0, 0xD9))
"""JPEG's markers without a length."""


class Piped(NamedTuple):
    """What came through standard input: photos, or a clip.

    Attributes:
      whole: all of it; its file is gone if there are several photos.
      photos: each photo; none of a clip.
    """

    whole: Input
    photos: list[Input]


def read_piped(
    stream: BinaryIO, folder: Path, is_video: Callable[[Path], bool], limits: Limits = Limits()
) -> Piped:
    """Reads standard input to its end.

    Args:
      stream: its bytes.
      folder: where they are kept.
      is_video: whether a file without suffix is a video, by trial.
      limits: the most that is read; the time is the sender's.

    Raises:
      InputError: it is empty, too large, or a list of paths.
      OSError: it cannot be kept.
    """
    path = folder / "stdin"
    size, digest = 0, hashlib.sha256()
    with open(path, "wb") as file:
        while chunk := stream.read(_CHUNK):
            size += len(chunk)
            if size > limits.megabytes * 1e6:
                raise InputError(
                    f"standard input is larger than {limits.megabytes:g} MB; --max-megabytes "
                    "allows more."
                )
            digest.update(chunk)
            file.write(chunk)
    if not size:
        raise InputError("standard input is empty: pipe a photo or a clip into predict -.")
    whole = _input(path, digest.hexdigest())
    with open(path, "rb") as file:
        kind = kind_of_bytes(file.read(MOST_SNIFFED))
    if kind == "video" or (kind == "other" and is_video(path)):
        return Piped(whole, [])
    data = path.read_bytes()
    if kind == "other" and _is_text(data):
        raise InputError(
            "standard input is text, and no photo or clip. For a list of paths or addresses give "
            "--files-from - in place of -."
        )
    photos = split_photos(data)
    if len(photos) == 1:
        return Piped(whole, [whole])
    inputs = []
    for number, photo in enumerate(photos, 1):
        part = folder / f"stdin-{number:06d}"
        part.write_bytes(photo)
        inputs.append(_input(part, hashlib.sha256(photo).hexdigest()))
    path.unlink()
    return Piped(whole, inputs)


def read_list(data: bytes) -> list[str]:
    """The paths and addresses of a list: one a line, or each with a zero byte (`find -print0`)."""
    parts = data.split(b"\0") if b"\0" in data else data.splitlines()
    return [os.fsdecode(part) for part in parts if part.strip()]


def split_photos(data: bytes) -> list[bytes]:
    """JPEG and PNG photos one after the other, as `cat *.jpg` and FFmpeg's `image2pipe` give them.

    What follows a photo and is none belongs to it; so do the further pictures of a JPEG that says
    that it has some (MPF): telephones keep gain maps there.
    """
    photos = []
    while data:
        end = _png_end(data) if data.startswith(_PNG) else _jpeg_end(data)
        if not end or not data[end:].startswith((_PNG, _JPEG)):
            end = len(data)
        photos.append(data[:end])
        data = data[end:]
    return photos


def _png_end(data: bytes) -> int:
    """Where a PNG ends; 0: it is cut off."""
    place = len(_PNG)
    while place + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        place += 12 + length
        if kind == b"IEND":
            return place
    return 0


def _jpeg_end(data: bytes) -> int:
    """Where a JPEG ends; 0: it is none, cut off, or has further pictures behind its end."""
    place = 2
    while data.startswith(_JPEG) and place + 2 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xD9:
            return place + 2
        if marker == 0xFF or marker in _ALONE:
            place += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        if marker == 0xE2 and data[place + 4 : place + 8] == b"MPF\0":
            return 0
        place += 2 + length
        if marker == 0xDA:  # the scan goes on to the next marker
            following = _AFTER_SCAN.search(data, place)
            place = following.start() if following else len(data)
    return 0


_AFTER_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


def _is_text(data: bytes) -> bool:
    if b"\0" in data[:-1] and not data.endswith(b"\0"):
        return False
    try:
        text = data.replace(b"\0", b"\n").decode()
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character.isspace() for character in text)


def _input(path: Path, digest: str) -> Input:
    return Input(path, Path("stdin"), path.parent, f"{STDIN}{digest[:_DIGITS]}")
