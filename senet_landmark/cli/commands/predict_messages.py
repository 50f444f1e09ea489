"""What `predict` says: which options do nothing with its inputs, and what it found."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from senet_landmark.cli.messages import Messages
from senet_landmark.errors import InputError

MOST_PRINTED = 50
"""Photos without a face that are printed."""

TRY = (
    "To find more faces, try another --detector (dlib finds other faces than blazeface), a smaller "
    "--min-face"
)
TRY_BOX = ", or give the face's place: --box LEFT TOP RIGHT BOTTOM."


def check_options(
    photo_options: Mapping[str, bool],
    video_options: Mapping[str, bool],
    photos: int,
    videos: int,
    say: Messages,
) -> None:
    """Options that do nothing are refused; those that do nothing for a part are noted on stderr.

    Args:
      photo_options: option that only photos have -> whether it is given.
      video_options: the same of videos.
      photos: number of inputs that are photos, or folders with photos.
      videos: number of videos.
      say: where notes go.

    Raises:
      InputError: an option is given, and nothing of its kind.
    """
    for options, kind, own, other in (
        (photo_options, "photos", photos, videos),
        (video_options, "videos", videos, photos),
    ):
        given = [name for name, is_given in options.items() if is_given]
        if not given or not other:
            continue
        names = ", ".join(given)
        does = "is" if len(given) == 1 else "are"
        if not own:
            raise InputError(f"{names} {does} for {kind}, and there are none. Leave it out.")
        say.note(f"note: {names} {does} for {kind} alone")


def note_unused(options: Mapping[str, bool], why: str, say: Messages = Messages()) -> None:
    """Says which of the options that are given do nothing."""
    given = [name for name, is_given in options.items() if is_given]
    if given:
        say.note(f"note: {', '.join(given)} {'does' if len(given) == 1 else 'do'} nothing {why}")


def boxes_of(numbers: tuple[float, ...]):  # type: ignore[no-untyped-def]  # NumPy is slow to import
    """Face boxes [N, 4] from 4 N numbers; None from no numbers."""
    if not numbers:
        return None
    if len(numbers) % 4:
        raise InputError(f"--box takes left, top, right, bottom, not {len(numbers)} numbers.")
    import numpy as np

    return np.array(numbers, np.float64).reshape(-1, 4)


def may_be_many(sources: Sequence[str]) -> bool:
    """Whether there may be photos for several workers; folders are not counted here."""
    return len(sources) >= 100 or any(map(os.path.isdir, sources))


def name_of(video: Any, place: Any) -> str:
    """How a video is called: as it was given, without the password of an address."""
    from senet_landmark.export.inference.batch.inputs import STDIN
    from senet_landmark.io.addresses import shown

    if place is not None and place.address.startswith(STDIN):
        return "standard input"
    return shown(video)


def print_photos(summary: dict[str, Any], out: Path, with_boxes: bool, say: Messages) -> None:
    """Prints how many faces were found, where there is none, and what may help."""
    before = f" ({summary['before']} were done before)" if summary["before"] else ""
    say.result(f"{summary['faces']} faces in {summary['photos']} photos{before} -> {out}")
    for photo in summary["without_face"][:MOST_PRINTED]:
        say.result(f"no face found: {photo}")
    if (more := summary["without_face_count"] - MOST_PRINTED) > 0:
        say.result(f"no face found in {more} more: their lines in landmarks.jsonl have no faces")
    if summary["without_face_count"] and not with_boxes:
        say.result(TRY + TRY_BOX)


def print_video(video: str, summary: dict[str, Any], is_live: bool, say: Messages) -> None:
    """Prints what was found in a video, camera or stream, and what was wrong with it."""
    stopped = ", stopped" if summary["interrupted"] else ""
    before = " (done before)" if summary["before"] else ""
    say.result(
        f"{video}: {summary['identities']} people in {summary['frames']} frames, "
        f"{summary['seconds']:.1f} s{stopped}{before} -> {summary['video'] or summary['csv']}"
    )
    if summary["bad_frames"]:
        say.result(
            f"  {summary['bad_frames']} frames are missing or could not be decoded: they are left "
            "out"
        )
    if summary["ended_early"]:
        say.result(
            "  the camera or stream ended"
            if is_live
            else "  it ended before the number of frames that it says it has: is it whole?"
        )
    if not summary["identities"]:
        say.result(f"  no face found. {TRY}.")


def save_events(path: Path | None, tables: Mapping[str, str], say: Messages) -> None:
    """Writes the blinks and yawns of videos, and prints how many there are.

    Args:
      path: the file; None: none is wanted.
      tables: video -> its table, `NAME_landmarks.csv`.
      say: where their number goes.

    Raises:
      InputError: a table is of an earlier version, or was changed; or the file is one of the
        tables, or cannot be written.
    """
    if path is None or not tables:
        return
    from senet_landmark.export.video.events import events_of, write_events

    if path.resolve() in [Path(table).resolve() for table in tables.values()]:
        raise InputError(f"{path}: is the table of a video. Give another --events.")
    events = [e for video, table in tables.items() for e in events_of(video, Path(table))]
    write_events(path, events)
    counts = [sum(event.kind == kind for event in events) for kind in ("blink", "yawn")]
    say.result(f"{counts[0]} blinks, {counts[1]} yawns -> {path}")


def has_photos_only(write: Sequence[str]) -> bool:
    """Whether files are asked for that only photos have: a video always has its CSV."""
    return any(name != "csv" for name in write)
