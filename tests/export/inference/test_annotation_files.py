"""COCO, Label Studio and CVAT: what `predict` writes, and what is read of it again."""

import json
import shutil
import xml.etree.ElementTree as ElementTree
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from senet_landmark.data_tools.datasets.registry import list_entries, load_photo, load_sample
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait, portrait_path
from senet_landmark.export.inference import writers
from senet_landmark.export.inference.annotation.coco import coco_json
from senet_landmark.export.inference.annotation.cvat import cvat_labels, cvat_xml
from senet_landmark.export.inference.annotation.label_studio import (
    label_studio_json,
    labelling_configuration,
)
from senet_landmark.export.inference.face import Face
from senet_landmark.face.outlines import edges, point_names
from senet_landmark.face.schemes import SCHEMES, get_scheme
from senet_landmark.io.images import read_photo

TRUTH = portrait()[1]


class Written(NamedTuple):
    """A format: its data set, the writer, the file's name, and the largest error in pixels."""

    dataset: str
    make: object
    file: str
    error: float


FORMATS = [
    Written("coco", coco_json, "landmarks.coco.json", 0.0001),
    Written("label_studio", label_studio_json, "landmarks.label_studio.json", 0.0001),
    Written("cvat", cvat_xml, "landmarks.cvat.xml", 0.0001),
]
all_formats = pytest.mark.parametrize("form", FORMATS, ids=[form.dataset for form in FORMATS])


def line_of(photo, *shapes, scheme="300w_68", size=(512, 512)):
    """The line of a photo, read back from its JSON, with coordinates in hundredths."""
    box = np.array([170.0, 70.0, 272.0, 170.0])
    faces = [Face(box, np.float32(points), confidence=0.75) for points in shapes]
    line = writers.photo_json(str(photo), faces, model="m", scheme=scheme, size=size)
    return json.loads(json.dumps(line))


def write(form, folder, *lines, scheme="300w_68"):
    text = "".join(form.make(lambda: iter(lines), get_scheme(scheme), folder))
    (folder / form.file).write_bytes(text.encode("utf-8", "backslashreplace"))
    return text


def copied(folder, name="face.jpg"):
    folder.mkdir(parents=True, exist_ok=True)
    return shutil.copy(portrait_path(), folder / name)


@all_formats
def test_what_is_written_is_read_again(tmp_path, form):
    photo, other = copied(tmp_path, "a b.jpg"), copied(tmp_path / "sub", "ü & c.jpg")
    lines = [line_of(photo, TRUTH, TRUTH + 2.37), line_of(other), line_of(other, TRUTH - 0.99)]
    write(form, tmp_path, *lines[:1], lines[2])
    entries = list_entries(form.dataset, tmp_path)
    assert [entry.source for entry in entries] == ["a b.jpg", "a b.jpg#1", "sub/ü & c.jpg"]
    faces = [face for line in (lines[0], lines[2]) for face in line["faces"]]
    for entry, face in zip(entries, faces, strict=True):
        sample = load_sample(form.dataset, entry)
        assert sample.scheme == "300w_68" and sample.visible.all()
        np.testing.assert_allclose(sample.landmarks, face["landmarks"], atol=form.error)
        if sample.box is not None:
            np.testing.assert_allclose(sample.box, face["box"], atol=0.01)
        np.testing.assert_array_equal(load_photo(form.dataset, entry), portrait()[0])


@all_formats
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_is_told_by_the_file(tmp_path, form, scheme):
    points = np.random.default_rng(0).uniform(100, 300, (SCHEMES[scheme].points, 2)).round(2)
    line = line_of(copied(tmp_path), points, scheme=scheme)
    write(form, tmp_path, line, scheme=scheme)
    (entry,) = list_entries(form.dataset, tmp_path)
    assert entry.scheme == scheme
    landmarks = load_sample(form.dataset, entry).landmarks
    np.testing.assert_allclose(landmarks, points, atol=form.error)


@all_formats
def test_a_point_outside_the_photo_is_not_visible(tmp_path, form):
    points = TRUTH.copy()
    points[0], points[1], points[2] = (-3.0, 100.0), (511.4, 80.0), (511.6, 80.0)
    write(form, tmp_path, line_of(copied(tmp_path), points))
    (entry,) = list_entries(form.dataset, tmp_path)
    sample = load_sample(form.dataset, entry)
    assert list(np.flatnonzero(~sample.visible)) == [0, 2]
    known = np.isfinite(sample.landmarks).all(axis=1)
    assert known.sum() == (68 if form.dataset == "coco" else 66)
    np.testing.assert_allclose(sample.landmarks[known], points[known], atol=0.01)


@all_formats
@pytest.mark.parametrize("orientation", [1, 2, 3, 6, 7])
@pytest.mark.parametrize("size", [(0, 0, 512, 400), (0, 0, 512, 512)])
def test_photos_with_an_orientation_are_read_upright(tmp_path, form, orientation, size):
    """The face says so where the size does not."""
    photo, points = photo_with(tmp_path, orientation, size)
    pixels = read_photo(photo)
    write(form, tmp_path, line_of(photo, points, size=pixels.shape[1::-1]))
    (entry,) = list_entries(form.dataset, tmp_path)
    np.testing.assert_array_equal(load_photo(form.dataset, entry), pixels)


def photo_with(folder, orientation, size):
    """The portrait, stored so that it is upright with an orientation; and its points."""
    turned = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
    }  # fmt: skip
    with Image.open(portrait_path()) as image:
        stored = image.crop(size)
    if orientation in turned:
        stored = stored.transpose(turned[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(folder / "phone.jpg", exif=exif)
    return folder / "phone.jpg", TRUTH


@pytest.mark.parametrize("form", FORMATS[:1], ids=["coco"])
@pytest.mark.parametrize("orientation", [3, 6])
def test_photos_annotated_as_stored_are_read_so(tmp_path, form, orientation):
    photo, points = photo_with(tmp_path, orientation, (0, 0, 512, 400))
    if orientation == 6:
        stored, size = np.stack([points[:, 1], 511 - points[:, 0]], axis=1), (400, 512)
    else:
        stored, size = [511, 399] - points, (512, 400)
    write(form, tmp_path, line_of(photo, stored, size=size))
    (entry,) = list_entries(form.dataset, tmp_path)
    expected = read_photo(photo, upright=False)
    np.testing.assert_array_equal(load_photo(form.dataset, entry), expected)


@all_formats
def test_names_that_are_not_utf_8(tmp_path, form):
    name = b"\xd5\xd5.jpg".decode("utf-8", "surrogateescape")
    write(form, tmp_path, line_of(copied(tmp_path, name), TRUTH))
    (entry,) = list_entries(form.dataset, tmp_path)
    if form.dataset != "cvat":  # XML has no form for such bytes
        assert load_photo(form.dataset, entry).shape == (512, 512, 3)


@all_formats
def test_no_photos_and_no_faces(tmp_path, form):
    write(form, tmp_path)
    text = write(form, tmp_path, line_of(copied(tmp_path)))
    assert "face.jpg" in text


# --- what the tools themselves want ---------------------------------------------------------------


def test_coco_file_loads_in_pycocotools(tmp_path, capsys):
    tools = pytest.importorskip("pycocotools.coco")
    evaluation = pytest.importorskip("pycocotools.cocoeval")
    photo = copied(tmp_path)
    write(FORMATS[0], tmp_path, line_of(photo, TRUTH, TRUTH + 150), line_of(photo))
    coco = tools.COCO(str(tmp_path / "landmarks.coco.json"))
    (category,) = coco.loadCats(coco.getCatIds())
    assert category["keypoints"] == point_names(SCHEMES["300w_68"])
    assert [[a - 1, b - 1] for a, b in category["skeleton"]] == [
        list(pair) for pair in edges(SCHEMES["300w_68"])
    ]
    assert [image["file_name"] for image in coco.loadImgs(coco.getImgIds())] == ["face.jpg"] * 2
    annotations = coco.loadAnns(coco.getAnnIds(imgIds=1))
    assert len(annotations) == 2 and not coco.getAnnIds(imgIds=2)
    keypoints = np.reshape(annotations[0]["keypoints"], (68, 3))
    np.testing.assert_allclose(keypoints[:, :2], TRUTH, atol=0.006)
    assert (keypoints[:, 2] == 2).all() and annotations[0]["num_keypoints"] == 68
    # Predictions are results too, with their score: COCO's own measure of these with themselves.
    results = coco.loadRes(
        [{k: a[k] for k in ("image_id", "category_id", "keypoints", "score")} for a in annotations]
    )
    measure = evaluation.COCOeval(coco, results, "keypoints")
    measure.params.kpt_oks_sigmas = np.full(68, 0.05)
    measure.evaluate()
    measure.accumulate()
    measure.summarize()
    assert measure.stats[0] == pytest.approx(1)
    capsys.readouterr()


def test_label_studio_gets_percents_of_the_photo_and_what_its_configuration_names(tmp_path):
    photo = copied(tmp_path, "a b.jpg")
    write(FORMATS[1], tmp_path, line_of(photo, TRUTH, size=(512, 512)))
    (task,) = json.loads((tmp_path / "landmarks.label_studio.json").read_text())
    assert task["data"]["image"].startswith("/data/local-files/?d=") and "%20" in str(task["data"])
    (prediction,) = task["predictions"]
    assert prediction["score"] == 0.75 and prediction["model_version"] == "m"
    face, *points = prediction["result"]
    assert face["value"]["rectanglelabels"] == ["face"] and len(points) == 68
    assert {point["parentID"] for point in points} == {face["id"]}
    assert len({region["id"] for region in prediction["result"]}) == 69
    x, y = (points[30]["value"][axis] for axis in "xy")
    np.testing.assert_allclose([x, y], (TRUTH[30] + 0.5) / 512 * 100, atol=0.002)
    view = ElementTree.fromstring(labelling_configuration(SCHEMES["300w_68"]))
    tags = {tag.get("name"): tag for tag in view if tag.get("name")}
    labels = [label.attrib for label in tags["landmark"]]
    assert [int(label["model_index"]) for label in labels] == list(range(68))
    for region in prediction["result"]:
        tag = tags[region["from_name"]]
        assert tag.tag.lower() == region["type"] and tag.get("toName") == region["to_name"]
        (label,) = region["value"][region["type"]]
        assert label in [entry.get("value") for entry in tag]
    assert tags["image"].get("value") == "$image" and tags["visibility"].get("perRegion") == "true"


@pytest.mark.parametrize("shapes", [[TRUTH], []])
def test_cvat_gets_the_skeleton_that_its_labels_describe(tmp_path, shapes):
    line = line_of(copied(tmp_path / "cam"), *shapes)
    text = write(FORMATS[2], tmp_path, line)
    scheme = SCHEMES["300w_68"]
    (label,) = json.loads(cvat_labels(lambda: iter([line]), scheme))
    drawn = ElementTree.fromstring(f"<svg>{label['svg']}</svg>")
    nodes = {node.get("data-node-id"): node for node in drawn.iter("circle")}
    names = [sublabel["name"] for sublabel in label["sublabels"]]
    assert [node.get("data-label-name") for node in nodes.values()] == names
    places = {(float(node.get("cx")), float(node.get("cy"))) for node in nodes.values()}
    assert len(places) == 68 and min(map(min, places)) >= 10 and max(map(max, places)) <= 90
    lines = [(e.get("data-node-from"), e.get("data-node-to")) for e in drawn.iter("line")]
    assert len(lines) == len(edges(scheme)) and {n for pair in lines for n in pair} <= set(nodes)
    (image,) = ElementTree.fromstring(text.encode()).iter("image")
    assert image.get("name") == "face.jpg"  # as it is called in a task with this folder's photos
    for skeleton in image.iter("skeleton"):
        assert skeleton.get("label") == label["name"]
        assert [point.get("label") for point in skeleton] == names
        # CVAT's importer reads these of every point.
        assert all({"outside", "occluded", "points"} <= point.attrib.keys() for point in skeleton)
