"""`senet_landmark.compat.dlib` beside dlib itself."""

import pickle

import cv2
import dlib
import numpy as np
import pytest

from face_errors import nme
from senet_landmark.compat import dlib as compat
from senet_landmark.data_tools.datasets.registry import list_entries, load_photo, load_sample
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.errors import InputError
from senet_landmark.export.evaluation.peers import find_dlib_model
from senet_landmark.face.geometry import iou
from senet_landmark.frozen.models import find_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def predictor():
    return compat.shape_predictor("senet-68")


@pytest.fixture(scope="module")
def dlib_folder():
    """Where dlib's own models are."""
    try:
        return find_dlib_model().parent
    except InputError as error:
        pytest.skip(f"needs dlib's models: {error}")


@pytest.fixture(scope="module")
def theirs(dlib_folder):
    return dlib.shape_predictor(str(dlib_folder / "shape_predictor_68_face_landmarks.dat"))


@pytest.fixture(scope="module")
def one_face():
    """The portrait, its true landmarks, and dlib's rectangle."""
    photo, truth = portrait()
    (rectangle,) = compat.get_frontal_face_detector()(photo, 0)
    return photo, truth, rectangle


def points_of(shape):
    return np.array([(part.x, part.y) for part in shape.parts()], np.float64)


def test_answer_is_dlibs_own_object(predictor, theirs, one_face):
    photo, truth, rectangle = one_face
    ours, other = predictor(photo, rectangle), theirs(photo, rectangle)
    assert type(ours) is type(other) is dlib.full_object_detection
    assert ours.num_parts == other.num_parts == 68 and ours.rect == other.rect == rectangle
    assert type(ours.part(30)) is type(other.part(30)) is dlib.point
    assert nme(points_of(ours), truth) < 0.04
    by_name = predictor(image=photo, box=rectangle)
    np.testing.assert_array_equal(points_of(by_name), points_of(ours))


def test_points_are_near_dlibs_on_real_photos(predictor, theirs, shared_data):
    """In the order of dlib's: each of them, not only the mean."""
    entries = list_entries("300w", shared_data("300w", "helen", "testset"))
    detector, apart, errors = dlib.get_frontal_face_detector(), [], []
    for entry in entries[::40]:
        photo, truth = load_photo("300w", entry), load_sample("300w", entry).landmarks
        box = np.r_[truth.min(axis=0), truth.max(axis=0)]
        edges = [(r, [r.left(), r.top(), r.right(), r.bottom()]) for r in detector(photo, 0)]
        fitting = [r for r, edge in edges if iou(np.array(edge, float), box) > 0.4]
        if not fitting:
            continue
        ours, other = (points_of(one(photo, fitting[0])) for one in (predictor, theirs))
        eyes = np.linalg.norm(truth[36] - truth[45])
        apart.append(np.linalg.norm(ours - other, axis=1) / eyes)
        errors.append((nme(ours, truth), nme(other, truth)))
    assert len(errors) >= 6
    assert np.median(apart, axis=0).max() < 0.15 and np.median(apart) < 0.05
    assert np.mean(errors, axis=0)[0] < 0.06


def test_grey_and_other_views_of_an_array(predictor, one_face):
    """imutils's programs give grey photos."""
    photo, truth, rectangle = one_face
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    found = points_of(predictor(grey, rectangle))
    assert nme(found, truth) < 0.05
    np.testing.assert_array_equal(points_of(predictor(grey[..., None], rectangle)), found)
    bgr = points_of(predictor(photo[..., ::-1], rectangle))  # not contiguous
    assert nme(bgr, truth) < 0.05
    wide = np.zeros((photo.shape[0], 2 * photo.shape[1], 3), np.uint8)
    wide[:, : photo.shape[1]] = photo
    part = wide[:, : photo.shape[1]]
    np.testing.assert_array_equal(
        points_of(predictor(part, rectangle)), points_of(predictor(photo, rectangle))
    )


def test_imutils_takes_the_answer(predictor, theirs, one_face):
    face_utils = pytest.importorskip("imutils.face_utils", reason="needs imutils")
    photo, truth, rectangle = one_face
    ours, other = (face_utils.shape_to_np(one(photo, rectangle)) for one in (predictor, theirs))
    assert ours.shape == other.shape == (68, 2) and ours.dtype == other.dtype
    assert nme(ours, truth) < 0.04
    first, last = face_utils.FACIAL_LANDMARKS_68_IDXS["mouth"]
    np.testing.assert_allclose(ours[first:last].mean(axis=0), truth[48:].mean(axis=0), atol=3)


def test_face_chips_and_descriptors_are_those_of_dlibs_points(
    predictor, theirs, dlib_folder, one_face
):
    photo, _, rectangle = one_face
    ours, other = predictor(photo, rectangle), theirs(photo, rectangle)
    chip = dlib.get_face_chip(photo, ours, size=150)
    assert chip.shape == (150, 150, 3)
    assert np.abs(chip.astype(int) - dlib.get_face_chip(photo, other, size=150)).mean() < 20
    shapes = dlib.full_object_detections()
    shapes.append(ours)
    assert len(dlib.get_face_chips(photo, shapes, size=64)) == 1
    recognition = dlib.face_recognition_model_v1(
        str(dlib_folder / "dlib_face_recognition_resnet_model_v1.dat")
    )
    descriptors = [np.array(recognition.compute_face_descriptor(photo, s)) for s in (ours, other)]
    assert np.linalg.norm(descriptors[0] - descriptors[1]) < 0.3  # of one person: below 0.6


def test_predictor_goes_to_another_process(predictor, one_face):
    photo, _, rectangle = one_face
    sent = pickle.loads(pickle.dumps(predictor))
    np.testing.assert_array_equal(
        points_of(sent(photo, rectangle)), points_of(predictor(photo, rectangle))
    )


def test_other_names_are_dlibs():
    for name in ("rectangle", "get_face_chip", "point", "load_rgb_image", "correlation_tracker"):
        assert getattr(compat, name) is getattr(dlib, name) and name in dir(compat)
    assert compat.__version__ == dlib.__version__
    with pytest.raises(AttributeError, match="no_such_name"):
        compat.no_such_name  # noqa: B018
    from senet_landmark.compat.dlib import rectangle, shape_predictor

    assert rectangle is dlib.rectangle and shape_predictor is not dlib.shape_predictor


# --- wrong input ---------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [np.float64, np.float32, np.uint16, np.int64, bool])
def test_other_types_of_pixels_are_refused_as_by_dlib(predictor, theirs, one_face, change):
    photo, _, rectangle = one_face
    for image in (photo.astype(change), photo[..., 0].astype(change)):
        for one in (theirs, predictor):
            with pytest.raises(RuntimeError, match="Unsupported image type, must be 8bit gray or"):
                one(image, rectangle)


def test_other_shapes_are_refused_as_by_dlib(predictor, theirs, one_face):
    photo, _, rectangle = one_face
    for image in (np.dstack([photo, photo[..., :1]]), photo[..., :2], photo[None]):
        for one in (theirs, predictor):
            with pytest.raises(RuntimeError, match="Unsupported image type"):
                one(image, rectangle)
    with pytest.raises(InputError, match=r"it is uint8 \[0, 512, 3\]"):  # dlib: points of nothing
        predictor(photo[:0], rectangle)


def test_what_is_no_array_or_no_rectangle_is_a_type_error_as_with_dlib(predictor, theirs, one_face):
    photo, _, rectangle = one_face
    wrong_boxes = [(10, 10, 60, 60), dlib.drectangle(1.5, 1, 60, 60), None]
    calls = [("photo.jpg", rectangle), (photo[:2, :2].tolist(), rectangle)]
    for image, box in [*calls, *((photo, box) for box in wrong_boxes)]:
        for one in (theirs, predictor):
            with pytest.raises(TypeError):
                one(image, box)
    with pytest.raises(TypeError, match=r"dlib\.rectangle, not tuple.*take \.rect"):
        predictor(photo, (10, 10, 60, 60))


def test_rectangles_beside_the_photo(predictor, one_face):
    photo, truth, rectangle = one_face
    for box in (
        dlib.rectangle(-500, -500, -400, -400),
        dlib.rectangle(600, 600, 700, 700),
        dlib.rectangle(),
        dlib.rectangle(60, 60, 20, 20),
    ):
        with pytest.raises(InputError, match="the box"):
            predictor(photo, box)
    left = rectangle.left() + 20
    cut = np.ascontiguousarray(photo[:, left:])  # the rectangle begins left of the photo
    shape = predictor(cut, dlib.translate_rect(rectangle, dlib.point(-left, 0)))
    assert shape.rect.left() == -20 and nme(points_of(shape), truth - (left, 0)) < 0.06


def test_models_that_are_none(tmp_path, dlib_folder):
    for error in (InputError, RuntimeError):  # dlib raises the second
        with pytest.raises(error, match=r"no-such-model: no such model.*senet-68"):
            compat.shape_predictor("no-such-model")
    own = dlib_folder / "shape_predictor_68_face_landmarks.dat"
    with pytest.raises(RuntimeError, match=r'is a file of dlib\'s.*shape_predictor\("senet-68"\)'):
        compat.shape_predictor(str(own))
    alone = tmp_path / "alone.pb"
    alone.write_bytes(b"no graph")
    with pytest.raises(InputError, match=r"alone\.json: absent"):
        compat.shape_predictor(alone)


def test_another_model_and_engine(one_face):
    photo, truth, rectangle = one_face
    path = find_model("senet-68-small")
    small = compat.shape_predictor(str(path), engine="opencv", passes=1)
    assert nme(points_of(small(photo, rectangle)), truth) < 0.06
