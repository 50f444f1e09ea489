"""CVAT for images 1.1 as CVAT exports it."""

import numpy as np
import pytest

from annotation_files import cvat, skeleton
from senet_landmark.data_tools.datasets.registry import list_entries, load_photo, load_sample
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.errors import InputError
from small_trees import photo_in

TRUTH = portrait()[1]


def samples_of(root, *faces, points="auto", **image):
    (root / "annotations.xml").write_text(cvat(*faces, **image), encoding="utf-8")
    return [load_sample("cvat", entry) for entry in list_entries("cvat", root, points)]


def near(landmarks, expected):
    """CVAT writes hundredths."""
    np.testing.assert_allclose(landmarks, expected, atol=0.0051)


def points_of(points=TRUTH, more=""):
    text = ";".join(f"{x + 0.5:.2f},{y + 0.5:.2f}" for x, y in points)
    return f'<points label="face" points="{text}" z_order="0"{more}></points>\n'


@pytest.mark.parametrize("names", ["jaw_{:02d}", "{}"])
def test_skeletons_of_several_faces_with_hidden_and_outside_points(tmp_path, names):
    photo_in(tmp_path)
    names = [names.format(number) for number in range(68)]
    marks = {0: {"outside": 1}, 3: {"occluded": 1}}
    one, two = samples_of(
        tmp_path, skeleton(names=names, marks=marks), skeleton(TRUTH + 9, names=names)
    )
    near(two.landmarks, TRUTH + 9)
    near(one.landmarks[1:], TRUTH[1:])
    assert np.isnan(one.landmarks[0]).all() and list(np.flatnonzero(~one.visible)) == [0, 3]
    assert one.scheme == "300w_68" and two.visible.all() and one.box is None
    assert load_photo("cvat", list_entries("cvat", tmp_path)[0]).shape == (512, 512, 3)


def test_points_in_one_shape(tmp_path):
    one, two = samples_of(tmp_path, points_of(), points_of(TRUTH + 1, ' occluded="1"'))
    near(one.landmarks, TRUTH)
    assert one.visible.all() and not two.visible.any()


def test_names_may_count_from_one_and_come_in_any_order(tmp_path):
    order = np.random.default_rng(3).permutation(68)
    names = [str(number + 1) for number in order]
    (sample,) = samples_of(tmp_path, skeleton(TRUTH[order], names=names))
    near(sample.landmarks, TRUTH)


def test_a_skeleton_may_lack_points_that_another_has(tmp_path):
    lacking = skeleton(TRUTH[:60])
    one, two = samples_of(tmp_path, lacking, skeleton())
    assert np.isnan(one.landmarks[60:]).all() and np.isfinite(two.landmarks).all()
    near(one.landmarks[:60], TRUTH[:60])


def test_names_without_numbers_are_in_order(tmp_path):
    names = ["eye", "other eye", "nose", "mouth", "other mouth"]
    (sample,) = samples_of(tmp_path, skeleton(TRUTH[:5], names=names))
    near(sample.landmarks, TRUTH[:5])


@pytest.mark.parametrize(
    ("count", "label", "scheme"),
    [
        (5, "face", "mtfl_5"),
        (98, "face", "wflw_98"),
        (68, "face_300w_68_3d", "300w_68_3d"),
        (68, "face_300w_68", "300w_68"),
        (68, "face_wflw_98", "wflw_98"),  # whose last 30 points are not there
    ],
)
def test_scheme_by_the_label_or_the_number_of_points(tmp_path, count, label, scheme):
    (sample,) = samples_of(tmp_path, skeleton(np.tile(TRUTH, (2, 1))[:count], label))
    assert sample.scheme == scheme and np.isfinite(sample.landmarks).all(axis=1).sum() == count


def test_points_of_the_true_jaw_by_the_option(tmp_path):
    assert samples_of(tmp_path, skeleton(), points="300w_68_3d")[0].scheme == "300w_68_3d"


def test_photos_of_an_export_with_images_and_subsets(tmp_path):
    photo_in(tmp_path / "images" / "Test", "ä face.jpg")
    text = cvat(skeleton(), name="ä face.jpg").replace("<image ", '<image subset="Test" ')
    (tmp_path / "annotations.xml").write_text(text, encoding="utf-8")
    (entry,) = list_entries("cvat", tmp_path)
    assert (entry.source, entry.subset, entry.test) == ("images/Test/ä face.jpg", "Test", True)


def test_a_mended_file_comes_before_what_was_predicted(tmp_path):
    (tmp_path / "landmarks.cvat.xml").write_text(cvat(skeleton()))
    (sample,) = samples_of(tmp_path, skeleton(TRUTH + 2))
    near(sample.landmarks, TRUTH + 2)


BAD_FACES = [
    (skeleton().replace('label="7"', 'label="8"'), "point '8' is one too many"),
    (skeleton().replace('label="7"', 'label="70"', 1), "98 points are wflw_98"),
    (skeleton().replace('points="', 'points="a', 1), "not a number"),
    (skeleton().replace('points="', 'points="nan,', 1), "not a number|NaN"),
    (points_of(TRUTH[:67]), "67 landmarks a face"),
    (points_of(TRUTH[:5]), "its 5 points are mtfl_5, those of most"),
    (points_of().replace(",", ";"), "not a number|landmarks a face"),
    ('<points label="face" points="" z_order="0"/>', "not a number"),
    (skeleton(marks={i: {"outside": 1} for i in range(68)}), "none of its points"),
]


@pytest.mark.parametrize(("face", "message"), BAD_FACES)
def test_a_bad_face_is_named_and_the_others_are_read(tmp_path, face, message):
    good = skeleton(label="good")
    (tmp_path / "annotations.xml").write_text(cvat(good, face, good))
    entries = list_entries("cvat", tmp_path)
    assert len(entries) == 3
    for entry in (entries[0], entries[2]):
        near(load_sample("cvat", entry).landmarks, TRUTH)
    with pytest.raises(InputError, match=rf"annotations\.xml, photo face\.jpg#1: .*({message})"):
        load_sample("cvat", entries[1])


BAD_FILES = [
    ("<annotations><image", "not whole XML"),
    ("<annotations><track id='0'/></annotations>", "Export the task as CVAT for images"),
    ("<!DOCTYPE a [<!ENTITY b 'c'>]><annotations>&b;</annotations>", "entities"),
    (cvat(points_of(TRUTH[:67])), "67 landmarks a face"),
    (cvat(skeleton(), name=""), "its image has no name"),
]


@pytest.mark.parametrize(("text", "message"), BAD_FILES)
def test_a_bad_file_is_named(tmp_path, text, message):
    (tmp_path / "annotations.xml").write_text(text)
    with pytest.raises(InputError, match=rf"annotations\.xml.*{message}"):
        list_entries("cvat", tmp_path)


def test_xml_of_another_kind_is_passed_over(tmp_path):
    (tmp_path / "landmarks.xml").write_text("<dataset><images/></dataset>")
    (tmp_path / "config.xml").write_text("<View/>")
    with pytest.raises(InputError, match="holds no photo of cvat"):
        list_entries("cvat", tmp_path)


def test_photos_of_another_size_are_named(tmp_path):
    photo_in(tmp_path)
    (tmp_path / "annotations.xml").write_text(cvat(skeleton(), size=(640, 480)))
    (entry,) = list_entries("cvat", tmp_path)
    with pytest.raises(InputError, match=r"face\.jpg: has 512x512 pixels.*640x480"):
        load_photo("cvat", entry)
