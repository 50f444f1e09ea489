"""What is in a folder: photos, videos, and files of other kinds."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

from senet_landmark.errors import InputError
from senet_landmark.io.images import PHOTO_SUFFIXES, read_header

Kind = Literal["photo", "video", "other"]

VIDEO_SUFFIXES = frozenset(
    {
        ".3g2", ".3gp", ".amv", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".h264", ".h265",
        ".hevc", ".ivf", ".m1v", ".m2t", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg", ".mkv",
        ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogm", ".ogv", ".qt",
        ".rm", ".rmvb", ".ts", ".vob", ".webm", ".wmv", ".y4m",
    }
)  # fmt: skip
"""What FFmpeg in OpenCV reads. A `.gif` is a video if it is animated, and a `.ts` if its bytes say
so: TypeScript has this suffix, too."""

_VIDEO_BYTES = re.compile(
    rb"(?s)....ftyp(?!avif|avis|hei[cxms]|hev[cx]|mif1|msf1)|RIFF....AVI |\x1a\x45\xdf\xa3|FLV\x01"
    rb"|\x00\x00\x01\xba|\x30\x26\xb2\x75|G.{187}G|....G.{191}G"
)
"""How videos without a suffix begin: MP4, AVI, Matroska, FLV, MPEG, ASF, MPEG-TS and M2TS."""

MOST_SNIFFED = 1 << 20
"""Bytes that are read of a file whose suffix does not say what it is."""

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
"""How an address begins; `Path` makes one slash of two. A drive of Windows has a single letter."""

SEQUENCE = re.compile(r"%0?\d*d")
"""The number in an image sequence's name, as FFmpeg writes it."""


def kind_of(path: Path) -> Kind:
    """What a file is: by its suffix, or by its bytes where it has none that says so."""
    suffix = path.suffix.lower()
    if suffix == ".gif":
        header = read_header(beginning(path))
        return "video" if header is None or header.frames > 1 else "photo"
    if suffix == ".ts" and os.path.exists(path):
        return "video" if _VIDEO_BYTES.match(beginning(path)) else "other"
    if suffix in VIDEO_SUFFIXES:
        return "video"
    if suffix in PHOTO_SUFFIXES:
        return "photo"
    if suffix:
        return "other"
    return kind_of_bytes(beginning(path))


def kind_of_bytes(data: bytes) -> Kind:
    """What a file is, by its first bytes."""
    if _VIDEO_BYTES.match(data):
        return "video"
    header = read_header(data) if data else None
    if header is None:
        return "other"
    return "video" if header.format == "GIF" and header.frames > 1 else "photo"


def beginning(path: Path) -> bytes:
    """The first bytes of a file; none of one that cannot be read, or is no regular file."""
    try:
        if not path.is_file():
            return b""
        with open(path, "rb") as stream:
            return stream.read(MOST_SNIFFED)
    except OSError:
        return b""


class Walk:
    """The files of folders with their subfolders, in sorted order, each folder once.

    Links to folders are followed after the folder's own subfolders, so that a folder keeps its own
    path, and a link to a folder that was visited, such as a parent, gives nothing more. A link to a
    folder above the first one is not followed: it would bring what is beside that one.

    Args:
      enter: whether to go into a folder; None: into all.
      unreadable: called with a folder that cannot be listed, and the error.
    """

    def __init__(
        self,
        enter: Callable[[Path], bool] | None = None,
        unreadable: Callable[[Path, OSError], None] | None = None,
    ) -> None:
        self._enter = enter
        self._unreadable = unreadable
        self._visited: set[tuple[int, int] | str] = set()

    def visited(self, folder: Path) -> bool:
        """Whether the files of a folder were given already."""
        return _identity(folder) in self._visited

    def files(self, folder: Path) -> Iterator[Path]:
        """The files below a folder."""
        links: list[Path] = []
        yield from self._own(folder, links)
        real = os.path.realpath(folder)
        for link in links:  # grows while it is read
            if not Path(real).is_relative_to(os.path.realpath(link)):
                yield from self._own(link, links)

    def _own(self, folder: Path, links: list[Path]) -> Iterator[Path]:
        try:
            key = _identity(folder)
            if key in self._visited:
                return
            self._visited.add(key)
            with os.scandir(folder) as scan:
                entries = sorted((entry.name, entry.is_dir(), entry.is_symlink()) for entry in scan)
        except OSError as error:
            if self._unreadable:
                self._unreadable(folder, error)
            return
        for name, is_folder, is_link in entries:
            path = folder / name
            if not is_folder:
                yield path
            elif self._enter is None or self._enter(path):
                if is_link:
                    links.append(path)
                else:
                    yield from self._own(path, links)


def _identity(folder: Path) -> tuple[int, int] | str:
    state = os.stat(folder)
    # Windows has file numbers only for some file systems.
    return (state.st_dev, state.st_ino) if state.st_ino else os.path.realpath(folder)


def find_photos(paths: Iterable[Path]) -> list[Path]:
    """The photos of files and folders; a folder is searched with its subfolders, in sorted order.

    Raises:
      InputError: a path does not exist, or a folder holds no photo.
    """
    photos: list[Path] = []
    walk = Walk()
    for path in paths:
        if os.path.isdir(path):
            if walk.visited(path):
                continue
            files = list(walk.files(path))
            inside = [file for file in files if kind_of(file) == "photo"]
            if not inside:
                raise InputError(nothing_in(path, Counter(map(suffix_of, files))))
            photos += inside
        else:
            require_file(path)
            photos.append(path)
    return photos


def suffix_of(path: Path) -> str:
    """How a kind of files is called where they are counted: by their suffix."""
    return path.suffix.lower() or "without suffix"


def nothing_in(folder: Path, left_out: Counter[str], or_video: bool = False) -> str:
    """The message about a folder without a photo; it tells which other files it has."""
    others = f", but {counted(left_out)}" if left_out else ""
    video = ", and no video" if or_video else ""
    return f"{folder}: no photo in this folder{video} (looked for .jpg, .png, …){others}."


def counted(kinds: Counter[str], most: int = 8) -> str:
    """Kinds of files in words: `3 .heic, 1 .txt`."""
    parts = [f"{number} {kind}" for kind, number in kinds.most_common(most)]
    rest = sum(kinds.values()) - sum(number for _, number in kinds.most_common(most))
    return ", ".join(parts) + (f" and {rest} others" if rest else "")


def require_file(path: Path | str) -> None:
    """Raises InputError unless there is such a file; it tells an address from a path."""
    text = str(path)
    try:
        os.stat(path)
    except (OSError, ValueError) as error:
        if ADDRESS.match(text):
            text = text if "://" in text else text.replace(":/", "://", 1)
            raise InputError(
                f"{text}: is an address, and no file. `predict` reads addresses; in Python give "
                "it as a text, not as a Path."
            ) from error
        if SEQUENCE.search(text):
            raise InputError(
                f"{text}: is the pattern of an image sequence, and no file. `predict` reads it as "
                "a clip; elsewhere give the folder of the pictures."
            ) from error
        if isinstance(error, FileNotFoundError):
            raise InputError(f"{text}: does not exist.") from error
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{text}: cannot be read ({reason}).") from error
