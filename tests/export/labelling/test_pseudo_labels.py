"""Pseudo-labels: real photos with five true points, seen by the model that ships."""

import json

import numpy as np
import pytest

from senet_landmark.cli.app import main
from senet_landmark.data_tools.datasets.registry import get_dataset, list_entries, load_sample
from senet_landmark.data_tools.records.build_records import build_records
from senet_landmark.errors import InputError
from senet_landmark.evaluation.metrics import nme
from senet_landmark.export.evaluation.face_sources import Photos
from senet_landmark.export.labelling.pseudo_labels import write_pseudo_labels
from senet_landmark.face.attributes import ATTRIBUTES
from senet_landmark.face.scheme_conversion import convert
from senet_landmark.face.schemes import get_scheme


@pytest.fixture(scope="module")
def tree(shared_data, tmp_path_factory):
    """30 training photos of MTFL, one of them gone, and two for testing."""
    root, tree = shared_data("mtfl"), tmp_path_factory.mktemp("mtfl")
    for name, count in (("training", 30), ("testing", 2)):
        lines = (root / f"{name}.txt").read_text().splitlines()[:count]
        if name == "training":
            lines[0] = lines[0].replace("0001", "gone", 1)
        (tree / f"{name}.txt").write_text("\n".join(lines))
    for folder in ("AFLW", "lfw_5590", "net_7876"):
        (tree / folder).symlink_to(root / folder)
    return tree


def test_labels_are_read_back_and_near_the_true_points(tree, tmp_path):
    report = write_pseudo_labels([None], Photos("mtfl", tree), tmp_path / "labelled")
    assert report["labelled"] + report["far"] + report["doubtful"] == 29
    assert report["labelled"] > 15 and len(report["skipped"]) == 1
    assert json.loads((tmp_path / "labelled" / "report.json").read_text()) == report
    labelled = list_entries("csv", tmp_path / "labelled")
    assert len(labelled) == report["labelled"] and {e.scheme for e in labelled} == {"300w_68"}
    true = {
        entry.photo.resolve(): load_sample("mtfl", entry) for entry in list_entries("mtfl", tree)
    }
    for entry in labelled:
        sample, truth = load_sample("csv", entry), true[entry.photo.resolve()]
        five = convert(sample.landmarks[None], "300w_68", "mtfl_5")
        assert nme(five, truth.landmarks[None], get_scheme("mtfl_5"), "bbox_size")[0] < 0.0601
        assert sample.identity == truth.identity
        for name, value in zip(get_dataset("mtfl").attributes, truth.attributes, strict=True):
            assert sample.attributes[list(ATTRIBUTES).index(name)] == value
    made = build_records("csv", tmp_path / "labelled", tmp_path / "records", workers=1)
    assert made["faces"] == report["labelled"] and made["dataset"] == "mtfl (csv)"


def test_limits_leave_faces_out(tree, tmp_path):
    faces = Photos("mtfl", tree)
    wide = write_pseudo_labels(
        [None], faces, tmp_path / "wide", most_error=100, most_disagreement=100
    )
    assert wide["labelled"] == 29
    strict = write_pseudo_labels([None, None], faces, tmp_path / "strict", most_disagreement=0.7)
    assert 0 < strict["labelled"] < wide["labelled"] and strict["doubtful"] > 0
    with pytest.raises(InputError, match="no face could be labelled"):
        write_pseudo_labels([None], faces, tmp_path / "none", most_error=0.01)
    assert not (tmp_path / "none").exists()


def test_models_that_cannot_be_checked_are_refused(shared_data, tmp_path):
    with pytest.raises(InputError, match="could not be checked"):
        write_pseudo_labels(
            [None], Photos("aflw2000", shared_data("aflw2000"), "pt2d"), tmp_path / "out"
        )


def test_command(tree, tmp_path, capsys):
    out = tmp_path / "labelled"
    assert main(["pseudo-label", "--root", str(tree), "--out", str(out)]) == 0
    told = capsys.readouterr()
    assert "faces ->" in told.out and "Skipped 1" in told.err
    assert np.loadtxt(out / "labels.csv", str, delimiter=",", max_rows=1).size == 3 + 4 + 2 * 68
    assert (out / "contact_sheet.png").exists()


def test_beam_gives_the_same(tree, tmp_path, monkeypatch):
    pytest.importorskip("apache_beam", reason="needs the extra [beam]")
    monkeypatch.setattr("senet_landmark.export.labelling.labels_beam.PART", 12)
    here, there = tmp_path / "here", tmp_path / "there"
    command = ["pseudo-label", "--root", str(tree), "--out"]
    beam = ["--runner", "DirectRunner", "--beam=--direct_running_mode=in_memory"]
    assert main([*command, str(here)]) == 0
    assert main([*command, str(there), *beam]) == 0
    for name in ("labels.csv", "report.json", "contact_sheet.png"):
        assert (here / name).read_bytes() == (there / name).read_bytes()
    assert len(list(there.iterdir())) == 3
