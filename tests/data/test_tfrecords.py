"""The framing of TFRecord files, against TensorFlow's own writer and reader."""

import struct

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from senet_landmark.data.tfrecords import FOOT, HEAD, checksum, raw_records, tfrecords_in
from senet_landmark.errors import InputError


@pytest.fixture
def contents():
    generator = np.random.default_rng(0)
    return [generator.bytes(int(n)) for n in (1, 0, 70_000, 8, 333)]


@pytest.fixture
def shard(contents, tmp_path):
    path = tmp_path / "shard.tfrecords"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for data in contents:
            writer.write(data)
    return path


def changed(path, at, flip=1):
    """The file with bits of one byte turned over."""
    data = bytearray(path.read_bytes())
    data[at] ^= flip
    path.write_bytes(data)


def starts(contents):
    return np.cumsum([0] + [HEAD + len(data) + FOOT for data in contents]).tolist()


def test_reads_what_tensorflow_writes(shard, contents):
    assert list(tfrecords_in(shard)) == list(zip(starts(contents)[:-1], contents, strict=True))
    assert [data for _, data in tfrecords_in(shard)] == list(tf.io.tf_record_iterator(str(shard)))
    for frame in raw_records(shard):
        assert frame.stored == frame.computed and not frame.fault and not frame.lost


def test_goes_on_behind_damaged_data(shard, contents):
    begin = starts(contents)[2]
    changed(shard, begin + HEAD + 60_000)
    frames = list(raw_records(shard))
    assert [bool(frame.fault) for frame in frames] == [False, False, True, False, False]
    assert [frame.offset for frame in frames] == starts(contents)[:-1]
    assert [frame.data for frame in frames[3:]] == contents[3:]
    with pytest.raises(tf.errors.DataLossError):
        list(tf.io.tf_record_iterator(str(shard)))
    match = rf"shard\.tfrecords: is not a whole TFRecord file \(record 2 at byte {begin}: .*check"
    with pytest.raises(InputError, match=match):
        list(tfrecords_in(shard))


@pytest.mark.parametrize("byte", range(HEAD))
def test_a_damaged_length_loses_the_rest(shard, contents, byte):
    begin, end = starts(contents)[3], starts(contents)[-1]
    changed(shard, begin + byte, 0x80)
    *whole, last = raw_records(shard)
    assert [frame.data for frame in whole] == contents[:3]
    assert (last.number, last.offset, last.lost) == (3, begin, end - begin)
    assert "length is damaged" in last.fault and str(end - begin) in last.fault


@pytest.mark.parametrize("left", [1, 7, HEAD - 1, HEAD, HEAD + 300, HEAD + 333 + FOOT - 1])
def test_a_cut_off_file_loses_its_last_record(shard, contents, left):
    begin = starts(contents)[4]
    shard.write_bytes(shard.read_bytes()[: begin + left])
    *whole, last = raw_records(shard)
    assert [frame.data for frame in whole] == contents[:4]
    assert last.lost == left and "cut off" in last.fault
    with pytest.raises(InputError, match=r"is not a whole TFRecord file .*cut off"):
        list(tfrecords_in(shard))


def test_a_length_beyond_the_file_is_not_asked_for(shard, contents):
    """Its checksum is right: only the file's size says that it cannot be."""
    other = shard.with_name("huge")
    with tf.io.TFRecordWriter(str(other)) as writer:
        writer.write(b"x")
    length = struct.pack("<Q", 2**62)
    head = length + struct.pack("<I", checksum(length))
    other.write_bytes(other.read_bytes() + head + b"data")
    _, last = raw_records(other)
    assert last.lost == HEAD + 4 and "cut off" in last.fault


def test_other_files(tmp_path):
    (tmp_path / "empty").touch()
    assert list(raw_records(tmp_path / "empty")) == []
    (tmp_path / "zeros").write_bytes(bytes(100))
    assert [frame.lost for frame in raw_records(tmp_path / "zeros")] == [100]
    with pytest.raises(InputError, match=r"gone: cannot be read \(No such file"):
        list(tfrecords_in(tmp_path / "gone"))
    with pytest.raises(InputError, match="cannot be read"):
        list(tfrecords_in(tmp_path))
