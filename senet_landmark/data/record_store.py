"""Random access to the records of one split; damaged records are skipped."""

import hashlib
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from senet_landmark.data.records import Record, RecordError, check_usable, parse_example
from senet_landmark.data.tfrecords import HEAD, RawRecord, checksum, not_whole, raw_records
from senet_landmark.errors import InputError
from senet_landmark.face.schemes import Scheme, get_scheme
from senet_landmark.io.images import decode_photo

Adapt = Callable[[Path, Record], Record | None]
"""(path of the file, record) -> the record to use instead; None leaves the record out."""


@dataclass(frozen=True)
class CorruptRecord:
    """A record that is skipped; plain values that can be written as JSON.

    Attributes:
      path: path of its file.
      number: its number in the file, from 0 on.
      offset: the byte of the file at which it begins.
      source: its photo, as `Record.source`; empty where that cannot be read.
      reason: what is wrong with it.
    """

    path: str
    number: int
    offset: int
    source: str
    reason: str

    def __str__(self) -> str:
        photo = f" ({self.source})" if self.source else ""
        return f"{self.path}, record {self.number} at byte {self.offset}{photo}: {self.reason}"


@dataclass(frozen=True)
class _Location:
    """Where the data of a record are."""

    path: Path
    number: int
    offset: int
    length: int
    checksum: int


class RecordStore:
    """Random access to the records of one split.

    A record is corrupt if it does not match its checksum, does not parse, or has a picture that
    does not decode. The constructor finds the first two kinds; those records are not in the store.
    A picture that does not decode is found when it is first read; the record stays in the store,
    without a picture.

    The methods may be called from several threads.

    Args:
      paths: TFRecord files.
      cache_mb: memory for decoded crops, in megabytes.
      max_corrupt: how many records may be corrupt; they are skipped and listed in `skipped`. A
        damaged length or a cut-off file counts once, however many records are lost with it.
      adapt: changes or leaves out records as they are read; the picture is always the file's.

    Raises:
      InputError: a file is absent or cannot be read, more records are corrupt than `max_corrupt`, a
        record has another schema, records have different schemes, or there is no record.
    """

    def __init__(
        self,
        paths: list[Path],
        cache_mb: int = 4000,
        max_corrupt: int = 0,
        adapt: Adapt | None = None,
    ):
        self._records: list[Record] = []
        self._locations: list[_Location] = []
        self._decoded: dict[int, np.ndarray] = {}
        self._free_bytes = cache_mb * 1_000_000
        self._max_corrupt = max_corrupt
        self._adapt = adapt
        self._skipped: list[CorruptRecord] = []
        self._undecodable: set[int] = set()
        self._lock = threading.Lock()
        digest = hashlib.sha256()
        for path in paths:
            digest.update(path.name.encode() + b"\0")
            for raw in raw_records(path):
                sums = (len(raw.data), raw.stored, raw.computed, raw.lost)
                digest.update(struct.pack("<QIIQ", *sums))
                self._add(path, raw)
        self.check_skipped()
        if not self._records:
            raise InputError(f"{paths[0].parent if paths else 'records'}: holds no record.")
        schemes = {record.scheme for record in self._records}
        if len(schemes) != 1:
            raise InputError(f"Records of different schemes cannot be mixed: {sorted(schemes)}.")
        self.scheme: Scheme = get_scheme(schemes.pop())
        self.digest = digest.hexdigest()
        """SHA-256, hexadecimal, of the file names without their folder and of each record's length
        and checksums. It changes with any byte of a record."""

    def _add(self, path: Path, raw: RawRecord) -> None:
        where = f"{path}, record {raw.number}"
        if raw.fault:
            if not self._max_corrupt:
                raise not_whole(path, raw)
            self._skipped.append(CorruptRecord(str(path), raw.number, raw.offset, "", raw.fault))
            return
        try:
            parsed = parse_example(raw.data, where)
            check_usable(parsed, where)
        except RecordError as error:
            if not self._max_corrupt:
                raise
            self._skipped.append(
                CorruptRecord(str(path), raw.number, raw.offset, "", _reason(error, where))
            )
            return
        record = self._adapt(path, parsed) if self._adapt else parsed
        if record is None:
            return
        # The pixels stay in the file, so that a data set may be larger than the memory.
        self._records.append(replace(record, image=b""))
        self._locations.append(
            _Location(path, raw.number, raw.offset + HEAD, len(raw.data), raw.stored)
        )

    def __len__(self) -> int:
        return len(self._records)

    @property
    def skipped(self) -> tuple[CorruptRecord, ...]:
        """The corrupt records that were found so far, in the order in which they were found."""
        return tuple(self._skipped)

    @property
    def undecodable(self) -> frozenset[int]:
        """Indices of the records whose picture was read and does not decode."""
        return frozenset(self._undecodable)

    def check_skipped(self) -> None:
        """Raises InputError that counts and names the corrupt records if they are too many."""
        skipped = self.skipped
        if len(skipped) <= self._max_corrupt:
            return
        some = "; ".join(str(corrupt) for corrupt in skipped[:3])
        raise InputError(
            f"{len(skipped)} records are corrupt, and train.max_corrupt allows "
            f"{self._max_corrupt}: {some}{'; …' if len(skipped) > 3 else ''}. Build the records "
            "again with `senet-landmark build-records`, or allow more."
        )

    def record(self, index: int) -> Record:
        """The record without its image bytes."""
        return self._records[index]

    def image(self, index: int) -> np.ndarray:
        """The recorded crop with context, RGB uint8 [height, width, 3].

        Raises:
          InputError: it does not decode, or its file is absent or was changed.
        """
        image = self._decoded.get(index)
        if image is None:
            image = self._decode(index)
            with self._lock:
                if index not in self._decoded and image.nbytes <= self._free_bytes:
                    self._free_bytes -= image.nbytes
                    self._decoded[index] = image
        return image

    def decodable(self, index: int) -> tuple[int, np.ndarray]:
        """`index` and its crop; where the crop does not decode, those of the next one that does.

        The result depends on the records alone, not on earlier calls.

        Raises:
          InputError: too many records are corrupt, or a file is absent.
        """
        for offset in range(len(self)):
            number = (index + offset) % len(self)
            if number in self._undecodable:
                continue
            try:
                return number, self.image(number)
            except RecordError as error:
                self._note_corrupt(number, error)
        raise InputError(f"{self._locations[0].path.parent}: no picture of the records decodes.")

    def _note_corrupt(self, index: int, error: RecordError) -> None:
        location, source = self._locations[index], self._records[index].source
        reason = _reason(error, self._name(index))
        corrupt = CorruptRecord(
            str(location.path), location.number, location.offset - HEAD, source, reason
        )
        with self._lock:
            if index not in self._undecodable:
                self._skipped.append(corrupt)
                self._undecodable.add(index)
        if not self._max_corrupt:
            raise error
        self.check_skipped()

    def _decode(self, index: int) -> np.ndarray:
        location, name = self._locations[index], self._name(index)
        try:
            with open(location.path, "rb") as stream:
                stream.seek(location.offset)
                data = stream.read(location.length)
        except OSError as error:
            raise InputError(f"{location.path}: cannot be read ({error.strerror}).") from error
        if checksum(data) != location.checksum:
            raise RecordError(f"{name}: has changed since the file was opened.")
        picture = parse_example(data, name).image
        try:
            return decode_photo(picture, name)
        except InputError as error:
            raise RecordError(str(error)) from error

    def _name(self, index: int) -> str:
        return f"{self._locations[index].path} ({self._records[index].source})"


def _reason(error: RecordError, where: str) -> str:
    """The error's message without `where`, which `CorruptRecord` already holds."""
    return str(error).removeprefix(f"{where}: ").rstrip(".")
