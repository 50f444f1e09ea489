"""COFW, whose photos are inside a MATLAB file."""

import pickle
import struct

import numpy as np
import pytest

from senet_landmark.data_tools.datasets import cofw
from senet_landmark.data_tools.datasets.reading.mat_files import mat_bytes
from senet_landmark.data_tools.datasets.registry import list_entries, load_photo, load_sample
from senet_landmark.data_tools.datasets.samples import by_photo
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.errors import InputError
from senet_landmark.io.images import read_photo


def write_cofw(path, subset, photos, points, hidden, boxes):
    """A COFW file as MATLAB 7.3 writes it: the axes turned round, a cell array of references.

    `photos` are RGB or grey; `points` [N, 29, 2] 1-based, `hidden` [N, 29], `boxes` [N, 4] left,
    top, width, height.
    """
    import h5py

    cells, phis, frames = cofw.KEYS[subset]
    with h5py.File(path, "w", userblock_size=512) as file:
        cell = file.create_dataset(cells, (1, len(photos)), dtype=h5py.ref_dtype)
        cell.attrs["MATLAB_class"] = np.bytes_("cell")
        for index, photo in enumerate(photos):
            stored = file.create_dataset(f"#refs#/{index}", data=photo.T, compression="gzip")
            stored.attrs["MATLAB_class"] = np.bytes_("uint8")
            cell[0, index] = stored.ref
        table = np.concatenate([points[..., 0], points[..., 1], hidden], axis=1)
        file.create_dataset(phis, data=table.T.astype(np.float64), compression="gzip")
        file.create_dataset(frames, data=boxes.T.astype(np.float64))
    with open(path, "r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file".ljust(124) + struct.pack("<H2s", 0x0200, b"IM"))
    return path


def cofw_faces(count):
    """Pictures of several shapes, the second grey, with points, occlusions and boxes."""
    rng = np.random.default_rng(3)
    face, _ = portrait()
    photos = [np.ascontiguousarray(face[20 : 120 + 7 * i, 130 : 300 - 5 * i]) for i in range(count)]
    photos[1] = photos[1][..., 0]
    points = rng.uniform(1, 100, (count, 29, 2))
    hidden = rng.random((count, 29)) < 0.2
    boxes = rng.uniform(5, 60, (count, 4))
    return photos, points, hidden, boxes


@pytest.fixture
def cofw_root(tmp_path):
    faces = cofw_faces(4)
    write_cofw(tmp_path / "COFW_train_color.mat", "train", *faces)
    write_cofw(tmp_path / "COFW_test_color.mat", "test", *(values[:2] for values in faces))
    return tmp_path


def test_cofw_gives_back_what_is_in_the_file(cofw_root):
    entries = list_entries("cofw", cofw_root)
    photos, points, hidden, boxes = cofw_faces(4)
    assert [e.source for e in entries[:4]] == [f"COFW_train_color.mat#000{i}" for i in range(4)]
    assert [(e.subset, e.test) for e in entries] == [("train", False)] * 4 + [("test", True)] * 2
    assert len({e.identity for e in entries}) == len(by_photo(entries)) == 6
    assert pickle.loads(pickle.dumps(entries)) == entries
    for i, entry in enumerate(entries[:4]):
        sample, pixels = load_sample("cofw", entry), load_photo("cofw", entry)
        np.testing.assert_allclose(sample.landmarks, points[i] - 1, atol=1e-4)
        np.testing.assert_array_equal(sample.visible, ~hidden[i])
        left, top, width, height = boxes[i]
        wanted = np.array([left, top, left + width, top + height]) - 1.5
        np.testing.assert_allclose(sample.box, wanted)
        assert pixels.dtype == np.uint8 and pixels.flags["C_CONTIGUOUS"]
        grey = photos[i].ndim == 2
        wanted = np.repeat(photos[i][..., None], 3, axis=2) if grey else photos[i]
        np.testing.assert_array_equal(pixels, wanted)


def test_cofw_pixels_and_points_agree(tmp_path):
    photo = np.zeros((40, 60, 3), np.uint8)
    photo[12, 33] = (200, 100, 50)  # MATLAB's I(13, 34, :)
    points = np.full((1, 29, 2), (34.0, 13.0))
    boxes = np.array([[34.0, 13.0, 1.0, 1.0]])  # that pixel alone
    write_cofw(
        tmp_path / "COFW_train_color.mat", "train", [photo], points, np.zeros((1, 29)), boxes
    )
    (entry,) = list_entries("cofw", tmp_path)
    sample, pixels = load_sample("cofw", entry), load_photo("cofw", entry)
    x, y = sample.landmarks[0].astype(int)
    assert pixels[y, x].tolist() == [200, 100, 50]
    np.testing.assert_allclose(sample.box, [32.5, 11.5, 33.5, 12.5])


def test_cofw_prefers_colour_and_takes_grey(cofw_root):
    photos, *rest = cofw_faces(4)
    greys = [photo if photo.ndim == 2 else photo[..., 1] for photo in photos]
    write_cofw(cofw_root / "COFW_train.mat", "train", greys, *rest)
    assert {e.photo.name for e in list_entries("cofw", cofw_root)} == {
        "COFW_train_color.mat",
        "COFW_test_color.mat",
    }
    (cofw_root / "COFW_train_color.mat").unlink()
    entry = list_entries("cofw", cofw_root)[0]
    assert entry.source == "COFW_train.mat#0000"
    np.testing.assert_array_equal(load_photo("cofw", entry), np.repeat(greys[0][..., None], 3, 2))


def test_cofw_with_real_photos(shared_data, tmp_path):
    groups = sorted(shared_data("groups").glob("*.jpg"))
    photos = [read_photo(path) for path in groups]
    _, *rest = cofw_faces(len(photos))
    (tmp_path / "deep").mkdir()
    write_cofw(tmp_path / "deep" / "COFW_test_color.mat", "test", photos, *rest)
    entries = list_entries("cofw", tmp_path)
    assert entries[0].source == "deep/COFW_test_color.mat#0000"
    for entry, photo in zip(entries, photos, strict=True):
        np.testing.assert_array_equal(load_photo("cofw", entry), photo)


def _text(path):
    path.write_bytes(b"no MATLAB file")


def _old_matlab(path):
    path.write_bytes(mat_bytes(phisTr=np.zeros((3, 87))))


def _empty(path):
    path.write_bytes(b"")


def _cut_off(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _without(key):
    def spoil(path):
        import h5py

        with h5py.File(path, "r+") as file:
            del file[key]

    return spoil


def _replaced(key, values):
    def spoil(path):
        import h5py

        _without(key)(path)
        with h5py.File(path, "r+") as file:
            file[key] = values

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        _text,
        _old_matlab,
        _empty,
        _cut_off,
        _without("IsTr"),
        _without("phisTr"),
        _without("bboxesTr"),
        _replaced("phisTr", np.zeros((58, 4))),
        _replaced("bboxesTr", np.zeros((4, 3))),
    ],
)
def test_cofw_files_that_are_none_are_named(cofw_root, spoil):
    path = cofw_root / "COFW_train_color.mat"
    spoil(path)
    with pytest.raises(InputError, match=r"COFW_train_color\.mat"):
        list_entries("cofw", cofw_root)


@pytest.mark.parametrize(
    "spoil",
    [
        _without("#refs#"),
        _replaced("IsTr", np.zeros((1, 4))),
        _replaced("#refs#/3", np.zeros((3, 8, 9))),
        _replaced("#refs#/3", np.zeros((4, 8, 9), np.uint8)),
        _replaced("IsTr", np.zeros((1, 2))),
        _without("IsTr"),
    ],
)
def test_cofw_photos_that_are_none_are_named(cofw_root, spoil):
    entry = list_entries("cofw", cofw_root)[3]
    spoil(entry.photo)
    with pytest.raises(InputError, match=r"COFW_train_color\.mat"):
        load_photo("cofw", entry)


def test_cofw_face_that_is_gone_is_named(cofw_root):
    entry = list_entries("cofw", cofw_root)[3]
    write_cofw(entry.photo, "train", *(values[:3] for values in cofw_faces(4)))
    for read in (load_sample, load_photo):
        with pytest.raises(InputError, match=r"COFW_train_color\.mat.*none of number 3"):
            read("cofw", entry)


def test_cofw_in_a_folder_without_it(tmp_path):
    with pytest.raises(InputError, match="no photo of cofw"):
        list_entries("cofw", tmp_path)
