"""`max_faces` and `min_confidence`: the largest faces, and those of which the model is sure."""

import json

import cv2
import numpy as np
import pytest

from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.errors import InputError
from senet_landmark.export.inference.face import Face, kept_faces
from senet_landmark.export.inference.predict import predict_photos
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.export.video.video import predict_video
from senet_landmark.io.images import write_picture
from shifted_clips import rows_of


def face(side, confidence=float("nan")):
    points = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    return Face(np.array([0, 0, side, side], np.float64), points, confidence=confidence)


def test_the_largest_stay_in_their_order():
    faces = [face(20, 0.9), face(50, 0.4), face(40, 0.99), face(30, 0.7)]
    assert kept_faces(faces) == [0, 1, 2, 3]
    assert kept_faces(faces, 2) == [1, 2]
    assert kept_faces(faces, 9) == [0, 1, 2, 3]
    assert kept_faces(faces, 0, 0.7) == [0, 2, 3]
    assert kept_faces(faces, 1, 0.7) == [2]  # of those that are sure
    assert kept_faces([face(20), face(30)]) == [0, 1]
    assert kept_faces([], 3, 0.5) == []


@pytest.fixture(scope="module")
def group(tmp_path_factory):
    """A photo of three faces: in full size, at 80% and at 60%."""
    photo, _ = portrait()
    height, width = photo.shape[:2]
    canvas = np.full((height, 3 * width, 3), 128, np.uint8)
    for place, scale in enumerate((0.6, 1.0, 0.8)):
        small = cv2.resize(photo, None, fx=scale, fy=scale)
        canvas[: small.shape[0], place * width : place * width + small.shape[1]] = small
    path = tmp_path_factory.mktemp("group") / "group.png"
    write_picture(path, canvas)
    return path


@pytest.mark.slow
def test_python_and_json_agree(group, tmp_path):
    every = Predictor(engine="opencv").predict(group)
    assert len(every) == 3
    areas = [np.prod(face.own_box[2:] - face.own_box[:2]) for face in every]
    two = Predictor(engine="opencv", max_faces=2).predict(group)
    largest = [every[i] for i in sorted(np.argsort(areas)[1:])]
    np.testing.assert_array_equal([f.landmarks for f in two], [f.landmarks for f in largest])
    least = sorted(face.confidence for face in every)[1]
    sure = Predictor(engine="opencv", min_confidence=least).predict(group)
    assert len(sure) == 2 and all(face.confidence >= least for face in sure)
    # Boxes that are given are all answered.
    boxes = np.stack([face.own_box for face in every])
    assert len(Predictor(engine="opencv", max_faces=1).predict(group, boxes)) == 3
    options = {"engine": "opencv", "max_faces": 1}
    predict_photos([group], tmp_path, predictor=options, pictures=False)
    ((line,),) = [json.loads((tmp_path / "landmarks.json").read_text())]
    (one,) = line["faces"]
    np.testing.assert_allclose(one["landmarks"], every[int(np.argmax(areas))].landmarks, atol=0.01)
    with pytest.raises(InputError, match=r"other options .max_faces 1, now None"):
        predict_photos([group], tmp_path, predictor={"engine": "opencv"}, pictures=False)


@pytest.mark.slow
def test_frames_of_a_clip_have_no_more_faces(group, tmp_path):
    sequence = str(group.with_name("*.png"))
    for number, faces in ((1, 1), (0, 3)):
        predictor = Predictor(engine="opencv", max_faces=number)
        out = tmp_path / str(number)
        summary = predict_video(sequence, out, predictor=predictor, pictures=False)
        (table,) = out.glob("*.csv")
        assert summary["faces"] == len(rows_of(table)) == faces


@pytest.mark.parametrize("options", [{"max_faces": -1}, {"min_confidence": 1.5},
                                     {"min_confidence": float("nan")}])  # fmt: skip
def test_numbers_out_of_range_are_refused(options):
    with pytest.raises(InputError, match="largest number of faces is 0 or more"):
        Predictor(**options)
