"""The active shape model and its copies of faces."""

import json

import numpy as np
import pytest

from made_records import record_of, write_records
from senet_landmark.data.input_pipeline import (
    RecordStore,
    shape_model_of,
)
from senet_landmark.errors import InputError
from senet_landmark.face.pose import (
    MEAN_FACE_3D,
    rotation_matrix,
)
from senet_landmark.face.schemes import get_scheme
from senet_landmark.face.shape_model import (
    LIMIT,
    asm_copy,
    fit_shape_model,
    load_shape_model,
    save_shape_model,
)

SCHEME = get_scheme("300w_68")


def turned_mean_face(angles):
    """The mean face as a camera far away sees it, [68, 2], about 100 pixels wide."""
    return (MEAN_FACE_3D @ rotation_matrix(*angles).T)[:, :2] * 70


def faces(count, seed=0, noise=1.5):
    """Mean faces turned by chance, with noise, somewhere in a photo: [N, 68, 2] pixels."""
    generator = np.random.default_rng(seed)
    angles = generator.uniform(-1, 1, (count, 3)) * (50, 25, 30)
    shapes = np.stack([turned_mean_face(a) for a in angles])
    shapes *= generator.uniform(0.7, 1.4, (count, 1, 1))
    return (
        shapes
        + generator.normal(0, noise, shapes.shape)
        + generator.uniform(50, 300, (count, 1, 2))
    )


def similarity(source, target):
    """(matrix [2, 2], offset [2]) of the turn, scale and shift nearest to taking one to another."""
    ones = np.ones(len(source))
    rows_x = np.stack([source[:, 0], -source[:, 1], ones, 0 * ones], axis=1)
    rows_y = np.stack([source[:, 1], source[:, 0], 0 * ones, ones], axis=1)
    right = np.concatenate([target[:, 0], target[:, 1]])
    a, b, *offset = np.linalg.lstsq(np.concatenate([rows_x, rows_y]), right, rcond=None)[0]
    return np.array([[a, -b], [b, a]]), np.array(offset)


def coefficients(model, face, matrix, offset):
    """Of a face [68, 2] that is aligned so, by the components."""
    return model.components @ (face @ matrix.T + offset - model.mean).ravel()


@pytest.fixture(scope="module")
def shapes():
    return fit_shape_model(faces(60), SCHEME, 0.9)


def test_mean_shape_is_upright_and_its_own_mirror_image(shapes):
    mirrored = shapes.mean[SCHEME.mirror_index] * (-1, 1)
    np.testing.assert_allclose(mirrored, shapes.mean, atol=1e-6)
    assert np.linalg.norm(shapes.mean) == pytest.approx(1)
    np.testing.assert_allclose(shapes.mean.mean(axis=0), 0, atol=1e-9)
    assert shapes.mean[36, 0] < shapes.mean[45, 0]  # the eye at the image's left is there
    heights = [shapes.mean[list(SCHEME.groups[part]), 1].mean() for part in ("eyes", "mouth")]
    assert heights[0] < heights[1]


def test_components_keep_the_share_of_the_variance_and_no_more_than_needed():
    every = fit_shape_model(faces(20), SCHEME, 1.0)
    total = every.variances.sum()
    assert every.share == pytest.approx(1)
    for share in (0.5, 0.9, 0.99):
        model = fit_shape_model(faces(20), SCHEME, share)
        assert model.share >= share
        assert model.share == pytest.approx(model.variances.sum() / total)
        assert model.variances[:-1].sum() / total < share
        assert (np.diff(model.variances) <= 0).all()
        products = model.components @ model.components.T
        np.testing.assert_allclose(products, np.eye(len(model.variances)), atol=1e-9)


def test_copy_of_the_mean_is_the_mean(shapes):
    matrix = 80 * np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    seen = np.stack([shapes.mean, shapes.mean @ matrix.T + (100, 30)])
    np.testing.assert_allclose(asm_copy(shapes, seen), seen, atol=1e-4)


def test_model_of_the_whole_variance_copies_its_training_faces_exactly():
    # A coefficient of 4 faces and their mirror images is at most sqrt(8) deviations: none is cut.
    few = faces(4, seed=1)
    every = fit_shape_model(few, SCHEME, 1.0)
    copies = asm_copy(every, few)
    assert copies.dtype == np.float32
    np.testing.assert_allclose(copies, few, atol=0.02)
    both = np.concatenate([few, few[:, SCHEME.mirror_index] * (-1, 1)])
    squares = [coefficients(every, face, *similarity(face, every.mean)) ** 2 for face in both]
    np.testing.assert_allclose(np.mean(squares, axis=0), every.variances, rtol=1e-3)
    smooth = asm_copy(fit_shape_model(few, SCHEME, 0.5), few)
    assert np.abs(smooth - few).max() > 1


def test_copies_turn_grow_and_move_with_the_faces(shapes):
    wild = faces(10, seed=2, noise=12)  # some coefficients are cut
    matrix = 0.6 * np.array([[np.cos(2.0), -np.sin(2.0)], [np.sin(2.0), np.cos(2.0)]])
    moved = asm_copy(shapes, wild @ matrix.T + (-40, 70))
    np.testing.assert_allclose(moved, asm_copy(shapes, wild) @ matrix.T + (-40, 70), atol=1e-3)


def test_copies_commute_with_the_mirror(shapes):
    wild = faces(10, seed=3, noise=12)

    def mirrored(points):
        return points[:, SCHEME.mirror_index] * (-1, 1)

    np.testing.assert_allclose(
        asm_copy(shapes, mirrored(wild)), mirrored(asm_copy(shapes, wild)), atol=0.05
    )


def test_copies_are_limited_to_three_deviations(shapes):
    limits = LIMIT * np.sqrt(shapes.variances)
    mild, wild = faces(20, seed=4), faces(20, seed=5, noise=25)
    cut = 0
    for face in (*mild, *wild):
        matrix, offset = similarity(face, shapes.mean)
        copy = asm_copy(shapes, face[None])[0]
        own, copied = (coefficients(shapes, points, matrix, offset) for points in (face, copy))
        np.testing.assert_allclose(copied, np.clip(own, -limits, limits), atol=1e-4)
        cut += (np.abs(own) > limits).sum()
    assert cut


def test_faces_with_unknown_landmarks_are_their_own_copies(shapes):
    given = faces(3, seed=6)
    whole = asm_copy(shapes, given)
    given[1, 4] = np.nan
    copies = asm_copy(shapes, given)
    np.testing.assert_array_equal(copies[[0, 2]], whole[[0, 2]])
    np.testing.assert_array_equal(copies[1], given[1].astype(np.float32))
    nothing = np.full((2, 68, 2), np.nan)
    np.testing.assert_array_equal(asm_copy(shapes, nothing), nothing)


def test_faces_with_unknown_landmarks_are_left_out_of_the_model():
    given = faces(12, seed=7)
    holed = np.concatenate([given, given[:3] * 5])
    holed[12:, 7, 0] = np.nan
    one, two = (fit_shape_model(points, SCHEME) for points in (given, holed))
    assert one.shapes == two.shapes == 12
    np.testing.assert_array_equal(one.mean, two.mean)


def test_shape_models_that_cannot_be_are_refused(shapes):
    with pytest.raises(InputError, match=r"all 68 landmarks; there are 1"):
        fit_shape_model(faces(1), SCHEME)
    for share in (0, 1.1, np.nan):
        with pytest.raises(InputError, match="share of the variance"):
            fit_shape_model(faces(5), SCHEME, share)
    with pytest.raises(InputError, match="has 68 landmarks, not 5"):
        asm_copy(shapes, np.zeros((2, 5, 2)))


def test_shape_model_comes_back_from_its_file(shapes, tmp_path):
    save_shape_model(tmp_path / "model.json", shapes)
    loaded = load_shape_model(tmp_path / "model.json")
    for key, value in vars(shapes).items():
        np.testing.assert_array_equal(getattr(loaded, key), value)
    given = faces(3, seed=8)
    np.testing.assert_array_equal(asm_copy(loaded, given), asm_copy(shapes, given))


@pytest.mark.parametrize(
    "damage",
    [
        lambda values: values.pop("mean") and values,
        lambda values: values | {"mean": values["mean"][:5]},
        lambda values: values | {"components": values["components"][:-1]},
        lambda values: values | {"components": [[1, 2], [3]]},
        lambda values: values | {"variances": "many"},
        lambda values: values | {"scheme": "wflw_98"},
        lambda values: values | {"scheme": "nowhere"},
        lambda values: [values],
        lambda values: None,
    ],
)
def test_damaged_shape_model_is_named(shapes, tmp_path, damage):
    path = tmp_path / "shapes.json"
    save_shape_model(path, shapes)
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    with pytest.raises(InputError, match=r"shapes\.json: is not a shape model"):
        load_shape_model(path)


def test_file_that_is_no_json_is_no_shape_model(tmp_path):
    path = tmp_path / "shapes.json"
    with pytest.raises(InputError, match=r"shapes\.json: cannot be read"):
        load_shape_model(path)
    path.write_text("{")
    with pytest.raises(InputError, match=r"shapes\.json: is not valid JSON"):
        load_shape_model(path)


def test_shape_model_of_records_is_fitted_in_pixels(tmp_path):
    """A recorded crop that is not square does not squeeze the shapes."""
    points = faces(6, seed=9)
    square = [record_of(face, "300w_68", size=(400, 400)) for face in points]
    narrow = [record_of(face, "300w_68", size=(400, 200)) for face in points]
    models = [
        shape_model_of(RecordStore([write_records(tmp_path / name, records)]), 0.9)
        for name, records in (("square", square), ("narrow", narrow))
    ]
    np.testing.assert_allclose(models[0].mean, models[1].mean, atol=1e-5)
    assert models[0].shapes == 6
