"""Depth in batches: in units of the box, through every change of a training face."""

import dataclasses

import numpy as np
import pytest

from made_records import changed_records, open_store
from runs import short
from senet_landmark.config import NO_AUGMENTATION, AugmentConfig, NetworkConfig
from senet_landmark.data.input_pipeline import BatchMaker
from senet_landmark.data.records import load_records_info
from senet_landmark.errors import InputError
from senet_landmark.face.geometry import CropSpec
from senet_landmark.face.pose import MEAN_FACE_3D
from senet_landmark.training.setup import training_maker

pytestmark = pytest.mark.slow


def maker_of(records, augment=NO_AUGMENTATION, **options):
    store = open_store(records)
    return BatchMaker(store, CropSpec(), (64, 64), augment, len(store), shuffle=False, **options)


def in_boxes(batch):
    """x, y and depth [N, 68, 3], all in units of the box, 0 at their means."""
    margin = 1 + 2 * CropSpec().margins[0]
    points = np.concatenate([margin * batch["landmarks"], batch["depth"][..., None]], axis=-1)
    return points - points.mean(axis=1, keepdims=True)


def test_depth_is_in_units_of_the_box_and_grows_away_from_the_camera(deep_records):
    points = in_boxes(maker_of(deep_records).batch(0))
    sides = np.ptp(points[..., :2], axis=1).max(axis=1)
    np.testing.assert_allclose(sides, 1, atol=1e-3)
    # Made faces are the mean face with other proportions: a rotation brings each near to it.
    mean = MEAN_FACE_3D - MEAN_FACE_3D.mean(axis=0)
    for face in points:
        u, scales, vt = np.linalg.svd(face.T @ mean)
        assert np.linalg.det(u @ vt) > 0  # with the other sign of depth it would be a mirror image
        turned = scales.sum() / (mean**2).sum() * mean @ (u @ vt).T
        assert np.linalg.norm(face - turned) < 0.2 * np.linalg.norm(face)


def test_depth_goes_with_the_face_through_every_change(deep_records):
    """A turned, zoomed, mirrored face in three dimensions is as rigid as before."""
    before = in_boxes(maker_of(deep_records).batch(0))
    strong = AugmentConfig(rotation=60, scale=0.3, box_jitter=0.1)
    batch = maker_of(deep_records, strong, seed=3).batch(0)
    after, mirror = in_boxes(batch), open_store(deep_records).scheme.mirror_index
    mirrored = 0
    for old, new in zip(before, after, strict=True):
        ways = {}
        for flipped, face in ((False, old), (True, old[mirror] * (-1, 1, 1))):
            u, scales, vt = np.linalg.svd(face[:, :2].T @ new[:, :2])
            zoom = scales.sum() / (face[:, :2] ** 2).sum()
            turned = face @ np.block([[u @ vt, np.zeros((2, 1))], [np.zeros((1, 2)), np.eye(1)]])
            ways[np.abs(zoom * turned - new).max()] = flipped
        assert min(ways) < 0.01
        mirrored += ways[min(ways)]
    assert 0 < mirrored < len(before)


def test_mirrored_twice_is_the_identity(deep_records):
    depth = maker_of(deep_records).batch(0)["depth"]
    index = open_store(deep_records).scheme.mirror_index
    np.testing.assert_array_equal(depth[:, index][:, index], depth)


def test_depth_is_unknown_where_a_data_set_has_none(synthetic_records, deep_records):
    assert np.isnan(maker_of(synthetic_records).batch(0)["depth"]).all()
    deep = dataclasses.replace(short(), network=NetworkConfig(depth=True))
    with pytest.raises(InputError, match="training faces has a known depth"):
        training_maker(deep, synthetic_records, load_records_info(synthetic_records))
    assert training_maker(deep, deep_records, load_records_info(deep_records))


def test_depth_of_more_records_goes_with_their_points(synthetic_records, deep_records, tmp_path):
    def other(split, number, record):
        return dataclasses.replace(record, identity=f"other {record.identity}")

    more = changed_records(deep_records, tmp_path / "more", other)
    options = short(more_records=(str(more),))
    maker = training_maker(options, synthetic_records, load_records_info(synthetic_records))
    depth = np.stack([maker.store.record(i).depth for i in range(len(maker.store))])
    own = len(depth) // 2
    assert np.isnan(depth[:own]).all() and np.isnan(depth[own:, :17]).all()
    assert np.isfinite(depth[own:, 17:]).all()
