"""Reads files of serialised examples, all in order or a single one: TFRecord and ArrayRecord.

The offset of a record is its byte offset in a TFRecord file, or its number in an ArrayRecord file.
With it a record is read without reading the records before it.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from senet_landmark.data.tfrecords import FOOT, HEAD, tfrecords_in
from senet_landmark.errors import InputError

_BATCH = 64


def is_array_record(path: Path) -> bool:
    """Whether a file's name says ArrayRecord: `NAME-train.array_record-00000-of-00032`."""
    return ".array_record" in path.name


def records_in(path: Path) -> Iterator[tuple[int, bytes]]:
    """(offset, data) of every record of a file, in order; checksums are checked.

    Raises:
      InputError: the file is absent, cut off or damaged, or a library for its format is not
        installed.
    """
    if is_array_record(path):
        yield from _array_records_in(path)
        return
    yield from tfrecords_in(path)


def record_at(path: Path, offset: int) -> bytes:
    """The record at an offset that `records_in` gave.

    Raises:
      InputError: the file is absent, or holds no record there.
    """
    if is_array_record(path):
        with _array_reader(path) as reader:
            if not 0 <= offset < reader.num_records():
                raise InputError(f"{path}: has no record {offset}: list the photos again.")
            return bytes(reader.read(offset, offset + 1)[0])
    try:
        with open(path, "rb") as stream:
            room = path.stat().st_size - offset - HEAD - FOOT
            stream.seek(offset)
            head = stream.read(HEAD)
            length = struct.unpack("<Q", head[:8])[0] if len(head) == HEAD else -1
            # Bytes that are not a record's head give a huge length, which must not be read.
            if not 0 <= length <= room:
                raise InputError(f"{path}: has no record at byte {offset}: list the photos again.")
            return stream.read(length)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error


def _array_records_in(path: Path) -> Iterator[tuple[int, bytes]]:
    with _array_reader(path) as reader:
        count = reader.num_records()
        for first in range(0, count, _BATCH):
            last = min(first + _BATCH, count)
            yield from zip(range(first, last), reader.read(first, last), strict=True)


@contextmanager
def _array_reader(path: Path) -> Iterator[Any]:
    """Opens an ArrayRecord file; errors name the file."""
    try:
        from array_record.python.array_record_module import ArrayRecordReader
    except ImportError as error:
        raise InputError(
            f"{path}: needs the library array_record ({error}): `pip install array_record`."
        ) from error
    if not path.is_file():
        raise InputError(f"{path}: is absent.")
    try:
        # No read-ahead, because `record_at` needs only one record.
        reader = ArrayRecordReader(str(path), "readahead_buffer_size:0")
        yield reader
        reader.close()  # a damaged file has 0 records, and only `close` reports the reason
    except InputError:
        raise
    except Exception as error:  # the library does not document the types of its errors
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: is not a whole ArrayRecord file ({reason}).") from error
