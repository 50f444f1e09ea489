"""Face boxes: canonical ones of every scheme, detections that go to the right annotation."""

import importlib.util
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dlib
import numpy as np
import pytest

from senet_landmark.data_tools.datasets.registry import list_entries, load_photo, load_sample
from senet_landmark.data_tools.datasets.samples import by_photo
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.detectors.dlib_hog import HOG_DETECTOR, detect_dlib
from senet_landmark.detectors.registry import DLIB_CNN, get_detector
from senet_landmark.detectors.search import assign, find_annotated_faces
from senet_landmark.errors import InputError
from senet_landmark.face.boxes import canonical_box
from senet_landmark.face.geometry import box_from_landmarks, iou
from senet_landmark.face.pose import MEAN_FACE_3D, rotation_matrix
from senet_landmark.face.scheme_conversion import can_convert, convert
from senet_landmark.face.schemes import SCHEMES


def turned_face(yaw=0.0, pitch=0.0, roll=0.0):
    points = MEAN_FACE_3D @ rotation_matrix(yaw, pitch, roll).T
    return points[:, :2] * 100 + (300, 200)


@pytest.mark.parametrize("scheme", [s for s in SCHEMES if can_convert("300w_68", s)])
@pytest.mark.parametrize("pose", [(0, 0, 0), (40, 0, 0), (-30, 10, 20), (60, -10, 0)])
def test_canonical_box_is_the_same_whatever_the_scheme(scheme, pose):
    points = turned_face(*pose)
    truth = box_from_landmarks(points)
    box = canonical_box(convert(points, "300w_68", scheme), scheme)
    assert iou(box, truth) > 0.9


def test_canonical_box_of_5_points_of_real_faces(shared_data):
    overlaps = []
    for entry in list_entries("300w_lp", shared_data("300W_LP"))[::40]:
        points = load_sample("300w_lp", entry).landmarks
        five = canonical_box(convert(points, "300w_68", "mtfl_5"), "mtfl_5")
        overlaps.append(iou(five, canonical_box(points, "300w_68")))
    assert np.median(overlaps) > 0.8 and min(overlaps) > 0.5


def test_canonical_box_needs_enough_known_points():
    points = convert(turned_face(), "300w_68", "mtfl_5")
    points[0] = np.nan
    assert iou(canonical_box(points, "mtfl_5"), box_from_landmarks(turned_face())) > 0.8
    points[1] = np.nan
    with pytest.raises(InputError, match="4 known points"):
        canonical_box(points, "mtfl_5")
    with pytest.raises(InputError, match=r"coincide|no area"):
        canonical_box(np.ones((5, 2)), "mtfl_5")
    known = turned_face()
    known[5] = np.nan
    np.testing.assert_allclose(
        canonical_box(known, "300w_68"), box_from_landmarks(turned_face()), atol=1
    )


def test_assignment_is_one_to_one_and_the_best_in_sum():
    """Greedy best matches would give box 0 to both faces, or leave one without."""
    truths = [np.array([0, 0, 10, 10.0]), np.array([4, 0, 14, 10.0])]
    boxes = [np.array([3, 0, 13, 10.0]), np.array([-2, 0, 8, 10.0])]
    assert assign(boxes, truths) == {0: 1, 1: 0}
    assert assign(boxes[:1], truths) == {1: 0}
    assert assign([np.array([50, 50, 60, 60.0])], truths) == {}
    assert assign([], truths) == {} and assign(boxes, []) == {}


@pytest.mark.parametrize("shift", [0, 12])
def test_neighbours_in_a_real_photo_get_their_own_box(shift):
    """Two portraits side by side, given in the other order, a third annotation without a face."""
    photo, truth = portrait()
    pair = np.concatenate([photo, np.roll(photo, shift, axis=0)], axis=1)
    right = truth + (photo.shape[1], shift)
    empty = box_from_landmarks(truth) + (0, 250, 0, 250)
    truths = [box_from_landmarks(right), box_from_landmarks(truth), empty]
    found = find_annotated_faces(pair, truths)
    assert found[2] is None
    for box, own in zip(found[:2], truths, strict=False):
        assert box is not None and iou(box, own) > 0.5


def real_groups(shared_data):
    entries = list_entries("dlib_xml", shared_data("groups"))
    for photo in by_photo(entries):
        samples = [load_sample("dlib_xml", entry) for entry in photo]
        yield load_photo("dlib_xml", photo[0]), [s.landmarks for s in samples]


def test_every_face_of_the_group_photos_gets_the_detection_on_it(shared_data):
    for photo, faces in real_groups(shared_data):
        truths = [canonical_box(landmarks, "300w_68") for landmarks in faces]
        found = find_annotated_faces(photo, truths)
        assert all(box is not None for box in found)
        for index, box in enumerate(found):
            overlaps = [iou(box, truth) for truth in truths]
            assert int(np.argmax(overlaps)) == index


def test_threads_do_not_disturb_each_other():
    """dlib's detector object is not for several threads: it crashed, or gave other boxes."""
    photo, _ = portrait()
    alone = detect_dlib(photo)
    with ThreadPoolExecutor(4) as pool:
        for boxes, scores in pool.map(detect_dlib, [photo] * 16):
            np.testing.assert_array_equal(boxes, alone[0])
            np.testing.assert_array_equal(scores, alone[1])


def cnn_model():
    """dlib's CNN detector as the package face_recognition_models ships it."""
    package = importlib.util.find_spec("face_recognition_models")
    if package is None or not package.submodule_search_locations:
        pytest.skip("needs dlib's CNN detector: pip install face_recognition_models")
    folder = Path(package.submodule_search_locations[0])
    return folder / "models" / "mmod_human_face_detector.dat"


def test_cnn_detector_finds_the_portrait():
    photo, truth = portrait()
    detect = get_detector(DLIB_CNN, cnn_model())
    boxes, scores = detect(photo[:300, 100:350], 0)
    assert len(boxes) == len(scores) == 1 and scores[0] > 0.5
    assert iou(boxes[0] + (100, 0, 100, 0), box_from_landmarks(truth)) > 0.5


def test_cnn_detector_without_its_model_says_where_it_is_from(tmp_path):
    with pytest.raises(InputError, match="--detector-model"):
        get_detector(DLIB_CNN)
    with pytest.raises(InputError, match=r"no such file.*dlib\.net"):
        get_detector(DLIB_CNN, tmp_path / "absent.dat")
    (tmp_path / "junk.dat").write_bytes(b"junk")
    with pytest.raises(InputError, match=r"junk\.dat.*not a model"):
        get_detector(DLIB_CNN, tmp_path / "junk.dat")


@pytest.mark.parametrize("upsample", [0, 1])
def test_detector_that_ships_is_dlibs_own(upsample):
    photo, _ = portrait()
    own = dlib.get_frontal_face_detector().run(photo, upsample, -0.5)
    shipped = dlib.fhog_object_detector(str(HOG_DETECTOR)).run(photo, upsample, -0.5)
    assert list(own[0]) == list(shipped[0]) and list(own[1]) == list(shipped[1])
    assert len(own[0]) >= 1
