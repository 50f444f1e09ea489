"""`identities.json`: written with the records, used where it fits the records, and only there."""

import json
import shutil

import pytest

from made_records import changed_records, parse, write_records
from senet_landmark.config import RecordsConfig
from senet_landmark.data import identities as identities_module
from senet_landmark.data.identities import IDENTITIES_NAME, check_splits_apart, identities
from senet_landmark.data.records import load_records_info, shard_paths
from senet_landmark.data.tfrecords import HEAD, framing_of, raw_records
from senet_landmark.data_tools.records.build_records import build_records, building, plan_build
from senet_landmark.data_tools.records.photos import photo_faces
from senet_landmark.data_tools.records.shards import work_of, write_faces
from senet_landmark.errors import InputError

CONFIG = RecordsConfig(held_out=0.2, test=0.2, shard_size=6)


@pytest.fixture(scope="module")
def built(synthetic_tree, tmp_path_factory):
    """Records with three splits and several shards."""
    out = tmp_path_factory.mktemp("built") / "records"
    build_records("300w_lp", synthetic_tree, out, CONFIG, workers=1)
    return out


@pytest.fixture
def records(built, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(built, tmp_path / "records")


def known(folder):
    return identities(folder, load_records_info(folder))


def truth(folder):
    """What the records themselves say."""
    splits = load_records_info(folder).splits
    return {split: [r.identity for r in parse(folder, split)] for split in splits}


@pytest.fixture
def parsed(monkeypatch):
    """The names of the shards that `identities` parses."""
    names = []
    real = identities_module._parsed_identities

    def noted(path):
        names.append(path.name)
        return real(path)

    monkeypatch.setattr(identities_module, "_parsed_identities", noted)
    return names


def change(folder, function):
    path = folder / IDENTITIES_NAME
    value = json.loads(path.read_text())
    function(value["shards"])
    path.write_text(json.dumps(value))


def test_fresh_records_are_not_parsed(built, parsed, capsys):
    found = known(built)
    assert found == truth(built) and set(found) == {"train", "validation", "test"}
    assert len({identity for members in found.values() for identity in members}) == 24
    assert not parsed and not capsys.readouterr().err


def test_records_without_the_file_are_parsed_as_before(records, parsed, capsys):
    (records / IDENTITIES_NAME).unlink()
    assert known(records) == truth(records)
    assert len(parsed) == len(list(records.glob("*.tfrecords"))) > 3
    assert not capsys.readouterr().err


def test_shard_that_the_file_does_not_fit_is_parsed(records, parsed, capsys):
    first, second, *_ = shard_paths(records, load_records_info(records), "train")
    whole = [frame.data for frame in raw_records(first)]
    shutil.copy(second, first)  # of as many records
    assert len(whole) == len(list(raw_records(first)))
    assert known(records) == truth(records)
    assert parsed == [first.name]
    assert f"does not fit {first.name}" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["name", "order", "fewer", "digest", "absent"])
def test_changed_entry_is_not_trusted(records, parsed, damage):
    (path, *_) = shard_paths(records, load_records_info(records), "train")

    def spoil(shards):
        entry = shards[path.name]
        names = entry["identities"]
        if damage == "name":
            names[2] = names[2][:-1] + "?"
        elif damage == "order":
            names.reverse()
        elif damage == "fewer":
            names.pop()
        elif damage == "digest":
            entry["digest"] = "0" * 64
        else:
            del shards[path.name]

    change(records, spoil)
    assert known(records) == truth(records)
    assert parsed == [path.name]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"shards": 3}', '{"shards": {"a": {}}, "b": 1}'])
def test_damaged_file_is_told_and_passed_over(records, text, parsed, capsys):
    (records / IDENTITIES_NAME).write_text(text)
    assert known(records) == truth(records)
    assert len(parsed) == len(list(records.glob("*.tfrecords")))
    assert f"{IDENTITIES_NAME}: cannot be used" in capsys.readouterr().err


@pytest.mark.parametrize("at", [0, 9])
def test_shard_with_a_damaged_length_is_parsed(records, parsed, at):
    (path, *_) = shard_paths(records, load_records_info(records), "train")
    third = [frame.offset for frame in raw_records(path)][2]
    data = bytearray(path.read_bytes())
    data[third + at] ^= 0xFF
    path.write_bytes(data)
    found, names = known(records)["train"], load_records_info(records).splits["train"]
    others = [frame for name in names if name != path.name for frame in raw_records(records / name)]
    assert parsed == [path.name] and len(found) == len(others) + 2


def test_cut_off_shard_has_no_framing(records):
    (path, *_) = shard_paths(records, load_records_info(records), "train")
    whole = [(len(frame.data), frame.stored) for frame in raw_records(path)]
    assert list(framing_of(path)) == whole
    size = path.stat().st_size
    for lost in (1, 3, 4, 5, whole[-1][0], size - HEAD + 1, size - 1):
        with open(path, "rb+") as stream:
            data = stream.read()
            stream.truncate(size - lost)
        with pytest.raises(InputError, match="not a whole TFRecord file"):
            list(framing_of(path))
        path.write_bytes(data)
    with pytest.raises(InputError, match="cannot be read"):
        list(framing_of(path.with_name("gone")))
    assert list(framing_of(write_records(path.with_name("empty"), []))) == []


def test_shared_identity_is_found_with_and_without_the_file(records, built, tmp_path):
    check_splits_apart(built, load_records_info(built))
    info = load_records_info(built)
    splits = info.splits | {"test": [*info.splits["test"], info.splits["train"][0]]}
    report = json.loads((records / "report.json").read_text())
    (records / "report.json").write_text(json.dumps(report | {"splits": splits}))
    with pytest.raises(InputError, match="are in more than one split"):
        check_splits_apart(records, load_records_info(records))
    plain = changed_records(
        built, tmp_path / "plain", lambda split, number, record: record, splits=splits
    )
    assert not (plain / IDENTITIES_NAME).exists()
    with pytest.raises(InputError, match="are in more than one split"):
        check_splits_apart(plain, load_records_info(plain))


def test_build_begun_by_an_earlier_version_goes_on(synthetic_tree, built, tmp_path, parsed):
    """Its statistics lack the identities: these shards are parsed, the others not."""
    out = tmp_path / "out"
    plan = plan_build("300w_lp", synthetic_tree, out, CONFIG)
    with building(plan):
        shard = plan.shards[0]
        write_faces(shard, (photo_faces(*work) for work in work_of(shard)))
        stats = json.loads(shard.stats_path.read_text())
        del stats["identities"]
        shard.stats_path.write_text(json.dumps(stats))
    build_records("300w_lp", synthetic_tree, out, CONFIG, workers=1)
    assert known(out) == known(built) == truth(out)
    assert parsed == [shard.name]
    assert not list(out.glob(".*"))
