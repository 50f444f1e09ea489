"""Faces at any angle: lying, upside down, their roll known or not."""

import numpy as np
import pytest

from face_errors import nme
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.errors import InputError
from senet_landmark.export.engines.registry import load_engine
from senet_landmark.export.inference import passes
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.face import geometry
from senet_landmark.face.pose import rotation_matrix
from senet_landmark.face.roll import turned_pose, upright_box
from senet_landmark.io.images import read_photo
from senet_landmark.io.pts import read_pts
from turned_photos import turned_photo

pytestmark = pytest.mark.slow

ANGLES = range(0, 360, 30)


def box_of(points):
    return geometry.box_from_landmarks(points)[None]


@pytest.fixture(scope="module")
def some_of_helen(shared_data):
    """Four of HELEN's test photos, each with its points."""
    photos = sorted(shared_data("300w", "helen", "testset").glob("*.jpg"))[::90]
    return [(read_photo(path), read_pts(path.with_suffix(".pts"))) for path in photos]


@pytest.mark.parametrize("noise", [-10, 0, 10])
def test_portrait_at_any_known_roll(shipped, noise):
    photo, truth = portrait()
    upright = nme(shipped.landmarks(photo, box_of(truth), "landmarks")[0], truth)
    errors = []
    for angle in ANGLES:
        turned, points = turned_photo(photo, truth, angle)
        roll = np.array([angle + noise])
        errors.append(nme(shipped.landmarks(turned, box_of(points), "landmarks", roll)[0], points))
    assert max(errors) < 1.2 * upright and np.mean(errors) < 1.1 * upright


def test_portrait_at_any_unknown_roll(shipped):
    photo, truth = portrait()
    upright = shipped.predict(photo, box_of(truth))[0]
    axes = rotation_matrix(*upright.pose.tolist())
    errors = []
    for angle in ANGLES:
        turned, points = turned_photo(photo, truth, angle)
        (face,) = shipped.predict(turned, box_of(points))
        errors.append(nme(face.landmarks, points))
        assert face.confidence > 0.9
        expected = rotation_matrix(0, 0, angle) @ axes
        between = np.trace(expected.T @ rotation_matrix(*face.pose.tolist()))
        assert np.degrees(np.arccos(np.clip((between - 1) / 2, -1, 1))) < 4
    assert max(errors) < 1.2 * nme(upright.landmarks, truth)
    assert np.mean(errors) < 1.1 * nme(upright.landmarks, truth)


def test_real_photos_at_any_angle(shipped, some_of_helen):
    """Known roll with noise: at each angle at most 1.1 of the upright error."""
    generator = np.random.default_rng(0)

    def mean_error(angle):
        errors = []
        for photo, truth in some_of_helen:
            turned, points = turned_photo(photo, truth, angle)
            roll = np.array([angle + generator.uniform(-10, 10)])
            found = shipped.landmarks(turned, box_of(points), "landmarks", roll)[0]
            errors.append(nme(found, points))
        return np.mean(errors)

    upright = mean_error(0)
    assert max(mean_error(angle) for angle in ANGLES) < 1.1 * upright


def test_a_small_roll_changes_nothing(shipped):
    photo, truth = portrait()
    boxes = np.tile(box_of(truth), (4, 1))
    expected = shipped.outputs(photo, box_of(truth), "landmarks")
    found = shipped.outputs(photo, boxes, "landmarks", np.array([0.0, 15, -15, np.nan]))
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], np.repeat(values, 4, axis=0), atol=2e-4)
    for roll in (0.0, 15.0, np.nan):
        alone = shipped.outputs(photo, box_of(truth), "landmarks", np.array([roll]))
        np.testing.assert_array_equal(alone["landmarks"], expected["landmarks"])


def test_a_clear_upright_face_is_not_tried_turned(shipped, monkeypatch):
    photo, truth = portrait()
    calls = []
    original = shipped._forward

    def counted(pixels, crops, with_confidence):
        calls.append(len(crops))
        return original(pixels, crops, with_confidence)

    monkeypatch.setattr(shipped, "_forward", counted)
    shipped.predict(photo, box_of(truth))
    assert calls == [1]
    turned, points = turned_photo(photo, truth, 180)
    calls.clear()
    shipped.predict(turned, box_of(points), roll=np.array([-175.0]))
    assert sum(calls) <= 2
    calls.clear()
    shipped.predict(turned, box_of(points))
    assert len(passes.TRIED) in calls


@pytest.mark.parametrize("angle, said", [(180, 0), (150, -10), (0, 180), (-60, 140)])
def test_a_roll_that_is_upside_down_is_mended(shipped, angle, said):
    """Detectors take a face that stands on its head for an upright one."""
    photo, truth = portrait()
    turned, points = turned_photo(photo, truth, angle)
    (face,) = shipped.predict(turned, box_of(points), roll=np.array([float(said)]))
    assert nme(face.landmarks, points) < 0.05 and face.confidence > 0.95


def test_upright_and_turned_faces_in_one_photo(shipped):
    """One batch: each face has its own roll, known or not."""
    photo, truth = portrait()
    upside_down = np.ascontiguousarray(np.rot90(photo, 2))
    both = np.concatenate([photo, upside_down], axis=1)
    points = [truth, (photo.shape[1] - 1 - truth) + (photo.shape[1], 0)]
    boxes = np.concatenate([box_of(p) for p in points])
    alone = shipped.predict(photo, box_of(truth))[0]
    for roll in (None, np.array([0.0, 178.0]), np.array([np.nan, -170.0])):
        faces = shipped.predict(both, boxes, roll=roll)
        np.testing.assert_allclose(faces[0].landmarks, alone.landmarks, atol=0.05)
        assert nme(faces[1].landmarks, points[1]) < 1.1 * nme(alone.landmarks, truth)
    with pytest.raises(InputError, match="2 boxes need as many rolls"):
        shipped.predict(both, boxes, roll=np.zeros(3))


def test_a_detector_may_give_rolls(shipped):
    photo, truth = portrait()
    turned, points = turned_photo(photo, truth, 200)
    for rolls in (np.array([-165.0]), [200], None):
        detections = (box_of(points), np.array([0.5]), rolls)
        predictor = Predictor(engine="opencv", detector=lambda pixels, found=detections: found)
        (face,) = predictor.predict(turned)
        assert face.score == 0.5 and nme(face.landmarks, points) < 0.05
        boxes, scores, found = predictor.detect(turned)
        assert boxes.shape == (1, 4) and scores.shape == (1,)
        assert found is None if rolls is None else found.shape == (1,)


def test_one_pass_is_one_crop(shipped):
    """Turned by the roll if it is known, never tried turned."""
    photo, truth = portrait()
    turned, points = turned_photo(photo, truth, 180)
    once = Predictor(engine="opencv", passes=1)
    known = once.landmarks(turned, box_of(points), "landmarks", np.array([180.0]))[0]
    assert (
        nme(known, points)
        < 0.05
        < nme(once.landmarks(turned, box_of(points), "landmarks")[0], points)
    )


def test_pose_and_attributes_of_a_turned_face_are_those_of_its_crop(full_run):
    """The model's own pose is that of the face in the crop; the predictor's is in the photo."""
    photo, truth = portrait()
    predictor = Predictor(full_run.model, passes=1)
    turned, points = turned_photo(photo, truth, 90)
    outputs = predictor.outputs(turned, box_of(points), "landmarks", np.array([90.0]))
    contract = predictor.contract
    crop, transform = geometry.crop_face(
        turned, upright_box(box_of(points)[0], 90.0), contract.crop, contract.size, 90.0
    )
    alone = load_engine(full_run.model, contract, "tensorflow")(crop[None])
    np.testing.assert_allclose(outputs["attributes"], alone["attributes"], atol=1e-3)
    np.testing.assert_allclose(outputs["pose"][0], turned_pose(alone["pose"][0], 90.0), atol=1e-2)
    back = geometry.apply(geometry.invert(transform), alone["landmarks"][0])
    np.testing.assert_allclose(outputs["landmarks"][0], back, atol=0.05)
