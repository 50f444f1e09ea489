"""300W-LP as tensorflow-datasets prepares it."""

import importlib.util
import pickle
from unittest import mock

import numpy as np
import pytest

from senet_landmark.data_tools.datasets import tfds_300w_lp
from senet_landmark.data_tools.datasets.reading.mat_files import load_mat, mat_bytes
from senet_landmark.data_tools.datasets.registry import list_entries, load_photo, load_sample
from senet_landmark.data_tools.datasets.samples import by_photo
from senet_landmark.data_tools.synthesis.synthetic_tree import write_synthetic
from senet_landmark.errors import InputError
from senet_landmark.io.images import read_photo

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
    for spoilt in (whole[: len(whole) // 2], whole[: entry.offset], b"", b"x" * 500, None):
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
