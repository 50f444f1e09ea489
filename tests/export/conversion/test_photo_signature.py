"""The SavedModel's signature of photos gives what the predictor gives, in pixels of the photo."""

import base64
import io
import json
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

from changed_models import write_cropping
from converted import SHIPPED, copy_of, large_photo
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait, portrait_path
from senet_landmark.errors import InputError
from senet_landmark.export.conversion import photo_graph, photo_parity
from senet_landmark.export.conversion.convert import convert
from senet_landmark.export.conversion.saved_model import PHOTOS, signature_runner
from senet_landmark.export.freezing.freeze import freeze
from senet_landmark.export.freezing.old_tensorflow import newer_parts
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.face import geometry
from senet_landmark.frozen.contract import load_contract
from senet_landmark.frozen.models import find_model
from senet_landmark.io.images import decode_photo, encode_png
from senet_landmark.io.pts import read_pts

pytestmark = pytest.mark.slow

NEW_OPENCV = int(cv2.__version__.split(".")[0]) >= 5
TOLERANCE = 1e-4 if NEW_OPENCV else photo_parity.TOLERANCE
"""Of the crop's side, as docs/deployment.md has it."""

SERVER = """
import base64, json, sys
import tensorflow as tf

folder, requests, out = sys.argv[1:]
signatures = tf.saved_model.load(folder).signatures
answers = []
for request in json.load(open(requests)):
    signature = signatures[request["signature_name"]]
    inputs = {}
    for name, spec in signature.structured_input_signature[1].items():
        rows = [row[name] for row in request["instances"]]
        if spec.dtype == tf.string:
            rows = [base64.b64decode(row["b64"]) for row in rows]
        inputs[name] = tf.constant(rows, spec.dtype)
    outputs = {name: value.numpy().tolist() for name, value in signature(**inputs).items()}
    count = len(request["instances"])
    assert all(len(values) == count for values in outputs.values())
    rows = [{name: values[i] for name, values in outputs.items()} for i in range(count)]
    answers.append({"predictions": rows})
json.dump(answers, open(out, "w"))
"""
"""What TensorFlow Serving does with a request over REST ("RESTful API", row format): `{"b64": …}`
is bytes, a row has every named input, and every output has a value for each row."""


def served(folder, requests, tmp_path):
    """The answers of a fresh process of TensorFlow 2, which has nothing of this package."""
    (tmp_path / "requests.json").write_text(json.dumps(requests))
    paths = [folder, tmp_path / "requests.json", tmp_path / "answers.json"]
    done = subprocess.run(
        [sys.executable, "-I", "-c", SERVER, *map(str, paths)],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads((tmp_path / "answers.json").read_text())


def row(encoded, boxes=None):
    values = {"photo": {"b64": base64.b64encode(encoded).decode()}}
    return values if boxes is None else values | {"boxes": np.asarray(boxes).tolist()}


def request_of(*rows):
    return {"signature_name": PHOTOS, "instances": list(rows)}


def boxes_of(points):
    """Boxes of a face: its own, a larger, a smaller one beside, and one beyond the photo."""
    box = geometry.box_from_landmarks(points)
    moves = ((0.0, 0.0, 1.0), (0.1, -0.05, 1.4), (-0.1, 0.1, 0.8), (0.5, 0.6, 2.0))
    moved = [geometry.correct_box(box, geometry.BoxCorrection((x, y), (s, s))) for x, y, s in moves]
    return np.stack(moved).astype(np.float32)


def check(answer, encoded, boxes, model="senet-68"):
    """Whether the answer for a photo is the predictor's, relative to the crop's side."""
    faces = Predictor(model, passes=1).predict(encoded, np.asarray(boxes, float))
    assert len(answer["landmarks"]) == len(faces) == len(boxes)
    for i, (face, box) in enumerate(zip(faces, boxes, strict=True)):
        side = 1.25 * (box[2:] - box[:2]).max()
        found = np.array(answer["landmarks"][i])
        # A crop without a face, where the maps are flat, moves more for one level of a pixel.
        most = TOLERANCE if face.confidence > 0.5 else 10 * TOLERANCE
        assert np.abs(found - face.landmarks).max() < most * side
        assert answer["confidence"][i] == pytest.approx(face.confidence, abs=1e-3)
        assert np.abs(answer["uncertainty"][i] - face.uncertainty).max() < 0.01 * side


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    made = convert("senet-68", "savedmodel", tmp_path_factory.mktemp("models") / "senet-68" / "1")
    assert 0 < made.photos < TOLERANCE
    return made.path


def test_photos_of_people(saved_model, shared_data, tmp_path):
    folder = shared_data("300w/helen/testset")
    cases = []
    for path in sorted(folder.glob("*.jpg"))[:10]:
        cases.append((path.read_bytes(), boxes_of(read_pts(path.with_suffix(".pts")))))
    answers = served(saved_model, [request_of(*(row(*case) for case in cases))], tmp_path)
    assert len(answers[0]["predictions"]) == 10
    for answer, case in zip(answers[0]["predictions"], cases, strict=True):
        check(answer, *case)


def test_kinds_of_photos(saved_model, tmp_path):
    """A JPEG, PNGs: grey, with alpha, and large enough to be averaged first."""
    photo, truth = portrait()
    large, large_truth, _ = large_photo()
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    alpha = np.dstack([photo[..., ::-1], np.full(photo.shape[:2], 128, np.uint8)])
    kinds = [
        (portrait_path().read_bytes(), truth),
        (cv2.imencode(".png", grey)[1].tobytes(), truth),
        (cv2.imencode(".png", alpha)[1].tobytes(), truth),
        (encode_png(large), large_truth),
        (encode_png(cv2.resize(large, None, fx=2.5, fy=2.5)), (large_truth + 0.5) * 2.5 - 0.5),
    ]
    cases = [(encoded, boxes_of(points)) for encoded, points in kinds]
    none = {"signature_name": "serving_default", "instances": [{"image": [[[0] * 3] * 128] * 128}]}
    requests = [request_of(*(row(*case) for case in cases)), none]
    answers, crops = served(saved_model, requests, tmp_path)
    for answer, case in zip(answers["predictions"], cases, strict=True):
        check(answer, *case)
    assert np.array(crops["predictions"][0]["landmarks"]).shape == (68, 2)


def test_request_of_the_documents(saved_model, tmp_path, monkeypatch):
    from runs import REPOSITORY

    page = (REPOSITORY / "docs" / "deployment.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    (tmp_path / "photo.jpg").write_bytes(portrait_path().read_bytes())
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(program, names)
    request = json.loads(names["request"])
    (answer,) = served(saved_model, [request], tmp_path)[0]["predictions"]
    check(answer, portrait_path().read_bytes(), np.array(request["instances"][0]["boxes"]))
    assert answer["confidence"][0] > 0.9


# --- the parts of the graph -----------------------------------------------------------------------


@pytest.mark.parametrize("byte_order", [b"II", b"MM"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_photos_are_turned_upright_by_their_exif(kind, byte_order):
    with tf.Graph().as_default(), tf.Session() as session:
        encoded = tf.placeholder(tf.string, [])
        upright = photo_graph.decoded_upright(encoded)
        number = photo_graph.exif_orientation(encoded)
        image = Image.fromarray(portrait()[0][:100, :150])
        shapes = set()
        for orientation in (None, *range(10)):
            exif = Image.Exif()
            exif.endian = "<" if byte_order == b"II" else ">"
            exif[0x010F] = "maker"
            if orientation is not None:
                exif[0x0112] = orientation
            stream = io.BytesIO()
            image.save(stream, kind, exif=exif)
            data = stream.getvalue()
            found, read = session.run((upright, number), {encoded: data})
            assert read == (orientation if orientation in range(1, 9) else 1)
            if kind == "JPEG" or read == 1:  # not every release of OpenCV turns a PNG
                np.testing.assert_array_equal(found, decode_photo(data))
            shapes.add(found.shape)
        assert shapes == {(100, 150, 3), (150, 100, 3)}


@pytest.mark.parametrize(
    "crop",
    [
        {},
        {"margins": (0.0, 0.3, 0.1, -0.05)},
        {"square": False, "clip": True},
        {"fit": "inside", "clip": True},
        {"of": "photo", "margins": (0.0,) * 4, "fit": "inside"},
    ],
    ids=str,
)
def test_crops_are_those_of_geometry(crop, tmp_path):
    contract = load_contract(write_cropping(tmp_path / "m.pb", **crop))
    photo, truth = portrait()
    boxes = boxes_of(truth)
    whole = contract.crop.of == "photo"
    with tf.Graph().as_default() as graph, tf.Session() as session:
        given = None if whole else tf.constant(boxes[None])
        crops = photo_graph.photo_crops(tf.constant([encode_png(photo)]), given, contract)
        assert newer_parts(graph.as_graph_def(add_shapes=False)) == []  # for TensorFlow 1.15
        found, regions = session.run(crops)
    if whole:
        boxes = geometry.photo_box((photo.shape[1], photo.shape[0]))[None]
    for i, box in enumerate(boxes.astype(float)):
        expected, _ = geometry.crop_face(photo, box, contract.crop, contract.size)
        region = geometry.crop_box(box, contract.crop, (photo.shape[1], photo.shape[0]))
        np.testing.assert_allclose(regions[0, i], region, rtol=1e-12)
        difference = np.abs(found[i] - expected)
        if NEW_OPENCV:
            assert difference.max() <= 1 and difference.mean() < 0.01
        assert difference.mean() < 1 and expected.std() > 20


# --- other models, and bad input ------------------------------------------------------------------


def test_all_outputs_and_a_fixed_batch(full_run, tmp_path):
    made = convert(full_run.model, "savedmodel", tmp_path / "full")
    photo, truth = portrait()
    boxes = boxes_of(truth)
    run = signature_runner(made.path, PHOTOS)
    found = run({"photo": [encode_png(photo)], "boxes": boxes[None]})
    predictor = Predictor(full_run.model, "tensorflow", passes=1)
    expected = predictor.outputs(photo, boxes, "landmarks")
    assert set(found) - {"confidence", "uncertainty"} == set(expected) > {"landmarks", "pose"}
    for name, values in expected.items():
        np.testing.assert_allclose(found[name][0], values, rtol=1e-3, atol=0.1, err_msg=name)
    freeze(full_run.run, tmp_path / "two.pb", batch_size=2)
    made = convert(tmp_path / "two.pb", "savedmodel", records=full_run.records)
    assert made.photos is None
    with pytest.raises(InputError, match="has no signature photos, only serving_default"):
        signature_runner(made.path, PHOTOS)


def test_attributes_and_a_model_of_whole_photos(tmp_path):
    photo, truth = portrait()
    boxes, encoded = boxes_of(truth), portrait_path().read_bytes()
    made = convert("senet-68-attributes", "savedmodel", tmp_path / "attributes")
    found = signature_runner(made.path, PHOTOS)({"photo": [encoded], "boxes": boxes[None]})
    predictor = Predictor(find_model("senet-68-attributes"), passes=1)
    expected = predictor.outputs(photo, boxes, "landmarks")["attributes"]
    np.testing.assert_allclose(found["attributes"][0], expected, atol=1e-2)

    model = write_cropping(tmp_path / "whole.pb", of="photo", fit="inside", margins=(0.0,) * 4)
    made = convert(model, "savedmodel", tmp_path / "whole")
    small = encode_png(photo[20:200, 100:330])
    (answer,) = served(made.path, [request_of(row(small))], tmp_path)[0]["predictions"]
    faces = Predictor(model, passes=1).predict(small)
    np.testing.assert_allclose(answer["landmarks"][0], faces[0].landmarks, atol=230 * TOLERANCE)


def test_bad_requests_are_told(saved_model):
    run = signature_runner(saved_model, PHOTOS)
    photo = portrait_path().read_bytes()
    good = [[150, 60, 300, 210]]
    for encoded, boxes, message in (
        (b"no photo", good, "Unknown image file format"),
        (b"", good, "Input is empty"),
        (photo[:3000], good, "Invalid JPEG data"),
        (photo, [[150, 60, 150, 210]], "boxes: a face has at least 4 pixels a side. Give left"),
        (photo, [[150, float("nan"), 300, 210]], "boxes: a (face has|box is)"),
        (photo, [[5000, 60, 5300, 210]], "boxes: a box is outside of its photo"),
        (photo, [[0, 0, 1e9, 1e9]], "boxes: a box is far larger than its photo"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            run({"photo": [encoded], "boxes": [boxes]})
    with pytest.raises(tf.errors.InvalidArgumentError, match="boxes: a photo has at least one"):
        run({"photo": [photo, photo], "boxes": np.zeros((2, 0, 4))})
    assert run({"photo": [photo], "boxes": [good]})["confidence"][0, 0] > 0.9


def test_a_signature_that_differs_is_not_written(tmp_path, monkeypatch, capsys):
    model = copy_of(SHIPPED, tmp_path)
    run = photo_parity.signature_runner

    def shifted(folder, name):
        return lambda values: {n: v + 1 for n, v in run(folder, name)(values).items()}

    monkeypatch.setattr(photo_parity, "signature_runner", shifted)
    with pytest.raises(InputError, match=r"_savedmodel: not written. Its signature photos"):
        convert(model, "savedmodel")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.json", "m.pb"]
