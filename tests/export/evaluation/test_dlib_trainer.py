"""`dlib_trainer.py` of the benchmarks: dlib learns from records, evaluations take what it wrote."""

import numpy as np
import pytest

from dlib_trainer import faces_of, main
from made_records import open_store
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.detectors.dlib_hog import detect_dlib
from senet_landmark.export.evaluation.peers import DLIB_OTHER_NOTE, load_dlib_predictor
from senet_landmark.face.geometry import box_from_landmarks, iou

pytestmark = pytest.mark.slow


def test_mirrored_face_is_the_face_of_the_mirrored_crop(synthetic_records):
    store = open_store(synthetic_records)
    faces = list(faces_of(store, mirrored=True))
    assert len(faces) == 2 * len(store)
    for (crop, _, points), (turned, _, mirrored) in zip(faces[::2], faces[1::2], strict=True):
        np.testing.assert_array_equal(turned, crop[:, ::-1])
        across = crop.shape[1] - 1 - points[:, 0]
        assert sorted(across) == pytest.approx(sorted(mirrored[:, 0]))
        # The right eye, points 36 to 41, stays on the left of the picture.
        assert points[36, 0] < points[45, 0] and mirrored[36, 0] < mirrored[45, 0]


def test_box_is_where_dlib_finds_the_face(synthetic_records):
    overlaps = []
    for crop, detection, _ in faces_of(open_store(synthetic_records), mirrored=False):
        rectangle = detection.rect
        box = np.array([rectangle.left(), rectangle.top(), rectangle.right(), rectangle.bottom()])
        boxes = detect_dlib(np.repeat(crop[:, :, None], 3, axis=2)).boxes
        overlaps += [iou(box, found) for found in boxes[:1]]
    assert len(overlaps) > 5 and np.median(overlaps) > 0.7


def test_dlib_learns_the_records_and_is_a_peer(synthetic_records, tmp_path, monkeypatch, capsys):
    out = tmp_path / "own.dat"
    options = ["--trees", "30", "--oversampling", "5", "--threads", "1"]
    command = ["dlib_trainer", "--records", str(synthetic_records), "--out", str(out), *options]
    monkeypatch.setattr("sys.argv", command)
    main()
    assert capsys.readouterr().out.startswith("44 faces, ")
    peer = load_dlib_predictor(out)
    assert (peer.name, peer.note) == ("own", DLIB_OTHER_NOTE)
    # The records are turned and lit copies of this face.
    photo, truth = portrait()
    box = box_from_landmarks(truth)
    errors = np.linalg.norm(peer.landmarks(photo, box[None], "landmarks")[0] - truth, axis=1)
    assert errors.mean() / np.linalg.norm(truth[36] - truth[45]) < 0.08
