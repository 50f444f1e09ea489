"""The command `predict`: its files."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from senet_landmark.data_tools.synthesis.synthetic_tree import portrait, portrait_path
from senet_landmark.errors import InputError
from senet_landmark.export.inference.predict import predict_photos
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.face.attributes import get_attribute, split_probabilities
from senet_landmark.face.pose import pose_of
from senet_landmark.io.images import read_photo, write_picture

pytestmark = pytest.mark.slow


def test_predict_needs_no_tensorflow(small_run, tmp_path):
    program = (
        "import sys\n"
        "from senet_landmark.export.inference.predict import predict_photos\n"
        "from pathlib import Path\n"
        "from senet_landmark.export.inference.predictor import Predictor\n"
        f"predict_photos([Path({str(portrait_path())!r})], {str(tmp_path)!r}, "
        f"predictor=Predictor({str(small_run.model)!r}))\n"
        "assert not [m for m in sys.modules if m.startswith('tensorflow')]\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert (tmp_path / "portrait_landmarks.jpg").exists()


def test_predict_writes_the_documented_json(small_run, tmp_path):
    photos = tmp_path / "photos"
    (photos / "deep").mkdir(parents=True)
    shutil.copy(portrait_path(), photos / "a.jpg")
    shutil.copy(portrait_path(), photos / "deep" / "a.jpg")
    write_picture(photos / "empty.png", np.full((200, 200, 3), 90, np.uint8))
    (photos / "broken.jpg").write_bytes(b"\xff\xd8 no photo")
    summary = predict_photos([photos], tmp_path / "out", predictor=Predictor(small_run.model))
    assert (summary["photos"], summary["faces"]) == (3, 2)
    assert [p.rpartition("/")[2] for p in summary["without_face"]] == ["empty.png"]
    assert "broken.jpg" in summary["skipped"][0]["reason"]
    results = json.loads((tmp_path / "out" / "landmarks.json").read_text())
    assert [len(r["faces"]) for r in results] == [1, 1, 0]
    for result in results[:2]:
        (face,) = result["faces"]
        assert {"box", "landmarks", "pose"} <= set(face) and len(face["box"]) == 4
        assert np.array(face["landmarks"]).shape == (68, 2)
    out = tmp_path / "out"
    pictures = sorted(p.relative_to(out).as_posix() for p in out.rglob("*.jpg"))
    assert pictures == ["a_landmarks.jpg", "deep/a_landmarks.jpg"]  # folders are mirrored


def test_faces_have_pose_and_attributes_where_the_model_does(small_run, full_run, tmp_path):
    (plain,) = Predictor(small_run.model).predict(portrait_path())
    fitted = pose_of(plain.landmarks, "300w_68")
    np.testing.assert_allclose(plain.pose, fitted, atol=1e-3)
    assert plain.attributes == {}
    predictor = Predictor(full_run.model)
    (face,) = predictor.predict(portrait_path())
    outputs = predictor.outputs(portrait()[0], face.box[None], predictor.detector_source)
    np.testing.assert_allclose(face.pose, outputs["pose"][0], atol=1e-4)
    assert list(face.attributes) == ["gender", "smile", "glasses", "head_pose"]
    shares = split_probabilities(outputs["attributes"], list(face.attributes))
    for name, (label, share) in face.attributes.items():
        assert share == pytest.approx(shares[name].max(), abs=1e-5)
        assert get_attribute(name).classes.index(label) == shares[name].argmax()
    predict_photos([portrait_path()], tmp_path, predictor=Predictor(full_run.model))
    ((written,),) = [r["faces"] for r in json.loads((tmp_path / "landmarks.json").read_text())]
    assert {"box", "landmarks", "pose", "attributes"} <= set(written)
    yaw, pitch, roll = face.pose.tolist()
    assert written["pose"] == pytest.approx({"yaw": yaw, "pitch": pitch, "roll": roll}, abs=0.006)
    label, share = face.attributes["head_pose"]
    assert written["attributes"]["head_pose"] == {
        "class": label, "probability": pytest.approx(share, abs=1e-4),
    }  # fmt: skip


def test_chips_pictures_and_formats_are_as_asked(tmp_path, shipped):
    out = tmp_path / "out"
    predict_photos(
        [portrait_path()],
        out,
        predictor=shipped,
        write=("pts", "csv"),
        pictures=False,
        chip_size=64,
    )
    assert sorted(p.name for p in out.iterdir()) == [
        "landmarks.csv", "landmarks.jsonl", "landmarks.run.json", "portrait.pts",
        "portrait_chip_1.png",
    ]  # fmt: skip
    assert read_photo(out / "portrait_chip_1.png").shape == (64, 64, 3)
    with pytest.raises(InputError, match="of one photo; 2 are given"):
        predict_photos([portrait_path()] * 2, out, predictor=shipped, boxes=np.zeros((1, 4)))
