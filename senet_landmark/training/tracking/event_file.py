"""The run's own log: event files in its folder, which the report and TensorBoard read.

TensorFlow's writer is not used: on a full disk it raises nothing, and all that it writes to the
file afterwards is lost behind the torn event.
"""

import socket
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow.compat.v1 as tf

from senet_landmark.config import Config
from senet_landmark.data.tfrecords import framed
from senet_landmark.io.images import encode_png
from senet_landmark.training.run_log import session_start

VERSION = "brain.Event:2"
"""The version of the format, which is the first event of each file."""


class EventFile:
    """A `tracker.Tracker`: what it has logged is on the disk when `log` returns."""

    name = "event file"

    def begin(self, run: Path, config: Config, step: int, tracked: str) -> str:
        """See `Tracker`: later points that are already in the curves are dropped."""
        del config, tracked
        now = time.time_ns()
        # With the nanoseconds, two sessions that begin within a second have names in their order.
        second, rest = divmod(now, 10**9)
        self._path = run / f"events.out.tfevents.{second:010}.{socket.gethostname()}.{rest:09}"
        self._end = 0
        self._append(tf.Event(wall_time=now / 1e9, file_version=VERSION), session_start(step))
        return ""

    def log(
        self, step: int, scalars: Mapping[str, float], pictures: Mapping[str, np.ndarray]
    ) -> None:
        """See `Tracker`. Raises OSError if it cannot be written; the file stays whole."""
        values = summary(scalars, pictures)
        self._append(tf.Event(wall_time=time.time(), step=step, summary=values))

    def end(self, ended: str) -> None:
        """See `Tracker`: the file is complete at any time."""

    def _append(self, *events: tf.Event) -> None:
        data = b"".join(framed(event.SerializeToString()) for event in events)
        with open(self._path, "ab") as stream:
            stream.truncate(self._end)  # what a full disk left of the last event
            stream.write(data)
        self._end += len(data)


def summary(
    scalars: Mapping[str, float], pictures: Mapping[str, np.ndarray] | None = None
) -> tf.Summary:
    """Scalars, and pictures RGB uint8 [H, W, 3], by their tags."""
    values = [tf.Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
    for tag, picture in (pictures or {}).items():
        height, width, channels = picture.shape
        image = tf.Summary.Image(
            height=height,
            width=width,
            colorspace=channels,
            encoded_image_string=encode_png(picture),
        )
        values.append(tf.Summary.Value(tag=tag, image=image))
    return tf.Summary(value=values)
