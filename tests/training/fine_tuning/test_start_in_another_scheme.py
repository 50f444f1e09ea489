"""Fine-tuning in another landmark scheme than that of the start."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from fine_tuned import MAPS, PFLD, TCDCN, built, faces_of, maker_of, predict, records_with
from senet_landmark.face import schemes
from senet_landmark.face.scheme_conversion import convert
from senet_landmark.face.schemes import Scheme
from senet_landmark.training import checkpoints
from senet_landmark.training.fine_tuning import MOST, fitted_mean, initial_weights

pytestmark = pytest.mark.slow


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
    assert bool(report.initialised) == (network == PFLD)
    assert all(name.startswith("pfld/auxiliary/") for name in report.initialised)
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
