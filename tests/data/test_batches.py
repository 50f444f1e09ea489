"""The input pipeline: batches depend on seed and step, and labels move with their faces."""

import dataclasses

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from made_records import open_store
from senet_landmark.config import (
    NO_AUGMENTATION,
    AugmentConfig,
)
from senet_landmark.data.input_pipeline import (
    BatchMaker,
    batches,
    in_order,
    shape_model_of,
    true_poses,
)
from senet_landmark.face.geometry import CropSpec
from senet_landmark.face.pose import pose_from_landmarks
from senet_landmark.face.shape_model import (
    asm_copy,
)

pytestmark = pytest.mark.slow


def test_batches_depend_on_seed_and_step_alone(synthetic_records):
    maker = BatchMaker(open_store(synthetic_records), CropSpec(), (128, 128), AugmentConfig(), 5)
    other = dataclasses.replace(maker, store=open_store(synthetic_records, cache_mb=0))
    for step in (3, 0, 7):
        one, two = maker.batch(step), other.batch(step)
        np.testing.assert_array_equal(one["image"], two["image"])
        np.testing.assert_array_equal(one["landmarks"], two["landmarks"])
    assert (maker.batch(0)["image"] != maker.batch(5)["image"]).any()
    seeded = dataclasses.replace(maker, seed=1)
    assert (seeded.batch(0)["image"] != maker.batch(0)["image"]).any()


def test_each_epoch_sees_each_face_once(synthetic_records):
    store = open_store(synthetic_records)
    maker = BatchMaker(store, CropSpec(), (128, 128), NO_AUGMENTATION, 4)
    seen = np.concatenate([maker.indices(step) for step in range(len(store))])
    for epoch in np.split(seen, 4):
        assert sorted(epoch) == list(range(len(store)))


def test_poses_turn_and_mirror_with_the_faces(synthetic_records):
    """On synthetic faces, whose pose is exact: the label fits the landmarks it comes with."""
    store = open_store(synthetic_records)
    strong = AugmentConfig(rotation=60, box_jitter=0)
    maker = BatchMaker(store, CropSpec(), (128, 128), strong, len(store), seed=2)
    plain = dataclasses.replace(maker, augment=NO_AUGMENTATION, shuffle=False)
    changed = dataclasses.replace(maker, shuffle=False)

    def fitted(batch):
        return np.array([pose_from_landmarks(points * 128) for points in batch["landmarks"]])

    before, after = plain.batch(0), changed.batch(0)
    rolls = fitted(after)[:, 2] - after["pose"][:, 2]
    assert np.abs(rolls).max() < 15
    assert np.abs(after["pose"][:, 2] - before["pose"][:, 2]).max() > 20
    yaw = fitted(after)[:, 0]
    assert np.corrcoef(yaw, after["pose"][:, 0])[0, 1] > 0.8
    assert np.corrcoef(yaw, before["pose"][:, 0])[0, 1] < 0.5  # half of the faces are mirrored


def test_attributes_and_classes_are_mirrored_with_the_faces(task_records):
    store = open_store(task_records)
    names = ("gender", "smile", "head_pose")
    mirrored = dataclasses.replace(NO_AUGMENTATION, mirror=True)
    maker = BatchMaker(
        store, CropSpec(), (64, 64), mirrored, len(store), shuffle=False, attributes=names
    )
    plain = dataclasses.replace(maker, augment=NO_AUGMENTATION).batch(0)
    batch = maker.batch(0)
    changed = batch["attributes"][:, 2] != plain["attributes"][:, 2]
    assert 0 < changed.sum() < len(store)
    flipped = (batch["image"] == plain["image"][:, :, ::-1]).all(axis=(1, 2, 3))
    np.testing.assert_array_equal(changed, flipped)
    for found in (plain, batch):
        np.testing.assert_array_equal(found["attributes"][:, 2] == 1, found["pose"][:, 0] > 0)
        assert found["classes"].any(axis=1).all()
        # gender's two classes, smiling, the five head poses, none.
        np.testing.assert_array_equal(found["classes"][:, 2], found["attributes"][:, 1])
        np.testing.assert_array_equal(found["classes"][:, 4], found["attributes"][:, 2] == 1)
    np.testing.assert_array_equal(batch["attributes"][:, :2], plain["attributes"][:, :2])


def test_asm_copies_are_of_the_faces_as_they_were_changed(synthetic_records):
    store = open_store(synthetic_records)
    shapes = shape_model_of(store, 0.9)
    maker = BatchMaker(store, CropSpec(), (64, 64), AugmentConfig(), 6)
    assert "asm_landmarks" not in maker.batch(0)
    batch = dataclasses.replace(maker, shape_model=shapes).batch(0)
    np.testing.assert_array_equal(batch["asm_landmarks"], asm_copy(shapes, batch["landmarks"]))
    distance = np.abs(batch["asm_landmarks"] - batch["landmarks"])
    assert 1e-4 < distance.mean() < 0.03  # near the truth, but smoother


def test_fitted_poses_turn_and_mirror_with_the_faces(synthetic_records):
    store = open_store(synthetic_records)
    strong = dataclasses.replace(NO_AUGMENTATION, mirror=True, rotation=30, rotation_step=5)
    maker = BatchMaker(
        store, CropSpec(), (64, 64), strong, len(store), poses=true_poses(store, "landmarks")
    )
    batch = maker.batch(0)
    fitted = np.array([pose_from_landmarks(points * 64) for points in batch["landmarks"]])
    # 11 points and those of `STABLE_POINTS` agree but roughly.
    assert np.abs(fitted - batch["pose"])[:, [0, 2]].mean() < 4


def test_dataset_resumes_where_it_was(synthetic_records):
    store = open_store(synthetic_records)
    maker = BatchMaker(store, CropSpec(), (128, 128), AugmentConfig(), 3)
    with tf.Graph().as_default(), tf.Session() as session:
        tensors = batches(maker, first_step=6)
        session.run(tf.tables_initializer())
        assert tensors["image"].shape.as_list() == [3, 128, 128, 3]
        for step in (6, 7, 8):
            np.testing.assert_array_equal(
                session.run(tensors["landmarks"]), maker.batch(step)["landmarks"]
            )


def test_validation_batches_are_every_face_in_order(synthetic_records):
    maker = BatchMaker(open_store(synthetic_records), CropSpec(), (128, 128), NO_AUGMENTATION, 9)
    parts = in_order(maker)
    assert [len(p["image"]) for p in parts] == [9, 9, 4]
    landmarks = np.concatenate([p["landmarks"] for p in parts])
    low, high = landmarks.min((1, 2)), landmarks.max((1, 2))
    np.testing.assert_allclose(low, 0.1, atol=0.01)  # the tight box, 0.125 of it from the edge
    np.testing.assert_allclose(high, 0.9, atol=0.01)


def maker_of(store, batch_size=8, augment=AugmentConfig(), **options):
    return BatchMaker(store, CropSpec(), (64, 64), augment, batch_size, **options)


def test_batches_begin_at_the_restored_global_step(synthetic_records):
    maker = maker_of(open_store(synthetic_records), 3)
    with tf.Graph().as_default(), tf.Session() as session:
        step = tf.train.get_or_create_global_step()
        landmarks = batches(maker, first_step=step.read_value(), threads=2)["landmarks"]
        session.run(tf.global_variables_initializer())
        for first in (6, 2):
            session.run(step.assign(first))
            session.run(tf.tables_initializer())
            for number in (first, first + 1, first + 2):
                np.testing.assert_array_equal(
                    session.run(landmarks), maker.batch(number)["landmarks"]
                )
