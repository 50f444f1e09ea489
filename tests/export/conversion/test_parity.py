"""Every format and engine gives what the `.pb` and its checkpoint give."""

import importlib.util
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from converted import large_photo
from senet_landmark.errors import InputError
from senet_landmark.evaluation.metrics import nme
from senet_landmark.export.conversion.convert import real_crops
from senet_landmark.export.engines.registry import choose_engine, load_engine
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.face import geometry
from senet_landmark.face.schemes import get_scheme
from senet_landmark.frozen.contract import load_contract
from senet_landmark.networks.model import build_model
from senet_landmark.networks.weights import assign_weights
from senet_landmark.training import checkpoints

pytest.importorskip("tf2onnx", reason="needs the extra [onnx]")

pytestmark = pytest.mark.slow

SUFFIX = {"opencv.onnx": ".onnx", "onnxruntime": ".onnx", "tflite": ".tflite"}


ENGINES = ("opencv.pb", "opencv.onnx", "onnxruntime", "tflite", "tensorflow")


COUNTS = (1, 2, 5, 16)


def engine_of(model: Path, name: str, threads: int = 0):
    """An engine on the very file that its label says."""
    contract = load_contract(model)
    if name == "opencv.pb":  # else it takes the .onnx beside
        contract = replace(contract, conversions={})
    path = model.with_suffix(SUFFIX.get(name, ".pb"))
    return load_engine(path, contract, name.partition(".")[0], threads)


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
            predictor._forward.run = engine_of(formats["pb"], name)
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
    found = predictor._forward.run(crops)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-4)
    alone = replace(contract, conversions={})
    with pytest.raises(InputError, match=r"convert --model .*m\.pb --to onnx"):
        load_engine(model, alone, "opencv")
