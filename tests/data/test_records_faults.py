"""Records with damage in them: what is passed over, what is named, and what stays an error."""

import dataclasses
import json
import re
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from damage import damage
from made_records import example_record, record_of, write_records
from runs import plain
from senet_landmark.config import NO_AUGMENTATION, AugmentConfig
from senet_landmark.data.input_pipeline import BatchMaker, batches, in_order
from senet_landmark.data.record_store import RecordStore
from senet_landmark.data.records import encode_example, load_records_info, shard_paths
from senet_landmark.data.tfrecords import HEAD, raw_records
from senet_landmark.errors import InputError
from senet_landmark.face.geometry import CropSpec

FACES = 22


def without_picture(path, *numbers):
    """Writes the file anew with right checksums; the pictures of `numbers` do not decode."""
    store = RecordStore([path])
    images = [bytes(data) for _, data in _examples(path)]
    records = [
        dataclasses.replace(store.record(n), image=b"\x89PNG nothing" if n in numbers else image)
        for n, image in enumerate(images)
    ]
    return write_records(path, records)


def _examples(path):
    for frame in raw_records(path):
        example = tf.train.Example.FromString(frame.data)
        yield frame.number, example.features.feature["image"].bytes_list.value[0]


def maker_of(store, batch_size=8, augment=AugmentConfig(), **options):
    return BatchMaker(store, CropSpec(), (64, 64), augment, batch_size, **options)


def test_damaged_data_are_passed_over_and_named(shard):
    whole = RecordStore([shard])
    assert not whole.skipped
    offset = damage(shard, 5, HEAD + 1000)
    with pytest.raises(InputError, match=r"not a whole TFRecord file \(record 5 at byte"):
        RecordStore([shard])
    store = RecordStore([shard], max_corrupt=1)
    assert len(store) == FACES - 1
    (found,) = store.skipped
    assert (found.path, found.number, found.offset) == (str(shard), 5, offset)
    assert "checksum" in found.reason
    assert json.loads(json.dumps(dataclasses.asdict(found)))["number"] == 5
    assert str(found).startswith(f"{shard}, record 5 at byte {offset}: ")
    kept = [store.record(n).source for n in range(len(store))]
    assert kept == [whole.record(n).source for n in range(FACES) if n != 5]
    np.testing.assert_array_equal(store.image(5), whole.image(6))


def test_damaged_length_and_cut_file_lose_the_rest(shard):
    offset, size = damage(shard, 9, 2), shard.stat().st_size
    store = RecordStore([shard], max_corrupt=1)
    (found,) = store.skipped
    assert len(store) == 9 and found.number == 9
    assert "length is damaged" in found.reason and f" {size - offset} bytes" in found.reason
    shard.write_bytes(shard.read_bytes()[: offset - 3])
    store = RecordStore([shard], max_corrupt=1)
    assert len(store) == 8 and "cut off" in store.skipped[0].reason


def test_records_that_do_not_parse_are_passed_over(tmp_path):
    good = record_of(np.full((68, 2), 30.0), "300w_68")
    five = dataclasses.replace(good, landmarks=good.landmarks[:5], visible=good.visible[:5])
    flat = dataclasses.replace(good, box=np.array([0.2, 0.2, 0.8, 0.2], np.float32))
    hidden = dataclasses.replace(good, visible=good.visible[:3])
    path = tmp_path / "records"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for data in (b"\xff\xff\xff", *map(encode_example, (five, flat, hidden, good))):
            writer.write(data)
    store = RecordStore([path], max_corrupt=4)
    assert len(store) == 1 and [found.number for found in store.skipped] == [0, 1, 2, 3]
    reasons = ["tf.train.Example", "5 landmarks", "no area", "3 of 68 visibilities"]
    for found, reason in zip(store.skipped, reasons, strict=True):
        assert reason in found.reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"scheme": "300w_6x"}, "unknown landmark scheme"),
        ({"box": np.array([0.2, 0.2, np.inf, 0.8], np.float32)}, "face box"),
        ({"region": np.full(4, np.nan, np.float32)}, "region"),
        ({"landmarks": np.full((68, 2), 1e30, np.float32)}, "far outside"),
        ({"landmarks": np.zeros((67, 2), np.float32), "visible": np.ones(67, bool)}, "67"),
    ],
)
def test_records_of_impossible_values_are_named(tmp_path, change, reason):
    """Also where the checksums fit."""
    path = tmp_path / "train.tfrecords"
    write_records(path, [example_record(), dataclasses.replace(example_record(), **change)])
    store = RecordStore([path], max_corrupt=1)
    assert len(store) == 1 and reason in str(store.skipped[0])
    with pytest.raises(InputError, match=reason):
        RecordStore([path])


def test_more_than_allowed_is_an_error_that_counts_and_names(shard):
    for number in (1, 4, 6, 15):
        damage(shard, number, HEAD + 500)
    with pytest.raises(InputError) as error:
        RecordStore([shard], max_corrupt=3)
    message = str(error.value)
    assert message.startswith("4 records are corrupt, and train.max_corrupt allows 3: ")
    assert re.findall(r"record (\d+) at byte", message) == ["1", "4", "6"]
    assert "build-records" in message
    assert len(RecordStore([shard], max_corrupt=4)) == FACES - 4


def test_a_wrong_set_is_not_a_corrupt_record(tmp_path):
    good = record_of(np.full((68, 2), 30.0), "300w_68")
    example = tf.train.Example.FromString(encode_example(good))
    example.features.feature["schema_version"].int64_list.value[0] = 1
    old = tmp_path / "old"
    with tf.io.TFRecordWriter(str(old)) as writer:
        writer.write(encode_example(good))
        writer.write(example.SerializeToString())
    with pytest.raises(InputError, match="old, record 1: has schema version 1"):
        RecordStore([old], max_corrupt=99)
    other = write_records(tmp_path / "mixed", [good, record_of(np.ones((5, 2)), "mtfl_5")])
    with pytest.raises(InputError, match="different schemes cannot be mixed"):
        RecordStore([other], max_corrupt=99)
    with pytest.raises(InputError, match="gone: cannot be read"):
        RecordStore([tmp_path / "gone"], max_corrupt=99)


def test_a_batch_takes_the_next_face_for_one_that_does_not_decode(shard):
    without_picture(shard, 3, 4, FACES - 1)
    strict = maker_of(RecordStore([shard]), FACES, NO_AUGMENTATION, shuffle=False)
    with pytest.raises(InputError, match=r"tfrecords \(SYNTH/.*does not decode as a photo"):
        strict.batch(0)
    store = RecordStore([shard], max_corrupt=3)
    assert len(store) == FACES and not store.skipped  # nobody has looked at a picture yet
    batch = dataclasses.replace(strict, store=store).batch(0)
    for key in ("image", "landmarks", "pose"):
        assert len(batch[key]) == FACES
        for broken, taken in ((3, 5), (4, 5), (FACES - 1, 0)):
            np.testing.assert_array_equal(batch[key][broken], batch[key][taken])
    assert (batch["image"][2] != batch["image"][5]).any()
    assert store.undecodable == {3, 4, FACES - 1}
    assert [found.number for found in store.skipped] == [3, 4, FACES - 1]
    offsets = [frame.offset for frame in raw_records(shard)]
    for found in store.skipped:
        assert found.offset == offsets[found.number] and found.source.startswith("SYNTH/")
        assert found.reason.startswith("does not decode")
    with pytest.raises(InputError, match=r"3 records are corrupt, and train\.max_corrupt allows 2"):
        maker_of(RecordStore([shard], max_corrupt=2), FACES, shuffle=False).batch(0)


def test_poses_of_a_substitute_are_its_own(shard):
    without_picture(shard, 7)
    poses = np.arange(3 * FACES, dtype=np.float32).reshape(FACES, 3)
    store = RecordStore([shard], max_corrupt=1)
    maker = maker_of(store, FACES, NO_AUGMENTATION, shuffle=False, poses=poses)
    found = maker.batch(0)["pose"]
    np.testing.assert_array_equal(found[7], poses[8])
    np.testing.assert_array_equal(np.delete(found, 7, 0), np.delete(poses, 7, 0))


def test_batches_with_substitutes_depend_on_seed_and_step_alone(shard):
    """Whatever order, and whatever thread, they are made in."""
    without_picture(shard, 2, 3, 11)

    def made(order, threads):
        store = RecordStore([shard], cache_mb=0, max_corrupt=3)
        maker, gate = maker_of(store), threading.Barrier(threads)

        def make(step):
            if step in order[:threads]:
                gate.wait()  # all begin at once
            return step, maker.batch(step)

        with ThreadPoolExecutor(threads) as pool:
            found = dict(pool.map(make, order))
        assert len(store.skipped) == 3 and store.undecodable == {2, 3, 11}
        return found

    one, many = made(list(range(9)), 1), made(list(reversed(range(9))), 4)
    for step, batch in one.items():
        for key, values in batch.items():
            np.testing.assert_array_equal(values, many[step][key])


def test_validation_leaves_out_what_does_not_decode(shard):
    whole = in_order(maker_of(RecordStore([shard]), 4, NO_AUGMENTATION))
    without_picture(shard, 1, *range(8, 12))
    parts = in_order(maker_of(RecordStore([shard], max_corrupt=5), 4, NO_AUGMENTATION))
    assert [len(part["image"]) for part in parts] == [3, 4, 4, 4, 2]
    expected = np.delete(np.concatenate([p["landmarks"] for p in whole]), [1, 8, 9, 10, 11], 0)
    np.testing.assert_array_equal(np.concatenate([p["landmarks"] for p in parts]), expected)


def test_set_without_a_picture_ends(shard):
    without_picture(shard, *range(FACES))
    with pytest.raises(InputError, match="no picture of the records decodes"):
        maker_of(RecordStore([shard], max_corrupt=FACES)).batch(0)


def test_file_that_changes_while_it_is_in_use(shard):
    store = RecordStore([shard], cache_mb=0, max_corrupt=1)
    damage(shard, 0, HEAD + 2000)
    number, image = store.decodable(0)
    assert number == 1 and image.shape[2] == 3
    assert "changed since" in store.skipped[0].reason
    shard.unlink()
    with pytest.raises(InputError, match="cannot be read"):  # not one record, but the whole file
        store.decodable(5)
    assert len(store.skipped) == 1


def test_error_of_corrupt_records_is_told_after_a_session(shard):
    without_picture(shard, *range(0, FACES, 2))
    store = RecordStore([shard], max_corrupt=2)
    with tf.Graph().as_default(), tf.Session() as session:
        tensors = batches(maker_of(store, shuffle=False))
        session.run(tf.tables_initializer())
        with pytest.raises(tf.errors.OpError):
            session.run(tensors)
    with pytest.raises(InputError, match=r"records are corrupt.*SYNTH/.*build-records"):
        store.check_skipped()


def test_training_goes_past_corrupt_records(synthetic_records, tmp_path):
    from senet_landmark.training.train import train

    records = tmp_path / "records"
    shutil.copytree(synthetic_records, records)
    (path,) = shard_paths(records, load_records_info(records), "train")
    without_picture(path, 4)
    damage(path, 9, HEAD + 700)

    def config(most):
        return plain(3, batch_size=8, max_corrupt=most)

    result = train(config(2), records, tmp_path / "run")
    assert result.steps == 3 and np.isfinite(result.loss)
    with pytest.raises(InputError, match="record 9 at byte"):
        train(config(0), records, tmp_path / "strict")
