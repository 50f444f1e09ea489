"""Fine-tuning: first weights out of another run's, through the real graphs."""

import dataclasses

import numpy as np
import pytest

from fine_tuned import FULL, MAPS, TCDCN, begin, faces_of, maker_of, predict, save_run
from senet_landmark.errors import InputError
from senet_landmark.training import checkpoints
from senet_landmark.training.fine_tuning import initial_weights

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("network", "ema_decay"), [(MAPS, None), (TCDCN, 0.9), (TCDCN, 0.0)],
    ids=["senet", "tcdcn", "tcdcn_without_averages"],
)  # fmt: skip
def test_same_scheme_begins_where_the_start_ended(runs, synthetic_records, network, ema_decay):
    maker, run = maker_of(synthetic_records, network), runs(network)
    # What changes no variable may be another.
    changed = dataclasses.replace(network, weight_decay=0.0)
    weights, report = initial_weights(changed, maker, run)
    assert not report.initialised and not report.converted and set(report.origins) == {"same"}
    begun, step, checkpoint = checkpoints.weights_of(run)
    assert (report.step, report.checkpoint) == (step, checkpoint)
    # The training graph of senet takes 20 s to build; the cheap one has all that is special to it.
    shown = weights if ema_decay is None else begin(changed, maker, weights, ema_decay)
    images, _ = faces_of(synthetic_records, network)
    before, after = (predict(network, 68, w, images[:4]) for w in (begun, shown))
    np.testing.assert_array_equal(before["landmarks"], after["landmarks"])
    assert np.ptp(before["landmarks"], axis=0).max() > 1e-3  # the faces tell something


def test_start_may_be_a_checkpoint_with_averages(synthetic_records, tmp_path):
    run, maker = tmp_path / "run", maker_of(synthetic_records, TCDCN)
    save_run(run, TCDCN, synthetic_records)
    best, _ = initial_weights(TCDCN, maker, run)
    shown = begin(TCDCN, maker, best, save=run / "checkpoints")
    prefix = run / "checkpoints" / "model.ckpt-2"
    weights, report = initial_weights(TCDCN, maker, prefix)
    assert report.step == 2 and set(weights) == set(shown)
    for name, value in weights.items():
        np.testing.assert_array_equal(value, shown[name])
    assert (weights["tcdcn/shared/weights"] != best["tcdcn/shared/weights"]).any()
    (run / "config.json").unlink()
    with pytest.raises(InputError, match=r"model\.ckpt-2: has no config\.json"):
        initial_weights(TCDCN, maker, prefix)
    with pytest.raises(InputError, match="does not exist"):
        initial_weights(TCDCN, maker, tmp_path / "nowhere")


def test_heads_are_taken_where_they_fit(synthetic_records, tmp_path):
    def with_heads(network, *names):
        return dataclasses.replace(network, attributes=names)

    run, maker = tmp_path / "run", maker_of(synthetic_records, TCDCN)
    save_run(run, with_heads(TCDCN, "gender", "smile"), synthetic_records)
    begun, _, _ = checkpoints.weights_of(run)
    network = dataclasses.replace(with_heads(TCDCN, "glasses", "smile"), pose=True)
    weights, report = initial_weights(network, maker, run)
    parts = ("attribute_glasses", "pose")
    assert report.initialised == tuple(
        f"{p}/{kind}" for p in parts for kind in ("biases", "weights")
    )
    assert "anew: attribute_glasses, pose" in str(report)
    assert {"attribute_smile/weights", "tcdcn/shared/weights"} <= set(report.copied)
    assert not any("gender" in name for name in weights)
    smile = "attribute_smile/weights"
    np.testing.assert_array_equal(weights[smile], begun[smile])
    plain = {k: v for k, v in weights.items() if not k.startswith("attribute_")}
    shown = begin(dataclasses.replace(network, attributes=()), maker, plain)
    assert set(shown) - set(plain) == {"pose/biases", "pose/weights"}
    assert np.ptp(shown["pose/weights"]) > 0  # as initialised, and so is its average


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            dataclasses.replace(MAPS, width=0.25),
            r"width 0\.125.*stem/weights is \[3, 3, 3, 2\] there",
        ),
        (FULL, r"head soft_argmax.*head fc.*senet/fc/hidden/\w+ is not there"),
        (TCDCN, r"is a run of senet .*this run, of tcdcn .*tcdcn/conv_0/\w+ is not there"),
        (dataclasses.replace(TCDCN, batch_norm=True), "tcdcn .*batch_norm.* cannot start"),
    ],
    ids=["width", "head", "network", "batch_norm"],
)
def test_start_of_another_network_is_refused(runs, synthetic_records, network, message):
    with pytest.raises(InputError, match=message):
        initial_weights(network, maker_of(synthetic_records, network), runs(MAPS))
