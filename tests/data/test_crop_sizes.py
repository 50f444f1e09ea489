"""The size of a batch's crops in pixels of their photos."""

import dataclasses

import numpy as np
import pytest

from made_records import open_store, record_of, write_records
from senet_landmark.config import NO_AUGMENTATION, AugmentConfig
from senet_landmark.data.input_pipeline import BatchMaker, in_order
from senet_landmark.data.record_store import RecordStore
from senet_landmark.face.geometry import CropSpec

pytestmark = pytest.mark.slow


def test_crop_that_is_not_square_of_a_resized_record(tmp_path):
    """A record of 64 x 48 pixels that are 2 wide and 3 high in the photo."""
    points = np.random.default_rng(0).uniform(10, 40, (68, 2))
    record = record_of(points, "300w_68", size=(64, 48))
    region = np.array([10, 20, 10 + 2 * 64, 20 + 3 * 48], np.float32)
    path = write_records(tmp_path / "a", [dataclasses.replace(record, region=region)])
    spec = CropSpec(margins=(0.1, 0.3, 0.2, 0.1), square=False)
    maker = BatchMaker(RecordStore([path]), spec, (40, 50), NO_AUGMENTATION, 1)
    (size,) = maker.batch(0)["crop_size"]
    np.testing.assert_allclose(size, [0.6 * 128 * 1.3, 0.6 * 144 * 1.4], rtol=1e-6)


def test_distances_in_the_photo_survive_augmentation(synthetic_records):
    store = open_store(synthetic_records)
    strong = AugmentConfig(rotation=60, scale=0.3, box_jitter=0.1)
    maker = BatchMaker(
        store, CropSpec(), (64, 64), strong, len(store), shuffle=False, attributes=()
    )
    changed, plain = maker.batch(0), dataclasses.replace(maker, augment=NO_AUGMENTATION).batch(0)
    assert np.ptp(changed["crop_size"] / plain["crop_size"]) > 0.3

    def chins_to_brows(batch):  # the mirror image of a chin is the chin, of 27 the bridge
        points = batch["landmarks"] * batch["crop_size"][:, None]
        return np.linalg.norm(points[:, 8] - points[:, 27], axis=-1)

    np.testing.assert_allclose(chins_to_brows(changed), chins_to_brows(plain), rtol=1e-4)
    regions = [store.record(index).region for index in range(len(store))]
    points = np.stack([store.record(index).landmarks for index in range(len(store))])
    points *= np.array([region[2:] - region[:2] for region in regions])[:, None]
    wanted = np.linalg.norm(points[:, 8] - points[:, 27], axis=-1)
    np.testing.assert_allclose(chins_to_brows(plain), wanted, rtol=1e-4)


def test_some_records_are_drawn_evenly(synthetic_records):
    store = open_store(synthetic_records)
    maker = BatchMaker(store, CropSpec(), (32, 32), NO_AUGMENTATION, 3)
    every = np.concatenate([batch["landmarks"] for batch in in_order(maker)])

    def drawn(most, seed=0):
        parts = in_order(dataclasses.replace(maker, seed=seed), most)
        found = np.concatenate([batch["landmarks"] for batch in parts])
        return [int(np.flatnonzero((every == face).all((1, 2)))[0]) for face in found]

    assert drawn(0) == drawn(len(store)) == drawn(1000) == list(range(len(store)))
    seven = drawn(7)
    assert len(set(seven)) == 7 and seven == drawn(7) == sorted(seven)
    assert max(np.diff([-1, *seven, len(store)])) <= 2 * -(-len(store) // 7)
    assert len({tuple(drawn(7, seed)) for seed in range(5)}) > 1
