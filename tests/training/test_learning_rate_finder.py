"""The learning-rate range test: its reading of losses, and the test itself on real batches."""

import json
from dataclasses import replace

import numpy as np
import pytest

from runs import short
from senet_landmark.cli import app
from senet_landmark.data.records import load_records_info
from senet_landmark.errors import InputError
from senet_landmark.io.images import read_photo
from senet_landmark.training import learning_rate_finder as finder
from senet_landmark.training.learning_rate_finder import averaged, find_learning_rate, range_test
from senet_landmark.training.setup import training_maker

pytestmark = pytest.mark.slow

RATES = np.geomspace(1e-6, 1, 100).tolist()


def falling_at(rate: float, noise: float = 0.0, blows_up_at: float = 1e9) -> list[float]:
    """Losses from 40 to 10 that fall fastest, for a factor of the rate, at `rate`."""
    places = np.log10(np.array(RATES) / rate)
    losses = 10 + 30 / (1 + np.exp(3 * places))
    losses += np.random.default_rng(3).normal(0, noise, len(RATES))
    losses[np.array(RATES) >= blows_up_at] *= 50
    return losses.tolist()


@pytest.mark.parametrize("rate", [1e-4, 2e-3, 3e-2])
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_the_suggestion_is_where_the_loss_falls_fastest(rate, noise):
    found = range_test(RATES, falling_at(rate, noise))
    assert abs(np.log10(found.suggested / rate)) < (0.35 if noise else 0.07)  # a step is 0.06
    assert found.lowest_at > 3 * rate


def test_the_curve_is_drawn_over_the_marks_and_the_preset_s_is_below(monkeypatch, tmp_path):
    drawn = []
    chart = finder._chart
    monkeypatch.setattr(finder, "_chart", lambda *a: drawn.append(chart(*a)) or drawn[0])
    found = range_test(RATES, falling_at(2e-3))
    config = short()
    same = replace(config, schedule=replace(config.schedule, initial=found.suggested))
    finder.save_range_test(tmp_path, found, same)
    lines = drawn[0].axes[0].get_lines()
    marks = {line.get_label().split(" ")[0]: line for line in lines if line.get_label()[0] != "_"}
    assert list(marks["preset"].get_xdata()) == list(marks["falls"].get_xdata())
    order = [marks[name].get_zorder() for name in ("preset", "lowest", "falls")]
    curves = [line.get_zorder() for line in lines if len(line.get_xdata()) == len(RATES)]
    assert order == sorted(order) and len(curves) == 2 and min(curves) > max(order)
    assert marks["preset"].get_linewidth() > marks["falls"].get_linewidth()


def test_the_loss_s_unit_does_not_matter():
    losses = falling_at(2e-3, 0.3)
    assert (
        range_test(RATES, [1000 * loss for loss in losses]).suggested
        == range_test(RATES, losses).suggested
    )


@pytest.mark.parametrize("end", [float("inf"), float("nan")])
def test_what_comes_after_the_loss_blew_up_does_not_count(end):
    losses = falling_at(1e-3, blows_up_at=0.1)
    last = next(n for n, rate in enumerate(RATES) if rate > 0.3)
    found = range_test(RATES[: last + 1], [*losses[:last], end])
    assert found.suggested == pytest.approx(1e-3, rel=0.3)
    assert 1e-2 < found.lowest_at < 0.1
    assert len(found.rates) == len(found.losses) == len(found.smoothed) == last
    assert np.isfinite(found.losses).all()


@pytest.mark.parametrize(
    "losses",
    [
        [30.0] * 100,
        np.linspace(10, 60, 100).tolist(),
        np.random.default_rng(1).normal(30, 1, 100).tolist(),
        [float("nan")] * 100,
    ],
)
def test_a_loss_that_does_not_fall_is_told(losses):
    with pytest.raises(InputError, match=r"falls nowhere between the rates 1\.0e-06 and 1\.0e\+00"):
        range_test(RATES, losses)


def test_the_average_is_true_from_its_first_value_on():
    assert averaged([7.0] * 5) == pytest.approx([7.0] * 5)
    # Weights 1, then 0.8 : 1 as Adam's first two moments have them.
    assert averaged([1.0, 4.0])[1] == pytest.approx((0.8 * 1 + 4) / 1.8)


@pytest.fixture(scope="module")
def found(synthetic_records, tmp_path_factory):
    """(exit status, folder) of the command on synthetic faces of one real portrait."""
    out = tmp_path_factory.mktemp("rates") / "out"
    status = app.main(
        [
            "find-learning-rate", "--preset", "tcdcn_landmarks",
            "--records", str(synthetic_records),
            "--out", str(out), "--lowest", "1e-7", "--highest", "1", "--steps", "40",
            "--train.batch-size", "8",
        ]
    )  # fmt: skip
    return status, out


def test_a_real_range_test(found):
    status, out = found
    assert status == 0
    told = json.loads((out / "learning_rate.json").read_text())
    rates, losses = np.array(told["rates"]), np.array(told["losses"])
    assert rates[0] == pytest.approx(1e-7)
    assert np.ptp(np.diff(np.log(rates))) < 1e-6
    assert len(rates) == len(losses) == len(told["smoothed"]) < 40  # it blew up before the end
    # Hardly anything is learnt at 1e-7, a lot further on.
    assert min(losses) < 0.6 * np.mean(losses[:5])
    assert losses[-1] > 2 * np.mean(losses[:5])
    assert 1e-5 < told["suggested"] < told["lowest_at"] < rates[-1]
    assert told["preset"] == "tcdcn_landmarks"
    assert told["batch_size"] == 8
    picture = read_photo(out / "learning_rate.png")
    assert picture.shape[0] > 400
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20


def test_the_same_seed_gives_the_same_losses(synthetic_records):
    config = short("tcdcn_landmarks")
    maker = training_maker(config, synthetic_records, load_records_info(synthetic_records))
    losses = finder._losses(config, maker, [1e-12] * 3, progress=False)
    assert losses == finder._losses(config, maker, [1e-12] * 3, progress=False)
    assert losses != finder._losses(config, maker, [1e-3] * 3, progress=False)
    assert len(losses) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lowest": 0.0}, "Rates must rise from above 0"),
        ({"lowest": 1e-2, "highest": 1e-3}, "Rates must rise"),
        ({"steps": 19}, "20 steps or more, not 19"),
    ],
)
def test_values_that_make_no_test_are_refused(synthetic_records, options, message):
    with pytest.raises(InputError, match=message):
        find_learning_rate(short(), synthetic_records, **options)
