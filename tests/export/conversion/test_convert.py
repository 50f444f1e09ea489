"""What `convert` writes, and what it refuses."""

import hashlib
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from converted import SHIPPED, contents, copy_of, large_photo
from senet_landmark.cli.app import main
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.errors import InputError
from senet_landmark.export.conversion.convert import convert, real_crops
from senet_landmark.export.conversion.saved_model import saved_model_engine
from senet_landmark.export.engines.registry import load_engine
from senet_landmark.export.freezing.freeze import freeze
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.face import geometry
from senet_landmark.frozen.contract import contract_path, load_contract

pytest.importorskip("tf2onnx", reason="needs the extra [onnx]")

pytestmark = pytest.mark.slow


def test_contracts_know_their_files(formats, tmp_path):
    model = formats["pb"]
    contract = load_contract(model)
    assert set(contract.conversions) == {".onnx", ".tflite"}
    for to in ("onnx", "tflite"):
        made = formats[to]
        assert made.path == model.with_suffix(f".{to}") and made.contract == contract_path(model)
        digest = hashlib.sha256(made.path.read_bytes()).hexdigest()
        assert contract.conversions[made.path.suffix] == digest
        assert made.crops == 32 and 0 < max(made.differences.values()) < 1e-4
        assert made.megabytes == pytest.approx(made.path.stat().st_size / 1e6, abs=1e-3)
    assert formats["onnx"].checked_in == ("onnxruntime", "opencv")
    made = formats["savedmodel"]
    assert made.path == model.with_name("m_savedmodel")
    inside = json.loads((made.path / "assets.extra" / "contract.json").read_text())
    assert inside["sha256"] == contract.sha256 and inside["landmarks"]["name"] == "landmarks:0"
    found = saved_model_engine(made.path, contract)(real_crops(contract)[:2])
    assert list(found) == ["landmarks", "variance"]

    # Another place: a contract of its own, which both files share.
    out = tmp_path / "there" / "small.tflite"
    for path in (out, out.with_suffix(".onnx")):
        made = convert(model, path.suffix[1:], path)
        assert made.contract == out.with_suffix(".json")
    assert set(load_contract(out).conversions) == {".onnx", ".tflite"}
    photo, _, boxes = large_photo()
    one, two = (Predictor(p, passes=1).landmarks(photo, boxes, "landmarks") for p in (model, out))
    np.testing.assert_allclose(one, two, atol=0.05)
    assert set(load_contract(model).conversions) == {".onnx", ".tflite"}


def test_fixed_batch_is_converted(full_run, tmp_path):
    """TFLite's file takes one crop whatever the graph takes, and the others what it takes."""
    freeze(full_run.run, tmp_path / "three.pb", batch_size=3)
    contract = load_contract(tmp_path / "three.pb")
    crops = real_crops(contract)[:5]
    expected = load_engine(tmp_path / "three.pb", contract, "tensorflow")(crops)
    assert list(expected) == ["landmarks", "pose", "attributes"]
    for to in ("onnx", "tflite", "savedmodel"):
        made = convert(tmp_path / "three.pb", to, records=full_run.records)
        if to == "savedmodel":
            run = saved_model_engine(made.path, contract)
        else:
            run = load_engine(made.path, load_contract(made.path))
        for name, values in run(crops).items():
            np.testing.assert_allclose(values, expected[name], atol=1e-3, err_msg=f"{to} {name}")


def test_what_differs_or_fails_replaces_nothing(tmp_path, monkeypatch):
    model = copy_of(SHIPPED, tmp_path)
    folder = tmp_path / "m_savedmodel"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"older")
    for suffix in (".onnx", ".tflite"):
        model.with_suffix(suffix).write_bytes(b"older")
    before = contents(tmp_path)

    def same():
        assert contents(tmp_path) == before
        assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == [folder.name]
        assert sorted(p.name for p in folder.rglob("*")) == ["saved_model.pb", "variables"]

    def shifted(path, contract, name=None, threads=0):
        run = load_engine(path, contract, name, threads)
        move = 2e-4 if name == "tensorflow" else 0
        return lambda crops: {**(found := run(crops)), "landmarks": found["landmarks"] + move}

    with monkeypatch.context() as patch:
        patch.setattr("senet_landmark.export.conversion.convert.load_engine", shifted)
        for to in ("onnx", "savedmodel"):
            with pytest.raises(InputError, match=r"not written. It differs .* by 0\.0002 of the"):
                convert(model, to)
            same()
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "tf2onnx", None)
        with pytest.raises(InputError, match=r"ONNX needs tf2onnx: .*pip install"):
            convert(model, "onnx")
        same()
    with monkeypatch.context() as patch:
        failing = SimpleNamespace(convert=lambda: 1 / 0)
        patch.setattr("senet_landmark.export.conversion.quantise._converter", lambda *_: failing)
        with pytest.raises(InputError, match=r"m\.tflite: not written.*ZeroDivisionError"):
            convert(model, "tflite")
        same()


def test_bad_input_is_told(synthetic_records, tmp_path, capsys):
    model = copy_of(SHIPPED, tmp_path)
    (tmp_path / "other.pb").write_bytes(b"another model")
    digest = hashlib.sha256(b"another model").hexdigest()
    values = json.loads(contract_path(SHIPPED).read_text()) | {"sha256": digest}
    (tmp_path / "other.json").write_text(json.dumps(values))
    (tmp_path / "m.tflite").write_bytes(b"")
    (tmp_path / "report.json").write_text('{"faces": 3}')
    (tmp_path / "file_savedmodel").write_text("a file")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_text("a photo")
    for damaged, content in (("cut", model.read_bytes()[:5000]), ("json", model.read_bytes())):
        copy_of(model, tmp_path, damaged).write_bytes(content)
    contract_path(tmp_path / "json.pb").write_text('{"sha256": ')
    info = json.loads((synthetic_records / "report.json").read_text())
    (tmp_path / "five").mkdir()
    (tmp_path / "five" / "report.json").write_text(json.dumps(info | {"scheme": "mtfl_5"}))
    before = contents(tmp_path)
    for options, message in (
        (("none.pb", "onnx"), "no such model"),
        (("cut.pb", "onnx"), "SHA-256 differs"),
        (("other.pb", "onnx"), r"other\.pb: is not a frozen graph"),
        (("m.tflite", "onnx"), r"m\.tflite: give the \.pb"),
        (("json.pb", "tflite"), r"json\.json: is not valid JSON"),
        (("m.pb", "torch"), "Unknown format 'torch'. Known: onnx, tflite, tflite-int8, savedmodel"),
        (("m.pb", "onnx", "m.tflite"), r"--to onnx ends in \.onnx"),
        (("m.pb", "tflite", "m.onnx"), r"--to tflite ends in \.tflite"),
        (("m.pb", "tflite-int8", "m.tflite"), r"Give another name, as m-int8\.tflite"),
        (("m.pb", "onnx", "other.onnx"), r"would share other\.json with other\.pb"),
        (("m.pb", "onnx", "report.onnx"), r"would replace report\.json, which is no model's"),
        (("m.pb", "savedmodel", "m.pb"), "a SavedModel is a folder"),
        (("m.pb", "savedmodel", "file_savedmodel"), "exists, and is no SavedModel"),
        (("m.pb", "savedmodel", "photos"), "exists, and is no SavedModel"),
        (("m.pb", "tflite-int8"), "needs --records"),
        (("m.pb", "tflite-int8", None, synthetic_records), r"\d+ training faces; 8 bits need 100"),
        (("m.pb", "onnx", None, tmp_path / "five"), "has scheme mtfl_5, the model has 300w_68"),
        (("m.pb", "onnx", None, tmp_path / "nowhere"), "not a finished folder of records"),
    ):  # fmt: skip
        name, to, out, records = (*options, None, None)[:4]
        with pytest.raises(InputError, match=message):
            convert(tmp_path / name, to, out and tmp_path / out, records=records)
    assert contents(tmp_path) == before
    with pytest.raises(SystemExit) as end:
        main(["convert", "--model", str(model), "--to", "torch"])
    assert end.value.code == 2 and "onnx" in capsys.readouterr().err
    assert main(["convert", "--model", str(tmp_path / "cut.pb"), "--to", "onnx"]) == 2
    assert "error: " in capsys.readouterr().err


def test_command(tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit) as end:
        main(["convert", "--help"])
    assert end.value.code == 0
    assert "senet-landmark convert --model" in capsys.readouterr().out.split("For example:")[1]
    # A model that ships, by its name: what is made of it comes into the current folder.
    monkeypatch.chdir(tmp_path)
    before = contents(SHIPPED.parent)
    assert main(["convert", "--model", "senet-68", "--to", "tflite"]) == 0
    told = capsys.readouterr().out
    assert "senet-68.tflite (2.27 MB), with senet-68.json" in told
    assert "equal to senet-68 on 32 crops in LiteRT: landmarks to " in told
    assert contents(SHIPPED.parent) == before
    assert set(contents(tmp_path)) == {"senet-68.tflite", "senet-68.json"}
    photo, truth = portrait()
    box = geometry.box_from_landmarks(truth)[None]
    expected = Predictor().landmarks(photo, box, "landmarks")
    found = Predictor(tmp_path / "senet-68.tflite").landmarks(photo, box, "landmarks")
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_the_shipped_onnx_is_the_shipped_models(monkeypatch):
    contract = load_contract(SHIPPED)
    beside = {s for s in (".onnx", ".tflite") if SHIPPED.with_suffix(s).is_file()}
    assert set(contract.conversions) == beside == {".onnx"}
    crops = real_crops(contract)
    expected = load_engine(SHIPPED, contract, "tensorflow")(crops)
    for name in ("onnxruntime", "opencv"):
        found = load_engine(SHIPPED.with_suffix(".onnx"), contract, name)(crops)
        np.testing.assert_allclose(found["landmarks"], expected["landmarks"], atol=1e-5)


def test_crops_are_of_a_face_and_unlike():
    contract = load_contract(SHIPPED)
    crops = real_crops(contract)
    assert crops.shape == (32, 128, 128, 3) and crops.dtype == np.uint8
    found = load_engine(SHIPPED, contract, "tensorflow")(crops)["landmarks"]
    size = np.ptp(found, axis=1)
    assert (size > 0.4).all() and (size < 1.05).all()  # a face, in each
    assert np.ptp(size, axis=0).min() > 0.15  # of several sizes
    eyes = found[:, [36, 45], 1] - found[:, [36, 45], 1].mean(axis=1, keepdims=True)
    assert (eyes[::2, 0] * eyes[1::2, 0] < 0).all()  # the head leans; every second is mirrored
