"""Fine-tuning: first weights out of another run's, through the real graphs."""

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from made_records import changed_records, open_store
from runs import random_weights, total_loss
from senet_landmark.config import NO_AUGMENTATION, AugmentConfig, Config, NetworkConfig, TrainConfig
from senet_landmark.data.input_pipeline import BatchMaker, in_order
from senet_landmark.data.records import load_records_info
from senet_landmark.errors import InputError
from senet_landmark.export.engines.registry import load_engine
from senet_landmark.export.freezing.freeze import freeze
from senet_landmark.face import geometry, schemes
from senet_landmark.face.scheme_conversion import convert
from senet_landmark.face.schemes import Scheme
from senet_landmark.frozen.contract import load_contract
from senet_landmark.frozen.models import DEFAULT_MODEL, find_model
from senet_landmark.io.images import decode_photo
from senet_landmark.networks.model import build_model
from senet_landmark.networks.registry import get_network
from senet_landmark.networks.weights import assign_weights, current_weights
from senet_landmark.training import checkpoints, fine_tuning
from senet_landmark.training.fine_tuning import MOST, assign_start, fitted_mean, initial_weights
from senet_landmark.training.optimisation import gradients_of, update_operation

pytestmark = pytest.mark.slow

MAPS = NetworkConfig(width=0.125)
FULL = NetworkConfig(width=0.125, head="fc")
PFLD = NetworkConfig(name="pfld", width=0.125)
TCDCN = NetworkConfig(name="tcdcn")
NORMALISED = NetworkConfig(name="tcdcn", batch_norm=True)


def maker_of(records: Path, network: NetworkConfig) -> BatchMaker:
    """What training makes batches with."""
    info = load_records_info(records)
    size = get_network(network.name).input_size
    return BatchMaker(open_store(records), info.crop, size, AugmentConfig(), 4)


def faces_of(records: Path, network: NetworkConfig):
    """Images and landmarks of the training faces as they are."""
    batches = in_order(dataclasses.replace(maker_of(records, network), augment=NO_AUGMENTATION))
    return [np.concatenate([batch[key] for batch in batches]) for key in ("image", "landmarks")]


@functools.cache
def built(network: NetworkConfig, points: int):
    """(graph, model) for inference, without the heads of further tasks."""
    network = dataclasses.replace(network, pose=False, attributes=())
    with tf.Graph().as_default() as graph:
        return graph, build_model(network, points, is_training=False)


def predict(network: NetworkConfig, points: int, weights, images: np.ndarray):
    """Landmarks, and logits of the maps if there are such, of a model with these weights."""
    graph, model = built(network, points)
    fetches = {k: v for k, v in model.end_points.items() if k in ("landmarks", "map_logits")}
    with graph.as_default(), tf.Session() as session:
        assign_weights(session, weights, "the start")
        return session.run(fetches, {model.image: images})


def begin(network, maker, weights, ema_decay=0.9, save=None):
    """What a training graph holds of the model before its first step, started from `weights`.

    With `save`, the prefix of a checkpoint, it takes two steps and saves; what it holds then.
    """
    config = Config(network=network, train=TrainConfig(ema_decay=ema_decay))
    batch = maker.batch(0)
    with tf.Graph().as_default(), tf.Session() as session:
        step = tf.train.get_or_create_global_step()
        given = {key: tf.constant(value) for key, value in batch.items()}
        points = maker.store.scheme.points
        model = build_model(network, points, is_training=True, image=given["image"])
        loss = total_loss(config, model.end_points, given, maker.size, maker.attributes)
        gradients = gradients_of(loss)
        update, average = update_operation(*gradients, tf.constant(1e-3), step, config.train)
        saver = tf.train.Saver()
        session.run(tf.global_variables_initializer())
        tf.get_default_graph().finalize()  # a start adds nothing to the graph
        assign_start(session, weights, average)
        if save is None:
            shown = session.run({v.op.name: v for v in slim.get_model_variables()})
            averages = current_weights(session, average)
            for name, value in shown.items():
                np.testing.assert_array_equal(value, averages[name])
            return shown
        for _ in range(2):
            session.run(update)
        checkpoints.save_checkpoint(saver, session, save, 2)
        return current_weights(session, average)


@pytest.fixture(scope="module")
def runs(synthetic_records, tmp_path_factory):
    """network -> folder of a run of it on 68 points, with random weights."""
    made = {}

    def run_of(network: NetworkConfig) -> Path:
        if network not in made:
            made[network] = tmp_path_factory.mktemp("runs") / "run"
            save_run(made[network], network, synthetic_records)
        return made[network]

    return run_of


def save_run(run, network, records, options=TrainConfig()):
    config = Config(network=network, train=options)
    checkpoints.save_run(run, config, load_records_info(records), records)
    with tf.Graph().as_default(), tf.Session() as session:
        build_model(network, 68, is_training=False)
        variables = slim.get_model_variables()
        assign_weights(session, random_weights(variables), "random weights")
        checkpoints.save_checkpoint(tf.train.Saver(variables), session, run / "best", 7)


def records_with(records, out, scheme, landmarks):
    """The records with other landmarks [N, L, 2], normalised by the crop, of the training faces."""
    crop = load_records_info(records).crop

    def change(split, number, record):
        size = tuple(int(side) for side in record_size(record))
        to_pixels = geometry.to_pixels(size)
        box = geometry.apply(to_pixels, record.box.astype(np.float64).reshape(2, 2)).ravel()
        transform = geometry.to_crop(geometry.crop_box(box, crop, size))
        to_record = geometry.compose(geometry.invert(to_pixels), geometry.invert(transform))
        points = landmarks[number if split == "train" else 0]
        return dataclasses.replace(
            record,
            scheme=scheme,
            landmarks=geometry.apply(to_record, points).astype(np.float32),
            visible=np.ones(len(points), bool),
        )

    return changed_records(records, out, change, scheme=scheme)


def record_size(record):
    """(width, height) of the recorded crop."""
    return decode_photo(record.image, record.source).shape[1::-1]


# --- the same scheme -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "ema_decay"), [(MAPS, None), (TCDCN, 0.9), (TCDCN, 0.0)],
    ids=["senet", "tcdcn", "tcdcn_without_averages"],
)  # fmt: skip
def test_same_scheme_begins_where_the_start_ended(runs, synthetic_records, network, ema_decay):
    maker, run = maker_of(synthetic_records, network), runs(network)
    # What changes no variable may be another.
    changed = dataclasses.replace(network, weight_decay=0.0)
    weights, report = initial_weights(changed, maker, run)
    assert not report.anew and not report.converted and set(report.origins) == {"same"}
    begun, step, checkpoint = checkpoints.weights_of(run)
    assert (report.step, report.checkpoint) == (step, checkpoint)
    # The training graph of senet takes 20 s to build; the cheap one has all that is special to it.
    shown = weights if ema_decay is None else begin(changed, maker, weights, ema_decay)
    images, _ = faces_of(synthetic_records, network)
    before, after = (predict(network, 68, w, images[:4]) for w in (begun, shown))
    np.testing.assert_array_equal(before["landmarks"], after["landmarks"])
    assert np.ptp(before["landmarks"], axis=0).max() > 1e-3  # the faces tell something


def test_start_may_be_a_checkpoint_with_averages(synthetic_records, tmp_path):
    run, maker = tmp_path / "run", maker_of(synthetic_records, TCDCN)
    save_run(run, TCDCN, synthetic_records)
    best, _ = initial_weights(TCDCN, maker, run)
    shown = begin(TCDCN, maker, best, save=run / "checkpoints")
    prefix = run / "checkpoints" / "model.ckpt-2"
    weights, report = initial_weights(TCDCN, maker, prefix)
    assert report.step == 2 and set(weights) == set(shown)
    for name, value in weights.items():
        np.testing.assert_array_equal(value, shown[name])
    assert (weights["tcdcn/shared/weights"] != best["tcdcn/shared/weights"]).any()
    (run / "config.json").unlink()
    with pytest.raises(InputError, match=r"model\.ckpt-2: has no config\.json"):
        initial_weights(TCDCN, maker, prefix)
    with pytest.raises(InputError, match="does not exist"):
        initial_weights(TCDCN, maker, tmp_path / "nowhere")


# --- a frozen model --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def frozen(runs, synthetic_records, tmp_path_factory):
    """network -> the `.pb` of its run."""
    made = {}

    def model_of(network: NetworkConfig) -> Path:
        if network not in made:
            made[network] = tmp_path_factory.mktemp("frozen") / "model.pb"
            freeze(runs(network), made[network], records=synthetic_records)
        return made[network]

    return model_of


@pytest.mark.parametrize("network", [MAPS, PFLD, NORMALISED], ids=lambda n: n.name)
def test_frozen_model_begins_where_its_run_ended(
    runs, frozen, synthetic_records, monkeypatch, network
):
    monkeypatch.setattr(fine_tuning, "SEEN_FACES", 4)  # one batch, so that it is what is averaged
    maker, model = maker_of(synthetic_records, network), frozen(network)
    weights, report = initial_weights(network, maker, model)
    from_run, of_run = initial_weights(network, maker, runs(network))
    assert (report.taken, report.anew) == (of_run.taken, of_run.anew)
    assert (report.step, report.checkpoint) == (0, str(model))
    images = maker.batch(0)["image"]
    before, after = (predict(network, 68, w, images)["landmarks"] for w in (from_run, weights))
    np.testing.assert_allclose(before, after, atol=1e-5)
    # Batch norm really normalises: by the batch, as in training, it tells the same.
    with tf.Graph().as_default(), tf.Session() as session:
        given = tf.constant(images)
        training = build_model(network, 68, is_training=True, image=given)
        session.run(tf.global_variables_initializer())
        assign_start(session, weights, None)
        np.testing.assert_allclose(session.run(training.landmarks), after, atol=1e-4)
        assert any("gamma" in name for name in weights)


def test_frozen_model_starts_another_scheme(runs, frozen, synthetic_records, tmp_path):
    images, truth = faces_of(synthetic_records, MAPS)
    five = records_with(
        synthetic_records, tmp_path / "five", "mtfl_5", convert(truth, "300w_68", "mtfl_5")
    )
    weights, report = initial_weights(MAPS, maker_of(five, MAPS), frozen(MAPS))
    assert set(report.origins) == {"table"} and report.converted
    from_run, _ = initial_weights(MAPS, maker_of(five, MAPS), runs(MAPS))
    found = [predict(MAPS, 5, w, images[:4])["landmarks"] for w in (weights, from_run)]
    np.testing.assert_allclose(*found, atol=1e-5)


def test_shipped_model_starts_by_its_name_and_hands_on_its_terms(synthetic_records, tmp_path):
    network, run = NetworkConfig(), tmp_path / "run"
    maker = maker_of(synthetic_records, network)
    weights, _ = initial_weights(network, maker, DEFAULT_MODEL)
    images, _ = faces_of(synthetic_records, network)
    model = find_model(DEFAULT_MODEL)
    contract = load_contract(model)
    found = predict(network, 68, weights, images[:4])["landmarks"]
    shipped = load_engine(model, contract, "tensorflow")(images[:4])["landmarks"]
    np.testing.assert_allclose(found, shipped, atol=1e-5)
    save_run(run, TCDCN, synthetic_records, TrainConfig(start_from=DEFAULT_MODEL))
    freeze(run, tmp_path / "model.pb", records=synthetic_records)
    handed_on = load_contract(tmp_path / "model.pb")
    assert "research only" in contract.licence and "research only" in handed_on.licence
    own, *theirs = str(handed_on.training["dataset"]).split(", ")
    given = str(contract.training["dataset"]).split(", ")
    assert own == load_records_info(synthetic_records).dataset
    assert theirs == [name for name in given if name != own]


def test_pseudo_labels_have_the_terms_of_their_photos(synthetic_records, tmp_path):
    def same(split, number, record):
        return record

    labelled = changed_records(synthetic_records, tmp_path / "records", same, dataset="mtfl (csv)")
    save_run(tmp_path / "run", TCDCN, labelled)
    freeze(tmp_path / "run", tmp_path / "model.pb", records=labelled)
    assert load_contract(tmp_path / "model.pb").licence.endswith("for research only: mtfl.")


def test_runs_that_started_from_each_other_are_frozen(synthetic_records, tmp_path):
    """A folder may hold another run by now than the one that was started from."""
    for name, other in (("a", "b"), ("b", "a")):
        start = TrainConfig(start_from=str(tmp_path / other))
        save_run(tmp_path / name, TCDCN, synthetic_records, start)
    freeze(tmp_path / "a", tmp_path / "model.pb", records=synthetic_records)
    contract = load_contract(tmp_path / "model.pb")
    assert contract.training["dataset"] == load_records_info(synthetic_records).dataset


def test_frozen_start_that_does_not_fit_is_refused(frozen, synthetic_records, tmp_path):
    model = frozen(MAPS)
    for network, message in (
        (TCDCN, r"model\.pb: is of the network senet; a run of tcdcn .* --preset"),
        (
            FULL,
            r"model\.pb: is a frozen model of senet; .*head fc.*senet/fc/hidden/\w+ is not there",
        ),
        (dataclasses.replace(MAPS, width=0.25), r"frozen model of senet; .*width 0\.25.* there, "),
    ):
        with pytest.raises(InputError, match=message):
            initial_weights(network, maker_of(synthetic_records, network), model)
    maker = maker_of(synthetic_records, MAPS)
    with pytest.raises(
        InputError, match=r"senet-69: does not exist\. .*senet-68, .*senet-68-small"
    ):
        initial_weights(MAPS, maker, "senet-69")
    lonely = tmp_path / "lonely.pb"
    lonely.write_bytes(model.read_bytes())
    with pytest.raises(InputError, match=r"lonely\.json: absent"):
        initial_weights(MAPS, maker, lonely)
    with pytest.raises(InputError, match=r"gone\.pb: no such model"):
        initial_weights(MAPS, maker, tmp_path / "gone.pb")


# --- another scheme --------------------------------------------------------------------------


@pytest.mark.parametrize("network", [MAPS, PFLD, TCDCN], ids=lambda n: n.name)
def test_scheme_with_a_table_begins_near_the_converted_points(
    runs, synthetic_records, tmp_path, network
):
    images, truth = faces_of(synthetic_records, network)
    five = records_with(
        synthetic_records, tmp_path / "five", "mtfl_5", convert(truth, "300w_68", "mtfl_5")
    )
    maker, run = maker_of(five, network), runs(network)
    weights, report = initial_weights(network, maker, run)
    assert set(report.origins) == {"table"} and report.converted
    assert "300w_68" in str(report) and "5 points by the conversion table" in str(report)
    begun, _, _ = checkpoints.weights_of(run)
    before = predict(network, 68, begun, images[:4])
    after = predict(network, 5, weights, images[:4])
    wanted = convert(before["landmarks"], "300w_68", "mtfl_5")
    # PFLD's branch for training is not among a run's best weights.
    assert bool(report.anew) == (network == PFLD)
    assert all(name.startswith("pfld/auxiliary/") for name in report.anew)
    if network != MAPS:
        np.testing.assert_allclose(after["landmarks"], wanted, atol=1e-5)
        return
    # Nose and corners of the mouth are old points; an eye's map is the mean of its points' logits.
    np.testing.assert_allclose(after["landmarks"][:, 2:], wanted[:, 2:], atol=1e-5)
    for eye, points in ((0, slice(36, 42)), (1, slice(42, 48))):
        mean = before["map_logits"][:, points].mean(axis=1)
        np.testing.assert_allclose(after["map_logits"][:, eye], mean, atol=1e-4)


def test_mean_of_the_logits_of_gaussian_maps_is_about_the_mean_of_the_points():
    graph, model = built(MAPS, 68)
    with tf.Session(graph=graph) as session:
        grid = session.run(model.end_points["grid"])
    points = np.array([[0.4, 0.45], [0.5, 0.42]])
    cell = grid[1, 0] - grid[0, 0]
    logits = -np.square((grid - points[:, None]) / cell).sum(-1) / 2

    def expected(values):
        shares = np.exp(values - values.max())
        return shares @ grid / shares.sum()

    np.testing.assert_allclose([expected(values) for values in logits], points, atol=1e-3)
    np.testing.assert_allclose(expected(logits.mean(axis=0)), points.mean(axis=0), atol=1e-3)


def near_pairs(seen):
    """Of each point of [N, K, 2]: itself, and the mean of it and of the point nearest to it."""
    distance = np.linalg.norm(seen[:, :, None] - seen[:, None], axis=-1).mean(axis=0)
    np.fill_diagonal(distance, np.inf)
    return seen, (seen + seen[:, distance.argmin(axis=1)]) / 2


@pytest.mark.parametrize("network", [MAPS, TCDCN], ids=lambda n: n.name)
def test_table_backwards_and_fitted_points(runs, synthetic_records, tmp_path, network):
    images, _ = faces_of(synthetic_records, network)
    begun, _, _ = checkpoints.weights_of(runs(network))
    seen = predict(network, 68, begun, images)["landmarks"]
    # Faces whose unknown points are old points, so that there is something to be fitted.
    truth = np.concatenate([seen, seen[:, :30]], axis=1)
    many = records_with(synthetic_records, tmp_path / "many", "wflw_98", truth)
    maker = maker_of(many, network)
    weights, report = initial_weights(network, maker, runs(network))
    found = predict(network, 98, weights, images)["landmarks"]
    np.testing.assert_allclose(convert(found, "wflw_98", "300w_68"), seen, atol=1e-5)
    assert [report.origins.count(o) for o in ("inverse", "fitted")] == [68, 30]
    fitted = np.array(report.origins) == "fitted"
    assert (np.count_nonzero(report.means[fitted], axis=1) <= MOST).all()
    np.testing.assert_allclose(report.means.sum(axis=1), 1)
    # Each fitted point is nearer to its truth than any point of the old model.
    errors = np.linalg.norm(found - truth, axis=-1).mean(axis=0)[fitted]
    apart = np.linalg.norm(seen[:, :, None] - truth[:, None, fitted], axis=-1).mean(axis=0)
    assert (errors <= apart.min(axis=0) + 1e-4).all()


@pytest.fixture
def own_scheme(monkeypatch):
    """(name, points) -> a scheme of one's own, of which no table knows."""

    def add(name, points):
        scheme = Scheme(
            name=name, points=points, mirror=tuple(range(points)),
            groups={"all": tuple(range(points))}, outer_eye_corners=(0, 1), eyes=((0,), (1,)),
        )  # fmt: skip
        monkeypatch.setitem(schemes.SCHEMES, name, scheme)

    return add


@pytest.mark.parametrize("network", [MAPS, TCDCN], ids=lambda n: n.name)
def test_own_scheme_begins_where_the_old_model_sees_its_points(
    runs, synthetic_records, tmp_path, own_scheme, network
):
    own_scheme("mine", 9)
    images, _ = faces_of(synthetic_records, network)
    begun, _, _ = checkpoints.weights_of(runs(network))
    single, paired = near_pairs(predict(network, 68, begun, images)["landmarks"])
    truth = np.concatenate([single[:, 3:60:12], paired[:, 8:60:15]], axis=1)
    maker = maker_of(records_with(synthetic_records, tmp_path / "own", "mine", truth), network)
    weights, report = initial_weights(network, maker, runs(network))
    assert set(report.origins) == {"fitted"}
    found = predict(network, 9, weights, images)["landmarks"]
    np.testing.assert_allclose(found[:, :5], truth[:, :5], atol=1e-5)
    if network != MAPS:
        np.testing.assert_allclose(found, truth, atol=1e-5)


def test_as_many_points_in_another_scheme_are_not_the_same_points(
    runs, synthetic_records, tmp_path, own_scheme
):
    own_scheme("backwards", 68)
    images, _ = faces_of(synthetic_records, TCDCN)
    begun, _, _ = checkpoints.weights_of(runs(TCDCN))
    truth = predict(TCDCN, 68, begun, images)["landmarks"][:, ::-1]
    maker = maker_of(records_with(synthetic_records, tmp_path / "own", "backwards", truth), TCDCN)
    weights, report = initial_weights(TCDCN, maker, runs(TCDCN))
    assert report.converted == (
        "tcdcn/coordinates/biases",
        "tcdcn/coordinates/weights",
    )
    found = predict(TCDCN, 68, weights, images)["landmarks"]
    np.testing.assert_allclose(found, truth, atol=1e-5)


def test_fitted_mean():
    generator = np.random.default_rng(0)
    seen = generator.uniform(0, 1, (10, 2)) + generator.normal(0, 0.05, (40, 10, 2))
    for group in ([4], [4, np.linalg.norm(seen - seen[:, 4:5], axis=-1).mean(0).argsort()[1]]):
        truth = seen[:, group].mean(axis=1)
        truth[::3] = np.nan  # unknown on some faces
        shares = np.zeros(10)
        shares[group] = 1 / len(group)
        np.testing.assert_allclose(fitted_mean(seen, truth), shares)
    np.testing.assert_allclose(fitted_mean(seen, np.full((40, 2), np.nan)), np.full(10, 0.1))


# --- heads, and other networks ---------------------------------------------------------------


def test_heads_are_taken_where_they_fit(synthetic_records, tmp_path):
    def with_heads(network, *names):
        return dataclasses.replace(network, attributes=names)

    run, maker = tmp_path / "run", maker_of(synthetic_records, TCDCN)
    save_run(run, with_heads(TCDCN, "gender", "smile"), synthetic_records)
    begun, _, _ = checkpoints.weights_of(run)
    network = dataclasses.replace(with_heads(TCDCN, "glasses", "smile"), pose=True)
    weights, report = initial_weights(network, maker, run)
    parts = ("attribute_glasses", "pose")
    assert report.anew == tuple(f"{p}/{kind}" for p in parts for kind in ("biases", "weights"))
    assert "anew: attribute_glasses, pose" in str(report)
    assert {"attribute_smile/weights", "tcdcn/shared/weights"} <= set(report.taken)
    assert not any("gender" in name for name in weights)
    smile = "attribute_smile/weights"
    np.testing.assert_array_equal(weights[smile], begun[smile])
    plain = {k: v for k, v in weights.items() if not k.startswith("attribute_")}
    shown = begin(dataclasses.replace(network, attributes=()), maker, plain)
    assert set(shown) - set(plain) == {"pose/biases", "pose/weights"}
    assert np.ptp(shown["pose/weights"]) > 0  # as initialised, and so is its average


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            dataclasses.replace(MAPS, width=0.25),
            r"width 0\.125.*stem/weights is \[3, 3, 3, 2\] there",
        ),
        (FULL, r"head soft_argmax.*head fc.*senet/fc/hidden/\w+ is not there"),
        (TCDCN, r"is a run of senet .*this run, of tcdcn .*tcdcn/conv_0/\w+ is not there"),
        (dataclasses.replace(TCDCN, batch_norm=True), "tcdcn .*batch_norm.* cannot start"),
    ],
    ids=["width", "head", "network", "batch_norm"],
)
def test_start_of_another_network_is_refused(runs, synthetic_records, network, message):
    with pytest.raises(InputError, match=message):
        initial_weights(network, maker_of(synthetic_records, network), runs(MAPS))
