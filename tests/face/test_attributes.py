"""Attributes, the classes that PFLD weighs by, and probabilities by attribute."""

import numpy as np
import pytest

from senet_landmark.data_tools.datasets import mtfl, wflw
from senet_landmark.face.attributes import (
    ATTRIBUTES,
    face_classes,
    mirror_attributes,
    split_probabilities,
)

WFLW = ("large_pose", "expression", "illumination", "make_up", "occlusion", "blur")


MTFL = ("gender", "smile", "glasses", "head_pose")


UNKNOWN = np.full(3, np.nan)


def test_classes_of_wflw_are_its_special_subsets():
    plain = face_classes(np.zeros(6), WFLW, UNKNOWN)
    np.testing.assert_array_equal(plain, [0] * 10 + [1])  # in a class of its own
    special = face_classes(np.array([1, 0, 0, 0, 1, 0]), WFLW, UNKNOWN)
    np.testing.assert_array_equal(special, [1, 0, 0, 0, 1, 0] + [0] * 5)
    unknown = face_classes(np.full(6, np.nan), WFLW, np.zeros(3))
    np.testing.assert_array_equal(unknown, [0] * 7 + [1, 0, 0, 0])  # frontal, by its pose


def test_classes_of_mtfl_are_both_genders_smile_glasses_and_five_poses():
    smiling_man = face_classes(np.array([0, 1, 0, 2]), MTFL, UNKNOWN)
    np.testing.assert_array_equal(smiling_man, [1, 0, 1, 0, 0, 0, 1, 0, 0] + [0] * 5)
    woman_with_glasses = face_classes(np.array([1, 0, 1, 4]), MTFL, UNKNOWN)
    np.testing.assert_array_equal(woman_with_glasses, [0, 1, 0, 1, 0, 0, 0, 0, 1] + [0] * 5)


@pytest.mark.parametrize(
    ("pose", "classes"),
    [
        ((0, 0, 0), [0, 1, 0, 0, 0]),
        ((40, 0, 0), [1, 0, 0, 0, 0]),
        ((-40, 20, 0), [1, 0, 1, 0, 0]),
        ((5, -20, 90), [0, 1, 0, 1, 0]),
        (UNKNOWN, [0, 0, 0, 0, 1]),
    ],
)
def test_classes_of_data_without_attributes_are_of_the_pose(pose, classes):
    found = face_classes(np.zeros(0), (), np.array(pose))
    np.testing.assert_array_equal(found, classes)
    assert found.dtype == np.float32


@pytest.mark.parametrize("names", [WFLW, MTFL, ()])
def test_each_face_is_of_a_class(names):
    generator = np.random.default_rng(0)
    sizes = set()
    for _ in range(200):
        values = np.array([generator.integers(len(ATTRIBUTES[name].classes)) for name in names])
        values = np.where(generator.random(len(names)) < 0.2, np.nan, values)
        pose = np.where(generator.random() < 0.2, np.nan, generator.uniform(-90, 90, 3))
        found = face_classes(values, names, pose)
        assert set(found) <= {0, 1} and found.any()
        assert found[-1] == (not found[:-1].any())
        sizes.add(found.shape)
    assert len(sizes) == 1


def test_classes_of_a_mirrored_face_are_those_of_the_other_side():
    for head_pose in range(5):
        values = np.array([1, 0, 0, head_pose])
        classes = face_classes(values, MTFL, UNKNOWN)
        mirrored = face_classes(mirror_attributes(values, MTFL), MTFL, UNKNOWN)
        np.testing.assert_array_equal(mirrored[:4], classes[:4])
        np.testing.assert_array_equal(mirrored[4:9], classes[4:9][::-1])


def test_probabilities_are_split_by_attribute():
    values = np.arange(18).reshape(2, 9)
    parts = split_probabilities(values, ("smile", "head_pose", "gender"))
    assert list(parts) == ["smile", "head_pose", "gender"]
    np.testing.assert_array_equal(parts["smile"], values[:, :2])
    np.testing.assert_array_equal(parts["head_pose"], values[:, 2:7])
    np.testing.assert_array_equal(parts["gender"], values[:, 7:])


def test_mirrored_attributes():
    names = mtfl.ATTRIBUTES
    values = np.array([1, 0, 1, 0], np.float32)
    np.testing.assert_array_equal(mirror_attributes(values, names), [1, 0, 1, 4])
    for pose in [*range(5), np.nan]:
        values[3] = pose
        twice = mirror_attributes(mirror_attributes(values, names), names)
        np.testing.assert_array_equal(twice, values)
    assert set(wflw.ATTRIBUTES) <= set(ATTRIBUTES)
