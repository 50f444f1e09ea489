"""What `predict` writes and the service answers are one JSON, that of the schema that ships."""

import copy
import json

import jsonschema
import numpy as np
import pytest
from PIL import Image

from schema import check_results
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait, portrait_path
from senet_landmark.export.inference.face import Face
from senet_landmark.export.inference.predict import predict_photos
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.export.inference.writers import VERSION, face_from_json, face_json
from senet_landmark.face.geometry import box_from_landmarks

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """Results of the portrait stored turned, of a photo without a face, and with attributes."""
    folder = tmp_path_factory.mktemp("photos")
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it clockwise
    turned = Image.fromarray(np.ascontiguousarray(np.rot90(portrait()[0][:, 50:])))
    turned.save(folder / "turned.jpg", exif=exif, quality=95)
    Image.new("RGB", (90, 80)).save(folder / "empty.png")
    out = folder / "out"
    predict_photos([folder], out, predictor=Predictor("senet-68-attributes"))
    return out


def test_files_of_predict_are_as_the_schema_says(out):
    results = json.loads((out / "landmarks.json").read_text())
    check_results(results)
    for line in (out / "landmarks.jsonl").read_text().splitlines():
        check_results(json.loads(line))
    empty, turned = results
    assert (turned["width"], turned["height"]) == (462, 512)  # upright
    assert (empty["width"], empty["height"]) == (90, 80)
    assert (turned["model"], turned["scheme"]) == ("senet-68-attributes", "300w_68")
    assert turned["version"] == empty["version"] == VERSION
    assert (out / turned["picture"]).is_file() and "picture" not in empty
    assert turned["image"].endswith("turned.jpg") and empty["faces"] == []


def test_box_is_the_landmarks_own_and_the_detectors_has_its_name(out):
    (face,) = json.loads((out / "landmarks.json").read_text())[1]["faces"]
    assert face["box"] == pytest.approx(box_from_landmarks(np.array(face["landmarks"])), abs=0.01)
    assert np.abs(np.subtract(face["box"], face["detector_box"])).max() > 1


def test_faces_with_depth_are_as_the_schema_says():
    (face,) = Predictor("senet-68-3d").predict(portrait()[0])
    fields = face_json(face)
    check_results(
        {"image": None, "version": VERSION, "model": "senet-68-3d", "scheme": face.scheme}
        | {"width": 512, "height": 512, "faces": [fields]}
    )
    assert len(fields["depth"]) == 68
    for angle, of_both in fields["pose_3d"].items():
        assert of_both == pytest.approx(fields["pose"][angle], abs=15)


@pytest.mark.parametrize(
    "change",
    [
        lambda photo: photo.pop("width"),
        lambda photo: photo.update(height=0),
        lambda photo: photo.update(version=2),
        lambda photo: photo.update(sice=3),
        lambda photo: photo["faces"][0].pop("detector_box"),
        lambda photo: photo["faces"][0]["box"].pop(),
        lambda photo: photo["faces"][0].update(confidence=1.5),
        lambda photo: photo["faces"][0]["landmarks"][3].append(1),
    ],
)
def test_schema_refuses_what_is_no_result(out, change):
    photo = json.loads((out / "landmarks.json").read_text())[1]
    change(photo)
    with pytest.raises(jsonschema.ValidationError):
        check_results(photo)


def test_faces_come_back_from_json_as_they_were(out):
    (fields,) = json.loads((out / "landmarks.json").read_text())[1]["faces"]
    assert face_json(face_from_json(copy.deepcopy(fields), "300w_68")) == fields
    (face,) = Predictor().predict(portrait_path())
    again = face_from_json(json.loads(json.dumps(face_json(face))), face.scheme)
    np.testing.assert_allclose(again.box, face.box, atol=0.006)
    np.testing.assert_allclose(again.landmarks, face.landmarks, atol=0.006)
    assert again.score == pytest.approx(face.score, abs=1e-4)


def test_faces_of_former_files_are_read():
    """Those of 0.2.0 have the detector's box as `box`."""
    face = face_from_json({"box": [1, 2, 30, 40], "landmarks": [[3, 4], [20, 30]]})
    assert face.box.tolist() == [1, 2, 30, 40]


def test_five_points_have_the_box_of_the_whole_face():
    truth = portrait()[1]
    five = [truth[36:42].mean(0), truth[42:48].mean(0), truth[30], truth[48], truth[54]]
    face = Face(np.array([1.0, 2, 30, 40]), np.array(five, np.float32), scheme="mtfl_5")
    fields = face_json(face)
    assert np.abs(fields["box"] - box_from_landmarks(truth)).max() < 20
    again = face_json(face_from_json(fields, "mtfl_5"))
    assert again["box"] == pytest.approx(fields["box"], abs=0.05)


def test_landmarks_that_span_no_box_keep_the_detectors():
    fields = face_json(Face(np.array([1.0, 2, 30, 40]), np.zeros((68, 2), np.float32)))
    assert fields["box"] == fields["detector_box"] == [1, 2, 30, 40]
