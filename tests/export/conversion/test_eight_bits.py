"""Weights of 8 bits."""

import contextlib
import io
import json
from dataclasses import replace

import numpy as np
import pytest

from converted import SHIPPED, contents, copy_of
from made_records import write_records
from senet_landmark.cli.app import main
from senet_landmark.data.records import load_records_info, parse_example
from senet_landmark.data.tfrecords import tfrecords_in
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.errors import InputError
from senet_landmark.export.conversion import quantise
from senet_landmark.export.conversion.convert import convert
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.face import geometry
from senet_landmark.frozen.contract import load_contract

pytest.importorskip("tf2onnx", reason="needs the extra [onnx]")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def many_records(synthetic_records, tmp_path_factory):
    """The synthetic records, those for training six times over in boxes that are moved."""
    folder = tmp_path_factory.mktemp("many")
    info = load_records_info(synthetic_records)
    generator = np.random.default_rng(0)
    names = {}
    for split, copies in (("train", 6), (info.held_out, 1)):
        records = []
        for shard in info.splits[split]:
            for _, data in tfrecords_in(synthetic_records / shard):
                record = parse_example(data)
                for _ in range(copies):
                    move = np.tile(generator.normal(0, 0.01, 2), 2).astype(np.float32)
                    records.append(replace(record, box=record.box + move))
        names[split] = [write_records(folder / f"{split}.tfrecords", records).name]
    report = json.loads((synthetic_records / "report.json").read_text())
    (folder / "report.json").write_text(json.dumps(report | {"splits": names}))
    return folder


@pytest.fixture(scope="module")
def quantised(many_records, tmp_path_factory):
    """(folder of the shipped model and of its 8 bits, what the command printed)."""
    folder, text = tmp_path_factory.mktemp("quantised"), io.StringIO()
    command = ["convert", "--model", str(copy_of(SHIPPED, folder)), "--to", "tflite-int8"]
    with pytest.MonkeyPatch.context() as patched, contextlib.redirect_stdout(text):
        patched.setattr(quantise, "ROUNDS", 3)
        assert main([*command, "--records", str(many_records)]) == 0
    return folder, text.getvalue()


def errors_of(model):
    """(in 8 bits, exact) as the contract has them."""
    metrics = load_contract(model).metrics
    return tuple(metrics[key] for key in quantise.METRICS)


def test_a_third_of_the_size_with_the_head_in_float(quantised):
    folder, told = quantised
    path = folder / "m-int8.tflite"
    assert f"{path} (0.76 MB), with {path.with_suffix('.json')}" in told and "LiteRT" in told
    assert set(contents(folder)) == {"m.pb", "m.json", "m-int8.tflite", "m-int8.json"}
    assert load_contract(folder / "m.pb") == load_contract(SHIPPED)  # untouched
    in_8_bits, exact = errors_of(path)
    assert 0 < in_8_bits <= 1.05 * exact
    # On the real photo: near the float model, but not the same numbers.
    photo, truth = portrait()
    box = geometry.box_from_landmarks(truth)[None]
    expected = Predictor().landmarks(photo, box, "landmarks")
    found = Predictor(path).landmarks(photo, box, "landmarks")
    apart = np.linalg.norm(found - expected, axis=2)
    assert 0.01 < apart.mean() < 0.5 and apart.max() < 2


def test_with_the_head_in_eight_bits_too_it_loses_more(
    quantised, many_records, tmp_path, monkeypatch
):
    monkeypatch.setattr(quantise, "ROUNDS", 3)
    monkeypatch.setattr(quantise, "last_layers", lambda model: [])
    path = convert(copy_of(SHIPPED, tmp_path), "tflite-int8", records=many_records).path
    in_8_bits, exact = errors_of(quantised[0] / "m-int8.tflite")
    assert errors_of(path)[0] - exact > 1.5 * (in_8_bits - exact)


def test_what_loses_too_much_is_refused_and_replaces_nothing(quantised, many_records, monkeypatch):
    folder, _ = quantised
    before = contents(folder)
    monkeypatch.setattr(quantise, "ROUNDS", 3)
    monkeypatch.setattr(quantise, "TOLERANCE", 0.9)
    with pytest.raises(InputError, match=r"m-int8\.tflite: not written.* loses too much: NME on"):
        convert(folder / "m.pb", "tflite-int8", records=many_records)
    assert contents(folder) == before


def test_last_layers_are_those_of_the_maps(formats, full_run, tmp_path):
    """Of maps their convolution and all that follows it; else what follows a full connection."""
    names = quantise.last_layers(formats["tflite"].path.read_bytes())
    assert {"landmarks", "variance", "senet/soft_argmax/Softmax"} <= set(names)
    assert sum("maps/Conv2D" in name for name in names) == 1
    assert not any("mix/" in name.rpartition(";")[2] for name in names)
    model = copy_of(full_run.model, tmp_path)
    path = convert(model, "tflite", records=full_run.records).path
    names = quantise.last_layers(path.read_bytes())
    assert "attributes" in names and not any("conv" in name.lower() for name in names)
    assert not any("coordinates/MatMul" in name for name in names)
