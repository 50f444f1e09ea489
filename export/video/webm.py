"""WebM as a stream -> WebM as a file: with its size, its duration and its index.

The elements are those of Matroska (RFC 9559) in EBML (RFC 8794). Nothing moves: FFmpeg leaves room
before the tracks, in which the new headers go, and the index comes last.
"""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

SEGMENT, SEEK_HEAD, INFO, TRACKS = 0x18538067, 0x114D9B74, 0x1549A966, 0x1654AE6B
CLUSTER, CUES, VOID = 0x1F43B675, 0x1C53BB6B, 0xEC
SEEK, SEEK_ID, SEEK_POSITION = 0x4DBB, 0x53AB, 0x53AC
TIME_SCALE, DURATION = 0x2AD7B1, 0x4489
CLUSTER_TIME, SIMPLE_BLOCK = 0xE7, 0xA3
CUE_POINT, CUE_TIME, CUE_POSITIONS, CUE_TRACK, CUE_CLUSTER = 0xBB, 0xB3, 0xB7, 0xF7, 0xF1


class Element(NamedTuple):
    """Where an element is in its file: of its first byte, of its content, and of its end."""

    id: int
    start: int
    content: int
    end: int


def complete(path: Path, duration: float) -> bool:
    """Makes a file of a stream that FFmpeg wrote; leaves any other file as it is.

    Args:
      path: the file.
      duration: its duration in seconds.

    Returns:
      Whether it was such a stream.

    Raises:
      OSError: it cannot be read or written.
    """
    with open(path, "rb+") as stream:
        length = os.fstat(stream.fileno()).st_size
        head = next(_elements(stream, 0, length), None)
        segment = head and next(_elements(stream, head.end, length), None)
        if segment is None or segment.id != SEGMENT or segment.end != length:
            return False
        parts = list(_elements(stream, segment.content, length))
        by_id = {part.id: part for part in reversed(parts)}
        clusters = [part for part in parts if part.id == CLUSTER]
        if not clusters or INFO not in by_id or TRACKS not in by_id or parts[-1].end != length:
            return False
        info, tracks = by_id[INFO], by_id[TRACKS]
        stream.seek(info.content)
        content = stream.read(info.end - info.content)
        scale = next(
            (_number(stream, e) for e in _inside(stream, info) if e.id == TIME_SCALE), 10**6
        )
        new_info = _element(INFO, content + _element(DURATION, _float(duration * 1e9 / scale)))
        seek_head = _seek_head({INFO: 0, TRACKS: 0, CUES: 0})
        room = tracks.start - segment.content - len(seek_head) - len(new_info)
        if room < 2 or room > 128 or not info.start < tracks.start < clusters[0].start:
            return False
        cues = _element(CUES, b"".join(_cue(stream, c, segment.content) for c in clusters))
        positions = {
            INFO: len(seek_head),
            TRACKS: tracks.start - segment.content,
            CUES: length - segment.content,
        }
        void = bytes([VOID, 0x80 | (room - 2)]) + bytes(room - 2)
        stream.seek(length)
        stream.write(cues)
        stream.seek(segment.content)
        stream.write(_seek_head(positions) + new_info + void)
        stream.seek(segment.content - 8)
        stream.write((1 << 56 | length + len(cues) - segment.content).to_bytes(8, "big"))
    return True


def _elements(stream: BinaryIO, start: int, end: int) -> Iterator[Element]:
    """The elements one after the other; ends before one that is not whole."""
    while start < end:
        stream.seek(start)
        data = stream.read(12)
        if not data or not data[0]:
            return
        id_length = 9 - data[0].bit_length()
        if len(data) <= id_length or not data[id_length]:
            return
        size_length = 9 - data[id_length].bit_length()
        content = start + id_length + size_length
        digits = int.from_bytes(data[id_length : id_length + size_length], "big")
        size = digits & ((1 << 7 * size_length) - 1)
        unknown = size == (1 << 7 * size_length) - 1
        stop = end if unknown else content + size
        if stop > end:
            return
        yield Element(int.from_bytes(data[:id_length], "big"), start, content, stop)
        start = stop


def _inside(stream: BinaryIO, element: Element) -> Iterator[Element]:
    return _elements(stream, element.content, element.end)


def _number(stream: BinaryIO, element: Element) -> int:
    stream.seek(element.content)
    return int.from_bytes(stream.read(element.end - element.content), "big")


def _cue(stream: BinaryIO, cluster: Element, origin: int) -> bytes:
    """The entry of the index for a cluster; none where it begins between two key frames."""
    time, track = 0, 0
    for part in _inside(stream, cluster):
        if part.id == CLUSTER_TIME:
            time = _number(stream, part)
        if part.id == SIMPLE_BLOCK:
            stream.seek(part.content)
            block = stream.read(4)  # track, time in two bytes, flags
            track = block[0] & 0x7F if block[3] & 0x80 else 0
            break
    if not track:
        return b""
    place = cluster.start - origin
    positions = _element(CUE_TRACK, bytes([track])) + _element(CUE_CLUSTER, _eight(place))
    return _element(
        CUE_POINT, _element(CUE_TIME, _eight(time)) + _element(CUE_POSITIONS, positions)
    )


def _seek_head(positions: dict[int, int]) -> bytes:
    seeks = (
        _element(SEEK, _element(SEEK_ID, _id(id_)) + _element(SEEK_POSITION, _eight(place)))
        for id_, place in positions.items()
    )
    return _element(SEEK_HEAD, b"".join(seeks))


def _element(id_: int, content: bytes) -> bytes:
    long = len(content) > 126
    size = (1 << 56 | len(content)).to_bytes(8, "big") if long else bytes([0x80 | len(content)])
    return _id(id_) + size + content


def _id(id_: int) -> bytes:
    return id_.to_bytes((id_.bit_length() + 7) // 8, "big")


def _eight(number: int) -> bytes:
    return number.to_bytes(8, "big")


def _float(number: float) -> bytes:
    return struct.pack(">d", number)
