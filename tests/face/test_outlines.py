"""Names of points, and the lines between them."""

import pytest

from senet_landmark.face.outlines import OUTLINES, edges, point_names
from senet_landmark.face.schemes import SCHEMES


@pytest.mark.parametrize("name", SCHEMES)
def test_lines_of_a_mirrored_face_are_its_lines(name):
    scheme = SCHEMES[name]
    pairs = {frozenset(pair) for pair in edges(scheme)}
    assert pairs and len(pairs) == len(edges(scheme))
    assert all(len(pair) == 2 and max(pair) < scheme.points for pair in pairs)
    assert {frozenset(scheme.mirror[i] for i in pair) for pair in pairs} == pairs


@pytest.mark.parametrize("name", SCHEMES)
def test_a_line_stays_within_a_facial_part(name):
    groups = [set(group) for group in SCHEMES[name].groups.values()]
    assert all(any(set(line) <= group for group in groups) for line in OUTLINES[name])


def test_names_tell_the_part_and_the_number():
    names = point_names(SCHEMES["300w_68"])
    assert (names[0], names[17], names[30], names[45], names[67]) == (
        "jaw_00", "brows_17", "nose_30", "eyes_45", "mouth_67",
    )  # fmt: skip
    assert point_names(SCHEMES["jd_106"])[105] == "eyes_105"
