"""Reads the event files of all sessions of a run as one log.

A killed run has logged steps beyond its last checkpoint, and logs them again when it is resumed. So
each session begins with a `SessionLog` of status START, at the first step that it will log.
TensorBoard then drops the events of earlier files from that step on (`_Purge` in its
event_accumulator.py), and so does `read_log`.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf

from senet_landmark.data.tfrecords import tfrecords_in
from senet_landmark.errors import InputError
from senet_landmark.io.images import decode_photo

EventPosition = tuple[Path, int]
"""Where an event is: its file, and its number in the file."""


@dataclass
class RunLog:
    """The log of a run, as if the run had never been interrupted.

    Attributes:
      curves: tag of a scalar -> step -> value, in the order of the steps.
      pictures: tag of an image -> step -> its position; see `logged_picture`.
      resumed: the steps at which sessions after the first began.
    """

    curves: dict[str, dict[int, float]] = field(default_factory=dict)
    pictures: dict[str, dict[int, EventPosition]] = field(default_factory=dict)
    resumed: list[int] = field(default_factory=list)


def session_start(step: int) -> tf.Event:
    """The event that marks the beginning of a session, before anything else is logged.

    Args:
      step: number of steps done before: 0, or the step of the restored checkpoint. Events of this
        step, e.g. its validation, stay valid; later events are dropped when the log is read.
    """
    start = tf.SessionLog(status=tf.SessionLog.START)
    return tf.Event(wall_time=time.time(), step=step + 1, session_log=start)


def curves(run: Path | str) -> dict[str, dict[int, float]]:
    """Tag -> step -> value of all scalars of the run, over all its sessions."""
    return read_log(run).curves


def read_log(run: Path | str) -> RunLog:
    """Reads the event files in the folder `run`, oldest first; an empty log if there are none.

    If the end of a file is incomplete, as after a kill, its complete events are read.
    """
    log = RunLog()
    # The names contain the second of the files' beginning; TensorBoard sorts them in the same way.
    for path in sorted(Path(run).glob("*.tfevents.*")):
        for number, event in enumerate(_events(path)):
            if event.session_log.status == tf.SessionLog.START:
                _drop(log, event.step)
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    log.curves.setdefault(value.tag, {})[event.step] = value.simple_value
                elif value.HasField("image"):
                    log.pictures.setdefault(value.tag, {})[event.step] = (path, number)
    log.curves = {tag: dict(sorted(curve.items())) for tag, curve in log.curves.items() if curve}
    log.pictures = {tag: dict(sorted(p.items())) for tag, p in log.pictures.items() if p}
    return log


def logged_picture(position: EventPosition, tag: str) -> np.ndarray:
    """A logged image, RGB uint8 [H, W, 3]. Raises InputError if it is no longer there."""
    path, wanted = position
    for number, event in enumerate(_events(path)):
        if number == wanted:
            for value in event.summary.value:
                if value.tag == tag:
                    return decode_photo(value.image.encoded_image_string, f"{path}: {tag}")
    raise InputError(f"{path}: no longer holds the image {tag!r}.")


def _events(path: Path) -> Iterator[Any]:
    """The complete events of a file."""
    try:
        for _, data in tfrecords_in(path):
            yield tf.Event.FromString(data)
    except InputError:
        return  # incomplete: its writer was killed, or is still writing


def _drop(log: RunLog, step: int) -> None:
    """Drops the events from `step` on: the session that begins there will log them again."""
    for curve in log.curves.values():
        for later in [s for s in curve if s >= step]:
            del curve[later]
    for pictures in log.pictures.values():
        for later in [s for s in pictures if s >= step]:
            del pictures[later]
    log.resumed = [s for s in log.resumed if s < step - 1]
    if step > 1:
        log.resumed.append(step - 1)
