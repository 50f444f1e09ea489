"""COCO keypoints as COCO's tools and annotation programs write them."""

import json

import numpy as np
import pytest

from annotation_files import coco, with_values, write_json
from senet_landmark.data_tools.datasets.registry import list_entries, load_photo, load_sample
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.errors import InputError
from small_trees import photo_in

POINTS_98 = np.random.default_rng(0).uniform(100, 300, (98, 2))


def sample_of(root, content, points="auto"):
    write_json(root / "faces.json", content)
    (entry,) = list_entries("coco", root, points)
    return load_sample("coco", entry)


def test_points_visibility_and_box(tmp_path):
    truth = photo_in(tmp_path)
    content = coco(truth, bbox=[10.0, 20.0, 200.0, 100.0])
    keypoints = content["annotations"][0]["keypoints"]
    keypoints[0:3] = [0, 0, 0]
    keypoints[5] = 1
    sample = sample_of(tmp_path, content)
    assert sample.scheme == "300w_68" and np.isnan(sample.landmarks[0]).all()
    np.testing.assert_allclose(sample.landmarks[1:], truth[1:], atol=1e-4)
    assert list(np.flatnonzero(~sample.visible)) == [0, 1]
    np.testing.assert_array_equal(sample.box, [9.5, 19.5, 209.5, 119.5])


@pytest.mark.parametrize(
    ("count", "scheme"), [(5, "mtfl_5"), (68, "300w_68"), (98, "wflw_98"), (106, "jd_106")]
)
def test_scheme_by_the_number_of_keypoints(tmp_path, count, scheme):
    points = np.random.default_rng(1).uniform(100, 300, (count, 2))
    sample = sample_of(tmp_path, coco(points))
    assert sample.scheme == scheme
    np.testing.assert_allclose(sample.landmarks, points, atol=1e-4)


def test_68_points_of_the_true_jaw_by_the_category_or_the_option(tmp_path):
    content = coco()
    assert sample_of(tmp_path, content, "300w_68_3d").scheme == "300w_68_3d"
    content["categories"][0]["scheme"] = "300w_68_3d"
    assert sample_of(tmp_path, content).scheme == "300w_68_3d"
    assert sample_of(tmp_path, content, "300w_68").scheme == "300w_68"


@pytest.mark.parametrize("names", ["{}", "kpt-{}", "jaw_{:02d}"])
@pytest.mark.parametrize("first", [0, 1])
def test_names_with_numbers_decide_over_the_order(tmp_path, names, first):
    truth = portrait()[1]
    order = np.random.default_rng(2).permutation(68)
    named = [names.format(i + first) for i in order]
    sample = sample_of(tmp_path, coco(truth[order], names=named))
    np.testing.assert_allclose(sample.landmarks, truth, atol=1e-4)


def test_names_without_numbers_are_in_order(tmp_path):
    points = portrait()[1][:5]
    for names in (["eye", "other eye", "nose", "mouth", "other mouth"],
                  ["eye_1", "right_eye_1", "nose_1", "mouth_1", "right_mouth_1"]):  # fmt: skip
        sample = sample_of(tmp_path, coco(points, names=names))
        np.testing.assert_allclose(sample.landmarks, points, atol=1e-4)


@pytest.mark.parametrize(
    ("file", "photo"),
    [
        ("faces.json", "face.jpg"),
        ("_annotations.coco.json", "face.jpg"),
        ("annotations/person_keypoints_train2017.json", "train2017/face.jpg"),
        ("annotations/person_keypoints_default.json", "images/default/face.jpg"),
        ("annotations/faces.json", "images/face.jpg"),
        ("annotations/faces.json", "face.jpg"),
    ],
)
def test_photos_are_found_where_tools_put_them(tmp_path, file, photo):
    photo_in((tmp_path / photo).parent)
    write_json(tmp_path / file, coco())
    (entry,) = list_entries("coco", tmp_path)
    assert entry.source == photo and load_photo("coco", entry).shape == (512, 512, 3)


def test_several_faces_crowds_and_photos_without_a_face(tmp_path):
    content = coco()
    face = content["annotations"][0]
    content["annotations"] += [{**face, "id": 2}, {**face, "id": 3, "iscrowd": 1}]
    content["images"].append({**content["images"][0], "id": 8, "file_name": "empty.jpg"})
    write_json(tmp_path / "faces.json", content)
    one, two = list_entries("coco", tmp_path)
    assert (one.source, two.source) == ("face.jpg", "face.jpg#1") and one.shot == two.shot


def test_a_photo_of_several_files_is_read_from_the_one_that_a_person_mended(tmp_path):
    truth = portrait()[1]
    write_json(tmp_path / "landmarks.coco.json", coco(truth))
    write_json(tmp_path / "mended.json", coco(truth + 3))
    write_json(tmp_path / "other_test.json", coco(truth + 5, name="other.jpg"))
    one, two = list_entries("coco", tmp_path)
    assert (one.source, one.test, two.source, two.test) == ("other.jpg", True, "face.jpg", False)
    np.testing.assert_allclose(load_sample("coco", two).landmarks, truth + 3, atol=1e-4)
    # A photo whose faces were all deleted has none, whatever was predicted.
    write_json(tmp_path / "mended.json", {**coco(), "annotations": []})
    assert [entry.source for entry in list_entries("coco", tmp_path)] == ["other.jpg"]


FACE = ("annotations", 1)
BAD_FACES = [
    ((*FACE, "image_id"), 99, "annotation 2: its image 99 is not in the file"),
    ((*FACE, "image_id"), ..., "annotation 2: it has no 'image_id'"),
    ((*FACE, "category_id"), 99, "its category 99 is not in the file"),
    ((*FACE, "category_id"), 4, "its category 'cat' has no keypoints"),
    ((*FACE, "category_id"), 5, "its category 'body': has 17 landmarks a face. Known schemes"),
    ((*FACE, "category_id"), 6, "its 5 points are mtfl_5, those of most faces of the file 300w_68"),
    ((*FACE, "keypoints"), ..., "it has no 'keypoints'"),
    ((*FACE, "keypoints"), None, "its keypoints are no list"),
    ((*FACE, "keypoints"), [1.0] * 201, "it has 201 numbers of keypoints; 68 keypoints need 204"),
    ((*FACE, "keypoints", 4), "x", "something that is not a number"),
    ((*FACE, "keypoints", 4), None, "NaN or infinity"),
    ((*FACE, "keypoints", 4), float("nan"), "NaN or infinity"),
    ((*FACE, "keypoints", 5), 3, "v is 3, not 0, 1 or 2"),
    ((*FACE, "keypoints"), [0] * 204, "none of its points is labelled"),
]


@pytest.mark.parametrize(("path", "value", "message"), BAD_FACES)
def test_a_bad_face_is_named_and_the_others_are_read(tmp_path, path, value, message):
    content = coco()
    content["annotations"] = [{**coco()["annotations"][0], "id": number} for number in (1, 2, 3)]
    content["categories"] += [
        {"id": 4, "name": "cat"},
        {"id": 5, "name": "body", "keypoints": list("abcdefghijklmnopq")},
        {"id": 6, "name": "few", "keypoints": list("abcde")},
    ]
    if value == 6:
        content = with_values(content, (*FACE, "keypoints"), [100.0, 100.0, 2] * 5)
    write_json(tmp_path / "faces.json", with_values(content, path, value))
    entries = list_entries("coco", tmp_path)
    assert len(entries) == 3
    failed = []
    for entry in entries:
        try:
            load_sample("coco", entry)
        except InputError as error:
            failed.append(str(error))
    assert len(failed) == 1 and "faces.json" in failed[0]
    with pytest.raises(InputError, match=message):
        raise InputError(failed[0])


BAD_FILES = [
    ('{"images": [', "not valid JSON"),
    ("[" * 100_000, "not valid JSON"),
    ('{"images": [1], "annotations": []}', "is not as COCO's files are"),
    ('{"images": [{"file_name": "a"}], "annotations": []}', "lacks its id"),
    ('{"images": [{"id": 1}, {"id": 1}], "annotations": []}', "two images have one id"),
    (json.dumps(with_values(coco(), ("annotations", 0, "image_id"), 9)), "its image 9 is not"),
]


@pytest.mark.parametrize(("text", "message"), BAD_FILES)
def test_a_bad_file_is_named_and_the_other_files_are_read(tmp_path, text, message):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=rf"a\.json.*{message}"):
        list_entries("coco", tmp_path)
    write_json(tmp_path / "b.json", coco(POINTS_98))
    good, bad = list_entries("coco", tmp_path)
    assert load_sample("coco", good).scheme == "wflw_98"
    with pytest.raises(InputError, match=rf"a\.json.*{message}"):
        load_sample("coco", bad)


def test_the_size_is_checked_where_the_first_face_is_bad(tmp_path):
    photo_in(tmp_path)
    content = with_values(coco(), ("images", 0, "width"), 640)
    content["annotations"].insert(0, {"id": 2, "image_id": 7, "category_id": 99})
    write_json(tmp_path / "faces.json", content)
    first, second = list_entries("coco", tmp_path)
    assert first.shot == second.shot
    with pytest.raises(InputError, match=r"has 512x512 pixels.*says 640x512"):
        load_photo("coco", first)


def test_json_of_another_kind_is_passed_over(tmp_path):
    for number, text in enumerate(("[]", "3", '{"images": []}', '[{"image": "a", "faces": []}]')):
        (tmp_path / f"{number}.json").write_text(text)
    with pytest.raises(InputError, match="holds no photo of coco"):
        list_entries("coco", tmp_path)


def test_a_file_with_a_byte_order_mark(tmp_path):
    (tmp_path / "faces.json").write_text(json.dumps(coco()), encoding="utf-8-sig")
    assert len(list_entries("coco", tmp_path)) == 1
