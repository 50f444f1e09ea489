"""Models beside each other, face by face: against NumPy, and where nothing can be compared."""

import numpy as np
import pytest

from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.evaluation.measuring import AnnotatedFace, Measured
from senet_landmark.export.evaluation import tables
from senet_landmark.export.evaluation.paired import FIGURES, beside_first
from senet_landmark.face.schemes import get_scheme

SCHEME = get_scheme("300w_68")
ALL = tuple(range(68))


def measured(name, errors, sources=None, boxes="landmarks", points=ALL):
    """A model that is off by `errors[n]` pixels to the right at each point of face n."""
    _, truth = portrait()
    result = Measured(name, boxes, points)
    for number, error in enumerate(errors):
        source = sources[number] if sources else f"{number}.jpg"
        face = AnnotatedFace(np.empty(0, np.uint8), truth, {}, source)
        found = {} if np.isnan(error) else {"landmarks": truth + np.float32([error, 0])}
        result.add(face, found)
    return result


def test_difference_is_of_the_same_faces():
    rng = np.random.default_rng(0)
    hard = rng.uniform(2, 30, 60)  # what faces differ by is far more than what models do
    first, second = hard, hard + rng.normal(0.5, 0.2, 60)
    none, beside = beside_first([measured("a", first), measured("b", second)], SCHEME)
    assert none is None
    assert (beside["model"], beside["n"]) == ("a", 60)
    _, truth = portrait()
    eyes = np.linalg.norm(truth[45] - truth[36])
    expected = 100 * (second - first) / eyes
    assert beside["difference"]["nme_inter_ocular"] == pytest.approx(expected.mean(), rel=1e-3)
    squares = (np.square(second) - np.square(first)) / 2
    assert beside["difference"]["mse_photo_pixels"] == pytest.approx(squares.mean(), rel=1e-3)
    low, high = beside["interval_95"]["nme_inter_ocular"]
    spread = 1.96 * expected.std() / np.sqrt(60)
    assert (low, high) == pytest.approx(
        (expected.mean() - spread, expected.mean() + spread), rel=0.2
    )
    assert low > 0  # while the models' own intervals overlap by far
    assert np.std(hard) / np.sqrt(60) > 1
    texts = tables.differences(beside)
    assert len(texts) == 2 + len(FIGURES) == len(tables.DIFFERENCE_TITLES)
    assert texts[:2] == ["60", "68"] and texts[2].startswith("+") and " to +" in texts[2]


def test_faces_that_one_missed_and_another_order():
    first = measured("a", [1, 2, np.nan, 4], ["p", "q", "r", "s"])
    second = measured("b", [5, 5, 1, 4], ["s", "r", "q", "p"])
    _, beside = beside_first([first, second], SCHEME)
    assert beside["n"] == 3
    _, truth = portrait()
    eyes = np.linalg.norm(truth[45] - truth[36])
    expected = 100 * np.mean([5 - 4, 1 - 2, 4 - 1]) / eyes
    assert beside["difference"]["nme_inter_ocular"] == pytest.approx(expected, rel=1e-3)


def test_each_source_of_boxes_has_its_first():
    results = [
        measured("a", [1, 1, 1]), measured("a", [2, 2, 2], boxes="dlib"),
        measured("a", [4, 4, 4]), measured("a", [8, 8, 8], boxes="dlib"),
    ]  # fmt: skip
    found = beside_first(results, SCHEME)
    assert found[:2] == [None, None]  # two models may have one name
    one, two = (beside["difference"]["mse_photo_pixels"] for beside in found[2:])
    assert (one, two) == pytest.approx(((16 - 1) / 2, (64 - 4) / 2), rel=1e-3)


def test_nothing_to_compare():
    first = measured("a", [1, 2, 3])
    single = measured("c", [1, np.nan, np.nan])
    others = measured("d", [1, 2, 3], ["x", "y", "z"])
    assert beside_first([first, single, others], SCHEME) == [None] * 3


def test_common_landmarks_count():
    """A model whose contour is far off, beside one that has none."""
    _, truth = portrait()
    poor = measured("a", [1, 1, 1])
    for found in poor.predicted:
        found[:17] += 50
    inner = measured("b", [3, 3, 3], points=ALL[17:])
    _, beside = beside_first([poor, inner], SCHEME)
    assert beside["landmarks"] == 51
    eyes = np.linalg.norm(truth[45] - truth[36])
    assert beside["difference"]["nme_inter_ocular"] == pytest.approx(100 * 2 / eyes, rel=1e-3)
