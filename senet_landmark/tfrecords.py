"""TFRecord files: where in the file each record is, so that it can be read again alone."""

from collections.abc import Iterator
from pathlib import Path

from senet_landmark.errors import InputError

# A record is its length (8 bytes), a checksum of that (4), the data, a checksum of those (4).
HEAD, FOOT = 12, 4


def tfrecords_in(path: Path | str) -> Iterator[tuple[int, bytes]]:
    """(byte offset of the record, data) of every record, in order; checksums are checked.

    The data begins `HEAD` bytes after the offset.

    Raises:
      InputError: the file is absent, cut off or damaged.
    """
    import tensorflow.compat.v1 as tf

    offset = 0
    try:
        for data in tf.io.tf_record_iterator(str(path)):
            yield offset, data
            offset += HEAD + len(data) + FOOT
    except tf.errors.OpError as error:
        reason = error.message.splitlines()[0]
        raise InputError(
            f"{path}: is not a whole TFRecord file ({reason}). Delete it and make it anew."
        ) from error
