"""The commands of docs/formats.md for annotation tools: prediction, mending, records."""

import json
import re
import shlex
import shutil

import numpy as np
import pytest

from made_records import parse
from runs import REPOSITORY
from senet_landmark.cli.app import main
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait_path
from senet_landmark.io.images import read_photo, write_picture

pytestmark = pytest.mark.slow


def commands():
    """(predict, build-records with coco, with label_studio, with cvat), as the page has them."""
    text = (REPOSITORY / "docs" / "formats.md").read_text(encoding="utf-8")
    section = text[text.index("## COCO, Label Studio, CVAT") :]
    block = re.search(r"^```bash\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    return [shlex.split(line)[1:] for line in block[1].splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which the first command was run, on a photo with a face and one with two."""
    folder = tmp_path_factory.mktemp("annotation")
    (folder / "photos" / "more").mkdir(parents=True)
    shutil.copy(portrait_path(), folder / "photos" / "one face.jpg")
    face = read_photo(portrait_path())[30:230, 120:320]
    write_picture(folder / "photos" / "more" / "two.png", np.hstack([face, face[:, ::-1]]))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(commands()[0]) == 0
    return folder


def predicted(folder):
    """Photo's name -> its faces, as `predict` has them."""
    lines = (folder / "labels" / "landmarks.jsonl").read_text().splitlines()
    photos = [json.loads(line) for line in lines]
    return {photo["image"].rpartition("/")[2]: photo["faces"] for photo in photos}


def recorded(folder):
    """Photo's name -> landmarks [K, 2] of its faces, in pixels of the photo."""
    faces = {}
    records = [*parse(folder), *parse(folder, "validation")]
    for record in sorted(records, key=lambda record: record.source):
        region = record.region.astype(np.float64)
        pixels = record.landmarks * (region[2:] - region[:2]) + region[:2]
        faces.setdefault(record.source.partition("#")[0].rpartition("/")[2], []).append(pixels)
    return faces


@pytest.mark.parametrize("number", [1, 2, 3])
def test_records_have_the_predicted_points(folder, number, monkeypatch):
    monkeypatch.chdir(folder)
    if "photos" in commands()[number]:
        shutil.copy(folder / "labels" / "landmarks.cvat.xml", folder / "photos")
    assert main(commands()[number]) == 0
    expected = predicted(folder)
    assert [len(faces) for faces in expected.values()] in ([1, 2], [2, 1])
    found = recorded(commands()[number][-1])
    assert found.keys() == expected.keys()
    for photo, faces in expected.items():
        for face, pixels in zip(faces, found[photo], strict=True):
            np.testing.assert_allclose(pixels, face["landmarks"], atol=0.01)


def test_what_a_person_mended_in_label_studio_is_recorded(folder, tmp_path, monkeypatch):
    """An export as Label Studio makes it of the predictions, in which things were changed."""
    monkeypatch.chdir(folder)
    tasks = json.loads((folder / "labels" / "landmarks.label_studio.json").read_text())
    for number, task in enumerate(tasks, 1):
        result = task["predictions"][0]["result"]
        task["id"] = number
        task["annotations"] = [{"id": number, "was_cancelled": False, "result": result}]
    (two,) = [task["annotations"][0] for task in tasks if "two.png" in task["data"]["photo"]]
    moved = next(r for r in two["result"] if r["id"] == "face1_nose_30")
    moved["value"]["x"] += 1.0  # percent of 400 pixels
    gone = next(r for r in two["result"] if r["id"] == "face2_jaw_00")
    two["result"].remove(gone)
    labels = tmp_path / "labels"
    labels.mkdir()
    shutil.copy(folder / "labels" / "landmarks.label_studio.json", labels)
    for task in tasks:
        task["data"]["photo"] = str(folder / "labels" / task["data"]["photo"])
    broken = {**tasks[0], "annotations": [{"was_cancelled": True, "result": []}]}
    (labels / "project-1.json").write_text(json.dumps([*tasks, broken]))
    command = commands()[2]
    command[command.index("labels")] = str(labels)
    command[-1] = str(tmp_path / "records")
    assert main(command) == 0
    first, second = recorded(tmp_path / "records")["two.png"]
    faces = predicted(folder)["two.png"]
    expected = np.array(faces[0]["landmarks"])
    expected[30, 0] += 4
    np.testing.assert_allclose(first, expected, atol=0.01)
    assert np.isnan(second[0]).all()
    np.testing.assert_allclose(second[1:], faces[1]["landmarks"][1:], atol=0.01)
    report = json.loads((tmp_path / "records" / "report.json").read_text())
    (skip,) = report["skipped"]
    assert "was skipped in Label Studio" in skip["reason"]
