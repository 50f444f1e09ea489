"""Readers on published data: counts, points, visibility."""

import numpy as np
import pytest

from senet_landmark.data_tools.datasets.registry import (
    DATASETS,
    list_entries,
    load_photo,
    load_sample,
)
from senet_landmark.data_tools.datasets.samples import by_photo
from senet_landmark.face.pose import pose_of
from senet_landmark.face.schemes import SCHEMES


def samples_of(name, root, points="auto"):
    return [load_sample(name, entry) for entry in list_entries(name, root, points)]


@pytest.mark.parametrize(
    ("name", "folder", "counts"),
    [
        ("300w_lp", "300W_LP", {"AFW": 337, "HELEN": 870, "LFPW": 805}),
        ("300w", "300w/helen/testset", {"common": 330}),
        ("ytf", "ytf", {"training": 3006, "test": 669}),
        ("mtfl", "mtfl", {"training": 10000, "testing": 2995}),
        ("wflw", "wflw", {"largepose": 326}),
        ("aflw2000", "aflw2000", {"": 8}),
        ("dlib_xml", "groups", {"training_with_face_landmarks": 18}),
    ],
)
def test_counts_are_the_published_ones(shared_data, name, folder, counts):
    entries = list_entries(name, shared_data(folder))
    found = {}
    for entry in entries:
        found[entry.subset] = found.get(entry.subset, 0) + 1
    assert found == counts
    assert len({entry.source for entry in entries}) == len(entries)
    for entry in entries[:: max(len(entries) // 20, 1)]:
        sample = load_sample(name, entry)
        assert sample.landmarks.shape == (SCHEMES[entry.scheme].points, 2)
        assert sample.visible.shape == (SCHEMES[entry.scheme].points,)
        assert sample.attributes.shape == (len(DATASETS[name].attributes),)
        if name != "wflw":  # its photos are not at hand
            height, width = load_photo(name, entry).shape[:2]
            inside = (sample.landmarks > -0.2 * width) & (sample.landmarks < 1.2 * width)
            assert inside.mean() > 0.9, (entry.source, height, width)


def test_ytf_counts_pixels_from_one(shared_data):
    read, published = (
        load_sample("ytf", list_entries("ytf", shared_data("ytf"), points)[0]).landmarks
        for points in ("auto", "published")
    )
    np.testing.assert_array_equal(read + 1, published)


def test_ytf_parts_share_people_so_the_split_is_by_person(shared_data):
    entries = list_entries("ytf", shared_data("ytf"))
    people = {
        part: {e.identity for e in entries if e.subset == part} for part in ("training", "test")
    }
    assert len(people["training"]) == 302 and people["test"] <= people["training"]
    assert not any(entry.test for entry in entries)


def test_mtfl_classes_count_from_0_and_1_is_yes(shared_data):
    root = shared_data("mtfl")
    entries = list_entries("mtfl", root)
    first = load_sample("mtfl", entries[0])
    assert entries[0].source == "lfw_5590/Aaron_Eckhart_0001.jpg"
    assert entries[0].identity == "lfw_5590/Aaron_Eckhart"
    np.testing.assert_allclose(first.landmarks[:2], [[85.7, 86.9], [118.1, 90.5]], atol=1e-3)
    # `1 2 2 3`: male, not smiling, no glasses, frontal
    np.testing.assert_array_equal(first.attributes, [0, 0, 0, 2])
    assert {e.test for e in entries[:10000]} == {False} and entries[-1].test
    assert not {e.identity for e in entries if e.test} & {e.identity for e in entries if not e.test}


def test_wflw_formats(shared_data):
    root = shared_data("wflw")
    many, few = samples_of("wflw", root), samples_of("wflw", root, "68")
    assert many[0].scheme == "wflw_98" and few[0].scheme == "300w_68" and len(few) == 2500
    assert np.isnan(many[0].attributes).all() and many[0].box is None
    assert set(few[0].attributes) <= {0, 1} and few[0].box[2] > few[0].box[0]
    assert np.mean([sample.attributes for sample in few], axis=0) == pytest.approx(
        [326 / 2500, 314 / 2500, 698 / 2500, 206 / 2500, 736 / 2500, 773 / 2500], abs=0.002
    )  # the sizes of the published test subsets


def test_aflw2000_points_turned_away_are_invisible(shared_data):
    root = shared_data("aflw2000")
    for sample in samples_of("aflw2000", root):
        yaw = sample.pose[0]
        hidden = ~sample.visible
        assert hidden.sum() == 0 if abs(yaw) < 25 else hidden.sum() > 2
        if abs(yaw) > 50:
            left, right = hidden[:8].sum(), hidden[9:17].sum()
            assert (left > 4 > right) if yaw > 0 else (right > 4 > left)
        assert abs(pose_of(sample.landmarks, "300w_68")[0] - yaw) < 15
    for sample in samples_of("aflw2000", root, "pt2d"):
        assert sample.scheme == "aflw_21"
        np.testing.assert_array_equal(sample.visible, np.isfinite(sample.landmarks).all(axis=1))


def test_dlib_xml_has_several_faces_a_photo(shared_data):
    entries = list_entries("dlib_xml", shared_data("groups"))
    groups = by_photo(entries)
    assert len(groups) == 4 and sorted(len(group) for group in groups) == [2, 3, 6, 7]
    for sample in (load_sample("dlib_xml", entry) for entry in entries):
        centre = (sample.box[:2] + sample.box[2:]) / 2
        assert np.abs(sample.landmarks.mean(0) - centre).max() < sample.box[2] - sample.box[0]
