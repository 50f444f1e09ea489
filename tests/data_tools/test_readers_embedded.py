"""Data sets whose photos are inside other files: COFW, and 300W-LP by tensorflow-datasets."""

import importlib.util
import pickle
import struct
from unittest import mock

import numpy as np
import pytest

from senet_landmark.data_tools.datasets import cofw, tfds_300w_lp
from senet_landmark.data_tools.datasets.mat_files import load_mat, mat_bytes
from senet_landmark.data_tools.datasets.registry import list_entries, load_photo, load_sample
from senet_landmark.data_tools.datasets.samples import by_photo
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait, write_synthetic
from senet_landmark.errors import InputError
from senet_landmark.io.images import read_photo

# --- COFW ------------------------------------------------------------------------------------


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


# --- 300W-LP by tensorflow-datasets ------------------------------------------------------------

TFDS = importlib.util.find_spec("tensorflow_datasets") is not None
needs_tfds = pytest.mark.skipif(not TFDS, reason='needs the extra: `pip install ".[tfds]"`')


def test_tfds_without_the_library_says_what_to_install(tmp_path):
    tfds_300w_lp._library.cache_clear()
    try:
        # With None there, importing a module fails as if it were absent.
        with (
            mock.patch.dict("sys.modules", {"tensorflow_datasets": None}),
            pytest.raises(InputError, match=r'pip install "\.\[tfds\]"'),
        ):
            list_entries("tfds_300w_lp", tmp_path)
    finally:
        tfds_300w_lp._library.cache_clear()


@pytest.fixture(scope="module")
def w300lp_tree(tmp_path_factory):
    """A folder with `300W_LP` as the download has it: 5 faces, 2 views of each, all parameters.

    The parameters of a face are the same in its views, except the pose: a turned view is made from
    the same fit.
    """
    extracted = tmp_path_factory.mktemp("extracted")
    root = extracted / "300W_LP"
    photos = write_synthetic(root, count=5, views=2, seed=8, workers=1, progress=False)
    sizes = {
        "Illum_Para": (1, 10),
        "Color_Para": (1, 7),
        "Tex_Para": (199, 1),
        "Shape_Para": (199, 1),
        "Exp_Para": (29, 1),
    }
    for index, photo in enumerate(photos):
        rng = np.random.default_rng(index // 2)
        path = photo.with_suffix(".mat")
        values = {k: v for k, v in load_mat(path).items() if not k.startswith("__")}
        values |= {name: rng.normal(0, 1e5, size) for name, size in sizes.items()}
        # As published: one pt2d for all views of a photo, so that a mix-up of points shows.
        values["pt2d"] = load_mat(photos[index // 2 * 2].with_suffix(".mat"))["pt2d"]
        path.write_bytes(mat_bytes(**values))
    return extracted


def prepare(extracted, data_dir, file_format):
    """Runs the library's own generator; only its download is replaced."""
    import tensorflow_datasets as tfds

    # Release 4.9.10 does not name it among its dependencies.
    pytest.importorskip(
        "importlib_resources", reason="tensorflow-datasets prepares nothing without"
    )
    builder = tfds.builder("the300w_lp", data_dir=data_dir, file_format=file_format)
    with mock.patch.object(
        tfds.download.DownloadManager, "download_and_extract", return_value=str(extracted)
    ):
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=2))
    return data_dir


@pytest.fixture(scope="module", params=["tfrecord", "array_record"])
def tfds_root(request, w300lp_tree, tmp_path_factory):
    if request.param == "array_record":
        pytest.importorskip("array_record", reason="needs the library array_record")
    return prepare(w300lp_tree, tmp_path_factory.mktemp(request.param), request.param)


def matched(tfds_root, tree, points="auto", own="auto"):
    """(entry of TFDS, entry of the tree) of each view, by its pixels."""
    by_pixels = {
        read_photo(entry.photo).tobytes(): entry
        for entry in list_entries("300w_lp", tree / "300W_LP", own)
    }
    entries = list_entries("tfds_300w_lp", tfds_root, points)
    return [(e, by_pixels.pop(load_photo("tfds_300w_lp", e).tobytes())) for e in entries]


@needs_tfds
@pytest.mark.parametrize(
    ("points", "own"),
    [
        ("auto", "auto"),
        ("landmarks_2d", "pts_2d"),
        ("landmarks_3d", "pts_3d"),
        ("landmarks_origin", "pt2d"),
    ],
)
def test_tfds_gives_what_the_300w_lp_reader_gives(tfds_root, w300lp_tree, points, own):
    pairs = matched(tfds_root, w300lp_tree, points, own)
    assert len(pairs) == 10  # each once: the pixels are those of the file
    for theirs, ours in pairs:
        one, other = load_sample("tfds_300w_lp", theirs), load_sample("300w_lp", ours)
        np.testing.assert_allclose(one.landmarks, other.landmarks, atol=1e-3)
        np.testing.assert_allclose(one.pose, other.pose, atol=1e-4)
        assert np.isfinite(one.pose).all() and one.visible.all() and one.box is None


@needs_tfds
def test_tfds_views_of_one_photo_share_identity(tfds_root, w300lp_tree):
    faces = {}
    for theirs, ours in matched(tfds_root, w300lp_tree):
        faces.setdefault(ours.identity, []).append(theirs.identity)
    assert sorted(len(found) for found in faces.values()) == [2] * 5
    assert [len(set(found)) for found in faces.values()] == [1] * 5
    assert len({found[0] for found in faces.values()}) == 5


@needs_tfds
def test_tfds_entries_are_small_stable_and_distinct(tfds_root):
    entries = list_entries("tfds_300w_lp", tfds_root)
    assert entries == list_entries("tfds_300w_lp", tfds_root)
    assert pickle.loads(pickle.dumps(entries)) == entries
    assert len(pickle.dumps(entries[0])) < 1000
    assert len({e.source for e in entries}) == len(by_photo(entries)) == 10
    assert len({e.photo for e in entries}) == 2  # shards
    assert {(e.subset, e.test, e.scheme) for e in entries} == {("train", False, "300w_68")}
    folder = entries[0].photo.parent
    assert list_entries("tfds_300w_lp", folder) == entries
    assert list_entries("tfds_300w_lp", folder.parent) == entries


@needs_tfds
def test_tfds_damage_is_named(w300lp_tree, tmp_path):
    prepare(w300lp_tree, tmp_path, "tfrecord")
    entry = list_entries("tfds_300w_lp", tmp_path)[-1]
    shard, whole = entry.photo, entry.photo.read_bytes()
    for spoilt in (whole[: len(whole) // 2], whole[: entry.place], b"", b"x" * 500, None):
        if spoilt is None:
            shard.unlink()
        else:
            shard.write_bytes(spoilt)
        for read in (load_sample, load_photo):
            with pytest.raises(InputError, match=shard.name):
                read("tfds_300w_lp", entry)
        with pytest.raises(InputError, match=shard.name):
            list_entries("tfds_300w_lp", tmp_path)


@needs_tfds
def test_tfds_array_record_damage_is_named(w300lp_tree, tmp_path):
    pytest.importorskip("array_record", reason="needs the library array_record")
    prepare(w300lp_tree, tmp_path, "array_record")
    entry = list_entries("tfds_300w_lp", tmp_path)[-1]
    shard, whole = entry.photo, entry.photo.read_bytes()
    for spoilt in (whole[: len(whole) // 2], b"", b"x" * 500, None):
        if spoilt is None:
            shard.unlink()
        else:
            shard.write_bytes(spoilt)
        with pytest.raises(InputError, match=shard.name):
            load_photo("tfds_300w_lp", entry)
        with pytest.raises(InputError, match=shard.name):
            list_entries("tfds_300w_lp", tmp_path)


@needs_tfds
def test_tfds_of_another_data_set_is_refused(w300lp_tree, tmp_path):
    prepare(w300lp_tree, tmp_path, "tfrecord")
    (features,) = tmp_path.rglob("features.json")
    features.write_text(features.read_text().replace("landmarks_2d", "keypoints"))
    with pytest.raises(InputError, match="without landmarks_2d"):
        list_entries("tfds_300w_lp", tmp_path)
    features.write_text("{")
    with pytest.raises(InputError, match="does not describe"):
        list_entries("tfds_300w_lp", tmp_path)


@needs_tfds
def test_tfds_in_a_folder_without_it(tmp_path):
    with pytest.raises(InputError, match="no photo of tfds_300w_lp"):
        list_entries("tfds_300w_lp", tmp_path)
