"""Models that take the whole photo: the predictor, the commands, a video."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from changed_models import write_cropping
from face_errors import nme
from senet_landmark.cli.app import main
from senet_landmark.config import RecordsConfig
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.export.conversion.convert import real_crops
from senet_landmark.export.evaluation.evaluate import evaluate_models
from senet_landmark.export.evaluation.face_sources import Photos, Records
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.export.video.tracking import Tracker
from senet_landmark.face import geometry
from senet_landmark.face.geometry import CropSpec
from senet_landmark.frozen.contract import load_contract
from senet_landmark.frozen.models import find_model
from senet_landmark.presets import get_preset

pytestmark = pytest.mark.slow

NONE = (0.0, 0.0, 0.0, 0.0)
STRETCHED = {"of": "photo", "margins": NONE, "square": False}
INSIDE = {"of": "photo", "margins": NONE, "fit": "inside"}


def photo_about_face(across: float, down: float, stretch: float = 1.0):
    """The portrait cut about the face to multiples of the shipped model's crop, and its points."""
    photo, truth = portrait()
    region = geometry.crop_box(geometry.box_from_landmarks(truth), CropSpec(), (512, 512))
    centre, half = (region[:2] + region[2:]) / 2, (region[2:] - region[:2]) / 2
    first = np.round(centre - half * (across, down)).astype(int)
    last = np.round(centre + half * (across, down)).astype(int)
    part, points = photo[first[1] : last[1], first[0] : last[0]], truth - first
    part = cv2.resize(part, None, fx=stretch, fy=1, interpolation=cv2.INTER_LINEAR)
    return part, (points + 0.5) * (stretch, 1) - 0.5


CASES = [
    (STRETCHED, photo_about_face(1, 1, stretch=1.6)),
    (STRETCHED, photo_about_face(1, 1, stretch=0.7)),
    (INSIDE, photo_about_face(1.8, 1)),
    (INSIDE, photo_about_face(1, 1.6)),
]


@pytest.mark.parametrize(("crop", "photo"), CASES)
def test_the_whole_photo_is_the_one_face(tmp_path, crop, photo):
    """The weights that ship find the face where the photo, so cropped, is what they know."""
    pixels, truth = photo

    def never(_):
        raise AssertionError("a detector ran")

    predictor = Predictor(
        write_cropping(tmp_path / "whole.pb", **crop), engine="opencv", detector=never
    )
    whole = geometry.photo_box((pixels.shape[1], pixels.shape[0]))
    (face,) = predictor.predict(pixels)
    squeezed = (truth + 0.5) / (whole[2:] - whole[:2])
    found = (face.landmarks + 0.5) / (whole[2:] - whole[:2])
    assert nme(found, squeezed) < 0.06
    assert face.score == 1 and predictor.is_verified(face)
    np.testing.assert_array_equal(face.box, whole)
    # Boxes and rolls change nothing.
    boxes = np.stack([geometry.box_from_landmarks(truth), whole * 0.3])
    for same in predictor.predict(pixels, boxes, roll=np.array([90.0, np.nan])):
        np.testing.assert_allclose(same.landmarks, face.landmarks, atol=1e-3)
        np.testing.assert_array_equal(same.box, whole)
    outputs = predictor.outputs(pixels, boxes[:1], "dlib")
    np.testing.assert_allclose(outputs["landmarks"][0], face.landmarks, atol=1e-3)
    assert predictor.faces(pixels, np.zeros((0, 4)), None) == []


def test_a_face_is_followed_without_a_detector(tmp_path):
    predictor = Predictor(write_cropping(tmp_path / "whole.pb", **INSIDE), engine="opencv")
    pixels, truth = photo_about_face(1.6, 1)
    tracker = Tracker(predictor, every=0.1)
    for number in range(8):
        shift = number - 4
        moved = np.roll(pixels, shift, axis=1)
        (tracked,) = tracker.update(moved, number / 25)
        assert tracked.identity == 1 and nme(tracked.face.landmarks, truth + (shift, 0)) < 0.06


def test_parity_is_checked_on_the_whole_photo(tmp_path):
    """Moved and scaled, it ends within some crops; the face, in the middle of it, does not."""
    whole = real_crops(load_contract(write_cropping(tmp_path / "whole.pb", **STRETCHED)))
    face = real_crops(load_contract(find_model()))
    ends = [[not crop[:, :2].any() for crop in crops] for crops in (whole, face)]
    assert any(ends[0]) and not any(ends[1])


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A `csv` data set: the face in photos that are not square, moved and mirrored in colour."""
    folder = tmp_path_factory.mktemp("photos")
    rows = ["photo,identity," + ",".join(f"x{i},y{i}" for i in range(68))]
    generator = np.random.default_rng(0)
    for number in range(10):
        pixels, truth = photo_about_face(*generator.uniform(1.2, 1.7, 2))
        picture = np.roll(pixels, int(generator.integers(0, 3)), axis=2)
        cv2.imwrite(str(folder / f"{number}.png"), picture)
        rows.append(f"{number}.png,p{number}," + ",".join(f"{v:.3f}" for v in truth.ravel()))
    (folder / "faces.csv").write_text("\n".join(rows))
    return folder


@pytest.mark.parametrize("preset", ["tcdcn_landmarks", "cnn"])
def test_from_photos_to_predictions(photos, tmp_path, capsys, preset):
    """The commands one after the other, as a user gives them."""

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        text = capsys.readouterr()
        assert code == 0, text.err
        return text.out, text.err

    records, model = tmp_path / "records", tmp_path / "model.pb"
    data = ("--dataset", "csv", "--root", photos)
    run(
        "build-records", "--preset", preset, *data, "--out", records,
        "--records.held-out", 0.3, "--workers", 1,
    )  # fmt: skip
    short = ("--train.epochs", 0, "--train.steps", 2, "--train.batch-size", 2)
    # The network of `cnn` takes longer than the rest of this test.
    network = ("--network.name", "tcdcn", "--train.no-report")
    train = ("train", "--preset", preset, "--run", tmp_path / "run", *short, *network)
    _, told = run(*train, "--records", records)
    assert "not those of the preset" not in told
    run("freeze", "--run", tmp_path / "run", "--out", model)
    contract = load_contract(model)
    assert contract.crop == get_preset(preset).records.crop
    assert contract.confidence and contract.expected_error
    text, _ = run("predict", photos / "0.png", "--model", model, "--out", tmp_path / "out")
    assert "1 faces in 1 photos" in text or "1 face in 1 photo" in text
    (line,) = json.loads((tmp_path / "out" / "landmarks.json").read_text())
    (face,) = line["faces"]
    assert face["score"] == 1
    assert face["detector_box"] == [-0.5, -0.5, line["width"] - 0.5, line["height"] - 0.5]
    expected = Predictor(model).predict(photos / "0.png")[0].landmarks
    np.testing.assert_allclose(face["landmarks"], expected, atol=0.01)
    # A data set's photos, with boxes that do not matter, and the same as they were recorded.
    evaluate_models([model], Photos("csv", photos), tmp_path / "a")
    evaluate_models([model], Records(records, "train"), tmp_path / "b", page=False)
    errors = [_errors(tmp_path / name) for name in "ab"]
    assert [len(errors_of) for errors_of in errors] == [10, 7]
    for name, error in errors[1].items():
        assert error == pytest.approx(errors[0][name], rel=0.03)


def _errors(folder):
    """Face -> its NME, as `evaluate` wrote it."""
    head, *rows = (row.split(",") for row in (folder / "faces.csv").read_text().splitlines())
    return {row[2]: float(row[head.index("nme_inter_ocular")]) for row in rows}


def test_training_says_that_its_records_are_not_the_presets(synthetic_records, tmp_path, capsys):
    from runs import short
    from senet_landmark.training.train import train

    config = short("tcdcn_landmarks", steps=1)
    train(config, synthetic_records, tmp_path / "run")
    told = capsys.readouterr().err
    assert told.count("not those of the preset tcdcn_landmarks") == 1
    train(
        replace(config, train=replace(config.train, steps=2)), synthetic_records, tmp_path / "run"
    )
    assert "not those of the preset" not in capsys.readouterr().err
    train(replace(config, records=RecordsConfig()), synthetic_records, tmp_path / "other")
    assert "not those of the preset" not in capsys.readouterr().err
