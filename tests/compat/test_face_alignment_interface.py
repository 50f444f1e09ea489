"""`senet_landmark.compat.face_alignment` beside the package face-alignment 1.5.0.

What it returns was recorded from that release, run with a detector and networks without weights.
"""

import inspect
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from face_errors import nme
from senet_landmark.compat import face_alignment
from senet_landmark.compat.face_alignment import FaceAlignment, LandmarksType, NetworkSize
from senet_landmark.data_tools.datasets.registry import list_entries, load_photo, load_sample
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait, portrait_path
from senet_landmark.errors import InputError
from senet_landmark.face.geometry import box_from_landmarks, iou

pytestmark = pytest.mark.slow

RETURNED = "return_bboxes=False, return_landmark_score=False"
SIGNATURES = {
    "__init__": "landmarks_type, network_size=<NetworkSize.LARGE: 4>, device='cuda', "
    "dtype=torch.float32, flip_input=True, face_detector='sfd', face_detector_kwargs=None, "
    "verbose=False, compile=True, max_batch_size=1",
    "get_landmarks": f"image_or_path, detected_faces=None, {RETURNED}",
    "get_landmarks_from_image": f"image_or_path, detected_faces=None, {RETURNED}",
    "get_landmarks_from_batch": f"image_batch, detected_faces=None, {RETURNED}",
    "get_landmarks_from_directory": "path, extensions=['.jpg', '.png'], recursive=True, "
    f"show_progress_bar=True, {RETURNED}",
}
"""Of face-alignment 1.5.0."""


@pytest.fixture(scope="module")
def aligner():
    return FaceAlignment(LandmarksType.TWO_D, device="cpu", flip_input=False)


@pytest.fixture(scope="module")
def box():
    return box_from_landmarks(portrait()[1])


def described(value):
    """The types and shapes of what was returned."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{list(value.shape)}"
    if isinstance(value, list):
        return [described(one) for one in value]
    if isinstance(value, tuple):
        return tuple(described(one) for one in value)
    return value


def signature(function, ours):
    """A function's parameters by place, without `self`, as `SIGNATURES` has them."""
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind == parameter.POSITIONAL_OR_KEYWORD and parameter.name != "self"
    ]
    text = str(inspect.Signature(parameters))[1:-1]
    if ours:  # neither a mutable default nor PyTorch
        text = text.replace("('.jpg', '.png')", "['.jpg', '.png']")
        text = text.replace("dtype=None", "dtype=torch.float32")
    return text


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures_are_those_of_the_release(name):
    assert signature(getattr(FaceAlignment, name), ours=True) == SIGNATURES[name]


def test_recorded_signatures_are_those_of_the_package():
    theirs = pytest.importorskip("face_alignment", reason="needs face-alignment and PyTorch")
    if theirs.__version__ != "1.5.0":
        pytest.skip(f"the signatures are those of 1.5.0, not {theirs.__version__}")
    for name, recorded in SIGNATURES.items():
        assert signature(getattr(theirs.FaceAlignment, name), ours=False) == recorded
    for kind in ("LandmarksType", "NetworkSize"):
        ours, other = getattr(face_alignment, kind), getattr(theirs, kind)
        assert [(one.name, one.value) for one in ours] == [(one.name, one.value) for one in other]
    FaceAlignment(theirs.LandmarksType.TWO_D, theirs.NetworkSize.LARGE)


def test_names_of_the_landmarks_types():
    names = {"TWO_D": 1, "TWO_HALF_D": 2, "THREE_D": 3}
    assert {one.name: one.value for one in LandmarksType} == names
    old = (LandmarksType._2D, LandmarksType._2halfD, LandmarksType._3D)
    assert old == tuple(LandmarksType) and NetworkSize.LARGE == 4
    for wrong in (0, 4, "2D", None):
        with pytest.raises(InputError, match=r"LandmarksType\.TWO_D, .*THREE_D, not"):
            FaceAlignment(wrong)


# --- one image -----------------------------------------------------------------------------------


def test_path_array_and_tensor_give_the_same(aligner):
    photo, truth = portrait()

    class Tensor:
        """What is asked of PyTorch's; it is not installed here."""

        def detach(self):
            return self

        def cpu(self):
            return self

        def numpy(self):
            return photo

    found = aligner.get_landmarks(str(portrait_path()))
    assert described(found) == ["float32[68, 2]"] and nme(found[0], truth) < 0.04
    for image in (portrait_path(), photo, Tensor(), photo.astype(np.float32), photo.astype(int)):
        np.testing.assert_array_equal(aligner.get_landmarks_from_image(image), found)


def test_what_is_returned(aligner, box):
    photo, _ = portrait()
    everything = aligner.get_landmarks_from_image(photo, None, True, True)
    assert described(everything) == (["float32[68, 2]"], ["float32[68]"], ["float64[5]"])
    landmarks, (scores,), (found,) = everything
    assert iou(found[:4], box) > 0.7 and 0.5 < found[4] <= 1
    assert scores.min() > 0.5 and scores.max() <= 1
    boxes = aligner.get_landmarks(photo, return_bboxes=True)
    assert described(boxes) == (["float32[68, 2]"], None, ["float64[5]"])
    rated = aligner.get_landmarks(photo, return_landmark_score=True)
    assert described(rated) == (["float32[68, 2]"], ["float32[68]"], None)
    np.testing.assert_array_equal(rated[0], landmarks)


def test_boxes_of_the_caller(aligner, box):
    photo, truth = portrait()
    for given in ([box], [box.tolist()], box[None], [np.append(box, 0.9)], [box, box]):
        landmarks, scores, returned = aligner.get_landmarks(photo, given, return_bboxes=True)
        assert described(landmarks) == ["float32[68, 2]"] * len(given)
        assert returned is given and scores is None
        assert all(nme(points, truth) < 0.04 for points in landmarks)
    own = aligner.face_detector.detect_from_image(photo)  # a program's own step
    assert described(own) == ["float64[5]"] and aligner.face_detector.reference_scale == 195
    assert nme(aligner.get_landmarks(photo, own)[0], truth) < 0.04


def test_no_face_is_none_with_a_warning(aligner):
    photo = np.zeros_like(portrait()[0])
    for given in (None, [], np.zeros((0, 5))):
        with pytest.warns(UserWarning, match=r"No faces were detected\."):
            assert aligner.get_landmarks(photo, given) is None
        for one in ("return_bboxes", "return_landmark_score"):
            with pytest.warns(UserWarning, match=r"No faces were detected\."):
                assert aligner.get_landmarks(photo, given, **{one: True}) == (None, None, None)


def test_grey_and_alpha(aligner, box):
    photo, truth = portrait()
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    assert nme(aligner.get_landmarks(grey)[0], truth) < 0.05
    np.testing.assert_array_equal(
        aligner.get_landmarks(grey[..., None]), aligner.get_landmarks(grey)
    )
    np.testing.assert_array_equal(
        aligner.get_landmarks(np.dstack([photo, grey]), [box]), aligner.get_landmarks(photo, [box])
    )


def test_file_is_taken_as_it_is_stored(aligner, tmp_path):
    """As scikit-image reads it: a program that draws on `skimage.io.imread(path)` draws right."""
    photo, truth = portrait()
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "phone.png"
    Image.fromarray(np.ascontiguousarray(np.rot90(photo))).save(path, exif=exif)
    (points,) = aligner.get_landmarks(str(path))
    turned = np.stack([truth[:, 1], photo.shape[1] - 1 - truth[:, 0]], axis=1)
    assert nme(points, turned) < 0.05


def test_score_is_the_share_of_points_that_near(aligner, shared_data):
    """Of faces of HELEN's test set: what the scores say together is about so."""
    entries = list_entries("300w", shared_data("300w", "helen", "testset"))
    scores, near = [], []
    for entry in entries[::20]:
        truth = load_sample("300w", entry).landmarks
        tight = box_from_landmarks(truth)
        (points,), (rated,), _ = aligner.get_landmarks(
            load_photo("300w", entry), [tight], return_landmark_score=True
        )
        side = np.sqrt(np.prod(tight[2:] - tight[:2]))
        scores.append(rated)
        near.append(np.linalg.norm(points - truth, axis=1) < 0.05 * side)
    assert np.mean(scores) == pytest.approx(np.mean(near), abs=0.06)
    assert np.mean(near) < 0.99
    assert np.mean(np.array(scores)[np.array(near)]) > np.mean(np.array(scores)[~np.array(near)])


# --- the mirror image ----------------------------------------------------------------------------


def test_flip_input_is_the_mean_with_the_mirror_image(aligner, box):
    """So the mean of a mirrored photo is the mirrored mean, which a single pass is not."""
    photo, truth = portrait()
    flipping = FaceAlignment(LandmarksType.TWO_D, device="cpu")
    mirrored = np.ascontiguousarray(photo[:, ::-1])
    width, pairs = photo.shape[1], flipping.face_detector.predictor.scheme.mirror_index

    def differences(one):
        (points,) = one.get_landmarks(photo)
        (again,) = one.get_landmarks(mirrored)
        back = again[pairs] * (-1, 1) + (width - 1, 0)
        return nme(points, truth), np.linalg.norm(points - back, axis=1).mean()

    error, apart = differences(flipping)
    _, apart_single = differences(aligner)
    assert error < 0.04 and apart < 0.5 * apart_single


# --- several images ------------------------------------------------------------------------------


def test_batch(aligner, box):
    photo, _ = portrait()
    images = np.stack([photo, np.zeros_like(photo), photo]).transpose(0, 3, 1, 2)
    face, nobody = "float32[68, 2]", []
    for batch in (images, images.astype(np.float32)):
        with pytest.warns(UserWarning, match="No faces"):
            found = aligner.get_landmarks_from_batch(batch)
        assert described(found) == [face, nobody, face]
        np.testing.assert_array_equal(found[0], aligner.get_landmarks(photo)[0])
    with pytest.warns(UserWarning, match="No faces"):
        everything = aligner.get_landmarks_from_batch(images, None, True, True)
    boxes = [["float64[5]"], nobody, ["float64[5]"]]
    scores = [["float32[68]"], None, ["float32[68]"]]
    assert described(everything) == ([face, nobody, face], scores, boxes)
    given = [[box], [], [box, box]]
    with pytest.warns(UserWarning, match="No faces"):
        found, scores, returned = aligner.get_landmarks_from_batch(images, given, True)
    assert described(found) == [face, nobody, "float32[136, 2]"]
    assert scores is None and returned is given
    with pytest.warns(UserWarning, match="No faces"):
        assert aligner.get_landmarks_from_batch(images[:0]) is None
    with pytest.raises(InputError, match="3 images need as many lists of boxes, not 1"):
        aligner.get_landmarks_from_batch(images, [[box]])
    with pytest.raises(InputError, match=r"\[B, 3, H, W\], not \[512, 512, 3\]"):
        aligner.get_landmarks_from_batch(photo)


@pytest.fixture
def folder(tmp_path):
    """Photos below each other; a black one; a file that is none."""
    root = tmp_path / "photos [1]"
    (root / "sub").mkdir(parents=True)
    for name in ("a.jpg", "sub/b.jpg", "sub/c.JPG"):
        shutil.copy(portrait_path(), root / name)
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(root / "d.png")
    (root / "notes.txt").write_text("no photo")
    return root


def test_directory(aligner, folder, capfd):
    with pytest.warns(UserWarning, match="No faces"):
        found = aligner.get_landmarks_from_directory(str(folder))
    assert "it/s" in capfd.readouterr().err or "s/it" in capfd.readouterr().err
    assert {name: described(value) for name, value in found.items()} == {
        f"{folder}/a.jpg": ["float32[68, 2]"],
        f"{folder}/d.png": None,
        f"{folder}/sub/b.jpg": ["float32[68, 2]"],
    }
    np.testing.assert_array_equal(
        found[f"{folder}/a.jpg"], aligner.get_landmarks(str(folder / "a.jpg"))
    )
    flat = aligner.get_landmarks_from_directory(folder, [".jpg"], False, False)
    assert list(flat) == [f"{folder}/a.jpg"]
    capital = aligner.get_landmarks_from_directory(folder, [".JPG"], show_progress_bar=False)
    assert list(capital) == [f"{folder}/sub/c.JPG"]
    assert capfd.readouterr().err == ""
    with pytest.warns(UserWarning, match="No faces"):
        everything = aligner.get_landmarks_from_directory(
            folder, ["a.jpg", ".png"], True, False, True, True
        )
    assert [described(value) for value in everything.values()] == [
        (["float32[68, 2]"], ["float32[68]"], ["float64[5]"]),
        (None, None, None),
    ]


def test_directory_goes_on_after_a_file_that_is_no_photo(aligner, folder):
    (folder / "a0.jpg").write_bytes(b"no photo")
    with pytest.warns(UserWarning, match=r"a0\.jpg: does not decode as a photo"):
        found = aligner.get_landmarks_from_directory(folder, [".jpg"], False, False)
    assert found[f"{folder}/a0.jpg"] is None and len(found[f"{folder}/a.jpg"]) == 1


def test_directories_without_photos(aligner, tmp_path):
    assert aligner.get_landmarks_from_directory(tmp_path, show_progress_bar=False) == {}
    with pytest.raises(InputError, match="absent: no such folder"):
        aligner.get_landmarks_from_directory(tmp_path / "absent")
    for none in ([], ".jpg"):
        with pytest.raises(ValueError, match="extensions are a list"):  # theirs: of the first
            aligner.get_landmarks_from_directory(tmp_path, none)


# --- wrong input ---------------------------------------------------------------------------------


def test_images_that_are_none(aligner, box, tmp_path):
    photo, _ = portrait()
    text = tmp_path / "notes.txt"
    text.write_text("no photo")
    for image, message in (
        (photo / 255, r"from 0 to 1, and not to 255: all of it would be black"),
        (photo.astype(np.uint16) * 200, "to 51000, and not from 0 to 255"),
        (photo.astype(int) - 300, "not from 0 to 255"),
        (np.full(photo.shape, np.nan), "nan"),
        (photo > 9, r"uint8 \[H, W, 3\], not bool"),
        (photo[:0], r"uint8 \[H, W, 3\]"),
        (photo.transpose(2, 0, 1), r"uint8 \[H, W, 3\]"),
        (photo.tolist(), "a path, an array or a tensor, not list"),
        (None, "a path, an array or a tensor, not NoneType"),
        (str(tmp_path / "absent.jpg"), r"absent\.jpg: cannot be read"),
        (text, r"notes\.txt: does not decode as a photo"),
    ):
        for given in (None, [box]):
            with pytest.raises(InputError, match=message):
                aligner.get_landmarks(image, given)


def test_boxes_that_are_none(aligner):
    photo, _ = portrait()
    for given, message in (
        ([[900, 900, 1000, 1000]], "outside of it"),
        ([[10, 10, 10, 10]], "a face has at least 4 a side"),
        ([[np.nan] * 4], "a face has at least 4 a side"),
        ([[1, 2, 3]], r"not an array \[3\]"),
        ([10, 10, 60, 60], r"not an array \[\]"),
        ([[10, 10, 60, 60], [1, 2]], "no boxes of numbers"),
        (["face"], "no boxes of numbers"),
    ):
        with pytest.raises(InputError, match=message):
            aligner.get_landmarks(photo, given)


def test_devices_detectors_and_models_that_are_none():
    for arguments, message in (
        ({"device": "gpu"}, "cpu, cuda or mps, not 'gpu'"),
        ({"face_detector": "mtcnn"}, r"Unknown face detector 'mtcnn'\. Known: sfd, .*blazeface"),
        ({"face_detector": "folder"}, "given as detected_faces"),
        ({"face_detector_kwargs": {"threshold": 1}}, "options threshold are unknown"),
        ({"face_detector_kwargs": {"path_to_detector": "s3fd.pth"}}, r"s3fd\.pth: is not read"),
        ({"model": "no-such-model"}, r"no such model.*senet-68"),
    ):
        with pytest.raises(InputError, match=message):
            FaceAlignment(LandmarksType.TWO_D, **arguments)


# --- detectors -----------------------------------------------------------------------------------


def test_detectors(box):
    photo, truth = portrait()
    for name, options in (
        ("dlib", None),
        ("yunet", {"score_threshold": 0.3}),
        ("blazeface", {"back_model": True}),
        (lambda pixels: (box[None], np.ones(1)), None),
    ):
        one = FaceAlignment(
            LandmarksType.TWO_D,
            flip_input=False,
            face_detector=name,
            face_detector_kwargs=options,
        )
        assert nme(one.get_landmarks(photo)[0], truth) < 0.05
    strict = FaceAlignment(1, face_detector_kwargs={"filter_threshold": 0.999})
    with pytest.warns(UserWarning, match="No faces"):
        assert strict.get_landmarks(photo) is None


def test_landmarks_that_no_shipped_model_gives_are_told():
    """Types with depth or the true jaw: `tests/export/inference/test_depth_of_faces.py`."""
    for kind in (LandmarksType.THREE_D, LandmarksType.TWO_HALF_D):
        with pytest.raises(
            InputError,
            match=rf"senet-68: gives 300w_68 without depth, .*{kind.name} needs a .*model=…"
            r".*preset senet_3d.*TWO_D needs none",
        ):
            FaceAlignment(kind, model="senet-68")
