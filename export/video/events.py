"""Blinks and yawns of the faces in videos: `predict clip.mp4 --events FILE`.

They are found in the table of a video, `NAME_landmarks.csv`, when it is done or was stopped: so a
video that an earlier run did needs no second run, and an interruption leaves no half-written file.

FILE is a table (`.csv`) or a list (`.json`) of events, by video, identity and time:

    video                    the video as it was given
    identity                 of the face, as in the video's table
    kind                     blink or yawn
    start, end               times in seconds of the first and the last frame
    first_frame, last_frame  numbers of these frames, from 0
    extreme                  blink: the smallest eye aspect ratio, the mean of both eyes; yawn: the
                             largest aspect ratio of the mouth
"""

import csv
import io
import json
from array import array
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from senet_landmark.errors import InputError
from senet_landmark.face.expression_events import find_blinks, find_yawns
from senet_landmark.face.expressions import can_measure
from senet_landmark.face.schemes import Scheme
from senet_landmark.io.files import printable, write_bytes

SUFFIXES = (".csv", ".json")


@dataclass(frozen=True)
class Event:
    """A blink or a yawn; see the top of the file."""

    video: str
    identity: int
    kind: str
    start: float
    end: float
    first_frame: int
    last_frame: int
    extreme: float


COLUMNS = tuple(field.name for field in fields(Event))
"""The columns of a table, and the keys in JSON."""


class Track(NamedTuple):
    """The measures of a face over the frames that show it; NaN where unknown.

    Attributes:
      frames: int64 [N], their numbers.
      times: float64 [N], in seconds.
      eyes: float64 [N], the eye aspect ratio, the mean of both eyes.
      mouth: float64 [N], the aspect ratio of the mouth.
    """

    frames: np.ndarray
    times: np.ndarray
    eyes: np.ndarray
    mouth: np.ndarray


def read_tracks(table: Path) -> dict[int, Track]:
    """Identity -> its track, from a table of `predict_video`.

    Raises:
      InputError: it cannot be read, or has no measures, as those of earlier versions.
    """
    columns: dict[int, tuple[array, ...]] = {}
    try:
        with open(table, newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                identity = int(row["identity"])
                if identity not in columns:
                    columns[identity] = (array("q"), array("d"), array("d"), array("d"))
                frames, times, eyes, mouth = columns[identity]
                frames.append(int(row["frame"]))
                times.append(float(row["time"]))
                left, right, lips = (
                    float(row[f"{name}_aspect{side}"] or "nan")
                    for name, side in (("eye", "_left"), ("eye", "_right"), ("mouth", ""))
                )
                eyes.append((left + right) / 2)
                mouth.append(lips)
    except OSError as error:
        raise InputError(f"{table}: cannot be read ({error.strerror}).") from error
    except KeyError as error:
        raise InputError(
            f"{table}: has no column {error}, as tables of earlier versions. Give --overwrite to "
            "do the video again."
        ) from error
    except (ValueError, TypeError, csv.Error) as error:
        raise InputError(f"{table}: is not as predict wrote it ({error}).") from error
    return {
        identity: Track(*(np.array(values) for values in track))
        for identity, track in columns.items()
    }


def events_of(video: str, table: Path) -> list[Event]:
    """The events of a video, by identity and time.

    Args:
      video: the video, as events name it.
      table: its table, of `predict_video`.

    Raises:
      InputError: as in `read_tracks`, or the times of a face do not grow.
    """
    events = []
    for identity, track in sorted(read_tracks(table).items()):
        try:
            spans = [
                *(("blink", track.eyes, span) for span in find_blinks(track.times, track.eyes)),
                *(("yawn", track.mouth, span) for span in find_yawns(track.times, track.mouth)),
            ]
        except ValueError as error:
            raise InputError(f"{table}: is not as predict wrote it ({error}).") from error
        for kind, values, span in sorted(spans, key=lambda entry: entry[2]):
            first, last = span.first, span.last
            events.append(
                Event(
                    video, identity, kind, float(track.times[first]), float(track.times[last]),
                    int(track.frames[first]), int(track.frames[last]),
                    round(float(values[span.extreme]), 4),
                )
            )  # fmt: skip
    return events


def check_events(path: Path, scheme: Scheme, overwrite: bool = False) -> None:
    """Checks before the work that events can be found, and written to `path`.

    Args:
      path: the file.
      scheme: the scheme of the model's landmarks.
      overwrite: whether any file may be replaced; else only one of events.

    Raises:
      InputError: the name ends in neither `.csv` nor `.json`, there is something else in its place,
        or the landmarks lack the points.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: events are written as {' or '.join(SUFFIXES)}; name it so.")
    if not can_measure(scheme):
        raise InputError(
            f"The model's landmarks, {scheme.name}, have no points of eyelids and lips: no blinks "
            "and yawns can be found. Leave --events out, or give a --model with 68 or 98 points."
        )
    if path.is_dir():
        raise InputError(f"{path}: is a folder; events are written to a file.")
    if path.exists() and not overwrite and not _holds_events(path):
        raise InputError(
            f"{path}: is there already, and holds no events that predict wrote. Give another "
            "--events, or --overwrite to replace it."
        )


def write_events(path: Path, events: Iterable[Event]) -> None:
    """Writes events as CSV or JSON, by the ending of `path`, whole or not at all.

    Raises:
      InputError: it cannot be written.
    """
    rows: list[dict[str, Any]] = [
        {**asdict(event), "video": printable(event.video)} for event in events
    ]
    if path.suffix.lower() == ".json":
        text = json.dumps(rows, indent=2, ensure_ascii=False) + "\n"
    else:
        stream = io.StringIO()
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        text = stream.getvalue()
    try:
        write_bytes(path, text.encode())
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror}). The same command with another --events "
            "makes it of the tables that are done."
        ) from error


def _holds_events(path: Path) -> bool:
    """Whether a file is one that `write_events` wrote."""
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix.lower() == ".json":
            rows = json.loads(text)
            return isinstance(rows, list) and all(tuple(row) == COLUMNS for row in rows)
        return text.partition("\n")[0] == ",".join(COLUMNS)
    except (OSError, ValueError, TypeError):
        return False
