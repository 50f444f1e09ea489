"""Weights of 8 bits."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

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
from converted import SHIPPED, contents, copy_of

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


def test_eight_bits(many_records, tmp_path, monkeypatch, capsys):
    """A third of the size, the head in float; what loses more than is allowed is refused."""
    model = copy_of(SHIPPED, tmp_path)
    monkeypatch.setattr(quantise, "ROUNDS", 3)
    command = ["convert", "--model", str(model), "--to", "tflite-int8"]
    command += ["--records", str(many_records)]
    assert main(command) == 0
    path = tmp_path / "m-int8.tflite"
    told = capsys.readouterr().out
    assert f"{path} (0.76 MB), with {path.with_suffix('.json')}" in told and "LiteRT" in told
    assert set(contents(tmp_path)) == {"m.pb", "m.json", "m-int8.tflite", "m-int8.json"}
    assert load_contract(model) == load_contract(SHIPPED)  # untouched
    contract = load_contract(path)
    own, exact = (contract.metrics[key] for key in quantise.METRICS)
    assert 0 < own <= 1.05 * exact
    # On the real photo: near the float model, but not the same numbers.
    photo, truth = portrait()
    box = geometry.box_from_landmarks(truth)[None]
    expected = Predictor().landmarks(photo, box, "landmarks")
    found = Predictor(path).landmarks(photo, box, "landmarks")
    apart = np.linalg.norm(found - expected, axis=2)
    assert 0.01 < apart.mean() < 0.5 and apart.max() < 2

    # With the head in eight bits too it loses more.
    (tmp_path / "whole").mkdir()
    whole = copy_of(SHIPPED, tmp_path / "whole")
    with monkeypatch.context() as patched:
        patched.setattr(quantise, "last_layers", lambda model: [])
        convert(whole, "tflite-int8", records=many_records)
    worse = load_contract(whole.with_name("m-int8.tflite")).metrics[quantise.METRICS[0]]
    assert worse - exact > 1.5 * (own - exact)
    shutil.rmtree(whole.parent)

    before = contents(tmp_path)
    monkeypatch.setattr(quantise, "TOLERANCE", 0.9)
    with pytest.raises(InputError, match=r"m-int8\.tflite: not written.* loses too much: NME on"):
        convert(model, "tflite-int8", records=many_records)
    assert contents(tmp_path) == before


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
