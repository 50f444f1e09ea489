"""Models and the detector in many threads."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.export.conversion.convert import convert
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.face.boxes import LANDMARKS
from senet_landmark.face.geometry import box_from_landmarks
from senet_landmark.io.images import encode_png
from served import (
    FACE,
    faces_of,
    write_narrow_model,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """Two models of which each engine has its file."""
    folder = tmp_path_factory.mktemp("converted")
    narrow = write_narrow_model(folder)
    for form in ("onnx", "tflite"):
        convert(narrow, form)
    wide = folder / "wide.pb"
    for suffix in (".pb", ".onnx", ".tflite"):
        wide.with_suffix(suffix).write_bytes(narrow.with_suffix(suffix).read_bytes())
    values = json.loads(narrow.with_suffix(".json").read_text())
    values["crop"]["margins"] = [0.25] * 4
    wide.with_suffix(".json").write_text(json.dumps(values))
    return narrow, wide


@pytest.mark.parametrize("engine", ["opencv", "onnxruntime", "tflite", "tensorflow"])
def test_two_models_in_eight_threads(converted, engine):
    predictors = [Predictor(path, engine) for path in converted]
    photo, points = portrait()
    box = box_from_landmarks(points)
    boxes = [np.array([box + shift, box - shift]) for shift in range(0, 12, 3)]
    jobs = [(model, number) for model in (0, 1) for number in range(len(boxes))]

    def landmarks(job):
        model, number = job
        return predictors[model].outputs(photo, boxes[number], LANDMARKS)["landmarks"]

    truth = {job: landmarks(job) for job in jobs}
    assert np.abs(truth[0, 0] - truth[1, 0]).max() > 1
    many = [jobs[i % len(jobs)] for i in range(64)]
    with ThreadPoolExecutor(8) as pool:
        for job, found in zip(many, pool.map(landmarks, many), strict=True):
            np.testing.assert_allclose(found, truth[job], atol=1e-2)


def test_detector_in_eight_threads(models):
    photos = [FACE, encode_png(portrait()[0][30:240, 330:120:-1])]
    names = list(models.predictors)
    truth = {(n, p): faces_of(n, models, photos[p]) for n in names for p in (0, 1)}
    assert all(len(faces) == 1 for faces in truth.values())
    assert len({str(faces) for faces in truth.values()}) == 4
    jobs = list(truth) * 4
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda job: faces_of(job[0], models, photos[job[1]]), jobs)
        assert all(faces == truth[job] for job, faces in zip(jobs, found, strict=True))
