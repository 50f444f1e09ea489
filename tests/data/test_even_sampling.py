"""Faces of rare skin tones are drawn more often: weights, draws, batches of a run."""

import dataclasses

import numpy as np
import pytest

from made_records import open_store
from runs import short
from senet_landmark.config import NO_AUGMENTATION
from senet_landmark.data.even_sampling import drawn, even_weights, tones_of
from senet_landmark.data.input_pipeline import BatchMaker
from senet_landmark.data.records import load_records_info
from senet_landmark.errors import InputError
from senet_landmark.face.geometry import CropSpec
from senet_landmark.training.setup import training_maker

TONES = np.array([-60.0] * 5 + [20.0] * 20 + [60.0] * 75 + [np.nan] * 10)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_groups_are_drawn_by_a_power_of_their_size(share):
    weights = even_weights(TONES, share)
    assert weights.mean() == pytest.approx(1) and (weights[100:] == 1).all()
    sums = np.array([weights[:5].sum(), weights[5:25].sum(), weights[25:100].sum()])
    powers = np.array([5.0, 20.0, 75.0]) ** (1 - share)
    np.testing.assert_allclose(sums / sums.sum(), powers / powers.sum())


def test_without_a_known_tone_all_are_drawn_equally():
    assert (even_weights(np.full(7, np.nan), 1.0) == 1).all()


def test_draws_are_the_weights_in_each_epoch():
    weights, generator = even_weights(TONES, 0.7), np.random.default_rng(0)
    places = np.arange(len(weights))
    counts = []
    for _ in range(200):
        epoch = drawn(weights, places, np.full(len(weights), generator.random()))
        counts.append(np.bincount(epoch, minlength=len(weights)))
        assert counts[-1].sum() == len(weights)
        # Never further from its weight than the next whole number.
        assert (np.abs(counts[-1] - weights) < 1).all()
    np.testing.assert_allclose(np.mean(counts, axis=0), weights, atol=0.12)


def test_equal_weights_draw_each_face_once(synthetic_records):
    maker = BatchMaker(open_store(synthetic_records), CropSpec(), (64, 64), NO_AUGMENTATION, 4)
    count = len(maker.store)
    equal = dataclasses.replace(maker, weights=np.ones(count))
    for step in range(count):
        np.testing.assert_array_equal(equal.indices(step), maker.indices(step))


def test_batches_draw_by_weight_and_by_seed_and_step_alone(synthetic_records):
    maker = BatchMaker(open_store(synthetic_records), CropSpec(), (64, 64), NO_AUGMENTATION, 4)
    count = len(maker.store)
    weights = np.where(np.arange(count) < 2, 3.0, (count - 6) / (count - 2))
    weighted = dataclasses.replace(maker, weights=weights)
    seen = np.concatenate([weighted.indices(step) for step in range(2 * count)])
    for epoch in np.split(seen, 8):
        found = np.bincount(epoch, minlength=count)
        assert (found[:2] == 3).all() and (found[2:] <= 1).all()
    assert len({tuple(epoch) for epoch in np.split(seen, 8)}) == 8
    np.testing.assert_array_equal(weighted.indices(5), seen[20:24])


def test_option_of_a_run(synthetic_records):
    info = load_records_info(synthetic_records)
    config = short("senet_small", batch_size=4, even_skin=1.0)
    maker = training_maker(config, synthetic_records, info)
    tones = tones_of(maker.store)
    assert np.isfinite(tones).mean() > 0.5 and np.ptp(tones[np.isfinite(tones)]) > 5
    np.testing.assert_array_equal(maker.weights, even_weights(tones, 1.0))
    assert training_maker(short("senet_small"), synthetic_records, info).weights is None


def test_share_is_checked(synthetic_records, tmp_path):
    from senet_landmark.training.train import train

    with pytest.raises(InputError, match=r"train.even_skin must be in \[0, 1\], not 2"):
        train(short("senet_small", even_skin=2.0), synthetic_records, tmp_path / "run")
