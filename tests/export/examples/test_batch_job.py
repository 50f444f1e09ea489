"""The batch job in `export/examples/`, by the command in the documents, on Beam's own runner."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from runs import REPOSITORY
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait_path
from senet_landmark.export.inference.predictor import Predictor

pytest.importorskip("apache_beam", reason="needs the extra [beam]")

pytestmark = pytest.mark.slow

PROGRAM = REPOSITORY / "export" / "examples" / "label_photos.py"


def run(folder, *arguments):
    command = [sys.executable, str(PROGRAM), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path):
    """Two photos, one that is none, and a list of them."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a.jpg", "b.jpg"):
        shutil.copy(portrait_path(), photos / name)
    (photos / "bad.jpg").write_bytes(portrait_path().read_bytes()[:2000])
    (tmp_path / "photos.txt").write_text("photos/a.jpg\n\nphotos/bad.jpg\n")
    return tmp_path


def test_command_of_the_documents_labels_a_folder(folder):
    page = (REPOSITORY / "docs" / "deployment.md").read_text(encoding="utf-8")
    (line,) = [line for line in page.splitlines() if "label_photos.py" in line and "python" in line]
    assert line.split()[:2] == ["python", "export/examples/label_photos.py"]
    done = run(folder, *line.split()[2:])
    assert done.returncode == 0, done.stderr[-2000:]
    assert "2 faces in 2 photos -> labels" in done.stdout
    assert "bad.jpg" in done.stderr and "cut off" in done.stderr
    assert (folder / "labels" / "landmarks.csv").is_file()
    lines = (folder / "labels" / "landmarks.jsonl").read_text().splitlines()
    (expected,) = Predictor().predict(portrait_path())
    for photo in map(json.loads, lines):
        points = [face["landmarks"] for face in photo["faces"]]
        np.testing.assert_allclose(points, expected.landmarks[None], atol=0.01)


def test_a_list_of_photos_and_bad_input(folder):
    done = run(folder, "photos.txt", "--out", "labels", "--direct_running_mode=in_memory")
    assert done.returncode == 0 and "1 faces in 1 photos" in done.stdout, done.stderr[-2000:]
    (folder / "empty.txt").write_text("\n")
    for arguments, message in (
        (("empty.txt",), "empty.txt: names no photo"),
        (("photos/a.jpg",), "a.jpg: is no list of photos"),
        (("nowhere",), "nowhere"),
        (("photos", "--runner", "NoRunner"), "no runner 'NoRunner'"),
    ):
        done = run(folder, *arguments, "--out", "other")
        assert done.returncode == 2 and message in done.stderr, done.stderr[-500:]
        assert "Traceback" not in done.stderr
