"""What the tasks beside the landmarks need: shape model, classes, poses, stopping, validation."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from made_records import changed_records, open_store, record_of, write_records
from runs import short
from senet_landmark.config import NO_AUGMENTATION, NetworkConfig
from senet_landmark.data.input_pipeline import (
    BatchMaker,
    RecordStore,
    in_order,
    shape_model_of,
    true_poses,
)
from senet_landmark.errors import InputError
from senet_landmark.face.attributes import (
    ATTRIBUTES,
    face_classes,
    mirror_attributes,
    split_probabilities,
)
from senet_landmark.face.geometry import CropSpec
from senet_landmark.face.pose import (
    MEAN_FACE_3D,
    PFLD_POINTS,
    STABLE_POINTS,
    pose_from_landmarks,
    pose_of,
    rotation_matrix,
)
from senet_landmark.face.scheme_conversion import convert
from senet_landmark.face.schemes import get_scheme
from senet_landmark.face.shape_model import (
    LIMIT,
    asm_copy,
    fit_shape_model,
    load_shape_model,
    save_shape_model,
)
from senet_landmark.networks.model import build_model
from senet_landmark.training.task_stopping import (
    STRIP,
    TaskHistory,
    after_validation,
    stopping_measure,
)
from senet_landmark.training.validation import Validator

pytestmark = pytest.mark.slow

SCHEME = get_scheme("300w_68")
WFLW = ("large_pose", "expression", "illumination", "make_up", "occlusion", "blur")
MTFL = ("gender", "smile", "glasses", "head_pose")
UNKNOWN = np.full(3, np.nan)


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


# --- the shape model -------------------------------------------------------------------------


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


# --- classes and probabilities ---------------------------------------------------------------


def test_classes_of_wflw_are_its_special_subsets():
    plain = face_classes(np.zeros(6), WFLW, UNKNOWN)
    np.testing.assert_array_equal(plain, [0] * 10 + [1])  # in a class of its own
    special = face_classes(np.array([1, 0, 0, 0, 1, 0]), WFLW, UNKNOWN)
    np.testing.assert_array_equal(special, [1, 0, 0, 0, 1, 0] + [0] * 5)
    unknown = face_classes(np.full(6, np.nan), WFLW, np.zeros(3))
    np.testing.assert_array_equal(unknown, [0] * 7 + [1, 0, 0, 0])  # frontal, by its pose


def test_classes_of_mtfl_are_both_genders_smile_glasses_and_five_poses():
    smiling_man = face_classes(np.array([0, 1, 0, 2]), MTFL, UNKNOWN)
    np.testing.assert_array_equal(smiling_man, [1, 0, 1, 0, 0, 0, 1, 0, 0] + [0] * 5)
    woman_with_glasses = face_classes(np.array([1, 0, 1, 4]), MTFL, UNKNOWN)
    np.testing.assert_array_equal(woman_with_glasses, [0, 1, 0, 1, 0, 0, 0, 0, 1] + [0] * 5)


@pytest.mark.parametrize(
    ("pose", "classes"),
    [
        ((0, 0, 0), [0, 1, 0, 0, 0]),
        ((40, 0, 0), [1, 0, 0, 0, 0]),
        ((-40, 20, 0), [1, 0, 1, 0, 0]),
        ((5, -20, 90), [0, 1, 0, 1, 0]),
        (UNKNOWN, [0, 0, 0, 0, 1]),
    ],
)
def test_classes_of_data_without_attributes_are_of_the_pose(pose, classes):
    found = face_classes(np.zeros(0), (), np.array(pose))
    np.testing.assert_array_equal(found, classes)
    assert found.dtype == np.float32


@pytest.mark.parametrize("names", [WFLW, MTFL, ()])
def test_each_face_is_of_a_class(names):
    generator = np.random.default_rng(0)
    sizes = set()
    for _ in range(200):
        values = np.array([generator.integers(len(ATTRIBUTES[name].classes)) for name in names])
        values = np.where(generator.random(len(names)) < 0.2, np.nan, values)
        pose = np.where(generator.random() < 0.2, np.nan, generator.uniform(-90, 90, 3))
        found = face_classes(values, names, pose)
        assert set(found) <= {0, 1} and found.any()
        assert found[-1] == (not found[:-1].any())
        sizes.add(found.shape)
    assert len(sizes) == 1


def test_classes_of_a_mirrored_face_are_those_of_the_other_side():
    for head_pose in range(5):
        values = np.array([1, 0, 0, head_pose])
        classes = face_classes(values, MTFL, UNKNOWN)
        mirrored = face_classes(mirror_attributes(values, MTFL), MTFL, UNKNOWN)
        np.testing.assert_array_equal(mirrored[:4], classes[:4])
        np.testing.assert_array_equal(mirrored[4:9], classes[4:9][::-1])


def test_probabilities_are_split_by_attribute():
    values = np.arange(18).reshape(2, 9)
    parts = split_probabilities(values, ("smile", "head_pose", "gender"))
    assert list(parts) == ["smile", "head_pose", "gender"]
    np.testing.assert_array_equal(parts["smile"], values[:, :2])
    np.testing.assert_array_equal(parts["head_pose"], values[:, 2:7])
    np.testing.assert_array_equal(parts["gender"], values[:, 7:])


# --- task-wise early stopping ----------------------------------------------------------------


def test_stopping_measure_is_the_papers():
    """Equation 6, by hand: k = 5, the median of 6 errors 3.5, their sum 21."""
    train = [6.0, 5.0, 4.0, 3.0, 2.0, 1.0]
    assert stopping_measure(train, [9] * 5 + [2]) == pytest.approx(17.5 / 3.5 * (2 - 1) / 1)
    assert stopping_measure(train, [9] * 5 + [4]) == pytest.approx(15)
    # Of the last 6 the trend, of all the least.
    longer = [0.5, *train]
    assert stopping_measure(longer, [9] * 6 + [2]) == pytest.approx(5 * (2 - 0.5) / 0.5)
    assert stopping_measure(train, [9] * 5 + [0.5]) < 0  # validation is the better: no harm
    assert stopping_measure([4.0, 3.0, 1.0], [1, 1, 2], strip=2) == pytest.approx(6 / 2 * 1)


def test_nothing_is_measured_before_there_is_enough_history():
    for count in range(STRIP + 1):
        assert stopping_measure([1.0] * count, [9.0] * count) == 0
    assert stopping_measure([1.0] * (STRIP + 1), [9.0] * (STRIP + 1)) > 0


def test_measure_rises_while_a_task_over_fits():
    train = 1 / np.arange(1, 31)
    validation = np.where(np.arange(30) < 10, train, 0.1 + 0.01 * np.arange(30))
    measures = [stopping_measure(train[:n], validation[:n]) for n in range(6, 31)]
    assert max(measures[:5]) == pytest.approx(0, abs=1e-9)
    assert (np.diff(measures[5:]) > 0).all()


def test_measure_is_small_while_the_training_error_falls_quickly():
    quick, slow, flat = 0.5 ** np.arange(6), 0.9 ** np.arange(6), np.ones(6)
    gap = [stopping_measure(train / train.min(), np.full(6, 2.0)) for train in (quick, slow, flat)]
    assert gap == sorted(gap) and gap[2] == pytest.approx(STRIP)


def test_tasks_are_stopped_once_and_the_landmarks_never():
    histories, seen = {}, []
    for number in range(10):
        before = dict(histories)
        train = {"landmarks": 1.0, "pose": 1.0, "smile": 1.0}
        # The pose over-fits from the start, but is well again at the end; smile does not.
        errors = {"pose": 2.0 if number < 8 else 0.5, "smile": 0.9}
        found = after_validation(histories, train, errors, threshold=3.0, step=100 * (number + 1))
        assert histories == before  # the argument is left as it was
        histories = found
        seen.append(histories["pose"].stopped_at)
    assert set(histories) == {"pose", "smile"}
    assert seen == [0] * STRIP + [100 * (STRIP + 1)] * (10 - STRIP)
    assert histories["smile"].stopped_at == 0
    assert histories["pose"].train == (1.0,) * 10
    assert histories["pose"].validation == (2.0,) * 8 + (0.5,) * 2


def test_threshold_decides():
    pose = TaskHistory(train=(1.0,) * STRIP, validation=(2.0,) * STRIP)
    for threshold, stopped_at in ((4.9, 7), (5.1, 0)):
        found = after_validation({"pose": pose}, {"pose": 1.0}, {"pose": 2.0}, threshold, step=7)
        assert found["pose"].stopped_at == stopped_at


# --- true poses ------------------------------------------------------------------------------


@pytest.mark.parametrize("angles", [(0, 0, 0), (35, -20, 25), (-60, 15, -100), (70, 40, 5)])
def test_pflds_points_recover_a_turned_mean_face(angles):
    points = turned_mean_face(angles) + (300, 20)
    np.testing.assert_allclose(pose_of(points, "300w_68", PFLD_POINTS), angles, atol=1e-3)
    others = np.setdiff1d(np.arange(68), PFLD_POINTS)
    points[others] += 50  # they are not looked at
    np.testing.assert_allclose(pose_of(points, "300w_68", PFLD_POINTS), angles, atol=1e-3)


def test_pflds_points_are_eleven_and_symmetric():
    assert len(set(PFLD_POINTS)) == 11
    assert set(SCHEME.mirror_index[PFLD_POINTS]) == set(PFLD_POINTS)


def test_true_poses_are_the_records_or_of_the_landmarks(tmp_path):
    angles = [(20, -10, 5), (-35, 8, -12), (10, 3, 40)]
    size = (200, 120)  # not square: landmarks are fitted in pixels
    seen = [turned_mean_face(a) * 0.7 + (100, 60) for a in angles]
    seen[1][np.setdiff1d(STABLE_POINTS, PFLD_POINTS)] += 3  # a pose of other points errs
    records = [
        record_of(seen[0], "300w_68", (1, 2, 3), size),
        record_of(seen[1], "300w_68", size=size),
        record_of(seen[2], "300w_68", (4, np.nan, 6), size),
        record_of(seen[2] * np.nan, "300w_68", (7, 8, 9), size),
        record_of(seen[2] * np.nan, "300w_68", size=size),
    ]
    store = RecordStore([write_records(tmp_path / "records", records)])
    recorded = true_poses(store, "records")
    assert recorded.shape == (5, 3) and recorded.dtype == np.float32
    np.testing.assert_array_equal(recorded[0], [1, 2, 3])
    np.testing.assert_allclose(recorded[1], pose_from_landmarks(seen[1]), atol=0.01)
    np.testing.assert_allclose(recorded[2], angles[2], atol=0.01)
    np.testing.assert_array_equal(recorded[3:], [[7, 8, 9], UNKNOWN])
    fitted = true_poses(store, "landmarks")
    np.testing.assert_allclose(fitted[:3], angles, atol=0.01)
    assert np.isnan(fitted[3:]).all()
    assert np.abs(recorded[1] - fitted[1]).max() > 0.1
    np.testing.assert_array_equal(store.record(0).pose, [1, 2, 3])  # the store is as it was


def test_true_poses_of_schemes_without_pflds_points(tmp_path):
    angles = (15, -5, 20)
    points = convert(turned_mean_face(angles), "300w_68", "mtfl_5") + (100, 100)
    record = record_of(points, "mtfl_5", size=(200, 200))
    store = RecordStore([write_records(tmp_path / "records", [record])])
    for truth in ("records", "landmarks"):
        np.testing.assert_allclose(true_poses(store, truth), [angles], atol=0.05)


# --- validation ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def smiling_records(synthetic_records, tmp_path_factory):
    """The synthetic records with two attributes, known of every face."""

    def smiling(split, number, record):
        values = np.array([number % 2, number // 2 % 2], np.float32)
        return dataclasses.replace(record, attributes=values)

    out = tmp_path_factory.mktemp("smiling") / "records"
    return changed_records(synthetic_records, out, smiling, attributes=["gender", "smile"])


def test_figures_of_a_validation(smiling_records):
    """On weights by chance: computed anew from the predictions, and alike whatever the batches."""
    network = NetworkConfig(pose=True, attributes=("smile", "gender"))
    config = dataclasses.replace(short(), network=network)
    store = open_store(smiling_records)
    maker = BatchMaker(
        store, CropSpec(), (128, 128), NO_AUGMENTATION, 9, attributes=("gender", "smile"),
        poses=true_poses(store, "records"),
    )  # fmt: skip
    whole = in_order(dataclasses.replace(maker, batch_size=len(store)))
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(5)
        model = build_model(network, 68, is_training=False)
        session.run(tf.global_variables_initializer())
        variables = {v.op.name: v for v in slim.get_model_variables()}
        weights = session.run(variables)
        predicted = session.run(model.outputs, {model.image: whole[0]["image"]})
    found = Validator(config, maker).validate(weights)
    truth = whole[0]
    pixels = (predicted["landmarks"] - truth["landmarks"]) * 128
    assert found.figures["mse_pixels"] == pytest.approx(np.mean(pixels**2), rel=1e-4)
    distance = np.linalg.norm(pixels, axis=-1).mean(axis=1)
    eyes = np.linalg.norm((truth["landmarks"][:, 36] - truth["landmarks"][:, 45]) * 128, axis=-1)
    nme = 100 * (distance / eyes).mean()
    assert found.figures["nme_inter_ocular"] == pytest.approx(nme, rel=1e-4)
    angles = np.abs(predicted["pose"] - truth["pose"]).mean(axis=0)
    for name, angle in zip(("yaw", "pitch", "roll"), angles, strict=True):
        assert found.figures[f"pose_mae_{name}"] == pytest.approx(angle, rel=1e-3)
    shares = {"smile": predicted["attributes"][:, :2], "gender": predicted["attributes"][:, 2:]}
    for name, column in (("smile", 1), ("gender", 0)):
        classes = truth["attributes"][:, column].astype(int)
        right = shares[name].argmax(axis=1) == classes
        assert found.figures[f"accuracy_{name}"] == pytest.approx(100 * right.mean())
        chosen = shares[name][np.arange(len(classes)), classes]
        assert found.task_errors[name] == pytest.approx(-np.log(chosen).mean(), rel=1e-3)
    squares = np.radians(predicted["pose"] - truth["pose"]) ** 2
    assert found.task_errors["pose"] == pytest.approx(squares.mean(), rel=1e-3)
    assert set(found.task_errors) == {"pose", "smile", "gender"}
