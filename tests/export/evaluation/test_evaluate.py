"""Evaluation of models and peers on photos and records: what is measured, missed, skipped."""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from changed_models import write_changed
from made_records import write_csv
from senet_landmark.cli.app import main
from senet_landmark.cli.commands.model import print_figures
from senet_landmark.data_tools.datasets.registry import list_entries, load_photo, load_sample
from senet_landmark.data_tools.datasets.samples import Sample, yaw_of
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait, portrait_path
from senet_landmark.errors import InputError
from senet_landmark.evaluation.metrics import nme
from senet_landmark.export.evaluation import face_sources
from senet_landmark.export.evaluation.evaluate import Photos, Records, evaluate_models
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.face import geometry, scheme_conversion
from senet_landmark.face.attributes import predicted_classes
from senet_landmark.face.boxes import canonical_box
from senet_landmark.face.pose import known_pose, pose_of
from senet_landmark.face.schemes import get_scheme
from senet_landmark.frozen.models import find_model
from senet_landmark.io.images import write_picture

pytestmark = pytest.mark.slow

KEYS = {
    "n", "nme_inter_ocular", "nme_inter_pupil", "nme_bbox_diagonal", "nme_bbox_size", "auc_0.08",
    "auc_0.10", "failure_rate_0.08", "failure_rate_0.10", "missed_faces", "by_group", "by_subset",
    "by_yaw", "interval_95",
}  # fmt: skip


def test_evaluate_equals_the_metric_on_the_predictions(small_run, synthetic_tree, tmp_path):
    faces = Photos("300w_lp", synthetic_tree)
    metrics = evaluate_models([small_run.model], faces, tmp_path)
    squares: list[np.ndarray] = []
    sides: list[float] = []
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics
    assert set(metrics) > KEYS and (tmp_path / "evaluation.html").exists()
    predictor, errors = Predictor(small_run.model), []
    for entry in list_entries("300w_lp", synthetic_tree):
        sample = load_sample("300w_lp", entry)
        box = geometry.box_from_landmarks(sample.landmarks)[None]
        found = predictor.landmarks(load_photo("300w_lp", entry), box, "landmarks")
        errors.append(nme(found, sample.landmarks[None], get_scheme("300w_68"))[0])
        squares.append((found[0] - sample.landmarks) ** 2)
        sides.append(1.25 * np.ptp(sample.landmarks, axis=0).max())
    assert metrics["n"] == 24 and metrics["missed_faces"] == 0
    assert metrics["nme_inter_ocular"] == pytest.approx(100 * np.mean(errors), abs=1e-3)
    low, high = metrics["interval_95"]["nme_inter_ocular"]
    assert low < metrics["nme_inter_ocular"] < high
    assert metrics["mse_photo_pixels"] == pytest.approx(np.mean(squares), rel=1e-3)
    sums = np.sum(squares, axis=(1, 2)) / np.square(sides)
    assert metrics["squared_distance_sum"] == pytest.approx(np.mean(sums), rel=1e-3)
    rows = list(csv.DictReader((tmp_path / "faces.csv").open()))
    found_sums = sorted(float(row["squared_distance_sum"]) for row in rows)
    np.testing.assert_allclose(found_sums, sorted(sums), rtol=1e-3)
    by_face = [float(row["nme_inter_ocular"]) for row in rows]
    np.testing.assert_allclose(sorted(by_face), sorted(100 * np.array(errors)), atol=1e-3)
    assert sum(part["n"] for part in metrics["by_yaw"].values()) == 24


def test_missed_faces_are_failures_and_broken_photos_are_skipped(
    small_run, synthetic_tree, tmp_path
):
    tree = tmp_path / "tree" / "SYNTH"
    tree.mkdir(parents=True)
    for path in sorted((synthetic_tree / "SYNTH").glob("*"))[:8]:
        shutil.copy(path, tree)
    blank, broken = sorted(tree.glob("*.jpg"))[:2]
    write_picture(blank, np.full((450, 450, 3), 128, np.uint8))
    broken.write_bytes(b"")
    faces = Photos("300w_lp", tree.parent)
    boxes = ("landmarks", "dlib")
    metrics = evaluate_models([small_run.model], faces, tmp_path / "out", boxes=boxes)
    sure, found = metrics["models"]
    assert (sure["n"], sure["missed_faces"]) == (3, 0)
    assert found["missed_faces"] >= 1 and found["n"] + found["missed_faces"] == 3
    assert f"SYNTH/{blank.name}" in found["missed"]
    # A face that the detector missed is a failure, and no part of the mean.
    assert found["failure_rate_0.10"] >= 100 * found["missed_faces"] / 3 - 1e-3
    assert [s["photo"] for s in metrics["skipped"]] == [str(broken)]


def test_classes_of_a_face_have_their_names():
    names = ("gender", "smile", "glasses")
    known = face_sources._classes(names, np.array([1, np.nan, 0]))
    assert known == {"gender": "female", "smile": None, "glasses": "no glasses"}


def test_run_and_its_frozen_model_agree(small_run, synthetic_tree, tmp_path):
    models = [small_run.model, small_run.run]
    metrics = evaluate_models(models, Photos("300w_lp", synthetic_tree), tmp_path, page=False)
    one, two = metrics["models"]
    assert (one["model"], two["model"]) == ("model", "run")
    assert one["nme_inter_ocular"] == pytest.approx(two["nme_inter_ocular"], abs=1e-3)


def test_converted_models_are_measured_as_their_pb(small_run, synthetic_tree, tmp_path):
    pytest.importorskip("tf2onnx", reason="needs the extra [onnx]")
    from senet_landmark.export.conversion.convert import convert

    for suffix in (".pb", ".json"):
        shutil.copy(small_run.model.with_suffix(suffix), tmp_path / f"m{suffix}")
    files = [tmp_path / "m.pb", tmp_path / "m.onnx", tmp_path / "m.tflite"]
    for to, path in zip(("onnx", "tflite"), files[1:], strict=True):
        made = convert(files[0], to, records=small_run.records)
        assert made.path == path and made.differences["landmarks"] < 1e-4
    faces = Photos("300w_lp", synthetic_tree)
    metrics = evaluate_models(files, faces, tmp_path / "out", page=False)
    errors = [of["nme_inter_ocular"] for of in metrics["models"]]
    assert errors == pytest.approx([errors[0]] * 3, abs=1e-3)
    with pytest.raises(InputError, match=r"tflite runs \.tflite, not this file; use onnxruntime"):
        evaluate_models(files[1:2], faces, tmp_path / "o", engine="tflite")
    files[1].write_bytes(b"junk")
    with pytest.raises(InputError, match="SHA-256 differs"):
        evaluate_models(files[1:2], faces, tmp_path / "o")


def test_pose_is_measured_where_a_model_predicts_it(full_run, small_run, tmp_path, capsys):
    root = write_csv(tmp_path / "tree", [("a.jpg", "a", ""), ("b.jpg", "b", "")])
    header, one, two = (root / "a.csv").read_text().splitlines()
    lines = [f"yaw,pitch,roll,{header}", f"20,-5,3,{one}", f",,,{two}"]
    (root / "a.csv").write_text("\n".join(lines))
    models = [full_run.model, small_run.model]
    metrics = evaluate_models(models, Photos("csv", root), tmp_path / "out")
    own, plain = metrics["models"]
    assert not {"pose_mae", "attribute_accuracy"} & set(plain)
    assert "attribute_accuracy" not in own  # no face has a class
    assert json.loads((tmp_path / "out" / "metrics.json").read_text()) == metrics
    page = (tmp_path / "out" / "evaluation.html").read_text()
    assert 'id="pose_mae"' in page and 'id="attribute_accuracy"' not in page

    photo, truth = portrait()
    box = geometry.box_from_landmarks(truth)[None]
    found = Predictor(full_run.model).outputs(photo, box, "landmarks")["pose"]
    # The second face has no annotated pose: the one fitted to its landmarks counts.
    expected = np.abs(found - [(20, -5, 3), pose_of(truth, "300w_68")]).mean(axis=0)
    assert list(own["pose_mae"]) == ["yaw", "pitch", "roll", "mean"]
    assert list(own["pose_mae"].values()) == pytest.approx([*expected, expected.mean()], abs=1e-3)
    print_figures(metrics)
    (told,) = re.findall("  pose, mean error: (.*)", capsys.readouterr().out)
    assert told.startswith(f"yaw {own['pose_mae']['yaw']:.2f}°, pitch ")


def test_attributes_are_measured_where_faces_have_them(full_run, tmp_path, capsys):
    points = scheme_conversion.convert(portrait()[1], "300w_68", "mtfl_5")
    places = " ".join(f"{value:.2f}" for value in points.T.ravel())
    classes = [(1, 1, 2, 3), (2, 1, 2, 3), (2, 2, 2, 1)]
    lines = [f"{i}.jpg {places} {' '.join(map(str, c))}" for i, c in enumerate(classes)]
    (tmp_path / "testing.txt").write_text("\n".join(lines))
    for index in range(len(classes)):
        shutil.copy(portrait_path(), tmp_path / f"{index}.jpg")
    faces = Photos("mtfl", tmp_path)
    metrics = evaluate_models([full_run.model], faces, tmp_path / "out", page=False)

    truth = [load_sample("mtfl", entry).attributes for entry in list_entries("mtfl", tmp_path)]
    box = canonical_box(points.round(2), "mtfl_5")[None]
    outputs = Predictor(full_run.model).outputs(portrait()[0], box, "landmarks")
    names = ("gender", "smile", "glasses", "head_pose")
    (predicted,) = predicted_classes(outputs["attributes"], names)
    shares = 100 * np.mean(np.array(truth) == predicted, axis=0)
    expected = dict(zip(names, shares, strict=True))
    assert metrics["attribute_accuracy"] == pytest.approx(expected, abs=1e-3)
    print_figures(metrics)
    (told,) = re.findall("  right classes: (.*)", capsys.readouterr().out)
    assert told.startswith(f"gender {expected['gender']:.2f}%, smile ")


def test_pose_of_a_face_is_the_annotated_one_or_fitted():
    truth = portrait()[1]
    assert known_pose((10, 20, 30), truth, "300w_68") == (10, 20, 30)
    assert known_pose((10, np.nan, 30), truth, "300w_68") == pose_of(truth, "300w_68")
    assert known_pose((np.nan,) * 3, np.full_like(truth, np.nan), "300w_68") is None
    visible = np.ones(len(truth), bool)
    sample = Sample(Path("a"), "a", "a", "300w_68", truth, visible)
    assert yaw_of(sample) == pose_of(truth, "300w_68")[0]


def test_records_give_what_their_photos_give(small_run, synthetic_tree, tmp_path):
    """But for the second resampling: a record is the photo's crop."""
    whole = evaluate_models(
        [small_run.model], Photos("300w_lp", synthetic_tree), tmp_path / "a", page=False
    )
    parts = [
        evaluate_models(
            [small_run.model], Records(small_run.records, split), tmp_path / split, page=False
        )
        for split in ("train", "validation")
    ]
    assert [part["n"] for part in parts] == [22, 2]
    mean = np.average([p["nme_inter_ocular"] for p in parts], weights=[22, 2])
    assert mean == pytest.approx(whole["nme_inter_ocular"], rel=0.03)
    # In pixels of the photos: the records are smaller.
    for key, near in (("mse_photo_pixels", 0.1), ("squared_distance_sum", 0.1)):
        mean = np.average([p[key] for p in parts], weights=[22, 2])
        assert mean == pytest.approx(whole[key], rel=near)
    with pytest.raises(InputError, match="no records of split 'test'"):
        evaluate_models([small_run.model], Records(small_run.records, "test"), tmp_path / "c")


def test_a_68_point_model_is_measured_on_5_points(shared_data, tmp_path):
    """On real photos, through the conversion; by attribute as MTFL has them."""
    root = shared_data("mtfl")
    tree = tmp_path / "tree"
    tree.mkdir()
    lines = (root / "testing.txt").read_text().splitlines()[:40]
    (tree / "testing.txt").write_text("\n".join(lines))
    (tree / "AFLW").symlink_to(root / "AFLW")
    metrics = evaluate_models([None], Photos("mtfl", tree), tmp_path / "out")
    assert metrics["n"] == 40 and metrics["nme_inter_ocular"] < 12
    assert len(metrics["by_landmark"]) == 5
    classes = metrics["by_attribute"]["head_pose"]
    assert "frontal" in classes and sum(part["n"] for part in classes.values()) == 40


def test_peer_beside_the_models_own(shared_data, tmp_path):
    root = shared_data("groups")
    metrics = evaluate_models(
        [None], Photos("dlib_xml", root), tmp_path, boxes=("landmarks", "dlib"), peers=["dlib"]
    )
    names = [(m["model"], m["boxes"]) for m in metrics["models"]]
    assert names == [
        ("senet-68", "landmarks"), ("senet-68", "dlib"),
        ("dlib-68", "landmarks"), ("dlib-68", "dlib"),
    ]  # fmt: skip
    assert all(m["n"] == 18 for m in metrics["models"]) and "dlib-68" in metrics["notes"]

    assert metrics["models"][3]["nme_inter_ocular"] < 6


def test_boxes_are_corrected_by_the_contract_or_not_at_all(shared_data, tmp_path):
    """A model with a false correction loses by it, and is the shipped one without it."""
    faces = Photos("dlib_xml", shared_data("groups"))
    false = {"shift": [0.8, 0.0]}
    models = [
        find_model(),
        write_changed(tmp_path / "m.pb", lambda v: v["box_corrections"]["dlib"].update(false)),
    ]
    given = {
        correct: evaluate_models(
            models, faces, tmp_path / str(correct), boxes=["dlib"], correct=correct, page=False
        )
        for correct in (True, False)
    }
    assert all(m["corrected"] is correct for correct, m in given.items())
    errors = {
        correct: [model["nme_inter_ocular"] for model in metrics["models"]]
        for correct, metrics in given.items()
    }
    assert errors[True][1] > 2 * errors[True][0]
    assert errors[False][1] == pytest.approx(errors[False][0], abs=1e-3)  # other engines
    assert errors[False][0] != errors[True][0]


def test_nothing_to_measure_is_an_error_and_writes_nothing(small_run, tmp_path):
    def evaluate(root, models=(small_run.model,), dataset="300w", **options):
        return evaluate_models(list(models), Photos(dataset, root), tmp_path / "out", **options)

    with pytest.raises(InputError, match="does not exist"):
        evaluate(tmp_path / "gone")
    (tmp_path / "a.jpg").write_bytes(b"")
    (tmp_path / "a.pts").write_text("")
    with pytest.raises(InputError, match=r"there is no face.*a\.pts"):
        evaluate(tmp_path)
    with pytest.raises(InputError, match="at least one model"):
        evaluate(tmp_path, models=())
    with pytest.raises(InputError, match="at least one source"):
        evaluate(tmp_path, boxes=())
    with pytest.raises(InputError, match="Unknown peer"):
        evaluate(tmp_path, peers=["other"])
    assert not (tmp_path / "out").exists()


def test_schemes_that_cannot_be_compared_are_refused(small_run, tmp_path):
    (tmp_path / "list_98pt_test_x.txt").write_text("1 " * 196 + "a.jpg\n")
    with pytest.raises(InputError, match="predicts 300w_68, the faces have wflw_98"):
        evaluate_models([small_run.model], Photos("wflw", tmp_path), tmp_path / "out")


def test_degenerate_face_is_skipped_and_named(small_run, tmp_path):
    root = write_csv(tmp_path / "tree", [("a.jpg", "a", ""), ("b.jpg", "b", "")])
    header, one, two = (root / "a.csv").read_text().splitlines()
    fields = two.split(",")
    fields[3 + 2 * 45 : 5 + 2 * 45] = fields[3 + 2 * 36 : 5 + 2 * 36]  # eye corners coincide
    (root / "a.csv").write_text("\n".join([header, one, ",".join(fields)]))
    metrics = evaluate_models([small_run.model], Photos("csv", root), tmp_path / "out", page=False)
    assert metrics["n"] == 1
    (skip,) = metrics["skipped"]
    assert "eye corners coincide" in skip["reason"] and "b.jpg" in skip["reason"]


def partial_tree(folder, known_of: dict[str, tuple[int, ...]]) -> Path:
    """Portraits of which only some landmarks are annotated: name -> their numbers."""
    root = write_csv(folder, [(name, name, "") for name in known_of])
    header, *lines = (root / "a.csv").read_text().splitlines()
    rows = [line.split(",") for line in lines]
    for row in rows:
        for point in set(range(68)) - set(known_of[row[0]]):
            row[3 + 2 * point : 5 + 2 * point] = "", ""
    (root / "a.csv").write_text("\n".join([header, *map(",".join, rows)]))
    return root


def test_partly_annotated_faces_are_measured_on_what_is_known(tmp_path):
    corners = (8, 36, 39, 42, 45, 48, 51, 54, 57)
    known = {
        "whole.jpg": tuple(range(68)),
        "corners.jpg": corners,  # no pupils: their outlines are incomplete
        "mouth.jpg": tuple(range(48, 68)),  # no eyes at all
        "point.jpg": (30,),
    }
    root = partial_tree(tmp_path / "tree", known)
    out = tmp_path / "out"
    metrics = evaluate_models([None], Photos("csv", root), out)
    assert metrics["n"] == 3 and metrics["partial_faces"] == 2
    assert metrics["landmarks_measured"] == 68 + len(corners) + 20
    assert metrics["faces_by_normaliser"] == {
        "inter_ocular": 2, "inter_pupil": 1, "bbox_diagonal": 3, "bbox_size": 3,
    }  # fmt: skip
    assert 0 < metrics["nme_inter_ocular"] < 5
    (skip,) = metrics["skipped"]
    assert "point.jpg" in skip["reason"] and "nothing to divide by" in skip["reason"]
    rows = {row["face"]: row for row in csv.DictReader((out / "faces.csv").open())}
    assert rows["corners.jpg"]["landmarks"] == "9" and not rows["corners.jpg"]["nme_inter_pupil"]
    assert rows["corners.jpg"]["nme_inter_ocular"] and not rows["mouth.jpg"]["nme_inter_ocular"]
    page = (out / "evaluation.html").read_text()
    assert "Partly annotated faces: 2 of 3" in page and "32.33 of 68" in page


def test_faces_without_any_eye_corner_are_measured_by_their_box(tmp_path, capsys):
    root = partial_tree(tmp_path / "tree", {n: tuple(range(27, 36)) for n in ("a.jpg", "b.jpg")})
    out = tmp_path / "out"
    options = ["--dataset", "csv", "--root", str(root), "--boxes", "landmarks", "blazeface"]
    assert main(["evaluate", *options, "--out", str(out)]) == 0
    assert "No inter-ocular NME" in capsys.readouterr().out
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["nme_inter_ocular"] is None and metrics["auc_0.08"] is None
    assert metrics["normaliser"] == "bbox_diagonal" and 0 < metrics["nme_bbox_diagonal"] < 20
    assert sum(error is not None for error in metrics["by_landmark"]) == 9
