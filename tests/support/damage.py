"""A byte of a record, flipped."""

from senet_landmark.data.tfrecords import raw_records


def damage(path, number, byte):
    """Turns over a bit of record `number`, `byte` bytes behind its beginning; returns that."""
    offset = [frame.offset for frame in raw_records(path)][number]
    data = bytearray(path.read_bytes())
    data[offset + byte] ^= 4
    path.write_bytes(data)
    return offset
