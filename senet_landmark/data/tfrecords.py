"""TFRecord files: where in the file each record is, so that it can be read again alone.

The format: https://www.tensorflow.org/tutorials/load_data/tfrecord, "TFRecords format details". It
is read here, not by TensorFlow, whose reader ends at the first damaged record and is slow to load.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import google_crc32c

from senet_landmark.errors import InputError

# A record is its length (8 bytes), a checksum of that (4), the data, a checksum of those (4).
HEAD, FOOT = 12, 4


@dataclass(frozen=True)
class Frame:
    """One record as it lies in its file.

    Attributes:
      number: which record of the file it is, from 0 on.
      offset: the byte at which it begins; its data begin `HEAD` bytes later.
      data: the record's bytes; empty where they are lost.
      stored: the checksum of the data that the file holds; 0 where that is lost.
      computed: the checksum of `data` as they are.
      fault: what is wrong with it; empty for a whole record.
      lost: bytes from `offset` to the end of the file where no further record can be found, as the
        length is damaged or the file cut off; otherwise 0.
    """

    number: int
    offset: int
    data: bytes = b""
    stored: int = 0
    computed: int = 0
    fault: str = ""
    lost: int = 0


def checksum(data: bytes) -> int:
    """The checksum of a TFRecord file: a masked CRC-32C, 32 bits."""
    crc: int = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def frames_in(path: Path | str) -> Iterator[Frame]:
    """Every record of a file in order, damaged ones too; one at a time is in memory.

    A record whose data do not fit their checksum is given with its `fault`, and the next follows:
    the framing tells where it begins. A damaged length, or the file's end within a record, makes a
    last frame, which says how much is `lost`.

    Raises:
      InputError: the file is absent, or cannot be read.
    """
    try:
        with open(path, "rb") as stream:
            yield from _frames(stream, os.fstat(stream.fileno()).st_size)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error


def _frames(stream: BinaryIO, size: int) -> Iterator[Frame]:
    number = offset = 0
    while offset < size:
        lost = size - offset
        head = stream.read(HEAD)
        if len(head) < HEAD:
            yield Frame(number, offset, fault=_cut_off(lost), lost=lost)
            return
        length, stored = struct.unpack("<QI", head)
        if checksum(head[:8]) != stored:
            fault = f"its length is damaged, so the file's remaining {lost} bytes are lost"
            yield Frame(number, offset, fault=fault, lost=lost)
            return
        # Compared before it is read: memory for what the file does not hold is not asked for.
        body = stream.read(length + FOOT) if length <= lost - HEAD - FOOT else b""
        if len(body) < length + FOOT:
            yield Frame(number, offset, fault=_cut_off(lost), lost=lost)
            return
        data = body[:length]
        (stored,), computed = struct.unpack("<I", body[length:]), checksum(data)
        fault = "" if stored == computed else "its data do not fit their checksum"
        yield Frame(number, offset, data, stored, computed, fault)
        number, offset = number + 1, offset + HEAD + length + FOOT


def _cut_off(lost: int) -> str:
    return f"the file is cut off within it, its last {lost} bytes are lost"


def framing_of(path: Path | str) -> Iterator[tuple[int, int]]:
    """Length in bytes and stored checksum of every record, in order, without reading its data.

    Raises:
      InputError: the file is absent or cannot be read, is cut off, or a length is damaged.
    """
    try:
        with open(path, "rb", buffering=0) as stream:  # unread data would fill a buffer in vain
            size, number, offset = os.fstat(stream.fileno()).st_size, 0, 0
            head = stream.read(HEAD)
            while offset < size:
                length = int.from_bytes(head[:8], "little")
                end = offset + HEAD + length + FOOT
                if end > size or checksum(head[:8]) != int.from_bytes(head[8:], "little"):
                    fault = "its length is damaged, or the file is cut off"
                    raise not_whole(path, Frame(number, offset, fault=fault))
                stream.seek(end - FOOT)
                foot_and_head = stream.read(FOOT + HEAD)
                yield length, int.from_bytes(foot_and_head[:FOOT], "little")
                head, number, offset = foot_and_head[FOOT:], number + 1, end
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error


def tfrecords_in(path: Path | str) -> Iterator[tuple[int, bytes]]:
    """(byte offset of the record, data) of every record, in order; checksums are checked.

    The data begins `HEAD` bytes after the offset.

    Raises:
      InputError: the file is absent, cut off or damaged.
    """
    for frame in frames_in(path):
        if frame.fault:
            raise not_whole(path, frame)
        yield frame.offset, frame.data


def not_whole(path: Path | str, frame: Frame) -> InputError:
    """The error that a damaged record of a file is."""
    return InputError(
        f"{path}: is not a whole TFRecord file (record {frame.number} at byte {frame.offset}: "
        f"{frame.fault}). Delete it and make it anew."
    )
