"""`benchmarks/shipped/widen_model.py`: a wider network with the same outputs."""

import sys
from dataclasses import replace

import numpy as np
import pytest

import widen_model
from runs import short
from senet_landmark.config import NetworkConfig
from senet_landmark.errors import InputError
from senet_landmark.export.engines.registry import load_engine
from senet_landmark.frozen.contract import load_contract
from senet_landmark.frozen.models import find_model
from senet_landmark.frozen.thaw import thaw
from senet_landmark.training.checkpoints import weights_of
from senet_landmark.training.train import train

pytestmark = pytest.mark.slow


def widen(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["widen_model.py", *map(str, arguments)])
    widen_model.main()


@pytest.mark.parametrize(("name", "width"), [("senet-68-small", 0.4), ("senet-68-attributes", 1.1)])
def test_it_has_more_channels_and_the_same_outputs(name, width, tmp_path, monkeypatch, capsys):
    out = tmp_path / "wider.pb"
    widen(monkeypatch, name, "--width", width, "--out", out)
    assert f"equal to {name}.pb, landmarks to" in capsys.readouterr().out
    contract, old = load_contract(out), find_model(name)
    assert out.stat().st_size > 1.05 * old.stat().st_size
    crops = np.random.default_rng(3).integers(0, 256, (2, 128, 128, 3), dtype=np.uint8)
    outputs, expected = (
        load_engine(path, load_contract(path), "tensorflow")(crops) for path in (out, old)
    )
    assert contract.conversions == {} and outputs.keys() == expected.keys()
    for key, values in expected.items():
        np.testing.assert_allclose(outputs[key], values, atol=1e-4, err_msg=key)


def test_new_channels_learn(synthetic_records, tmp_path, monkeypatch):
    out, width = tmp_path / "wider.pb", 0.4
    widen(monkeypatch, "senet-68-small", "--width", width, "--out", out)
    options = {"batch_size": 4, "start_from": str(out), "ema_decay": 0.0}
    config = short("senet_small", steps=2, **options)
    config = replace(config, network=NetworkConfig(width=width))
    train(config, synthetic_records, tmp_path / "run")
    before, after = thaw(out, config.network)[0], weights_of(tmp_path / "run")[0]
    maps = "soft_argmax/maps/weights"
    (name,) = [key for key in after if key.endswith(maps)]
    old = thaw(find_model("senet-68-small"), NetworkConfig(width=0.375))[0][name].shape[2]
    assert not before[name][:, :, old:].any() and after[name][:, :, old:].any()


def test_depth_of_joined_features_is_refused(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"not written. It differs from .* in depth"):
        widen(monkeypatch, "senet-68-3d", "--width", 1.1, "--out", tmp_path / "wider.pb")
    assert not list(tmp_path.iterdir())


def test_narrower_or_other_networks_are_refused(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="is narrower than"):
        widen(monkeypatch, "senet-68-small", "--width", 0.2, "--out", tmp_path / "narrow.pb")
    weights, _ = thaw(find_model("senet-68-small"), NetworkConfig(width=0.375))
    with pytest.raises(InputError, match="is no layer of the old network"):
        widen_model.widened(weights, NetworkConfig(width=0.4, pose=True), 68)
    assert not list(tmp_path.iterdir())
