"""Faces in files: each format, read back by what reads it."""

import json
from pathlib import Path
from typing import NamedTuple

import cv2
import dlib
import numpy as np
import pytest
from PIL import Image

from senet_landmark.data_tools.datasets.registry import list_entries, load_photo, load_sample
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait, portrait_path
from senet_landmark.export.inference import writers
from senet_landmark.export.inference.face import Face
from senet_landmark.face.schemes import get_scheme
from senet_landmark.io.images import read_photo
from senet_landmark.io.pts import read_pts

SCHEME = get_scheme("300w_68")


def face(shift=0.0, **options):
    truth = portrait()[1] + np.float32(shift)
    box = np.array([171.5, 69.5, 271.5, 169.5]) + shift
    return Face(box, truth.astype(np.float32), **options)


@pytest.fixture
def two():
    """Two faces of one photo, and a photo without a face."""
    pose = np.array([-12.5, 3.25, 0.5], np.float32)
    attributes = {"gender": ("female", 0.875), "smile": ("not smiling", 0.5)}
    first = face(score=1.5, confidence=0.75, known_pose=pose, attributes=attributes)
    return [
        PhotoFaces(portrait_path(), [first, face(2.25, attributes=attributes)]),
        PhotoFaces(portrait_path().with_name("empty.jpg"), []),
    ]


class PhotoFaces(NamedTuple):
    photo: Path
    faces: list[Face]


def lines_of(photos):
    """The lines of `landmarks.jsonl`, read back."""
    about = {"model": "senet-68", "scheme": SCHEME.name, "size": (512, 512)}
    lines = [writers.photo_json(str(photo), faces, **about) for photo, faces in photos]
    return iter(json.loads(json.dumps(lines)))


def test_json_has_what_is_known(two, tmp_path):
    writers.write_landmarks_json(tmp_path, lines_of(two))
    results = json.loads((tmp_path / "landmarks.json").read_text())
    assert [len(of["faces"]) for of in results] == [2, 0]
    one, other = results[0]["faces"]
    assert one["score"] == 1.5 and one["confidence"] == 0.75
    assert one["pose"] == {"yaw": -12.5, "pitch": 3.25, "roll": 0.5}
    assert one["attributes"]["gender"] == {"class": "female", "probability": 0.875}
    assert set(other) == {"box", "detector_box", "landmarks", "attributes"}  # JSON has no NaN
    np.testing.assert_allclose(one["landmarks"], two[0].faces[0].landmarks, atol=0.006)


def test_csv_is_read_as_a_data_set(two, tmp_path):
    """What was predicted may be trained on."""
    writers.write_landmarks_csv(tmp_path, lines_of(two), SCHEME)
    entries = list_entries("csv", tmp_path)
    assert [entry.scheme for entry in entries] == ["300w_68"] * 2
    for entry, expected in zip(entries, two[0].faces, strict=True):
        sample = load_sample("csv", entry)
        assert sample.photo.resolve() == portrait_path().resolve()
        np.testing.assert_allclose(sample.landmarks, expected.landmarks, atol=0.006)
        np.testing.assert_allclose(sample.box, expected.box, atol=1e-3)
    first = load_sample("csv", entries[0])
    np.testing.assert_allclose(first.pose, (-12.5, 3.25, 0.5), atol=1e-3)
    assert first.attributes[0] in (0, 1) and np.isnan(load_sample("csv", entries[1]).pose).all()


def test_dlib_xml_is_read_as_a_data_set_and_by_dlib(two, tmp_path):
    writers.write_dlib_xml(tmp_path, lines_of(two))
    entries = list_entries("dlib_xml", tmp_path)
    for entry, expected in zip(entries, two[0].faces, strict=True):
        sample = load_sample("dlib_xml", entry)
        np.testing.assert_allclose(sample.landmarks, expected.landmarks, atol=0.51)
        np.testing.assert_allclose(sample.box, expected.box, atol=0.51)
    # dlib's own reader, which takes whole numbers only, in the smallest of trainings.
    options = dlib.shape_predictor_training_options()
    options.cascade_depth, options.num_trees_per_cascade_level, options.tree_depth = 1, 1, 1
    options.feature_pool_size, options.num_test_splits, options.oversampling_amount = 20, 2, 1
    xml = str(tmp_path / "landmarks.xml")
    text = (tmp_path / "landmarks.xml").read_text()
    (tmp_path / "landmarks.xml").write_text(
        text.replace(text[text.rindex("<image ") : text.rindex("</images>")], "")
    )
    dlib.train_shape_predictor(xml, str(tmp_path / "p.dat"), options)
    assert dlib.shape_predictor(str(tmp_path / "p.dat")).__class__.__name__ == "shape_predictor"


def test_pts_files_are_those_of_300w(two, tmp_path):
    writers.write_pts_files(tmp_path, "a", two[0].faces)
    for name, expected in zip(("a.pts", "a_2.pts"), two[0].faces, strict=True):
        np.testing.assert_allclose(read_pts(tmp_path / name), expected.landmarks, atol=1e-3)


def test_full_object_detection_goes_into_dlib(two):
    photo, truth = portrait()
    found = writers.full_object_detection(two[0].faces[0])
    assert found.num_parts == 68
    parts = np.array([(p.x, p.y) for p in found.parts()])
    np.testing.assert_allclose(parts, truth, atol=0.51)
    assert (found.rect.left(), found.rect.right(), found.rect.width()) == (172, 271, 100)
    assert dlib.get_face_chip(photo, found, size=80).shape == (80, 80, 3)


@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
def test_dlib_xml_has_the_pixels_that_dlib_sees(tmp_path, orientation):
    """dlib ignores the EXIF orientation; the right points are at the same colours."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = tmp_path / "phone.jpg"
    Image.open(portrait_path()).crop((0, 0, 512, 400)).save(photo, exif=exif, quality=100)
    upright = cv2.blur(read_photo(photo), (5, 5))  # dlib decodes colours a little otherwise
    points = np.array([[x, y] for x in (20, 180, 330) for y in (10, 150, 310)] * 8)[:68]
    box = np.array([100.0, 50.0, 200.0, 180.0])
    writers.write_dlib_xml(tmp_path, lines_of([PhotoFaces(photo, [Face(box, points)])]))
    (entry,) = list_entries("dlib_xml", tmp_path)
    sample = load_sample("dlib_xml", entry)
    seen = cv2.blur(dlib.load_rgb_image(str(photo)), (5, 5))
    for (x, y), (column, row) in zip(points, sample.landmarks.astype(int), strict=True):
        assert np.abs(upright[y, x].astype(int) - seen[row, column]).max() < 12
    width, height = sample.box[2:] - sample.box[:2]
    assert (width > height) == (orientation in (6, 7))
    np.testing.assert_array_equal(load_photo("dlib_xml", entry).shape, seen.shape)
