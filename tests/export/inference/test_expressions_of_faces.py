"""`Face.expression`, and what files have of it."""

import csv
import json

import numpy as np
import pytest

from expressions import measure_pairs
from schema import check_results
from senet_landmark.data_tools.datasets.registry import list_entries, load_sample
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait, portrait_path
from senet_landmark.export.inference import writers
from senet_landmark.export.inference.face import Face
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.export.service.answer import answer
from senet_landmark.export.service.input import Limits
from senet_landmark.face.expressions import MEASURES, expression_of
from senet_landmark.face.pose import MEAN_FACE_3D, rotation_matrix
from senet_landmark.face.schemes import get_scheme

pytestmark = pytest.mark.slow

ABOUT = {"model": "senet-68", "size": (512, 512)}


@pytest.fixture(scope="module")
def predictor():
    return Predictor()


def face_of(points, scheme="300w_68"):
    return Face(np.array([171.5, 69.5, 271.5, 169.5]), points.astype(np.float32), scheme=scheme)


def values_of(expression):
    return np.array([getattr(expression, name) for name in MEASURES])


def test_a_photo_has_it_in_python_in_json_and_from_the_service(predictor):
    (face,) = predictor.predict(portrait_path())
    truth = expression_of(portrait()[1], "300w_68")
    np.testing.assert_allclose(values_of(face.expression), values_of(truth), atol=0.12)
    photo = writers.photo_json("a.jpg", [face], scheme="300w_68", **ABOUT)
    check_results(photo)
    written = photo["faces"][0]["expression"]
    assert tuple(written) == MEASURES
    np.testing.assert_allclose(list(written.values()), values_of(face.expression), atol=2e-3)
    data = portrait_path().read_bytes()
    answered = answer(predictor, predictor._detector, data, None, Limits())
    check_results(answered)
    assert answered["faces"][0]["expression"] == written


def test_people_in_test_photos(predictor, shared_data):
    """Measures of predicted landmarks follow those of annotated ones: who smiles, whose mouth."""
    entries = list_entries("300w", shared_data("300w", "helen", "testset"))[:24]
    truth, predicted = measure_pairs("300w", entries, predictor)
    assert truth.shape[1] >= 20 and np.abs(truth - predicted).mean() < 0.06
    for name in ("mouth_aspect", "smile_width"):
        row = MEASURES.index(name)
        assert np.corrcoef(truth[row], predicted[row])[0, 1] > 0.8, name


def test_the_table_has_it_and_is_read_as_a_data_set(tmp_path):
    points = portrait()[1]
    away = (MEAN_FACE_3D @ rotation_matrix(70, 0, 0).T)[:, :2] * 80 + 200
    faces = [face_of(points), face_of(away)]
    assert faces[1].expression is None and faces[1].pose is not None
    lines = [writers.photo_json(str(portrait_path()), faces, scheme="300w_68", **ABOUT)]
    writers.write_landmarks_csv(tmp_path, lines, get_scheme("300w_68"))
    with open(tmp_path / "landmarks.csv", newline="") as stream:
        first, second = csv.DictReader(stream)
    expected = values_of(faces[0].expression)
    np.testing.assert_allclose([float(first[name]) for name in MEASURES], expected, atol=2e-3)
    assert {second[name] for name in MEASURES} == {""}
    entries = list_entries("csv", tmp_path)
    assert len(entries) == 2 and entries[0].scheme == "300w_68"
    np.testing.assert_allclose(load_sample("csv", entries[0]).landmarks, points, atol=0.006)


def test_lines_of_earlier_versions_have_none(tmp_path):
    line = writers.photo_json(
        str(portrait_path()), [face_of(portrait()[1])], scheme="300w_68", **ABOUT
    )
    del line["faces"][0]["expression"]
    (header, row) = writers.landmarks_csv([line], get_scheme("300w_68"), tmp_path)
    fields = dict(zip(header.strip().split(","), row.strip().split(","), strict=True))
    assert {fields[name] for name in MEASURES} == {""}


def test_schemes_without_the_points_have_none(tmp_path):
    points = portrait()[1]
    eyes = [points[36:42].mean(axis=0), points[42:48].mean(axis=0)]
    five = face_of(np.array([*eyes, points[30], points[48], points[54]]), "mtfl_5")
    assert five.expression is None and five.pose is not None
    assert face_of(points, None).expression is None
    line = writers.photo_json("a.jpg", [five], scheme="mtfl_5", **ABOUT)
    check_results(json.loads(json.dumps(line)))
    assert "expression" not in line["faces"][0]
    header, _ = writers.landmarks_csv([line], get_scheme("mtfl_5"), tmp_path)
    assert not set(MEASURES) & set(header.strip().split(","))
