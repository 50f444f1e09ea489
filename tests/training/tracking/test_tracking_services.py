"""Weights & Biases and MLflow without a server: the commands of docs/training.md, as they stand."""

import re

import pytest

from runs import REPOSITORY
from senet_landmark.cli.app import main
from senet_landmark.config import flat, load_config, to_json
from senet_landmark.io.files import read_json
from senet_landmark.training.run_log import curves
from tracked import offline_history

pytestmark = pytest.mark.slow

SHORT = [
    "--preset", "tcdcn_landmarks", "--train.epochs", "0", "--train.batch-size", "4",
    "--train.validate-every", "2", "--train.summary-every", "1", "--train.threads", "1",
    "--train.no-report",
]  # fmt: skip


@pytest.fixture
def command(tmp_path, synthetic_records, monkeypatch, capsys):
    """(tracker, steps, **other variables) -> what the command of the page prints."""
    (tmp_path / "records").symlink_to(synthetic_records)
    monkeypatch.chdir(tmp_path)
    text = (REPOSITORY / "docs" / "training.md").read_text(encoding="utf-8")

    def run(tracker, steps, **variables):
        (line,) = re.findall(rf"^[A-Z_]+=.* --train\.trackers {tracker}$", text, re.MULTILINE)
        assignment, program, *arguments = line.split()
        assert program == "senet-landmark"
        variables = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", **variables}
        for name, value in (dict([assignment.split("=", 1)]) | variables).items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        assert main([*arguments, "--steps", str(steps), *SHORT]) == 0
        return capsys.readouterr().err

    return run


@pytest.fixture
def wandb():
    """Weights & Biases, which reads its variables anew in each test."""
    module = pytest.importorskip("wandb", reason='needs Weights & Biases (pip install ".[wandb]")')
    yield module
    module.teardown()


@pytest.fixture
def mlflow():
    """MLflow."""
    return pytest.importorskip("mlflow", reason='needs MLflow (pip install ".[mlflow]")')


@pytest.mark.usefixtures("wandb")
def test_weights_and_biases_offline(command, tmp_path):
    command("wandb", 2)
    command("wandb", 4)
    run = tmp_path / "run"
    tracked = read_json(run / "trackers.json")["wandb"]
    sessions = sorted((run / "wandb").glob(f"offline-run-*-{tracked}"))
    assert len(sessions) == len(list((run / "wandb").glob("offline-run-*"))) == 2
    together = {}
    for session, steps in zip(sessions, (2, 4), strict=True):
        history, config = offline_history(session / f"run-{tracked}.wandb")
        assert config["train"]["steps"] == steps and config["network"]["name"] == "tcdcn"
        (picture,) = session.glob("files/media/images/validation/predictions_*.png")
        assert picture.stat().st_size > 5000
        for tag, curve in history.items():
            together.setdefault(tag, {}).update(curve)
    assert together.keys() == curves(run).keys()
    for tag, curve in curves(run).items():
        assert together[tag] == pytest.approx(curve, rel=1e-6), tag


def test_mlflow_in_a_file(command, tmp_path, mlflow):
    command("mlflow", 2)
    command("mlflow", 4)
    run = tmp_path / "run"
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    (tracked,) = client.search_runs(["0"])
    assert tracked.info.run_id == read_json(run / "trackers.json")["mlflow"]
    assert (tracked.info.run_name, tracked.info.status) == ("run", "FINISHED")
    assert tracked.data.params["network.name"] == "tcdcn"
    names = {name for name, _ in flat(to_json(load_config(run / "config.json")))}
    assert tracked.data.params.keys() == names
    assert tracked.data.metrics.keys() == curves(run).keys()
    for tag, curve in curves(run).items():
        history = client.get_metric_history(tracked.info.run_id, tag)
        assert {m.step: m.value for m in history} == pytest.approx(curve, rel=1e-6), tag
    files = {file.path for file in client.list_artifacts(tracked.info.run_id)}
    pictures = [file.path for file in client.list_artifacts(tracked.info.run_id, "images")]
    assert "config.json" in files and sum(path.endswith(".png") for path in pictures) == 2


@pytest.mark.usefixtures("mlflow")
def test_training_goes_on_without_mlflows_server(command, tmp_path):
    # Nothing listens at this port.
    printed = command("mlflow", 2, MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert printed.count("warning: mlflow: ") == 1
    assert "This session is not tracked there, the training goes on." in printed
    assert read_json(tmp_path / "run" / "result.json")["steps"] == 2


@pytest.mark.usefixtures("wandb")
def test_training_goes_on_without_login_to_weights_and_biases(command, tmp_path):
    printed = command("wandb", 2, WANDB_MODE="online", WANDB_API_KEY="", HOME=str(tmp_path))
    assert printed.count("warning: wandb: UsageError: No API key") == 1
    assert read_json(tmp_path / "run" / "result.json")["steps"] == 2
