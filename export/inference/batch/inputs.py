"""Photos, videos, folders and addresses -> each of them, and names for their results.

`list_inputs` does not hold the photos' paths: a list of a million would take hundreds of megabytes.
"""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from senet_landmark.errors import InputError
from senet_landmark.export.inference.batch.lines import (
    HEADER,
    LINES,
    WORK,
    begun_names,
    folder_key,
    key_of,
    photo_key,
    read_lines,
    read_videos,
)
from senet_landmark.io.addresses import check_address, file_name_of, host_of, is_web, shown
from senet_landmark.io.folders import Walk, kind_of, nothing_in, require_file, suffix_of

_NUMBERED = re.compile(r"(?s)(.+)_([2-9]|[1-9]\d+)")
"""A name that could be that of a further face: `NAME_2`."""

_RESULT = re.compile(r"(?s)(.+)(?:_landmarks\.(?:jpg|webm|mp4|mkv)|_chip_[1-9]\d*\.png)")
"""A picture or a video that `predict` may have written."""


STDIN = "stdin://"
"""How the results call a photo from standard input, before the digest of its bytes: the same photo
is done once, another one is added."""


class Input(NamedTuple):
    """A photo or video among the inputs.

    Attributes:
      path: where it is read: as the user gave it, or below a folder as the user gave it; an address
        as a text.
      relative: its path in that folder; the name alone of a photo that was given by itself.
      source: that folder, or the photo's own; an address's host.
      address: how the results call it where that is not its path; never with a password.
    """

    path: Path | str
    relative: Path
    source: Path
    address: str = ""

    @property
    def image(self) -> Path | str:
        """How it is called."""
        return self.address or self.path


def input_of(source: Path | str) -> Input:
    """A photo or video that is given by itself, by its path or its http address."""
    if is_web(source):
        address = str(source)
        name, host = file_name_of(address), host_of(address)
        return Input(address, Path(name), Path(host), shown(address))
    path = Path(source)
    return Input(path, Path(path.name), path.parent)


class Survey(NamedTuple):
    """What the inputs are.

    Attributes:
      photos: the inputs with photos: photos, folders, and inputs that are no paths.
      videos: all videos.
      problems: inputs that are absent or hold nothing, and folders of videos that cannot be listed.
      left_out: suffix -> number of files in folders that are neither.
    """

    photos: list[Path | Input]
    videos: list[Input]
    problems: list[str]
    left_out: Counter[str]


def survey(sources: Iterable[Path | Input], out: Path, is_video: Callable[[Path], bool]) -> Survey:
    """Tells photos and videos apart; what is wrong with an input is a problem, and no error.

    Args:
      sources: photos, videos and folders; photos that are no paths as an `Input`.
      out: folder of the results.
      is_video: whether a file that is given by itself is a video.
    """
    result = Survey([], [], [], Counter())
    is_result, walk = result_finder(), _walk(out, lambda path, reason: problems.append(reason))
    for source in sources:
        if isinstance(source, Input):
            result.photos.append(source)
            continue
        problems: list[str] = []
        counts: Counter[str] = Counter()
        try:
            if not os.path.isdir(source):
                require_file(source)
                if not is_video(source):
                    result.photos.append(source)
                elif not is_result(source):
                    result.videos.append(input_of(source))
                continue
            if walk.visited(source):
                result.photos.append(source)  # a photo of it may have another path there
                continue
            for path in walk.files(source):
                kind = kind_of(path)
                if kind == "other":
                    if not path.name.startswith((".", "landmarks.")):
                        counts[suffix_of(path)] += 1
                elif not is_result(path):
                    counts[kind] += 1
                    if kind == "video":
                        result.videos.append(Input(path, path.relative_to(source), source))
            photos, videos = counts.pop("photo", 0), counts.pop("video", 0)
            if photos:
                result.photos.append(source)
            else:
                result.problems.extend(problems)
                if not videos and not problems:
                    result.problems.append(nothing_in(source, counts, or_video=True))
                    continue
            result.left_out.update(counts)
        except InputError as error:
            result.problems.append(str(error))
    return result


def list_inputs(
    sources: Iterable[Path | str | Input],
    out: Path,
    problem: Callable[[Path | str, str], None] | None = None,
) -> Iterator[Input]:
    """The photos of files and folders in order; a folder with its subfolders, sorted by name.

    Left out are the folder `out` where it is inside of a source, and pictures that `predict` wrote,
    here or in another folder of results. Links to folders are followed, each folder once (`Walk`).

    Args:
      sources: photos and folders, http addresses of photos as texts, and inputs as they are.
      out: folder of the results.
      problem: called with a folder that cannot be listed, or with a source that is absent or holds
        no photo, and the reason; None: the former are left out, the latter are errors.

    Raises:
      InputError: a path does not exist, or a folder holds no photo, and `problem` is None.
    """
    is_result, walk = result_finder(), _walk(out, problem)
    for source in sources:
        if isinstance(source, Input):
            yield source
            continue
        try:
            if is_web(source):
                check_address(str(source))
                yield input_of(source)
                continue
            source = Path(source)
            if os.path.isdir(source):
                if walk.visited(source):
                    continue
                empty, left_out = True, Counter[str]()
                for path in walk.files(source):
                    if kind_of(path) != "photo":
                        left_out[suffix_of(path)] += 1
                    elif not is_result(path):
                        empty = False
                        yield Input(path, path.relative_to(source), source)
                if empty:
                    raise InputError(nothing_in(source, left_out))
            else:
                require_file(source)
                if not is_result(source):
                    yield input_of(source)
        except InputError as error:
            if problem is None:
                raise
            problem(source, str(error))


def _walk(out: Path, problem: Callable[[Path | str, str], None] | None) -> Walk:
    """A walk that leaves out the folder of the results."""
    results = os.path.realpath(out)

    def unreadable(folder: Path, error: OSError) -> None:
        if problem:
            problem(folder, f"{folder}: cannot be read ({error.strerror}).")

    return Walk(lambda path: path.name != WORK and os.path.realpath(path) != results, unreadable)


def result_finder() -> Callable[[Path], bool]:
    """Path -> whether a run of `predict` recorded that it wrote this picture."""
    names_in: dict[str, frozenset[int] | None] = {}

    def is_result(path: Path) -> bool:
        match = _RESULT.fullmatch(path.name)
        if not match:
            return False
        absolute = os.path.abspath(path)
        folder = os.path.dirname(absolute)
        while True:
            if folder not in names_in:
                names_in[folder] = _recorded_names(Path(folder))
            names = names_in[folder]
            if names is not None:
                whole = Path(os.path.relpath(absolute, folder))
                name = whole.parent / match[1]
                return not names.isdisjoint((key_of(name.as_posix()), key_of(whole.as_posix())))
            if folder == os.path.dirname(folder):
                return False
            folder = os.path.dirname(folder)

    return is_result


def _recorded_names(folder: Path) -> frozenset[int] | None:
    """The names of all results in a folder of results; None for any other folder.

    Of photos they are the beginnings of files' names, of videos the files themselves.
    """
    of_videos = {key_of(file) for video in read_videos(folder) for file in video["files"]}
    if not (folder / HEADER).is_file():
        return frozenset(of_videos) if of_videos else None
    begun = begun_names(folder) | of_videos
    if not (folder / LINES).is_file():
        return frozenset(begun)
    lines = read_lines(folder / LINES)
    return frozenset({key_of(line.name) for line in lines if line.faces} | begun)


class Names:
    """The beginnings of the names of results: no two photos' files can have the same name.

    A photo's files are `NAME_landmarks.jpg`, `NAME_chip_1.png` …, `NAME.pts` for the first face and
    `NAME_2.pts` for the second. So `NAME` and `NAME_2` are not both given. Upper and lower case
    count as the same, because some file systems keep them in one file.

    The names depend on the order of the photos, not on the order in which they are finished.

    Args:
      numbered: whether there are such further files; videos have none.
    """

    def __init__(self, numbered: bool = True) -> None:
        self._numbered = numbered
        self._owners: dict[int, tuple[int, int]] = {}  # key of name -> keys of photo and its folder

    def take(self, name: str, photo: int, folder: int = 0) -> None:
        """Notes that a photo has a name."""
        name = _folded(name)
        self._owners[key_of(name)] = (photo, folder)
        if self._numbered and (match := _NUMBERED.fullmatch(name)):
            self._owners[key_of(_further(match[1]))] = (photo, folder)

    def give(self, photo: Input) -> str:
        """A free name for a photo: its path in the source folder without the suffix, if free.

        Otherwise that with the suffix where a photo of the same folder has the name, or with the
        source folder's name before it.
        """
        key, folder = photo_key(photo.image), folder_key(photo.image)
        stem = photo.relative.with_suffix("").as_posix()
        whole = photo.relative.as_posix()
        source = Path(os.path.abspath(photo.source)).name or "root"
        above = [f"{source}/{stem}", f"{source}/{whole}"]
        base = above[1]
        if photo.address.startswith(STDIN):  # it is in no folder
            above, base = [], whole
        taker = self._taker(stem, key)
        beside = [whole, *above] if taker and taker[1] == folder else [*above, whole]
        for name in [stem, *beside]:
            if not self._taker(name, key):
                break
        else:
            number = 2
            while self._taker(name := f"{base}-{number}", key):
                number += 1
        self.take(name, key, folder)
        return name

    def _taker(self, name: str, photo: int) -> tuple[int, int] | None:
        """Photo and folder that have this name, or one that cannot be beside it; None: nobody."""
        name = _folded(name)
        names = [name, _further(name)]
        if self._numbered and (match := _NUMBERED.fullmatch(name)):
            names.append(match[1])
        for other in names:
            taker = self._owners.get(key_of(other))
            if taker and taker[0] != photo:
                return taker
        return None


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _further(name: str) -> str:
    """Stands for all names `NAME_2`, `NAME_3`, …; no file can have this name."""
    return f"{name}\0"
