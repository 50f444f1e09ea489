"""TFRecord files, with the position of each record, so that one record can be read alone.

The format: https://www.tensorflow.org/tutorials/load_data/tfrecord, "TFRecords format details".
TensorFlow's own reader is not used: it stops at the first damaged record and is slow to import.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import google_crc32c

from senet_landmark.errors import InputError

# A record is its length (8 bytes), a checksum of the length (4), the data, a checksum of them (4).
HEAD, FOOT = 12, 4


@dataclass(frozen=True)
class RawRecord:
    """One record as it is in its file, not parsed.

    Attributes:
      number: its number in the file, from 0 on.
      offset: the byte at which it begins; its data begin `HEAD` bytes later.
      data: the record's bytes; empty where they are lost.
      stored: the checksum of the data as the file gives it; 0 where it is lost.
      computed: the checksum computed from `data`.
      fault: what is wrong with the record; empty for a good one.
      lost: bytes from `offset` to the end of the file, where the length is damaged or the file is
        cut off, so that no later record can be found; otherwise 0.
    """

    number: int
    offset: int
    data: bytes = b""
    stored: int = 0
    computed: int = 0
    fault: str = ""
    lost: int = 0


def checksum(data: bytes) -> int:
    """The checksum that TFRecord files use: a masked CRC-32C, 32 bits."""
    crc: int = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def framed(data: bytes) -> bytes:
    """A record as it is in a file: its length, its data and their checksums."""
    length = struct.pack("<Q", len(data))
    sums = [struct.pack("<I", checksum(part)) for part in (length, data)]
    return length + sums[0] + data + sums[1]


def raw_records(path: Path | str) -> Iterator[RawRecord]:
    """Every record of a file in order, also damaged ones; only one at a time is in memory.

    A record whose data do not match their checksum has a `fault`, and the next records follow. A
    damaged length, or the end of the file within a record, gives a last record with `lost` set.

    Raises:
      InputError: the file is absent, or cannot be read.
    """
    try:
        with open(path, "rb") as stream:
            yield from _raw_records(stream, os.fstat(stream.fileno()).st_size)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error


def _raw_records(stream: BinaryIO, size: int) -> Iterator[RawRecord]:
    number = offset = 0
    while offset < size:
        lost = size - offset
        head = stream.read(HEAD)
        if len(head) < HEAD:
            yield RawRecord(number, offset, fault=_cut_off(lost), lost=lost)
            return
        length, stored = struct.unpack("<QI", head)
        if checksum(head[:8]) != stored:
            fault = f"its length is damaged, so the file's remaining {lost} bytes are lost"
            yield RawRecord(number, offset, fault=fault, lost=lost)
            return
        # The length is checked first, so that no memory is reserved for data that the file lacks.
        body = stream.read(length + FOOT) if length <= lost - HEAD - FOOT else b""
        if len(body) < length + FOOT:
            yield RawRecord(number, offset, fault=_cut_off(lost), lost=lost)
            return
        data = body[:length]
        (stored,), computed = struct.unpack("<I", body[length:]), checksum(data)
        fault = "" if stored == computed else "its data do not fit their checksum"
        yield RawRecord(number, offset, data, stored, computed, fault)
        number, offset = number + 1, offset + HEAD + length + FOOT


def _cut_off(lost: int) -> str:
    return f"the file is cut off within it, its last {lost} bytes are lost"


def framing_of(path: Path | str) -> Iterator[tuple[int, int]]:
    """Length in bytes and stored checksum of every record, in order, without reading its data.

    Raises:
      InputError: the file is absent or cannot be read, is cut off, or a length is damaged.
    """
    try:
        with open(path, "rb", buffering=0) as stream:  # a buffer would read data that are skipped
            size, number, offset = os.fstat(stream.fileno()).st_size, 0, 0
            head = stream.read(HEAD)
            while offset < size:
                length = int.from_bytes(head[:8], "little")
                end = offset + HEAD + length + FOOT
                if end > size or checksum(head[:8]) != int.from_bytes(head[8:], "little"):
                    fault = "its length is damaged, or the file is cut off"
                    raise not_whole(path, RawRecord(number, offset, fault=fault))
                stream.seek(end - FOOT)
                foot_and_head = stream.read(FOOT + HEAD)
                yield length, int.from_bytes(foot_and_head[:FOOT], "little")
                head, number, offset = foot_and_head[FOOT:], number + 1, end
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error


def tfrecords_in(path: Path | str) -> Iterator[tuple[int, bytes]]:
    """(byte offset of the record, data) of every record, in order; checksums are checked.

    The data begin `HEAD` bytes after the offset.

    Raises:
      InputError: the file is absent, cut off or damaged.
    """
    for raw in raw_records(path):
        if raw.fault:
            raise not_whole(path, raw)
        yield raw.offset, raw.data


def not_whole(path: Path | str, raw: RawRecord) -> InputError:
    """The error for a damaged record of a file."""
    return InputError(
        f"{path}: is not a whole TFRecord file (record {raw.number} at byte {raw.offset}: "
        f"{raw.fault}). Delete the file and make it again."
    )
