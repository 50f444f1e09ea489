"""The schema of a record: written, read back, refused where it is damaged or of another version."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from made_records import example_record
from senet_landmark.data.input_pipeline import (
    RecordStore,
)
from senet_landmark.data.records import (
    Record,
    encode_example,
    load_records_info,
    parse_example,
    shard_paths,
)
from senet_landmark.errors import InputError


def test_encode_then_parse_is_the_identity():
    record = example_record()
    back = parse_example(encode_example(record))
    for field in dataclasses.fields(Record):
        np.testing.assert_array_equal(getattr(back, field.name), getattr(record, field.name))


def test_depth_of_a_record_may_be_absent_but_not_of_other_points():
    example = tf.train.Example.FromString(encode_example(example_record()))
    del example.features.feature["depth"].float_list.value[5:]
    with pytest.raises(InputError, match="5 of 68 depths"):
        parse_example(example.SerializeToString())
    del example.features.feature["depth"]  # as every record of older versions
    depth = parse_example(example.SerializeToString()).depth
    assert depth.shape == (68,) and np.isnan(depth).all()
    unknown = dataclasses.replace(example_record(), depth=depth)
    assert b"depth" not in encode_example(unknown)


def test_record_of_another_schema_is_refused():
    example = tf.train.Example.FromString(encode_example(example_record()))
    example.features.feature["schema_version"].int64_list.value[0] = 99
    with pytest.raises(InputError, match=r"shard 3.*version 99"):
        parse_example(example.SerializeToString(), "shard 3")
    with pytest.raises(InputError, match="no schema version"):
        parse_example(tf.train.Example().SerializeToString())
    with pytest.raises(InputError, match=r"not a tf\.train\.Example"):
        parse_example(b"\xff\xff\xff")


def test_damaged_or_foreign_records_are_refused(synthetic_records, tmp_path):
    with pytest.raises(InputError, match=r"no report\.json"):
        load_records_info(tmp_path)
    report = json.loads((synthetic_records / "report.json").read_text())
    (tmp_path / "report.json").write_text(json.dumps(report | {"schema_version": 0}))
    with pytest.raises(InputError, match="schema version 0"):
        load_records_info(tmp_path)
    (tmp_path / "report.json").write_text(json.dumps(report))
    info = load_records_info(tmp_path)
    with pytest.raises(InputError, match="absent"):
        shard_paths(tmp_path, info, "train")
    with pytest.raises(InputError, match="no records of split"):
        shard_paths(tmp_path, info, "test")
    name = report["splits"]["train"][0]
    data = bytearray((synthetic_records / name).read_bytes())
    data[len(data) // 2] ^= 0xFF
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match="not a whole TFRecord"):
        RecordStore([tmp_path / name])
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match="holds no record"):
        RecordStore([tmp_path / name])
