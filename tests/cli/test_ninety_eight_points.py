"""98 points, from WFLW's folder to figures: every network, and PFLD by the commands."""

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from runs import short
from senet_landmark.cli.app import main
from senet_landmark.cli.commands.quickstart import unseen_faces
from senet_landmark.config import LossConfig, NetworkConfig
from senet_landmark.data.record_store import RecordStore
from senet_landmark.data.records import load_records_info, shard_paths
from senet_landmark.data_tools.datasets.wflw import ATTRIBUTES
from senet_landmark.data_tools.records.build_records import build_records
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait, portrait_path
from senet_landmark.export.evaluation.evaluate import evaluate_models
from senet_landmark.export.evaluation.face_sources import Records
from senet_landmark.export.freezing.freeze import freeze
from senet_landmark.face.geometry import box_from_landmarks
from senet_landmark.frozen.contract import load_contract
from senet_landmark.networks.registry import NETWORKS, get_network
from senet_landmark.training.train import train

pytestmark = pytest.mark.slow

SMALL = ["--steps", 2, "--train.batch-size", 4, "--train.replicas", 1, "--train.no-report"]


def run(*arguments):
    return main([str(a) for a in arguments])


@pytest.fixture(scope="module")
def wflw_records(wflw_tree, tmp_path_factory):
    out = tmp_path_factory.mktemp("wflw") / "records"
    assert not run(
        "build-records", "--dataset", "wflw", "--root", wflw_tree, "--out", out, "--preset", "pfld",
        "--workers", 1,
    )  # fmt: skip
    return out


def test_records_have_all_six_attributes(wflw_tree, wflw_records):
    info = load_records_info(wflw_records)
    assert info.scheme == "wflw_98" and info.attributes == ATTRIBUTES
    lines = (wflw_tree / "WFLW_annotations").rglob("list_98pt_rect_attr_*.txt")
    annotated = {
        fields[206]: [int(field) for field in fields[200:206]]
        for path in lines
        for fields in map(str.split, path.read_text().splitlines())
    }
    for split in ("train", "validation", "test"):
        store = RecordStore(shard_paths(wflw_records, info, split), cache_mb=0)
        for record in map(store.record, range(len(store))):
            assert record.attributes.tolist() == annotated.pop(record.source)
    assert not annotated


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_trains_freezes_and_is_evaluated(name, wflw_records, tmp_path):
    config = short(steps=1, replicas=1, ema_decay=0.0)
    network = NetworkConfig(name=name, pose=True, attributes=("blur", "occlusion"))
    if "width" in get_network(name).options:  # quicker
        network = replace(network, width=0.25)
    config = replace(config, network=network, loss=LossConfig(name="pfld"))
    assert np.isfinite(train(config, wflw_records, tmp_path / "run").loss)
    model = freeze(tmp_path / "run", tmp_path / "model.pb").model
    assert load_contract(model).scheme == "wflw_98"
    metrics = evaluate_models([model], Records(wflw_records), tmp_path / "out", page=False)
    assert metrics["n"] == 8 and len(metrics["by_landmark"]) == 98
    assert set(metrics["attribute_accuracy"]) == {"blur", "occlusion"}


def test_pfld_from_wflw_to_figures(wflw_tree, wflw_records, tmp_path, capsys):
    """train, freeze, predict in every format, evaluate by WFLW's subsets, compare."""
    folder, model = tmp_path / "run", tmp_path / "model.pb"
    command = ["train", "--preset", "pfld", "--network.width", 0.25, "--records", wflw_records]
    assert not run(*command, "--run", folder, *SMALL)
    assert not run("freeze", "--run", folder, "--out", model)

    box = box_from_landmarks(portrait()[1]).tolist()
    command = ["predict", portrait_path(), "--model", model, "--out", tmp_path / "faces"]
    formats = ["--write", "json", "csv", "pts", "dlib", "jsonl", "--align", 64]
    assert not run(*command, "--box", *box, *formats)
    (photo,) = json.loads((tmp_path / "faces" / "landmarks.json").read_text())
    points = np.array(photo["faces"][0]["landmarks"])
    assert photo["scheme"] == "wflw_98" and points.shape == (98, 2)
    (row,) = csv.DictReader((tmp_path / "faces" / "landmarks.csv").read_text().splitlines())
    assert [float(row["x97"]), float(row["y97"])] == pytest.approx(points[97], abs=0.01)
    assert "n_points: 98" in (tmp_path / "faces" / "portrait.pts").read_text()
    assert (tmp_path / "faces" / "landmarks.xml").read_text().count("<part ") == 98
    assert len(list((tmp_path / "faces").glob("*.[jp][pn]g"))) == 2  # picture and chip

    capsys.readouterr()
    command = ["evaluate", "--model", model, "--on", f"wflw={wflw_tree}"]
    assert not run(*command, "--unseen-by", wflw_records, "--out", tmp_path / "figures")
    printed = capsys.readouterr().out
    metrics = json.loads((tmp_path / "figures" / "wflw" / "metrics.json").read_text())
    assert metrics["n"] == 8 and list(metrics["by_subset"]) == ["test"]
    assert list(metrics["by_attribute"]) == list(ATTRIBUTES)
    for attribute, classes in metrics["by_attribute"].items():
        assert sum(part["n"] for part in classes.values()) == 8
        for name, part in classes.items():
            assert {"nme_inter_ocular", "auc_0.10", "failure_rate_0.10"} <= set(part)
            assert f"  {attribute}: {name} " in printed
    assert sum(len(classes) > 1 for classes in metrics["by_attribute"].values()) >= 3
    assert "at 0.10: AUC" in printed

    command = ["compare", model, "--on", f"wflw={wflw_tree}", "--unseen-by", wflw_records]
    assert not run(*command, "--rounds", 0, "--out", tmp_path / "comparison")
    compared = json.loads((tmp_path / "comparison" / "compare.json").read_text())
    assert compared["models"][0]["sets"]["wflw"]["n"] == 8


def test_one_command_from_made_faces(tmp_path, capsys):
    out = tmp_path / "out"
    command = ["quickstart", "--preset", "pfld_025", "--dataset", "wflw", "--out", out]
    assert run(*command, "--faces", 20, "--minutes", 0.02) == 0
    assert "on 2 unseen synthetic faces" in capsys.readouterr().out
    assert (out / "WFLW" / "WFLW_images").is_dir()
    assert load_contract(out / "model.pb").scheme == "wflw_98"
    metrics = json.loads((out / "evaluation" / "metrics.json").read_text())
    assert metrics["n"] == 2 and list(metrics["by_attribute"]) == list(ATTRIBUTES)


def test_unseen_faces_are_those_for_testing_else_those_held_out(wflw_tree, wflw_records, tmp_path):
    faces = unseen_faces("wflw", wflw_tree, wflw_records)
    assert len(faces.entries()) == 8 and all(entry.test for entry in faces.entries())
    shutil.copytree(wflw_tree, tmp_path / "WFLW")
    for path in (tmp_path / "WFLW").rglob("list_98pt*_test*.txt"):
        path.unlink()
    records = tmp_path / "records"
    build_records("wflw", tmp_path / "WFLW", records, workers=1)
    assert unseen_faces("wflw", tmp_path / "WFLW", records) == Records(records, "validation")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--dataset", "cofw"], "layouts of 300w_lp and wflw, not of cofw: give the --root"),
        (["--dataset", "wflw", "--root", "."], "no list such as list_98pt"),
        (["--minutes", "0"], "--minutes must be above 0"),
    ],
)
def test_what_cannot_be_made_or_read_is_refused_before_anything_is_written(
    options, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert run("quickstart", "--out", "out", *options) == 2
    assert message in capsys.readouterr().err and not any(tmp_path.iterdir())
