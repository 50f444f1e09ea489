"""`convert`: ONNX, TFLite, 8 bits and SavedModel give what the `.pb` and its checkpoint give."""

import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from made_records import write_records
from runs import SmallRun
from senet_landmark.cli.app import main
from senet_landmark.data.records import load_records_info, parse_example
from senet_landmark.data.tfrecords import tfrecords_in
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.errors import InputError
from senet_landmark.evaluation.metrics import nme
from senet_landmark.export.conversion import quantise
from senet_landmark.export.conversion.convert import convert, real_crops
from senet_landmark.export.conversion.saved_model import saved_model_engine
from senet_landmark.export.engines.registry import choose_engine, load_engine
from senet_landmark.export.freezing.freeze import freeze
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.face import geometry
from senet_landmark.face.schemes import get_scheme
from senet_landmark.frozen.contract import contract_path, load_contract
from senet_landmark.frozen.models import find_model
from senet_landmark.networks.model import build_model
from senet_landmark.networks.weights import assign_weights
from senet_landmark.presets import get_preset
from senet_landmark.training import checkpoints

pytestmark = pytest.mark.slow

pytest.importorskip("tf2onnx", reason="needs the extra [onnx]")

SHIPPED = find_model("senet-68")
SUFFIX = {"opencv.onnx": ".onnx", "onnxruntime": ".onnx", "tflite": ".tflite"}
ENGINES = ("opencv.pb", "opencv.onnx", "onnxruntime", "tflite", "tensorflow")
COUNTS = (1, 2, 5, 16)


def copy_of(model: Path, folder: Path, name: str = "m") -> Path:
    for suffix in (".pb", ".json"):
        shutil.copy(model.with_suffix(suffix), folder / f"{name}{suffix}")
    return folder / f"{name}.pb"


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


def large_photo():
    """The portrait at 1000 pixels, its landmarks, and their tight box."""
    photo, truth = portrait()
    factor = 1000 / photo.shape[0]
    large = cv2.resize(photo, (1000, 1000), interpolation=cv2.INTER_CUBIC)
    truth = (truth + 0.5) * factor - 0.5
    return large, truth, geometry.box_from_landmarks(truth)[None]


def engine_of(model: Path, name: str, threads: int = 0):
    """An engine on the very file that its label says."""
    contract = load_contract(model)
    if name == "opencv.pb":  # else it takes the .onnx beside
        contract = replace(contract, conversions={})
    path = model.with_suffix(SUFFIX.get(name, ".pb"))
    return load_engine(path, contract, name.partition(".")[0], threads)


def unfolded(model: Path, variables) -> dict[str, np.ndarray]:
    """A checkpoint's weights that give what a frozen model gives: batch norm undone."""
    nodes = tf.GraphDef.FromString(model.read_bytes()).node
    constants = {n.name: tf.make_ndarray(n.attr["value"].tensor) for n in nodes if n.op == "Const"}
    found = {}
    for variable in variables:
        scope, _, kind = (name := variable.op.name).rpartition("/")
        scope = scope.removesuffix("/BatchNorm")
        if kind in ("gamma", "moving_mean", "moving_variance"):
            value = {"gamma": np.sqrt(1 + 1e-3), "moving_mean": 0, "moving_variance": 1}[kind]
            found[name] = np.full(variable.shape.as_list(), value, np.float32)
            continue
        names = (name, f"{scope}/Conv2D_{'bn_offset' if kind == 'beta' else kind}")
        names += (f"{scope}/depthwise_bn_offset",)
        found[name] = next(constants[n] for n in names if n in constants)
    return found


@pytest.fixture(scope="module")
def real_run(synthetic_records, tmp_path_factory) -> SmallRun:
    """A run whose checkpoint has the weights that ship, and its frozen model."""
    folder = tmp_path_factory.mktemp("real")
    config = get_preset(load_contract(SHIPPED).training["preset"])
    info = load_records_info(synthetic_records)
    checkpoints.save_run(folder / "run", config, info, synthetic_records)
    with tf.Graph().as_default(), tf.Session() as session:
        build_model(config.network, 68, is_training=False)
        variables = slim.get_model_variables()
        assign_weights(session, unfolded(SHIPPED, variables), str(SHIPPED))
        saver = tf.train.Saver(variables)
        checkpoints.save_checkpoint(saver, session, folder / "run" / "best", 1)
    freeze(folder / "run", folder / "m.pb")
    return SmallRun(synthetic_records, folder / "run", folder / "m.pb")


@pytest.fixture(scope="module")
def formats(real_run):
    """Its model in all formats of 32 bits, each checked on the portrait's crops."""
    model = real_run.model
    return {"pb": model} | {to: convert(model, to) for to in ("onnx", "tflite", "savedmodel")}


EAGER = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np
import tensorflow as tf
from senet_landmark.frozen.contract import load_contract
from senet_landmark.export.engines.registry import load_engine
from senet_landmark.export.inference.predictor import Predictor

model, folder, given, out = sys.argv[1:]
assert tf.executing_eagerly()
values = np.load(given)
crops, photo, box = values["crops"], values["photo"], values["box"]
run = load_engine(model, load_contract(model), "tensorflow2")
with ThreadPoolExecutor(4) as pool:
    parts = list(pool.map(run, [crops[i : i + n] for i in range(4) for n in (1, 2, 5, 12)]))
signature = tf.saved_model.load(folder).signatures["serving_default"]
served = signature(image=tf.constant(crops, tf.float32))
whole = run(crops)
np.savez(
    out,
    parts=np.concatenate([part["landmarks"] for part in parts]),
    photo=Predictor(model, "tensorflow2", passes=1).landmarks(photo, box, "landmarks"),
    **whole,
    **{f"served_{name}": value.numpy() for name, value in served.items()},
)
assert tf.executing_eagerly()
"""


@pytest.fixture(scope="module")
def eager(formats, tmp_path_factory):
    """What a process of TensorFlow 2 makes of the `.pb` and the SavedModel."""
    folder = tmp_path_factory.mktemp("eager")
    crops = real_crops(load_contract(formats["pb"]))[:16]
    photo, _, box = large_photo()
    np.savez(folder / "given.npz", crops=crops, photo=photo, box=box)
    arguments = [formats["pb"], formats["savedmodel"].path, folder / "given.npz", folder / "o.npz"]
    done = subprocess.run(
        [sys.executable, "-c", EAGER, *map(str, arguments)],
        capture_output=True, text=True, cwd=folder, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return crops, dict(np.load(folder / "o.npz"))


# --- the same in all of them -----------------------------------------------------------------


@pytest.fixture(scope="module")
def of_checkpoint(real_run):
    """(photo, boxes) -> landmarks in photo pixels, by the graph that the checkpoint is of."""
    config, info, _ = checkpoints.load_run(real_run.run)
    weights, _, prefix = checkpoints.weights_of(real_run.run)

    def landmarks(photo, boxes):
        crop, transform = geometry.crop_face(photo, boxes[0], info.crop, (128, 128))
        with tf.Graph().as_default(), tf.Session() as session:
            model = build_model(config.network, 68, is_training=False)
            assign_weights(session, weights, prefix)
            found = session.run(model.landmarks, {model.image: crop[None]})
        return geometry.apply(geometry.invert(transform), found)

    return landmarks


def test_one_photo_has_the_same_landmarks_in_every_engine(formats, of_checkpoint, eager):
    """To half a pixel of a photo of 1000 pixels, and that with room to spare."""
    photo, truth, boxes = large_photo()
    expected = of_checkpoint(photo, boxes)
    assert nme(expected, truth[None], get_scheme("300w_68"))[0] < 0.05  # a real face
    found = {"tensorflow2": eager[1]["photo"]}
    for name in ENGINES:
        path = formats["pb"].with_suffix(SUFFIX.get(name, ".pb"))
        predictor = Predictor(path, name.partition(".")[0], passes=1)
        if name == "opencv.pb":
            predictor._run = engine_of(formats["pb"], name)
        found[name] = predictor.landmarks(photo, boxes, "landmarks")
    for name, landmarks in found.items():
        assert landmarks.shape == (1, 68, 2)
        assert np.abs(landmarks - expected).max() < 0.05, name


@pytest.mark.parametrize("name", ENGINES)
def test_threads_and_batches(formats, name):
    """From four threads at once, batches of any size give each face what it gets alone."""
    crops = real_crops(load_contract(formats["pb"]))[:16]
    expected = engine_of(formats["pb"], "tensorflow")(crops)
    run = engine_of(formats["pb"], name)
    parts = [(start, count) for count in COUNTS for start in (0, 7, 3, 11)]
    with ThreadPoolExecutor(4) as pool:
        every = list(pool.map(lambda part: run(crops[part[0] : sum(part)]), parts))
    for (start, count), found in zip(parts, every, strict=True):
        assert list(found) == list(expected)
        for key, values in found.items():
            wanted = expected[key][start : start + count]
            np.testing.assert_allclose(values, wanted, atol=1e-4, err_msg=f"{name} {key}")
    single = engine_of(formats["pb"], name, 1)(crops[:3])
    np.testing.assert_allclose(single["landmarks"], expected["landmarks"][:3], atol=1e-4)


def test_tensorflow_2_and_its_saved_model(formats, eager):
    crops, found = eager
    expected = engine_of(formats["pb"], "tensorflow")(crops)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-5)
        np.testing.assert_allclose(found[f"served_{name}"], values, atol=1e-5)
    parts = [crops[i : i + n] for i in range(4) for n in (1, 2, 5, 12)]
    order = np.concatenate([np.arange(i, i + n) for i in range(4) for n in (1, 2, 5, 12)])
    assert len(found["parts"]) == sum(map(len, parts))
    np.testing.assert_allclose(found["parts"], expected["landmarks"][order], atol=1e-5)


def test_tensorflow2_needs_eager_execution(formats):
    with pytest.raises(InputError, match=r"needs eager execution.*use the engine tensorflow"):
        Predictor(formats["pb"], "tensorflow2")


def test_opencv_without_its_tensorflow_importer_takes_the_onnx(formats, monkeypatch):
    model, crops = formats["pb"], real_crops(load_contract(formats["pb"]))[:3]
    expected = engine_of(model, "opencv.pb")(crops)
    monkeypatch.delattr(cv2.dnn, "readNetFromTensorflow")
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: find(n) if n == "cv2" else None)
    contract = load_contract(model)
    assert choose_engine(model, contract) == ("opencv", model.with_suffix(".onnx"))
    predictor = Predictor(model)
    assert predictor.engine == "opencv"
    found = predictor._run(crops)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-4)
    alone = replace(contract, conversions={})
    with pytest.raises(InputError, match=r"convert --model .*m\.pb --to onnx"):
        load_engine(model, alone, "opencv")


# --- what is written -------------------------------------------------------------------------


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


# --- 8 bits ----------------------------------------------------------------------------------


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
