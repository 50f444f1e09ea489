"""The README's steps in order, with the README's options, on a few faces."""

import contextlib
import io
import json
import re

import pytest

from senet_landmark.cli.app import main
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait_path

pytestmark = pytest.mark.slow

OPTIONS = (
    *("--train.batch-size", 4, "--train.validate-every", 4, "--train.no-report"),
    *("--network.width", 0.125, "--train.replicas", 1),
)


def printed(*arguments):
    """What a command prints, which must succeed."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        assert main([str(argument) for argument in arguments]) == 0
    return text.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("steps")


@pytest.fixture(scope="module")
def built(synthetic_tree, folder):
    """(the records, what the command printed)."""
    records = folder / "records"
    return records, printed("build-records", "--root", synthetic_tree, "--out", records)


@pytest.fixture(scope="module")
def trained(built, folder):
    """(the run, what the second of two sessions printed)."""
    run = folder / "run"
    train = ("train", "--records", built[0], "--run", run, *OPTIONS)
    printed(*train, "--steps", 2)
    return run, printed(*train, "--steps", 4)


@pytest.fixture(scope="module")
def frozen(trained, folder):
    """(the model, what the command printed)."""
    model = folder / "model.pb"
    return model, printed("freeze", "--run", trained[0], "--out", model)


def test_build_records(built):
    assert "24 faces" in built[1]


def test_inspect(built, tmp_path):
    assert "24 faces. Suspects: " in printed("inspect", built[0], "--out", tmp_path)
    assert (tmp_path / "inspect.html").exists()


def test_turn_views(synthetic_tree, tmp_path):
    turn_views = ("turn-views", "--root", synthetic_tree, "--out", tmp_path / "out", "--views", 1)
    assert "24 views of 24 photos" in printed(*turn_views)
    again = printed(*turn_views)
    assert "0 views of 24 photos" in again and "24 were there" in again


def test_train_goes_on(trained):
    assert "step 4" in trained[1]


def test_report(trained):
    printed("report", "--run", trained[0])
    assert (trained[0] / "report.html").stat().st_size > 50_000


def test_train_starts_from_a_run(built, trained, tmp_path):
    start = ("--train.start-from", trained[0], "--steps", 1)
    printed("train", "--records", built[0], "--run", tmp_path / "again", *OPTIONS, *start)


def test_freeze(frozen):
    assert "equal to" in frozen[1]


def test_evaluate_on_a_data_set(frozen, synthetic_tree, tmp_path):
    dataset = ("--dataset", "300w_lp", "--root", synthetic_tree)
    text = printed("evaluate", "--model", frozen[0], *dataset, "--out", tmp_path)
    assert "model, landmarks boxes: n    24, NME" in text
    assert re.search(r"MSE [\d.]+ \([\d.]+ to [\d.]+\) pixels² of the photo", text)


def test_evaluate_the_shipped_model_on_records(built, tmp_path):
    printed("evaluate", "--records", built[0], "--split", "train", "--out", tmp_path)


def test_evaluate_on_several_data_sets(frozen, synthetic_tree, tmp_path):
    on = f"300w_lp={synthetic_tree}"
    printed("evaluate", "--model", frozen[0], "--on", on, on, "--out", tmp_path)
    whole, groups, squares = (tmp_path / "table.md").read_text().split("\n\n")
    assert whole.count("|") == 3 * 5 and groups.count("| yaw 0-30 ") == 2
    figures = json.loads(next(tmp_path.glob("*/metrics.json")).read_text())
    assert squares.count(f"| {figures['mse_photo_pixels']:.2f} (") == 2


def test_evaluate_beside_the_first_model(frozen, synthetic_tree, tmp_path):
    on = f"300w_lp={synthetic_tree}"
    text = printed("evaluate", "--model", "senet-68", frozen[0], "--on", on, "--out", tmp_path)
    assert re.search(r"minus senet-68, on the same 24 faces: NME \+[\d.]+ \(\+[\d.]+ to", text)
    *_, differences = (tmp_path / "table.md").read_text().split("\n\n")
    assert "model beside senet-68" in differences and differences.count("| landmarks |") == 1


def test_compare(trained, frozen, synthetic_tree, tmp_path):
    on = ("--on", f"300w_lp={synthetic_tree}")
    text = printed("compare", trained[0], frozen[0], *on, "--out", tmp_path, "--rounds", 1)
    assert "| run  " in text


def test_predict(frozen, tmp_path):
    text = printed("predict", portrait_path(), "--model", frozen[0], "--out", tmp_path)
    assert "1 faces in 1 photos" in text
    assert json.loads((tmp_path / "landmarks.json").read_text())
