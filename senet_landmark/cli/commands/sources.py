"""The sources of `predict`: paths, addresses, cameras, image sequences and standard input, sorted.

Only what a path does not say by itself is told apart here; folders and files are surveyed by
`export/inference/batch/inputs.py`.
"""

import contextlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from senet_landmark.errors import InputError

if TYPE_CHECKING:
    from senet_landmark.export.inference.batch.inputs import Input


ASKED_AT_ONCE = 16
"""Addresses whose servers are asked at the same time what they lead to."""


@dataclass(frozen=True)
class SourceOptions:
    """Options for addresses, standard input and lists."""

    files_from: tuple[Path, ...] = ()
    """Files that list photos, videos, folders and addresses, one a line, or each with a zero byte;
    - is standard input."""
    timeout: float = 30.0
    """Seconds to wait for the answer of an address, and for its next bytes."""
    max_megabytes: float = 1000.0
    """Largest clip that is fetched from an address or read from standard input; a photo from an
    address has 100 at most."""


@dataclass
class Sources:
    """What the sources are.

    Attributes:
      paths: paths of photos, videos and folders, and photos that are no paths.
      videos: what `predict_video` reads, and its place among the inputs; None: a camera or stream.
      problems: what is wrong with sources.
    """

    paths: "list[Path | Input]" = field(default_factory=list)
    videos: "list[tuple[Any, Input | None]]" = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def listed(sources: Sequence[str], lists: Sequence[Path]) -> tuple[str, ...]:
    """The sources, and after them those of the lists.

    Raises:
      InputError: a list cannot be read, or standard input is asked for twice.
    """
    from senet_landmark.export.inference.batch.piped import read_list

    if [*sources, *map(str, lists)].count("-") > 1:
        raise InputError("Standard input (-) can be read once: as a photo or clip, or as a list.")
    everything = list(sources)
    for path in lists:
        try:
            data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
        names = read_list(data)
        if "-" in names:
            raise InputError(f"--files-from {path}: has -, which only the command line may have.")
        everything += names
    if not everything:
        raise InputError(
            "Give at least one photo, folder or video."
            if not lists
            else f"--files-from {lists[0]}: lists nothing."
        )
    return tuple(everything)


@contextlib.contextmanager
def sorted_sources(sources: Sequence[str], options: SourceOptions, fps: float) -> Iterator[Sources]:
    """Yields the sources, sorted; what came through standard input is gone after the block."""
    from senet_landmark.export.inference.batch.inputs import input_of
    from senet_landmark.export.video.clip import live_name
    from senet_landmark.export.video.sequence import is_sequence, sequence_input
    from senet_landmark.io.addresses import check_address, is_web, kind_at, scheme_of

    result, limits = Sources(), limits_of(options)
    with contextlib.ExitStack() as stack:
        # Several at a time: where a suffix does not say what it is, the server is asked.
        with ThreadPoolExecutor(ASKED_AT_ONCE) as threads:
            web = [source for source in dict.fromkeys(sources) if is_web(source)]
            kinds = dict(zip(web, threads.map(lambda a: kind_at(a, limits), web), strict=True))
        for source in sources:
            try:
                if source in ("-", "/dev/stdin"):
                    folder = tempfile.TemporaryDirectory(prefix="senet-landmark-")
                    _add_piped(result, Path(stack.enter_context(folder)), options, fps)
                elif scheme_of(source):
                    check_address(source)
                    kind = kinds.get(source, "live")
                    if kind == "photo":
                        result.paths.append(input_of(source))
                    else:
                        place = input_of(source) if kind == "video" else None
                        result.videos.append((source, place))
                elif live_name(source) is not None:
                    result.videos.append((source, None))
                elif is_sequence(source):
                    result.videos.append((source, sequence_input(source)))
                else:
                    result.paths.append(Path(source))
            except InputError as error:
                result.problems.append(str(error))
        yield result


def limits_of(options: SourceOptions) -> Any:
    """What may be fetched. Raises InputError where a number is out of range."""
    from senet_landmark.io.addresses import Limits

    for name, value in (("--timeout", options.timeout), ("--max-megabytes", options.max_megabytes)):
        if not 0 < value < float("inf"):
            raise InputError(f"{name} is a number above 0, not {value:g}.")
    return Limits(options.max_megabytes, options.timeout)


def _add_piped(result: Sources, folder: Path, options: SourceOptions, fps: float) -> None:
    from senet_landmark.export.inference.batch.piped import read_piped
    from senet_landmark.export.video.sequence import ImageSequence
    from senet_landmark.export.video.video import is_video

    if sys.stdin.isatty():
        raise InputError("- is standard input, and nothing is piped into it: cat photo.jpg | …")
    piped = read_piped(sys.stdin.buffer, folder, is_video, limits_of(options))
    if not piped.photos:
        result.videos.append((piped.whole.path, piped.whole))
    elif fps and len(piped.photos) > 1:
        files = [Path(photo.path) for photo in piped.photos]
        result.videos.append((ImageSequence("stdin", fps, files), piped.whole))
    else:
        result.paths += piped.photos
