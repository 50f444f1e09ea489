"""Training on several folders of records; evaluation on the people that none of them showed."""

import dataclasses

import numpy as np
import pytest

from made_records import changed_records, open_store
from runs import plain, short
from senet_landmark.data.records import load_records_info
from senet_landmark.errors import InputError
from senet_landmark.export.evaluation.face_sources import faces_at
from senet_landmark.training.setup import training_maker
from senet_landmark.training.train import train


def maker_with(records, *more):
    config = short(more_records=tuple(str(folder) for folder in more))
    return training_maker(config, records, load_records_info(records))


def sources(maker):
    return [maker.store.record(i).source for i in range(len(maker.store))]


@pytest.fixture(scope="module")
def others(synthetic_records, tmp_path_factory):
    """The same faces as of other people, with an attribute of which the run's own have none."""
    return changed_records(
        synthetic_records,
        tmp_path_factory.mktemp("more") / "records",
        lambda split, number, record: dataclasses.replace(
            record,
            identity=f"other {record.identity}",
            source=f"other {record.source}",
            attributes=np.array([1, number % 2], np.float32),
        ),
        attributes=["gender", "smile"],
    )


def test_faces_are_added_and_a_folder_named_twice_counts_twice(synthetic_records, others):
    own = sources(maker_with(synthetic_records))
    more = [f"other {source}" for source in own]
    assert sources(maker_with(synthetic_records, others)) == own + more
    assert sources(maker_with(synthetic_records, others, others)) == own + more + more


def test_held_out_identities_are_kept_out(synthetic_records, tmp_path):
    """The held-out faces of the run's own records are training faces of the further ones."""
    info = load_records_info(synthetic_records)
    swapped = changed_records(
        synthetic_records,
        tmp_path / "swapped",
        lambda split, number, record: record,
        splits={"train": info.splits[info.held_out], info.held_out: info.splits["train"]},
    )
    held_out = open_store(synthetic_records, info.held_out)
    assert len(held_out) and len(open_store(swapped)) == len(held_out)
    assert sources(maker_with(synthetic_records, swapped)) == sources(maker_with(synthetic_records))


def test_attributes_are_told_by_their_names(synthetic_records, others, tmp_path):
    plain = maker_with(synthetic_records, others)
    assert all(plain.store.record(i).attributes.size == 0 for i in range(len(plain.store)))
    turned = changed_records(
        others,
        tmp_path / "turned",
        lambda split, number, record: dataclasses.replace(
            record, attributes=np.array([number % 2], np.float32)
        ),
        attributes=["smile"],
    )
    maker = maker_with(others, turned)
    count = len(maker.store) // 2
    values = np.stack([maker.store.record(i).attributes for i in range(2 * count)])
    np.testing.assert_array_equal(values[:count, 1], values[count:, 1])
    assert np.isfinite(values[:count]).all() and np.isnan(values[count:, 0]).all()


def test_attribute_that_no_face_tells_is_refused(synthetic_records, tmp_path):
    def untold(split, number, record):
        return dataclasses.replace(record, attributes=np.array([1, np.nan], np.float32))

    names = ["gender", "smile"]
    records = changed_records(synthetic_records, tmp_path / "r", untold, attributes=names)
    info = load_records_info(records)
    config = short()
    for asked in (("gender",), ("smile", "gender")):
        network = dataclasses.replace(config.network, attributes=asked)
        config = dataclasses.replace(config, network=network)
        if "smile" in asked:
            with pytest.raises(InputError, match="training faces has a value for smile"):
                training_maker(config, records, info)
        else:
            assert training_maker(config, records, info).attributes == info.attributes


def test_records_that_do_not_go_together_are_refused(synthetic_records, others, tmp_path):
    crop = dataclasses.asdict(load_records_info(others).records)
    crop["crop"]["margins"] = [0.1] * 4
    wider = changed_records(
        others, tmp_path / "wider", lambda split, number, record: record, records=crop
    )
    for more, message in ((wider, "wider: its crop"), (tmp_path / "none", "none: no report.json")):
        with pytest.raises(InputError, match=message):
            maker_with(synthetic_records, more)


def test_contour_of_the_other_convention_is_unknown(synthetic_records, others, tmp_path):
    jaw = changed_records(
        others,
        tmp_path / "jaw",
        lambda split, number, record: dataclasses.replace(record, scheme="300w_68_3d"),
        scheme="300w_68_3d",
    )
    maker = maker_with(synthetic_records, jaw)
    assert maker.store.scheme.name == "300w_68"
    own = len(maker.store) // 2
    for index in (0, own):
        record = maker.store.record(index)
        unknown = np.isnan(record.landmarks).any(axis=1)
        assert unknown.tolist() == [index == own] * 17 + [False] * 51
        assert not record.visible[unknown].any()
    batch = maker.batch(0)
    assert np.isfinite(batch["image"]).all() and np.isfinite(batch["landmarks"][:, 17:]).all()
    five = changed_records(
        others,
        tmp_path / "five",
        lambda split, number, record: dataclasses.replace(
            record, scheme="mtfl_5", landmarks=record.landmarks[:5], visible=record.visible[:5]
        ),
        scheme="mtfl_5",
    )
    with pytest.raises(InputError, match="five: its scheme mtfl_5 cannot be converted to 300w_68"):
        maker_with(synthetic_records, five)


def test_run_trains_on_all_and_does_not_go_on_with_less(synthetic_records, others, tmp_path):
    both = plain(steps=2, more_records=(str(others),))
    assert train(both, synthetic_records, tmp_path / "run").steps == 2
    with pytest.raises(InputError, match="another configuration"):
        train(plain(steps=4), synthetic_records, tmp_path / "run")


def test_photos_unseen_by_records_are_of_other_identities(
    synthetic_tree, synthetic_records, others, tmp_path
):
    every = faces_at("300w_lp", synthetic_tree).entries()
    assert len(faces_at("300w_lp", synthetic_tree, unseen_by=[others]).entries()) == len(every)
    with pytest.raises(InputError, match="every face"):
        faces_at("300w_lp", synthetic_tree, unseen_by=[synthetic_records]).entries()
    info = load_records_info(synthetic_records)
    tested = changed_records(
        synthetic_records,
        tmp_path / "tested",
        lambda split, number, record: record,
        splits={"train": info.splits["train"], "test": info.splits[info.held_out]},
    )
    left = faces_at("300w_lp", synthetic_tree, unseen_by=[tested]).entries()
    held_out = open_store(synthetic_records, info.held_out)
    assert {entry.identity for entry in left} == {
        held_out.record(i).identity for i in range(len(held_out))
    }
