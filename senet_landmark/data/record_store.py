"""Random access to the records of one split, past those that are damaged."""

import hashlib
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from senet_landmark.data.records import Record, RecordError, parse_example
from senet_landmark.data.tfrecords import HEAD, Frame, checksum, frames_in, not_whole
from senet_landmark.errors import InputError
from senet_landmark.face.schemes import Scheme, get_scheme
from senet_landmark.io.images import decode_photo

Adapt = Callable[[Path, Record], Record | None]


@dataclass(frozen=True)
class CorruptRecord:
    """A record that is passed over; plain values, to be written as JSON.

    Attributes:
      path: of its file.
      number: which record of the file it is, from 0 on.
      offset: the byte of the file at which it begins.
      source: the photo that it is of, as `Record.source`; empty where that cannot be read.
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
class _Place:
    """Where a record's data are."""

    path: Path
    number: int
    offset: int
    length: int
    checksum: int


class RecordStore:
    """Random access to the records of one split.

    A record is corrupt that does not fit its checksum, does not parse, or whose picture does not
    decode. The first two are found by the constructor and are not in the store. The picture shows
    it when it is first asked for; the record stays in the store, without one.

    Its methods may be called from several threads.

    Args:
      paths: TFRecord files.
      cache_mb: memory for decoded crops, in megabytes.
      max_corrupt: how many records may be corrupt; they are passed over, and are in `skipped`. A
        damaged length, or a cut-off file, counts once, however many records it takes along.
      adapt: (path of its file, record) -> the record as it is wanted; None leaves it out. Its
        picture is that of the file in any case.

    Raises:
      InputError: a file is absent or cannot be read, more records are corrupt than may be, a record
        has another schema, records have different schemes, or there is none at all.
    """

    def __init__(
        self,
        paths: list[Path],
        cache_mb: int = 4000,
        max_corrupt: int = 0,
        adapt: Adapt | None = None,
    ):
        self._records: list[Record] = []
        self._places: list[_Place] = []
        self._decoded: dict[int, np.ndarray] = {}
        self._room = cache_mb * 1_000_000
        self._max_corrupt = max_corrupt
        self._adapt = adapt
        self._skipped: list[CorruptRecord] = []
        self._undecodable: set[int] = set()
        self._lock = threading.Lock()
        digest = hashlib.sha256()
        for path in paths:
            digest.update(path.name.encode() + b"\0")
            for frame in frames_in(path):
                sums = (len(frame.data), frame.stored, frame.computed, frame.lost)
                digest.update(struct.pack("<QIIQ", *sums))
                self._take(path, frame)
        self.check_skipped()
        if not self._records:
            raise InputError(f"{paths[0].parent if paths else 'records'}: holds no record.")
        schemes = {record.scheme for record in self._records}
        if len(schemes) != 1:
            raise InputError(f"Records of different schemes cannot be mixed: {sorted(schemes)}.")
        self.scheme: Scheme = get_scheme(schemes.pop())
        self.digest = digest.hexdigest()
        """SHA-256 of the data, hexadecimal: of the files' names without their folder, and of each
        record's length and checksums. Any changed byte of a record changes it."""

    def _take(self, path: Path, frame: Frame) -> None:
        where = f"{path}, record {frame.number}"
        if frame.fault:
            if not self._max_corrupt:
                raise not_whole(path, frame)
            self._skipped.append(
                CorruptRecord(str(path), frame.number, frame.offset, "", frame.fault)
            )
            return
        try:
            parsed = parse_example(frame.data, where)
            _check_usable(parsed, where)
        except RecordError as error:
            if not self._max_corrupt:
                raise
            self._skipped.append(
                CorruptRecord(str(path), frame.number, frame.offset, "", _reason(error, where))
            )
            return
        record = self._adapt(path, parsed) if self._adapt else parsed
        if record is None:
            return
        # Pixels stay in the file: a data set need not fit into memory.
        self._records.append(replace(record, image=b""))
        self._places.append(
            _Place(path, frame.number, frame.offset + HEAD, len(frame.data), frame.stored)
        )

    def __len__(self) -> int:
        return len(self._records)

    @property
    def skipped(self) -> tuple[CorruptRecord, ...]:
        """The corrupt records that were found so far, in the order in which they were."""
        return tuple(self._skipped)

    @property
    def undecodable(self) -> frozenset[int]:
        """Indices of the records whose picture was asked for and does not decode."""
        return frozenset(self._undecodable)

    def check_skipped(self) -> None:
        """Raises InputError where more records are corrupt than may be: how many, and which."""
        skipped = self.skipped
        if len(skipped) <= self._max_corrupt:
            return
        some = "; ".join(str(corrupt) for corrupt in skipped[:3])
        raise InputError(
            f"{len(skipped)} records are corrupt, and train.max_corrupt allows "
            f"{self._max_corrupt}: {some}{'; …' if len(skipped) > 3 else ''}. Build the records "
            "anew with `senet-landmark build-records`, or allow more."
        )

    def record(self, index: int) -> Record:
        """The record without its image bytes."""
        return self._records[index]

    def image(self, index: int) -> np.ndarray:
        """The recorded crop with context, RGB uint8 [height, width, 3].

        Raises:
          InputError: it does not decode, or its file is gone or was changed since.
        """
        image = self._decoded.get(index)
        if image is None:
            image = self._decode(index)
            with self._lock:
                if index not in self._decoded and image.nbytes <= self._room:
                    self._room -= image.nbytes
                    self._decoded[index] = image
        return image

    def decodable(self, index: int) -> tuple[int, np.ndarray]:
        """`index` and its crop or, where that does not decode, those of the next whose does.

        What comes back depends on the records alone, not on what was asked for before.

        Raises:
          InputError: more records are corrupt than may be, or a file is gone.
        """
        for further in range(len(self)):
            number = (index + further) % len(self)
            if number in self._undecodable:
                continue
            try:
                return number, self.image(number)
            except RecordError as error:
                self._note(number, error)
        raise InputError(f"{self._places[0].path.parent}: no picture of the records decodes.")

    def _note(self, index: int, error: RecordError) -> None:
        place, source = self._places[index], self._records[index].source
        reason = _reason(error, self._name(index))
        corrupt = CorruptRecord(str(place.path), place.number, place.offset - HEAD, source, reason)
        with self._lock:
            if index not in self._undecodable:
                self._skipped.append(corrupt)
                self._undecodable.add(index)
        if not self._max_corrupt:
            raise error
        self.check_skipped()

    def _decode(self, index: int) -> np.ndarray:
        place, name = self._places[index], self._name(index)
        try:
            with open(place.path, "rb") as stream:
                stream.seek(place.offset)
                data = stream.read(place.length)
        except OSError as error:
            raise InputError(f"{place.path}: cannot be read ({error.strerror}).") from error
        if checksum(data) != place.checksum:
            raise RecordError(f"{name}: has changed since the file was opened.")
        picture = parse_example(data, name).image
        try:
            return decode_photo(picture, name)
        except InputError as error:
            raise RecordError(str(error)) from error

    def _name(self, index: int) -> str:
        return f"{self._places[index].path} ({self._records[index].source})"


def _check_usable(record: Record, where: str) -> None:
    """Raises RecordError where a batch could not be made of the record."""
    points = get_scheme(record.scheme).points
    if len(record.landmarks) != points:
        count = len(record.landmarks)
        raise RecordError(f"{where}: has {count} landmarks, {record.scheme} has {points}.")
    left, top, right, bottom = record.box.tolist()
    if not (right > left and bottom > top):
        raise RecordError(f"{where}: its face box has no area.")


def _reason(error: RecordError, where: str) -> str:
    """The error's message without the place, which stands beside it."""
    return str(error).removeprefix(f"{where}: ").rstrip(".")
