"""The split: faces of one photo or person never on both sides."""

import dataclasses

from senet_landmark.data_tools.records.split import split_entries


def entries_of(views=4, photos=20):
    from pathlib import Path

    from senet_landmark.data_tools.datasets.samples import Entry

    return [
        Entry(Path(f"{p}_{v}.jpg"), f"{p}_{v}.jpg", f"photo{p}", (), "300w_68")
        for p in range(photos)
        for v in range(views)
    ]


def sides_of(entries, held_out=0.2, **options):
    split = split_entries(entries, held_out, **options)
    assert not split.leaking and not split.sides["test"]
    return split.sides["train"], split.sides["validation"]


def test_split_by_source_never_parts_a_photo_and_is_stable():
    entries = entries_of()
    training, held_out = sides_of(entries, seed=1)
    assert len(held_out) == 16 and len(training) == 64
    assert not {e.identity for e in training} & {e.identity for e in held_out}
    assert (training, held_out) == sides_of(entries[::-1], seed=1)
    assert held_out != sides_of(entries, seed=2)[1]


def test_split_by_view_leaks_as_the_original_did():
    training, held_out = sides_of(entries_of(), by="view")
    assert len(held_out) == 16
    assert {e.identity for e in training} & {e.identity for e in held_out}


def test_published_parts_are_kept_though_they_share_persons():
    entries = [
        dataclasses.replace(e, subset="test" if e.source.endswith("_3.jpg") else "training")
        for e in entries_of()
    ]
    split = split_entries(entries, 0.1, by="published")
    assert {e.subset for e in split.sides["test"]} == {"test"} and len(split.sides["test"]) == 20
    assert not split.leaking
    assert {e.subset for name in ("train", "validation") for e in split.sides[name]} == {"training"}
    assert len(split.sides["validation"]) == 6
    persons = [{e.identity for e in split.sides[name]} for name in ("train", "test")]
    assert persons[0] & persons[1]
