"""What a run's event files hold, read back as one curve each.

A run that was killed has logged steps beyond its last checkpoint, and logs them again when it goes
on. So each session begins with a `SessionLog` of status START, at the first step that it will log:
TensorBoard then drops what earlier files hold at that step and beyond (`_Purge` in its
event_accumulator.py), and so does `read_log`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf

from senet_landmark.data.tfrecords import tfrecords_in
from senet_landmark.errors import InputError
from senet_landmark.io.images import decode_photo

Place = tuple[Path, int]
"""An event: the number that it has in a file."""


@dataclass
class RunLog:
    """What a run's event files hold, as if it had never been killed.

    Attributes:
      curves: tag of a scalar -> step -> its value, by rising step.
      pictures: tag of an image -> step -> where it is; see `logged_picture`.
      resumed: the steps that sessions after the first went on from.
    """

    curves: dict[str, dict[int, float]] = field(default_factory=dict)
    pictures: dict[str, dict[int, Place]] = field(default_factory=dict)
    resumed: list[int] = field(default_factory=list)


def start_session(writer: tf.summary.FileWriter, step: int) -> None:
    """Marks the beginning of a session; to be written before anything else of it.

    Args:
      writer: of the session's event file.
      step: steps that were done before: 0, or the step of the restored checkpoint. What was logged
        at this step itself, as its validation was, stays; what was logged beyond it is void.
    """
    writer.add_session_log(tf.SessionLog(status=tf.SessionLog.START), step + 1)


def curves(run: Path | str) -> dict[str, dict[int, float]]:
    """Tag -> step -> value of all that the run logged, one curve each whatever its sessions."""
    return read_log(run).curves


def read_log(run: Path | str) -> RunLog:
    """Reads the event files in the folder `run`, oldest first; an empty log where there is none.

    Of a file whose end is torn, as a kill leaves it, what is whole counts.
    """
    log = RunLog()
    # Their names hold the second in which they were begun; TensorBoard sorts them likewise.
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
    log.pictures = {tag: dict(sorted(of.items())) for tag, of in log.pictures.items() if of}
    return log


def logged_picture(place: Place, tag: str) -> np.ndarray:
    """A logged image, RGB uint8 [H, W, 3]. Raises InputError when it is there no more."""
    path, wanted = place
    for number, event in enumerate(_events(path)):
        if number == wanted:
            for value in event.summary.value:
                if value.tag == tag:
                    return decode_photo(value.image.encoded_image_string, f"{path}: {tag}")
    raise InputError(f"{path}: no longer holds the image {tag!r}.")


def _events(path: Path) -> Iterator[Any]:
    """The whole events of a file."""
    try:
        for _, data in tfrecords_in(path):
            yield tf.Event.FromString(data)
    except InputError:
        return  # torn: whoever wrote it was killed, or is still writing


def _drop(log: RunLog, step: int) -> None:
    """Forgets what is at `step` and beyond, where a session begins that will log it anew."""
    for curve in log.curves.values():
        for logged in [s for s in curve if s >= step]:
            del curve[logged]
    for pictures in log.pictures.values():
        for logged in [s for s in pictures if s >= step]:
            del pictures[logged]
    log.resumed = [s for s in log.resumed if s < step - 1]
    if step > 1:
        log.resumed.append(step - 1)
