"""A model with depth: frozen, in every engine, on photos, in files."""

import json

import numpy as np
import pytest

from runs import PB_ENGINES, short
from schema import check_results
from senet_landmark.cli.commands.model import print_figures
from senet_landmark.compat import face_alignment
from senet_landmark.data_tools.datasets.registry import list_entries, load_sample
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait, portrait_path
from senet_landmark.errors import InputError
from senet_landmark.export.conversion.convert import convert
from senet_landmark.export.conversion.quantise import last_layers
from senet_landmark.export.engines.registry import load_engine
from senet_landmark.export.evaluation.evaluate import evaluate_models
from senet_landmark.export.evaluation.face_sources import Photos, Records
from senet_landmark.export.freezing.freeze import freeze
from senet_landmark.export.inference import writers
from senet_landmark.export.inference.face import Face
from senet_landmark.export.inference.predict import predict_photos
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.face.geometry import box_from_landmarks
from senet_landmark.face.pose import MEAN_FACE_3D, rotation_matrix
from senet_landmark.face.schemes import TRUE_JAW, get_scheme
from senet_landmark.frozen.contract import load_contract
from senet_landmark.training.train import train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(deep_records, tmp_path_factory):
    """A run of two steps, frozen."""
    folder = tmp_path_factory.mktemp("deep")
    result = train(short("senet_3d", steps=2), deep_records, folder / "run")
    assert result.figures["depth_mae"] > 0
    frozen = freeze(folder / "run", folder / "model.pb")
    assert frozen.differences["depth"] < 1e-4
    return folder / "model.pb"


def test_every_engine_gives_the_depth(model):
    contract = load_contract(model)
    assert contract.depth.name == "depth:0" and contract.depth.shape == (-1, 68)
    crops = np.random.default_rng(0).integers(0, 256, (3, 128, 128, 3), dtype=np.uint8)
    expected = load_engine(model, contract, "tensorflow")(crops)["depth"]
    assert expected.shape == (3, 68) and np.ptp(expected, axis=0).max() > 1e-4
    found = [load_engine(model, contract, name)(crops) for name in PB_ENGINES]
    for suffix in ("onnx", "tflite"):
        made = convert(model, suffix)
        assert made.differences["depth"] < 1e-4
        found.append(load_engine(made.path, load_contract(made.path))(crops))
    for outputs in found:
        np.testing.assert_allclose(outputs["depth"], expected, atol=1e-4)
    # In 8 bits the head stays exact, and the network below it does not.
    exact = last_layers(model.with_suffix(".tflite").read_bytes())
    assert "depth" in exact and any("depth/hidden" in name for name in exact)
    assert not any("block_" in name for name in exact)


class OneFace:
    """An engine that sees the mean face, turned, in every crop."""

    def __init__(self, contract, angles):
        face = MEAN_FACE_3D @ rotation_matrix(*angles).T
        low, high = face[:, :2].min(axis=0), face[:, :2].max(axis=0)
        side = (high - low).max() * (1 + 2 * contract.crop.margins[0])
        self.landmarks = ((face[:, :2] - (low + high) / 2) / side + 0.5).astype(np.float32)
        self.depth = (face[:, 2] / (high - low).max() + 0.3).astype(np.float32)

    def __call__(self, crops):
        values = {"landmarks": self.landmarks, "depth": self.depth, "variance": np.full(68, 1e-4)}
        return {name: np.stack([value] * len(crops)) for name, value in values.items()}


@pytest.mark.parametrize("roll", [0, 90, -135])
def test_face_in_three_dimensions_is_in_pixels_of_the_photo(model, monkeypatch, roll):
    """The same face whichever way the crop was turned; its pose turns with it."""
    predictor = Predictor(model, passes=1)
    angles = (30.0, -10.0, 0.0)
    monkeypatch.setattr(predictor._forward, "run", OneFace(predictor.contract, angles))
    box = np.array([[100.0, 150, 300, 350]])  # 200 pixels, of any roll
    (face,) = predictor.predict(portrait()[0], box, roll=np.array([float(roll)]))
    assert face.scheme == TRUE_JAW and face.landmarks_3d.shape == (68, 3)
    assert face.landmarks_3d.dtype == face.depth.dtype == np.float32
    assert face.depth.mean() == pytest.approx(0, abs=1e-3)
    whole = rotation_matrix(0, 0, roll) @ rotation_matrix(*angles)
    model_points = MEAN_FACE_3D @ whole.T
    upright = (MEAN_FACE_3D @ rotation_matrix(*angles).T)[:, :2]
    scale = 200 / np.ptp(upright, axis=0).max()
    centred = face.landmarks_3d - face.landmarks_3d.mean(axis=0)
    expected = scale * (model_points - model_points.mean(axis=0))
    np.testing.assert_allclose(centred, expected, atol=0.05)
    np.testing.assert_allclose(rotation_matrix(*face.pose_3d.tolist()), whole, atol=1e-3)


def test_model_without_depth_gives_none(shipped):
    face = shipped.predict(portrait_path())[0]
    assert face.depth is None and face.landmarks_3d is None and face.pose_3d is None
    assert "depth" not in writers.face_json(face)


def test_evaluation_measures_the_depth(model, deep_records, synthetic_tree, tmp_path, capsys):
    """On the photos and on their records alike; the other scheme shares the inner points."""
    photos = evaluate_models(
        [model], Photos("300w_lp", synthetic_tree, "pts_3d"), tmp_path / "photos"
    )
    page = (tmp_path / "photos" / "evaluation.html").read_text()
    assert 'id="depth_error"' in page
    print_figures(photos)
    assert "in three dimensions, mean error: depth " in capsys.readouterr().out
    parts = [
        evaluate_models([model], Records(deep_records, split), tmp_path / split, page=False)
        for split in ("train", "validation")
    ]
    for name in ("depth", "nme_3d"):
        mean = np.average([p["depth_error"][name] for p in parts], weights=[22, 2])
        assert mean == pytest.approx(photos["depth_error"][name], rel=0.03)
        low, high = photos["interval_95"][name]
        assert low < photos["depth_error"][name] < high
    flat = evaluate_models([model], Photos("300w_lp", synthetic_tree), tmp_path / "o", page=False)
    assert "depth_error" not in flat


def test_files_of_predict_have_the_depth(model, tmp_path):
    predictor = Predictor(model, passes=1)
    box = box_from_landmarks(portrait()[1])
    (face,) = predictor.predict(portrait_path(), box[None])
    line = writers.photo_json(
        str(portrait_path()), [face], model="m", scheme=TRUE_JAW, size=(512, 512)
    )
    line = json.loads(json.dumps(line))
    check_results(line)
    again = writers.face_from_json(line["faces"][0], TRUE_JAW)
    np.testing.assert_allclose(again.landmarks_3d, face.landmarks_3d, atol=0.006)
    flat = Face(face.box, face.landmarks, scheme=TRUE_JAW)
    line["faces"].append(writers.face_json(flat))
    writers.write_landmarks_csv(tmp_path, [line], get_scheme(TRUE_JAW))
    first, second = (load_sample("csv", entry) for entry in list_entries("csv", tmp_path))
    assert first.scheme == TRUE_JAW and np.isnan(second.depth).all()
    np.testing.assert_allclose(first.depth, face.depth, atol=0.02)
    np.testing.assert_allclose(first.landmarks, face.landmarks, atol=0.006)


def test_picture_of_predict_is_drawn_from_the_side_too(model, tmp_path):
    predictor = Predictor(model, passes=1)
    box = box_from_landmarks(portrait()[1])
    predict_photos([portrait_path()], tmp_path / "out", predictor=predictor, boxes=box[None])
    (line,) = (tmp_path / "out" / "landmarks.jsonl").read_text().splitlines()
    check_results(json.loads(line))
    assert len(json.loads(line)["faces"][0]["depth"]) == 68


def test_interface_of_face_alignment_takes_the_model_that_gives_the_type(model, monkeypatch):
    types = face_alignment.LandmarksType
    names = ["senet-68", str(model)]
    monkeypatch.setattr(face_alignment, "shipped_models", lambda: names)
    for kind, name in zip(types, ("senet-68", "model", "model"), strict=True):
        assert face_alignment.FaceAlignment(kind).face_detector.predictor.name == name
    with pytest.raises(InputError, match=rf"{TRUE_JAW} with depth, .*visible contour"):
        face_alignment.FaceAlignment(types.TWO_D, model=model)
    names.pop()
    with pytest.raises(InputError, match=r"THREE_D needs a model .* depth, and none ships\. Give"):
        face_alignment.FaceAlignment(types.THREE_D)


@pytest.mark.parametrize("flip", [False, True])
def test_interface_of_face_alignment_gives_three_dimensions(model, monkeypatch, flip):
    """z grows towards the camera: the nose has the largest, the ears the smallest."""
    types = face_alignment.LandmarksType
    deep, flat = (
        face_alignment.FaceAlignment(kind, flip_input=flip, model=model)
        for kind in (types.THREE_D, types.TWO_HALF_D)
    )
    photo, box = portrait()[0], np.array([100.0, 150, 300, 350])
    for one in (deep, flat):
        predictor = one.face_detector.predictor
        frontal = OneFace(predictor.contract, (0.0, 0.0, 0.0))
        monkeypatch.setattr(predictor._forward, "run", frontal)
    (points,), (scores,), _ = deep.get_landmarks(photo, [box], return_landmark_score=True)
    assert points.shape == (68, 3) and points.dtype == np.float32 and scores.shape == (68,)
    assert np.argmax(points[:, 2]) == 30 and np.argmin(points[:, 2]) in (0, 16)
    assert points[:, 2].mean() == pytest.approx(0, abs=1e-3)
    head = MEAN_FACE_3D * (1, 1, -1)
    scale = np.ptp(points[:, 0]) / np.ptp(head[:, 0])
    expected = scale * (head - head.mean(axis=0))
    np.testing.assert_allclose(points - points.mean(axis=0), expected, atol=2.0 if flip else 0.1)
    (two,) = flat.get_landmarks(photo, [box])
    np.testing.assert_array_equal(two, points[:, :2])
