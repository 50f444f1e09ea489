"""Label Studio's JSON export: which annotation counts, which points are a face's, the photos."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from annotation_files import (
    keypoint,
    rectangle,
    regions,
    task,
    with_values,
    write_json,
)
from senet_landmark.data_tools.datasets.registry import list_entries, load_photo, load_sample
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.errors import InputError
from small_trees import photo_in

TRUTH = portrait()[1]
OTHER = TRUTH + np.float32([150, 200])
OTHER_BOX = (300.0, 260.0, 450.0, 400.0)


def samples_of(root, *tasks, points="auto"):
    write_json(root / "export.json", list(tasks))
    return [load_sample("label_studio", e) for e in list_entries("label_studio", root, points)]


def near(landmarks, expected):
    np.testing.assert_allclose(landmarks, expected, atol=1e-3)


def test_an_export_of_label_studio_itself(tmp_path):
    """Version 1.23.2: predictions were imported, in the browser one point was deleted and one
    marked hidden, and the annotation was submitted. Since then the photo's path was changed, and
    who did it was taken out."""
    photo_in(tmp_path / "photos")
    (tmp_path / "labels").mkdir()
    export = Path(__file__).parent / "assets" / "label_studio_1_23_2.json"
    shutil.copy(export, tmp_path / "labels" / "project-3.json")
    (entry,) = list_entries("label_studio", tmp_path / "labels")
    sample = load_sample("label_studio", entry)
    assert load_photo("label_studio", entry).shape == (512, 512, 3)
    assert list(np.flatnonzero(np.isnan(sample.landmarks).any(axis=1))) == [0]
    assert list(np.flatnonzero(~sample.visible)) == [0, 3]
    distances = np.linalg.norm(sample.landmarks - TRUTH, axis=1)
    assert np.nanmean(distances) < 3 and sample.box is not None


def test_points_box_and_hidden_ones(tmp_path):
    result = [rectangle(), *regions()]
    hidden = {**result[6], "type": "choices", "from_name": "visibility"}
    hidden["value"] = {**hidden["value"], "choices": ["hidden"]}
    (sample,) = samples_of(tmp_path, task([*result, hidden]))
    near(sample.landmarks, TRUTH)
    near(sample.box, [150, 60, 300, 200])
    assert sample.scheme == "300w_68" and list(np.flatnonzero(~sample.visible)) == [5]


def test_a_point_that_was_deleted_is_unknown(tmp_path):
    (sample,) = samples_of(tmp_path, task([rectangle(), *regions()[1:-1], *regions(OTHER)[67:]]))
    assert list(np.flatnonzero(np.isnan(sample.landmarks).any(axis=1))) == [0]
    assert list(np.flatnonzero(~sample.visible)) == [0]
    near(sample.landmarks[1:67], TRUTH[1:67])


def test_a_turned_rectangle_gives_no_box(tmp_path):
    turned = with_values(rectangle(), ("value", "rotation"), 12.5)
    (sample,) = samples_of(tmp_path, task([turned, *regions()]))
    assert sample.box is None


@pytest.mark.parametrize(
    ("points", "scheme"), [(TRUTH[:5], "mtfl_5"), (np.tile(TRUTH, (2, 1))[:98], "wflw_98")]
)
def test_scheme_by_the_labels(tmp_path, points, scheme):
    (sample,) = samples_of(tmp_path, task(regions(points)))
    assert sample.scheme == scheme
    near(sample.landmarks, points)


def test_scheme_by_the_tasks_data_or_the_option(tmp_path):
    """Also where no face has the last points."""
    true_jaw = with_values(task(regions()[:60]), ("data", "scheme"), "300w_68_3d")
    (sample,) = samples_of(tmp_path, true_jaw)
    assert sample.scheme == "300w_68_3d" and np.isfinite(sample.landmarks).all(axis=1).sum() == 60
    assert samples_of(tmp_path, task(regions()), points="300w_68_3d")[0].scheme == "300w_68_3d"


def test_faces_are_told_apart_by_the_region_above_their_points(tmp_path):
    both = [*regions(OTHER, "b"), rectangle("a"), rectangle("b", OTHER_BOX), *regions(TRUTH, "a")]
    one, two = samples_of(tmp_path, task(both))
    near(one.landmarks, TRUTH)
    near(two.landmarks, OTHER)
    near(two.box, OTHER_BOX)


def test_a_new_point_goes_to_the_rectangle_around_it_that_lacks_it(tmp_path):
    faces = [rectangle("a"), *regions(TRUTH, "a"), rectangle("b", OTHER_BOX), *regions(OTHER, "b")]
    faces = [r for r in faces if r["id"] != "b-3"]
    new = keypoint("new", "p_3", OTHER[3], parent="")
    _, two = samples_of(tmp_path, task([*faces, new]))
    near(two.landmarks, OTHER)


def test_without_rectangles_a_photo_has_one_face(tmp_path):
    (sample,) = samples_of(tmp_path, task(regions(parent="")))
    near(sample.landmarks, TRUTH)
    assert sample.box is None


def test_annotations_come_before_predictions(tmp_path):
    mended, predicted = [rectangle(), *regions(TRUTH + 1)], [rectangle(), *regions()]
    (sample,) = samples_of(tmp_path, task(mended, predictions=[predicted]))
    near(sample.landmarks, TRUTH + 1)
    only = with_values(task([], predictions=[mended, predicted]), ("annotations",), [])
    (sample,) = samples_of(tmp_path, only)
    near(sample.landmarks, TRUTH)


def test_of_several_annotations_the_truth_or_the_last_one_counts(tmp_path):
    first, second, third = (
        {"was_cancelled": False, "result": regions(TRUTH + i), "updated_at": f"2026-01-0{4 - i}"}
        for i in (1, 2, 3)
    )
    content = with_values(task([]), ("annotations",), [third, first, second])
    (sample,) = samples_of(tmp_path, content)
    near(sample.landmarks, TRUTH + 1)
    second["ground_truth"] = True
    (sample,) = samples_of(tmp_path, with_values(content, ("annotations", 2), second))
    near(sample.landmarks, TRUTH + 2)


def test_a_mended_export_replaces_the_predictions_beside_it(tmp_path):
    """As after `predict --write label-studio`, also where a person deleted the faces."""
    predicted = with_values(task([], predictions=[regions()]), ("annotations",), [])
    write_json(tmp_path / "landmarks.label_studio.json", [predicted])
    (sample,) = samples_of(tmp_path, task(regions(TRUTH + 2)))
    near(sample.landmarks, TRUTH + 2)
    with pytest.raises(InputError, match="holds no photo of label_studio"):
        samples_of(tmp_path, task([]))
    # Of tasks that nobody looked at, exports have the numbers of the predictions.
    unseen = {**task([]), "annotations": [], "predictions": [7]}
    near(samples_of(tmp_path, unseen)[0].landmarks, TRUTH)


@pytest.mark.parametrize(
    ("image", "photo"),
    [
        ("face.jpg", "face.jpg"),
        ("/data/local-files/?d=some/where/photos/f%C3%A4ce%201.jpg", "photos/fäce 1.jpg"),
        ("/data/local-files/?d=some/where/face.jpg", "images/face.jpg"),
        ("/data/upload/3/0a1b2c3d-face.jpg", "face.jpg"),
        ("https://example.org/a/sub/f%20ace.jpg?X-Signature=a/b.png", "sub/f ace.jpg"),
        ("s3://bucket/sub/face.jpg", "face.jpg"),
        ("C:\\photos\\sub\\face.jpg", "sub/face.jpg"),
        ("../../face.jpg", "face.jpg"),
    ],
)
def test_photos_are_found_by_the_end_of_their_address(tmp_path, image, photo):
    photo_in((tmp_path / photo).parent, photo.rpartition("/")[2])
    write_json(tmp_path / "export.json", [task(regions(), image=image)])
    (entry,) = list_entries("label_studio", tmp_path)
    assert entry.source == photo and load_photo("label_studio", entry).shape == (512, 512, 3)


def test_photo_of_the_data_comes_first_and_other_names_are_searched(tmp_path):
    photo_in(tmp_path / "photos")
    photo_in(tmp_path / "labels")
    content = with_values(task(regions()), ("data", "photo"), "../photos/face.jpg")
    write_json(tmp_path / "labels" / "export.json", [content])
    (entry,) = list_entries("label_studio", tmp_path / "labels")
    assert entry.photo.resolve() == tmp_path / "photos" / "face.jpg"
    named = with_values(content, ("data",), {"note": "sunny", "picture": "face.jpg"})
    write_json(tmp_path / "labels" / "export.json", [named])
    (entry,) = list_entries("label_studio", tmp_path / "labels")
    assert entry.photo == tmp_path / "labels" / "face.jpg"


def test_size_of_the_photo_where_the_file_has_none(tmp_path):
    photo_in(tmp_path)
    result = [{k: v for k, v in r.items() if k[:8] != "original"} for r in regions()]
    (sample,) = samples_of(tmp_path, task(result))
    near(sample.landmarks, TRUTH)


RESULT = ("annotations", 0, "result")
BAD_TASKS = [
    ((*RESULT, 1, "value", "x"), "left", "not a number"),
    ((*RESULT, 1, "value", "x"), float("nan"), "NaN or infinity"),
    ((*RESULT, 1, "value", "x"), ..., "has no 'x'"),
    ((*RESULT, 1, "value", "keypointlabels"), ["p_1"], "two points 'p_1'"),
    ((*RESULT, 1, "image_rotation"), 90, "was turned by 90"),
    ((*RESULT,), [rectangle()], "no points below it"),
    (("annotations", 0, "was_cancelled"), True, "task 12: it was skipped in Label Studio"),
    (("data",), {}, "task 12: its data names no photo"),
]


@pytest.mark.parametrize(("path", "value", "message"), BAD_TASKS)
def test_a_bad_task_is_named_and_the_others_are_read(tmp_path, path, value, message):
    good = task([rectangle(), *regions()], image="good.jpg")
    bad = with_values(task([rectangle(), *regions()]), path, value)
    write_json(tmp_path / "export.json", [bad, good])
    first, second = list_entries("label_studio", tmp_path)
    near(load_sample("label_studio", second).landmarks, TRUTH)
    with pytest.raises(InputError, match=rf"export\.json.*{message}"):
        load_sample("label_studio", first)


def test_a_point_of_no_face_is_named(tmp_path):
    lost = keypoint("lost", "p_3", (5.0, 5.0), parent="")
    write_json(tmp_path / "export.json", [task([rectangle(), *regions(), lost])])
    one, two = list_entries("label_studio", tmp_path)
    near(load_sample("label_studio", one).landmarks, TRUTH)
    with pytest.raises(InputError, match=r"'p_3' belongs to no face.*draw a rectangle"):
        load_sample("label_studio", two)


def test_photos_that_are_absent_or_of_another_size_are_named(tmp_path):
    photo_in(tmp_path)
    shown_smaller = [{**r, "original_width": 256, "original_height": 256} for r in regions()]
    write_json(
        tmp_path / "export.json",
        [task(regions(), image="absent.jpg"), task(shown_smaller, image="face.jpg")],
    )
    absent, smaller = list_entries("label_studio", tmp_path)
    with pytest.raises(InputError, match=r"absent\.jpg: cannot be read"):
        load_photo("label_studio", absent)
    with pytest.raises(InputError, match=r"face\.jpg: has 512x512 pixels.*says 256x256"):
        load_photo("label_studio", smaller)


BAD_FILES = [
    ("[{", "not valid JSON"),
    (json.dumps([task([keypoint(0, "Nose", (1, 1))])]), "'Nose' have no number"),
    (json.dumps([task(regions(TRUTH[:7]))]), "7 landmarks a face. Known schemes"),
    (json.dumps([{"image": "a.jpg", "annotation_id": 1, "lead_time": 2.0}]), "JSON-MIN"),
]


@pytest.mark.parametrize(("text", "message"), BAD_FILES)
def test_a_bad_file_is_named(tmp_path, text, message):
    (tmp_path / "export.json").write_text(text)
    with pytest.raises(InputError, match=rf"export\.json.*{message}"):
        list_entries("label_studio", tmp_path)


def test_json_of_another_kind_is_passed_over(tmp_path):
    write_json(tmp_path / "landmarks.json", [{"image": "face.jpg", "faces": []}])
    write_json(tmp_path / "landmarks.coco.json", {"images": [], "annotations": []})
    write_json(tmp_path / "odd.json", [{"data": {"image": "a.jpg"}, "annotations": 5}, 7])
    with pytest.raises(InputError, match="holds no photo of label_studio"):
        list_entries("label_studio", tmp_path)
