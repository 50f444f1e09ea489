"""Files of annotation tools with all kinds of bad faces: they are named, and the build goes on."""

import json

import pytest

from annotation_files import SIZE, coco, cvat, regions, skeleton, task, write_json
from built_records import CONFIG
from senet_landmark.data_tools.records.build_records import build_records
from small_trees import photo_in

pytestmark = pytest.mark.slow


def coco_with_bad_faces(root):
    content = coco(name="good.jpg")
    (image,), (face,) = content["images"], content["annotations"]
    content["categories"].append({"id": 4, "name": "cat"})
    content["images"] += [
        {**image, "id": 8, "file_name": "absent.jpg"},
        {**image, "id": 9, "file_name": "other size.jpg", "width": 2 * SIZE},
        {"id": 10, "width": SIZE, "height": SIZE},
    ]
    content["annotations"] += [
        {**face, "id": 2, "image_id": 8},
        {**face, "id": 3, "image_id": 9},
        {**face, "id": 4, "image_id": 10},
        {**face, "id": 5, "image_id": 99},
        {**face, "id": 6, "category_id": 99},
        {**face, "id": 7, "category_id": 4},
        {**face, "id": 8, "keypoints": face["keypoints"][3:]},
        {**face, "id": 9, "keypoints": [float("nan"), *face["keypoints"][1:]]},
        {**face, "id": 10, "keypoints": [v / SIZE for v in face["keypoints"][:135]] + [0] * 69},
    ]
    write_json(root / "faces.json", content)
    (root / "broken.json").write_text('{"images": [')
    return 10


def label_studio_with_bad_faces(root):
    tasks = [task(regions(), image=name) for name in ("good.jpg", "absent.jpg", "other size.jpg")]
    for region in tasks[2]["annotations"][0]["result"]:
        region["original_width"] = 2 * SIZE
    tasks += [task(regions(), image="good.jpg", was_cancelled=True), task(regions(), image="")]
    write_json(root / "export.json", tasks)
    (root / "broken.json").write_text("[{")
    return 5


def cvat_with_bad_faces(root):
    good, bad = skeleton(), skeleton().replace('points="', 'points="x', 1)
    (root / "a.xml").write_text(cvat(good, bad, name="good.jpg"))
    (root / "b.xml").write_text(cvat(good, name="absent.jpg"))
    (root / "c.xml").write_text(cvat(good, name="other size.jpg", size=(2 * SIZE, SIZE)))
    (root / "broken.xml").write_text("<annotations><image>")
    return 4


@pytest.mark.parametrize(
    ("dataset", "write"),
    [
        ("coco", coco_with_bad_faces),
        ("label_studio", label_studio_with_bad_faces),
        ("cvat", cvat_with_bad_faces),
    ],
)
def test_bad_faces_are_skipped_and_named(tmp_path, dataset, write):
    root = tmp_path / "root"
    for name in ("good.jpg", "other size.jpg"):
        photo_in(root, name)
    bad = write(root)
    report = build_records(dataset, root, tmp_path / "records", CONFIG, workers=1)
    reasons = [skip["reason"] for skip in report["skipped"]]
    assert report["faces"] == 1 and len(reasons) == bad, reasons
    assert all(str(root) in reason and "fails (" not in reason for reason in reasons), reasons
    expected = ("absent.jpg: cannot be read", "has 512x512 pixels", "broken.")
    assert all(any(words in reason for reason in reasons) for words in expected)
    written = json.loads((tmp_path / "records" / "report.json").read_text())
    assert written["skipped"] == report["skipped"]
