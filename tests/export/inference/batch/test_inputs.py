"""Which photos are inputs of `predict`, and the names of their results."""

import itertools
from pathlib import Path

import pytest

from senet_landmark.errors import InputError
from senet_landmark.export.inference.batch.inputs import (
    Input,
    Names,
    list_inputs,
)
from senet_landmark.export.inference.batch.lines import photo_key
from senet_landmark.io.folders import find_photos


def files_of(name, faces=3):
    """The names of a photo's files, with this many faces."""
    further = range(2, faces + 1)
    chips = {f"{name}_chip_{number}.png" for number in range(1, faces + 1)}
    return {f"{name}_landmarks.jpg", f"{name}.pts", *(f"{name}_{n}.pts" for n in further), *chips}


def given(paths, source="photos"):
    """The names that photos of one folder are given, in this order."""
    names = Names()
    return [names.give(Input(Path(source, path), Path(path), Path(source))) for path in paths]


def test_ordinary_names_are_those_of_the_photos():
    paths = ["a.jpg", "b.c.png", "deep/a.jpg", "img_001.jpg", "img_002.jpg", "x_2.jpg", "x_3.jpg"]
    assert given(paths) == [str(Path(path).with_suffix("")) for path in paths]


@pytest.mark.parametrize(
    "paths",
    [
        ("party.jpg", "party_2.jpg", "party_3.png"),
        ("a.jpg", "a.png", "a.jpg.png", "a.jpg_2.jpg", "A.JPG", "a_2.jpg"),
        ("x_2_3.jpg", "x_2.jpg", "x.jpg", "x.png", "x_2.png", "x.jpg_2.bmp"),
        ("é.jpg", "e\u0301.jpg", "É.png"),
    ],
)
def test_files_of_different_photos_never_meet(paths):
    for order in itertools.permutations(paths):
        names = given(order)
        files = [{file.casefold() for file in files_of(name)} for name in names]
        assert sum(map(len, files)) == len(set().union(*files)), names


def test_photos_of_one_name_in_several_folders():
    names = Names()
    sources = ["cam1", "cam2", "cam3", "more/cam2"]
    photos = [Input(Path(s, "clip.jpg"), Path("clip.jpg"), Path(s)) for s in sources]
    result = [names.give(photo) for photo in photos]
    assert result == ["clip", "cam2/clip", "cam3/clip", "cam2/clip.jpg"]


def test_names_that_were_given_before_stay_given():
    """Whatever was done first, each photo gets the name that it has in an undisturbed run."""
    paths = ["party.jpg", "party_2.jpg", "party.png", "party_4.png"]
    photos = [Input(Path("in", path), Path(path), Path("in")) for path in paths]
    expected = dict(zip(paths, given(paths, "in"), strict=True))
    for done in itertools.product([False, True], repeat=len(paths)):
        names = Names()
        for photo, is_done in zip(photos, done, strict=True):
            if is_done:
                key = photo_key(photo.path)
                names.take(expected[str(photo.relative)], key, photo_key("in"))
        for photo, is_done in zip(photos, done, strict=True):
            if not is_done:
                assert names.give(photo) == expected[str(photo.relative)]


def test_inputs_are_in_the_order_of_find_photos(tmp_path):
    for name in ("b.jpg", "a/x.png", "a/y/z.jpg", "a.jpg", "a-b/c.JPG", "Z.webp", "a/notes.txt"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).touch()
    sources = [tmp_path / "in" / "b.jpg", tmp_path / "in"]
    inputs = list(list_inputs(sources, tmp_path / "out"))
    assert [one.path for one in inputs] == find_photos(sources)
    assert [str(one.relative) for one in inputs[:2]] == ["b.jpg", "Z.webp"]


def test_results_in_a_source_are_left_out(tmp_path):
    for name in ("a.jpg", "out/old.jpg", ".landmarks.tmp/half.jpg", "b_landmarks.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    inputs = list_inputs([tmp_path], tmp_path / "out")
    # No run recorded that it wrote this picture, so it is a photo.
    assert [one.path.name for one in inputs] == ["a.jpg", "b_landmarks.jpg"]


def test_sources_that_are_wrong(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="no photo in this folder"):
        list(list_inputs([tmp_path], tmp_path / "out"))
    with pytest.raises(InputError, match="does not exist"):
        list(list_inputs([tmp_path / "gone.jpg"], tmp_path / "out"))
