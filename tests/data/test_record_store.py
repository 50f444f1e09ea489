"""The digest of records, and how files are shared among workers."""

import re
import shutil

import pytest
import tensorflow.compat.v1 as tf

from damage import damage
from senet_landmark.data.record_store import RecordStore
from senet_landmark.data.records import shards_of
from senet_landmark.data.tfrecords import HEAD, raw_records
from senet_landmark.errors import InputError


def test_digest_is_of_the_data_and_not_of_their_place(shard, tmp_path):
    first = RecordStore([shard]).digest
    assert re.fullmatch("[0-9a-f]{64}", first)
    (tmp_path / "elsewhere").mkdir()
    copy = shutil.copy(shard, tmp_path / "elsewhere" / shard.name)
    assert RecordStore([copy], cache_mb=0, max_corrupt=7).digest == first
    assert RecordStore([shutil.copy(shard, tmp_path / "renamed")]).digest != first
    records = [frame.data for frame in raw_records(shard)]
    with tf.io.TFRecordWriter(str(copy)) as writer:
        for data in records[1:] + records[:1]:
            writer.write(data)
    assert RecordStore([copy]).digest != first  # another order is another set


@pytest.mark.parametrize("place", ["data", "end", "foot", "length"])
def test_any_changed_byte_changes_the_digest(shard, place):
    length = len(next(iter(raw_records(shard))).data)
    at = {"data": HEAD, "end": HEAD + length - 1, "foot": HEAD + length, "length": 0}[place]
    first = RecordStore([shard]).digest
    damage(shard, 0 if place != "length" else 4, at)
    assert RecordStore([shard], max_corrupt=1).digest != first


def test_each_file_is_read_by_one_worker(tmp_path):
    paths = [tmp_path / f"{n}.tfrecords" for n in range(7)]
    shares = [shards_of(paths, index, 3) for index in range(3)]
    assert sorted(path for share in shares for path in share) == paths and {
        len(s) for s in shares
    } == {2, 3}
    assert shares[1] == [paths[1], paths[4]]
    assert shards_of(paths, 0, 1) == paths
    with pytest.raises(InputError, match=r"has 7 files for 8 workers.*--records\.shard-size"):
        shards_of(paths, 0, 8)
    with pytest.raises(ValueError, match="worker 3 of 3"):
        shards_of(paths, 3, 3)
