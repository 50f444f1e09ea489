"""`compare`: costs against independent counts, the NME of a run and its .pb, the runs it trains."""

import csv
import json
import re
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from made_records import changed_records
from runs import short
from senet_landmark.cli.app import main
from senet_landmark.config import to_json
from senet_landmark.data.records import load_records_info
from senet_landmark.errors import InputError
from senet_landmark.export.comparison import training
from senet_landmark.export.comparison.compare import compare
from senet_landmark.export.evaluation.evaluate import evaluate_sets
from senet_landmark.export.evaluation.face_sources import faces_at
from senet_landmark.export.speed.latency import measure_latency
from senet_landmark.io.files import write_json
from senet_landmark.networks.model import build_model
from senet_landmark.training.checkpoints import latest_checkpoint, load_run, load_state, save_state
from senet_landmark.training.train import TrainResult, train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def other_run(small_run, tmp_path_factory):
    """Two steps of the original network; its recipe keeps no best checkpoint."""
    run = tmp_path_factory.mktemp("other") / "original"
    train(short("senet_original", steps=2), small_run.records, run)
    return run


@pytest.fixture(scope="module")
def compared(small_run, other_run, synthetic_tree, tmp_path_factory):
    """(folder, result): two runs, a .pb of the first, and a run without checkpoint."""
    out = tmp_path_factory.mktemp("compare")
    empty = out / "empty"
    empty.mkdir()
    for name in ("config.json", "records.json"):
        (empty / name).write_bytes((small_run.run / name).read_bytes())
    models = [small_run.run, small_run.model, empty, other_run]
    return out, compare(models, [("300w_lp", synthetic_tree)], out, rounds=3)


@pytest.fixture(scope="module")
def trained(synthetic_records, tmp_path_factory):
    """(arguments, folder, result): presets on records, one of them on records that lack for it."""
    folder = tmp_path_factory.mktemp("trained")
    names = ("gender", "smile", "glasses", "head_pose")
    full = changed_records(
        synthetic_records,
        folder / "full",
        lambda split, number, record: replace(
            record, attributes=np.array([number % 2, 0, 1, number % 5], np.float32)
        ),
        attributes=names,
    )
    out = folder / "out"
    pairs = [f"quickstart={synthetic_records}", f"tcdcn={synthetic_records}", f"tcdcn={full}"]
    arguments = ["compare", "--train", *pairs, "--minutes", "0.002", "--rounds", "0"]
    assert main([*arguments, "--out", str(out)]) == 0
    return arguments, out, json.loads((out / "compare.json").read_text())


def checkpoint_numbers(run):
    """The numbers in a run's latest checkpoint that training changes by gradients."""
    reader = tf.train.load_checkpoint(str(run / "checkpoints"))
    shapes = reader.get_variable_to_shape_map()
    slots = [name.removesuffix("/Adam") for name in shapes if name.endswith("/Adam")]
    return sum(int(np.prod(shapes[name])) for name in slots)


def flops_with_batch_norm(run):
    """FLOPs of the network before folding, and the values that its batch norms give.

    Of what leads to the outputs alone: the profiler counts initialisers and weight decay too.
    """
    config, _, _ = load_run(run)
    with tf.Graph().as_default() as graph:
        model = build_model(config.network, 68, is_training=False, batch_size=1)
        norms = [op for op in graph.get_operations() if op.type.startswith("FusedBatchNorm")]
        values = sum(int(np.prod(op.outputs[0].shape.as_list())) for op in norms)
        needed = tf.graph_util.extract_sub_graph(graph.as_graph_def(), list(model.outputs))
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(needed, name="")
        options = tf.profiler.ProfileOptionBuilder.float_operation()
        options["output"] = "none"
        return tf.profiler.profile(graph, options=options).total_float_ops, values


def test_costs_are_those_of_independent_counts(compared, small_run, other_run):
    rows = {row["name"]: row for row in compared[1]["models"]}
    assert list(rows) == ["run", "model", "original"]
    for name, run in (("run", small_run.run), ("original", other_run)):
        row = rows[name]
        assert row["parameters"] == checkpoint_numbers(run)
        assert row["parameters_are"] == "trainable variables"
        flops, normed = flops_with_batch_norm(run)
        # The profiler takes a batch norm for nothing; folded, it adds one number to each value.
        assert 1e6 * row["mflops"] == pytest.approx(flops + normed, abs=600)
        assert 0 < normed < 0.05 * flops
    assert rows["run"]["mflops"] == rows["model"]["mflops"] > rows["original"]["mflops"]
    assert rows["model"]["parameters_are"] == "constants of the graph"
    assert rows["model"]["parameters"] == rows["run"]["constants"]
    # Folding merges gamma and beta into the bias; 512 numbers of the grid and 2 scalars are fixed.
    assert rows["run"]["parameters"] * 0.98 < rows["run"]["constants"] < rows["run"]["parameters"]
    assert rows["model"]["megabytes"] == round(small_run.model.stat().st_size / 1e6, 3)


def test_training_is_told_where_it_is_known(compared):
    run, model, other = compared[1]["models"]
    assert (run["kind"], run["steps"], run["images_seen"]) == ("run", 6, 24)
    assert (run["head"], run["input_size"]) == ("soft_argmax", [128, 128])
    assert (other["head"], other["steps"], other["images_seen"]) == ("fc", 2, 8)
    assert (model["kind"], model["images_seen"], model["head"]) == ("pb", None, None)
    assert model["steps"] == run["weights_step"] and model["preset"] == "senet"
    assert run["validation_nme"] == model["validation_nme"] > 0
    assert run["minutes"] > 0


def test_run_and_its_pb_have_one_error(compared, tmp_path):
    run, model, other = (row["sets"]["300w_lp"] for row in compared[1]["models"])
    assert run == model and run["n"] == other["n"] == 24
    assert run["nme_inter_ocular"] != other["nme_inter_ocular"]
    low, high = run["interval_95"]
    assert low < run["nme_inter_ocular"] < high


def test_latency_of_every_engine(compared):
    engines = ["tflite", "onnxruntime", "opencv", "tensorflow"]  # in the order of the registry
    for row in compared[1]["models"]:
        assert list(row["latency_ms"]) == engines
        for engine in engines:
            for threads in ("one_thread", "all_threads"):
                of = row["latency_ms"][engine][threads]
                assert 0 < of["quartiles"][0] <= of["median"] <= of["quartiles"][1] < 5000
                assert of["cpu"] > 0


def test_broken_run_is_reported(compared):
    (failed,) = compared[1]["failed"]
    assert failed["name"] == "empty" and "no checkpoint" in failed["error"]


def test_files_hold_the_table(compared):
    out, result = compared
    assert json.loads((out / "compare.json").read_text()) == result
    rows = list(csv.DictReader((out / "compare.csv").open()))
    assert [row["name"] for row in rows] == ["run", "model", "original"]
    nme = result["models"][2]["sets"]["300w_lp"]["nme_inter_ocular"]
    assert float(rows[2]["300w_lp nme_inter_ocular"]) == nme
    errors = result["models"][2]["sets"]["300w_lp"]
    for key in ("mse_photo_pixels", "squared_distance_sum"):
        assert float(rows[2][f"300w_lp {key}"]) == errors[key] > 0
    text = (out / "compare.md").read_text()
    table = [line for line in text.splitlines() if line.startswith("|")]
    table, squares, training, validation = table[:5], table[5:10], table[10:15], table[15:]
    assert f"{errors['squared_distance_sum']:.4f}" in squares[4]
    assert len(validation) == 4  # the runs, not the .pb
    for lines, words in ((table, 1), (training, 4), (validation, 1)):
        assert len({line.count("|") for line in lines}) == 1
        assert re.fullmatch(rf"\|(:-+\|){{{words}}}(-+:\|)+", lines[1])
    assert table[0].split("|")[2].strip() == "300w_lp: NME, %"  # the first figure
    medians = [of["one_thread"]["median"] for of in result["models"][2]["latency_ms"].values()]
    assert [f"{m:.1f}" for m in medians] == re.findall(r"[\d.]+", table[4].replace("*", ""))[-4:]
    fewest = min(result["models"], key=lambda row: row["mflops"])
    assert f"**{fewest['mflops']:.1f}**" in table[4] and f"{nme:.2f}" in table[4]
    assert "Not compared: empty" in text
    page = (out / "compare.html").read_text()
    assert page.count("data:image/svg+xml") == 2 and "empty" in page
    assert page.count("<table") == 5 and "MSE, photo pixels²" in page
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:|#)|@import|url\(|<script""", page)


def test_without_sets_and_latency_and_of_another_scheme(small_run, tmp_path):
    (tmp_path / "list_98pt_test_x.txt").write_text("1 " * 196 + "a.jpg\n")
    faces = [("wflw", tmp_path)]
    result = compare([small_run.model] * 2, faces, tmp_path / "out", rounds=0)
    one, two = result["models"]
    assert two["name"] == one["name"] + "-2"
    assert one["latency_ms"] is None
    assert "300w_68" in one["sets"]["wflw"]["reason"]
    plain = compare([small_run.model], [], tmp_path / "plain", rounds=0)
    assert plain["sets"] == {} and "**" not in (tmp_path / "plain" / "compare.md").read_text()
    assert compare([small_run.model], [], tmp_path / "again", rounds=0) == plain
    for name in ("md", "csv", "html", "json"):
        files = [tmp_path / folder / f"compare.{name}" for folder in ("plain", "again")]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_latency_that_cannot_be_measured_is_told(small_run, monkeypatch):
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    (found,) = measure_latency([small_run.model], 1)
    assert "ended with 1" in found["opencv"]["error"]


def test_runtime_that_is_not_installed_is_told(small_run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    result = compare([small_run.model], [], tmp_path, rounds=1)
    (row,) = result["models"]
    assert [engine for engine, of in row["latency_ms"].items() if "error" in of] == ["onnxruntime"]
    assert "No latency in ONNX Runtime of model: ONNX needs tf2onnx" in " ".join(result["notes"])
    assert (tmp_path / "compare.html").exists()


def test_trains_presets_and_tells_of_the_failed_one(trained, synthetic_records):
    _, out, result = trained
    quick, tasks = result["models"]
    assert [row["name"] for row in (quick, tasks)] == ["quickstart", "full-tcdcn"]
    assert [of["preset"] for of in result["trained"]] == ["quickstart", "tcdcn", "tcdcn"]
    (failed,) = result["failed"]
    assert failed["name"] == "out-tcdcn" and "attribute" in failed["error"]
    for row in (quick, tasks):
        assert row["minutes"] >= 0.002 and row["steps"] >= 1 and row["validation"]
        seconds = 60 * load_state(out / "runs" / row["name"]).minutes
        assert row["train_faces_per_second"] == round(row["images_seen"] / seconds, 1)
    config = load_run(out / "runs" / "quickstart")[0].train
    assert (config.steps, config.epochs, config.minutes) == (10**9, 0, 0.002)


def test_validation_is_that_of_the_frozen_weights(trained):
    _, out, result = trained
    tasks = result["models"][1]
    figures = load_state(out / "runs" / "full-tcdcn").figures
    assert tasks["validation"] == pytest.approx(figures, abs=1e-4)
    text = (out / "compare.md").read_text().split("On the validation split:\n\n")[1]
    titles, _, quick, line = [
        [cell.strip() for cell in row.strip("| ").split("|")] for row in text.splitlines()[:4]
    ]
    both = ["MSE, input pixels²", "MSE, photo pixels²", "NME, %", "loss"]
    both += [f"accuracy of {x}, %" for x in ("gender", "smile", "glasses", "head pose")]
    # The recipe measures training faces beside.
    assert titles[1:] == [f"{x}{of}" for x in both for of in ("", " (training faces)")]
    cells, others = (dict(zip(titles, row, strict=True)) for row in (line, quick))
    assert cells["MSE, input pixels²"] == f"{figures['mse_pixels']:.2f}"
    assert cells["NME, % (training faces)"] == f"{figures['training_nme_inter_ocular']:.2f}"
    assert cells["loss"] == f"{figures['loss']:.4g}"
    assert cells["accuracy of gender, %"] == f"{figures['accuracy_gender']:.2f}"
    lacking = {title for title, cell in others.items() if cell == "–"}
    assert lacking == {t for t in titles if "accuracy" in t or "training" in t}
    rows = list(csv.DictReader((out / "compare.csv").open()))
    assert rows[0]["validation accuracy_gender"] == ""
    assert float(rows[1]["validation mse_pixels"]) == tasks["validation"]["mse_pixels"]


def test_a_trained_run_is_not_trained_again_and_a_begun_one_goes_on(trained, monkeypatch, tmp_path):
    arguments, first, result = trained
    out = tmp_path / "out"
    shutil.copytree(first, out)
    begun = out / "runs" / "full-tcdcn"
    state = replace(load_state(begun), minutes=0.001)
    save_state(begun, state)
    write_json(f"{latest_checkpoint(begun)}.state.json", to_json(state))
    calls = []

    def counted(config, records, run):
        calls.append(run.name)
        return train(config, records, run)

    monkeypatch.setattr(training, "train", counted)
    assert main([*arguments, "--out", str(out)]) == 0
    assert calls == ["out-tcdcn", "full-tcdcn"]  # what failed is tried again
    quick, tasks = json.loads((out / "compare.json").read_text())["models"]
    assert quick == result["models"][0] | {"model": quick["model"]}
    assert tasks["steps"] > result["models"][1]["steps"] and tasks["minutes"] >= 0.002


def test_interrupted_training_ends_the_command(synthetic_records, tmp_path, monkeypatch, capsys):
    def interrupted(config, records, run):
        return TrainResult(
            steps=7,
            minutes=0.5,
            loss=1.0,
            best_nme=None,
            best_step=0,
            figures={},
            ended="interrupted",
        )

    monkeypatch.setattr(training, "train", interrupted)
    pairs = [f"{preset}={synthetic_records}" for preset in ("quickstart", "senet")]
    assert main(["compare", "--train", *pairs, "--out", str(tmp_path)]) == 130
    text = capsys.readouterr().err
    assert "step 7 after 0.5 of 20 minutes. The same command goes on" in text
    assert "senet on" not in text and not (tmp_path / "compare.json").exists()


def test_what_cannot_be_trained_is_told_before(
    trained, synthetic_records, small_run, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(training, "train", None)
    good, runs, full = f"quickstart={synthetic_records}", trained[1], trained[1].parent / "full"
    other = tmp_path / "other"
    shutil.copytree(small_run.run, other / "runs" / "quickstart")
    for arguments, words in (
        ([good, "quickstart"], "PRESET=RECORDS"),
        ([good, f"best={synthetic_records}"], "Unknown preset 'best'"),
        ([good, f"senet={tmp_path}"], "no report.json"),
        ([good, good], "given twice"),
        ([good, "--minutes", "0"], "must be above 0"),
        ([good, "--minutes", "nan"], "must be above 0"),
        ([good, "--on", f"wflw={tmp_path / 'gone'}"], "gone"),
        ([f"quickstart={full}", "--out", str(runs)], "other records"),
        ([good, "--out", str(other)], "another configuration"),
    ):
        out = [] if "--out" in arguments else ["--out", str(tmp_path / "out")]
        assert main(["compare", "--train", *arguments, *out]) == 2
        assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_bad_input_is_told_and_writes_nothing(small_run, synthetic_tree, tmp_path):
    out = tmp_path / "out"
    good = [("300w_lp", synthetic_tree)]
    with pytest.raises(InputError, match="at least one"):
        compare([], good, out)
    with pytest.raises(InputError, match="nothing"):
        compare([small_run.model], [("nothing", synthetic_tree)], out)
    with pytest.raises(InputError, match="does not exist"):
        compare([small_run.model], [("300w_lp", tmp_path / "gone")], out)
    with pytest.raises(InputError, match="negative"):
        compare([small_run.model], good, out, rounds=-1)
    with pytest.raises(InputError):
        compare([small_run.model], good, out, boxes="dlib_cnn", detector_model=tmp_path / "gone")
    damaged = tmp_path / "damaged.pb"
    damaged.write_bytes(small_run.model.read_bytes()[:-9])
    damaged.with_suffix(".json").write_bytes(small_run.model.with_suffix(".json").read_bytes())
    with pytest.raises(InputError, match=r"(?s)No model.*gone.*SHA-256"):
        compare([tmp_path / "gone", damaged], good, out)
    assert not out.exists()


def test_records_are_a_set_too(synthetic_records, tmp_path):
    """`--on records=FOLDER` measures on the test split; there is none in these, which is told."""
    faces = faces_at("records", synthetic_records)
    assert faces.names == (synthetic_records.name, "records")
    with pytest.raises(InputError, match="no records of split 'test'"):
        faces.scheme()
    held_out = replace(faces, split=load_records_info(synthetic_records).held_out)
    assert held_out.scheme() == "300w_68"
    (metrics,) = evaluate_sets(["senet-68"], [held_out], tmp_path, page=False)
    assert metrics["n"] > 0 and (tmp_path / synthetic_records.name / "metrics.json").is_file()
