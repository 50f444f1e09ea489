"""Faces that draw themselves on their photo, and show it in a notebook."""

import copy
import gc
import pickle

import cv2
import numpy as np
import pytest

from senet_landmark.data_tools.synthesis.synthetic_tree import portrait, portrait_path
from senet_landmark.data_tools.synthesis.wflw_tree import points_98
from senet_landmark.errors import InputError
from senet_landmark.export.inference.face import MOST_SHOWN, Face, Faces
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.face.geometry import box_from_landmarks
from senet_landmark.face.scheme_conversion import convert
from senet_landmark.io.images import decode_photo, encode_png, write_picture
from senet_landmark.visualisation.drawing import GREEN
from senet_landmark.visualisation.faces import SIDE

PHOTO, TRUTH = portrait()


def face_of(landmarks, scheme="300w_68", **fields):
    landmarks = np.asarray(landmarks, np.float32)
    return Face(box_from_landmarks(landmarks), landmarks, scheme=scheme, **fields)


FACE = face_of(TRUTH)


def at(picture, points):
    """The colours of the pixels nearest to the points."""
    columns, rows = np.asarray(points).round().astype(int).T
    return picture[rows, columns].astype(int)


def near(colours, colour, within=60):
    return np.abs(colours - colour).max(axis=-1) < within


SCHEMES = {
    "mtfl_5": convert(TRUTH, "300w_68", "mtfl_5"),
    "300w_68": TRUTH,
    "wflw_98": points_98(TRUTH),
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_landmark_is_drawn_on_a_copy_of_the_photo(scheme):
    before = PHOTO.copy()
    landmarks = SCHEMES[scheme]
    assert len(landmarks) == int(scheme.rpartition("_")[2])
    face = face_of(landmarks, scheme)
    picture = face.draw(PHOTO)
    assert picture.shape == PHOTO.shape and picture.dtype == np.uint8
    np.testing.assert_array_equal(PHOTO, before)
    # The axes of the pose may cover one.
    assert near(at(picture, landmarks), GREEN).mean() > 0.95 and not near(PHOTO, GREEN, 40).any()
    # Around the face, with its axes and its text, the photo is as it was.
    left, top, right, bottom = face.own_box.round().astype(int)
    changed = (picture != PHOTO).any(axis=2)
    changed[max(top - 60, 0) : bottom + 40, left - 30 : right + 60] = False
    assert not changed.any()


@pytest.mark.parametrize("kind", ["path", "text", "bytes", "BGR", "grey", "view"])
def test_a_photo_may_be_what_predict_takes(kind, tmp_path):
    expected, photo, order = FACE.draw(PHOTO), PHOTO, "RGB"
    if kind in ("path", "text"):
        write_picture(tmp_path / "photo.png", PHOTO)
        photo = tmp_path / "photo.png" if kind == "path" else str(tmp_path / "photo.png")
    elif kind == "bytes":
        photo = encode_png(PHOTO)
    elif kind == "BGR":
        photo, order = np.ascontiguousarray(PHOTO[..., ::-1]), "BGR"
    elif kind == "view":
        photo = np.flip(np.flip(PHOTO, 1).copy(), 1)
    else:
        grey = cv2.cvtColor(PHOTO, cv2.COLOR_RGB2GRAY)
        photo = tmp_path / "grey.jpg"
        photo.write_bytes(cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes())
        picture = FACE.draw(photo)
        marked = picture.max(axis=2) > picture.min(axis=2)
        # Colour where a mark is, and nowhere else.
        np.testing.assert_array_equal(picture[~marked], decode_photo(photo.read_bytes())[~marked])
        assert at(marked[..., None], TRUTH).all() and marked.mean() < 0.05
        return
    np.testing.assert_array_equal(FACE.draw(photo, order), expected)


@pytest.mark.parametrize(
    ("photo", "message"),
    [
        (PHOTO / 255, r"uint8 \[H, W, 3\], not float64 \(512, 512, 3\).*\(255 \* photo\)"),
        (PHOTO[..., 0], r"not uint8 \(512, 512\).*np\.stack\(\[photo\] \* 3, axis=-1\)"),
        (np.dstack([PHOTO, PHOTO[..., 0]]), r"not uint8 \(512, 512, 4\)\.$"),
        (np.zeros((0, 0, 3), np.uint8), r"not uint8 \(0, 0, 3\)\.$"),
        ("absent.jpg", "absent.jpg: cannot be read"),
        (b"no photo", "does not decode"),
    ],
)
def test_another_array_or_no_photo_is_refused(photo, message):
    for draw in (FACE.draw, Faces([FACE]).draw):
        with pytest.raises(InputError, match=message):
            draw(photo)


def test_advice_for_other_arrays_gives_a_photo():
    """What the messages above say to do."""
    grey, photo = PHOTO[..., 0], PHOTO / 255
    assert FACE.draw(np.stack([grey] * 3, axis=-1)).shape == PHOTO.shape
    assert FACE.draw((255 * photo).astype(np.uint8)).shape == PHOTO.shape


@pytest.mark.parametrize("shift", [(-220, 0), (0, -130), (250, 0), (220, 360), (5000, -5000)])
def test_a_face_partly_or_wholly_outside_is_drawn_as_far_as_it_is_inside(shift):
    landmarks = TRUTH + shift
    picture = face_of(landmarks).draw(PHOTO)
    assert picture.shape == PHOTO.shape
    inside = ((landmarks >= 0) & (landmarks < 511.5)).all(axis=1)
    assert inside.any() == (max(shift) < 5000) and not inside.all()
    if inside.any():
        assert near(at(picture, landmarks[inside]), GREEN).mean() > 0.85


def test_unknown_landmarks_are_not_drawn():
    points = TRUTH.copy()
    points[30] = np.nan
    known = ~np.isnan(points).any(axis=1)
    picture = Face(FACE.box, points.astype(np.float32), scheme="300w_68").draw(PHOTO)
    assert near(at(picture, TRUTH[known]), GREEN).mean() > 0.95
    assert not near(at(picture, TRUTH[~known]), GREEN).any()


def test_faces_are_drawn_one_after_the_other():
    """Also small ones: the photo keeps its size."""
    beside = face_of(TRUTH / 8 + (20, 400))
    picture = beside.draw(FACE.draw(PHOTO))
    assert picture.shape == PHOTO.shape
    for face in (FACE, beside):
        assert near(at(picture, face.landmarks), GREEN, 120).mean() > 0.9
    assert Faces([FACE, beside]).draw(PHOTO).shape[0] > 512  # shown again below


def test_landmarks_with_depth_are_also_seen_from_the_side():
    depth = (TRUTH[:, 0] - TRUTH[:, 0].mean()).astype(np.float32)
    plain, deep = FACE.draw(PHOTO), face_of(TRUTH, depth=depth).draw(PHOTO)
    changed = (plain != deep).any(axis=2)
    left, top, right, bottom = FACE.own_box.round().astype(int)
    assert changed.any() and not changed[top : bottom + 1, left : right + 1].any()
    dots = near(deep.astype(int), SIDE, 50) & changed
    assert cv2.connectedComponents(dots.astype(np.uint8))[0] - 1 > 40


# --- all faces of a photo --------------------------------------------------------------------


def shown(faces):
    """The picture that a notebook shows."""
    data = faces._repr_png_()
    assert data.startswith(b"\x89PNG")
    return decode_photo(data)


def test_a_notebook_shows_the_faces_on_their_photo():
    faces = Faces([FACE], PHOTO)
    picture = shown(faces)
    np.testing.assert_array_equal(picture, faces.draw())
    np.testing.assert_array_equal(faces.draw(PHOTO), faces.draw())
    scale = picture.shape[0] / PHOTO.shape[0]
    assert near(at(picture, (TRUTH + 0.5) * scale - 0.5), GREEN).mean() > 0.95
    # And it is the portrait.
    small = cv2.resize(picture, PHOTO.shape[1::-1], interpolation=cv2.INTER_AREA).astype(int)
    assert np.abs(small - PHOTO).mean() < 5


def test_a_large_photo_is_reduced_in_a_notebook_and_its_small_face_enlarged():
    large = np.full((2000, 3000, 3), 90, np.uint8)
    large[300:812, 500:1012] = PHOTO
    faces = Faces([face_of(TRUTH + (500, 300))], large)
    picture = shown(faces)
    assert faces.draw().shape[:2] == (2300, 3000)
    # A third of its size; below it the face with 64 and more dots, from the photo's own pixels.
    reduced = round(2000 * MOST_SHOWN / 3000)
    assert picture.shape[1] == MOST_SHOWN and picture.shape[0] == reduced + 300
    dots = near(picture[reduced:].astype(int), GREEN, 90)
    assert cv2.connectedComponents(dots.astype(np.uint8))[0] - 1 > 60
    assert len(faces._repr_png_()) < 1e6


def test_no_faces_and_an_unknown_photo_are_shown_as_text(tmp_path):
    assert Faces([], PHOTO)._repr_png_() is None and repr(Faces([], PHOTO)) == "[]"
    np.testing.assert_array_equal(Faces([], PHOTO).draw(), PHOTO)
    write_picture(tmp_path / "photo.png", PHOTO)
    gone = Faces([FACE], tmp_path / "photo.png")
    assert gone._repr_png_()
    (tmp_path / "photo.png").unlink()
    for faces in (gone, Faces([FACE])):
        assert faces._repr_png_() is None
        with pytest.raises(InputError):
            faces.draw()
    with pytest.raises(InputError, match=r"give it: draw\(photo\)"):
        Faces([FACE]).draw()


def test_a_path_is_found_from_another_folder(tmp_path, monkeypatch):
    write_picture(tmp_path / "photo.png", PHOTO)
    monkeypatch.chdir(tmp_path)
    faces = Faces([FACE], "photo.png")
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(faces.draw(), Faces([FACE], PHOTO).draw())


def test_faces_of_many_arrays_keep_none_of_them(shipped):
    """The predictor keeps the last, so that `predict(photo[::2])` is shown too."""
    box = FACE.own_box[None]
    first = shipped.predict(PHOTO.copy(), box)
    assert first._repr_png_()
    second = shipped.predict(PHOTO[..., ::-1], box, order="BGR")
    gc.collect()
    np.testing.assert_array_equal(shown(second), second.draw(PHOTO))
    assert first._repr_png_() is None and first.draw(PHOTO).any()
    with pytest.raises(InputError, match="not in memory"):
        first.draw()


def test_copies_know_the_path_and_no_array():
    """What goes to another process is as small as before."""
    for faces in (Faces([FACE], PHOTO), Faces([FACE], portrait_path())):
        data = pickle.dumps(faces)
        assert len(data) < 5000
        for again in (pickle.loads(data), copy.deepcopy(faces)):
            assert isinstance(again, Faces)
            np.testing.assert_array_equal(again[0].landmarks, FACE.landmarks)
            np.testing.assert_array_equal(again.draw(PHOTO), Faces([FACE]).draw(PHOTO))
    assert again._repr_png_() == faces._repr_png_()


@pytest.mark.parametrize("given", ["path", "text", "bytes", "array", "list", "boxes"])
def test_what_predict_gives_is_shown(shipped, given):
    photo = {"path": portrait_path(), "text": str(portrait_path()), "array": PHOTO}.get(given)
    if given == "bytes":
        photo = portrait_path().read_bytes()
    if given == "list":
        (faces,) = shipped.predict([portrait_path()])
    elif given == "boxes":
        faces = shipped.predict(PHOTO, FACE.own_box[None])
    else:
        faces = shipped.predict(photo)
    assert isinstance(faces, list) and len(faces) == 1
    picture = shown(faces)
    scale = picture.shape[0] / 512
    points = (faces[0].landmarks + 0.5) * scale - 0.5
    assert near(at(picture, points), GREEN).mean() > 0.95


def test_no_face_in_a_photo(shipped):
    assert shipped.predict(np.zeros((64, 64, 3), np.uint8))._repr_png_() is None


def test_picture_of_predict_is_the_drawn_one(tmp_path):
    from senet_landmark.export.inference.predict import predict_photos

    predictor = Predictor(engine="opencv")
    predict_photos([portrait_path()], tmp_path, predictor=predictor)
    written = decode_photo((tmp_path / f"{portrait_path().stem}_landmarks.jpg").read_bytes())
    drawn = predictor.predict(portrait_path()).draw()
    assert written.shape == drawn.shape and np.abs(written.astype(int) - drawn).mean() < 3
