"""The page's modules beside what they mirror: crops, detections, boxes, poses, next crops."""

import base64
import math

import cv2
import numpy as np
import pytest

from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.detectors import anchors, blazeface, tiles
from senet_landmark.detectors.face_boxes import weights_of, with_face_boxes
from senet_landmark.errors import InputError
from senet_landmark.export.inference.passes import Cropping, first_crops, next_crop
from senet_landmark.export.web.site import scheme_settings
from senet_landmark.face import geometry, roll
from senet_landmark.face.boxes import canonical_box
from senet_landmark.face.expressions import MEASURES, can_measure, expression_of
from senet_landmark.face.pose import MEAN_FACE_3D, pose_of, pose_of_3d, rotation_matrix
from senet_landmark.face.schemes import SCHEMES, get_scheme
from senet_landmark.frozen.detector import anchor_centres
from senet_landmark.frozen.runtimes import onnx_run, opencv_major
from sites import PHOTO, as_text, called

pytestmark = pytest.mark.slow

SPECS = (
    geometry.CropSpec(),
    geometry.CropSpec((0.1, 0.3, 0.2, -0.05)),
    geometry.CropSpec((0.0, 0.25, 0.0, 0.0), square=False),
    geometry.CropSpec((0.05, 0.05, 0.05, 0.05), clip=True),
    geometry.CropSpec((0.3, 0.1, 0.3, 0.1), fit="inside"),
)


def spec_json(spec):
    return {
        "margins": spec.margins, "square": spec.square, "clip": spec.clip, "fit": spec.fit,
    }  # fmt: skip


def some_boxes(generator, size, count):
    """Boxes of faces in and around a photo of a (width, height), large and small ones."""
    width, height = size
    centres = generator.uniform((-0.1, -0.1), (1.1, 1.1), (count, 2)) * (width, height)
    sides = max(size) * np.exp(generator.uniform(np.log(0.03), np.log(1.2), (count, 1)))
    half = sides * generator.uniform(0.8, 1.2, (count, 2)) / 2
    return np.concatenate([centres - half, centres + half], axis=1)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_regions_of_crops_are_equal(modules, spec):
    generator = np.random.default_rng(1)
    boxes = some_boxes(generator, (400, 300), 60)
    rolls = np.where(generator.random(60) < 0.5, 0, generator.uniform(-180, 180, 60))
    given = called(
        modules, "geometry.js",
        """return values[0].map((box, i) => {
          const region = module.cropBox(box, values[2], {width: 400, height: 300}, values[1][i]);
          return region && [region, module.toCrop(region, values[1][i], module.centre(box))];
        });""",
        boxes.tolist(), rolls.tolist(), spec_json(spec),
    )  # fmt: skip
    refused = 0
    for box, lean, found in zip(boxes, rolls.tolist(), given, strict=True):
        try:
            region = geometry.crop_box(box, spec, (400, 300), lean)
        except InputError:
            refused += 1
            assert found is None
            continue
        np.testing.assert_allclose(found[0], region, atol=1e-9)
        expected = geometry.to_crop(region, lean, (box[:2] + box[2:]) / 2)
        np.testing.assert_allclose(found[1], expected, atol=1e-9)
    assert (refused > 0) == spec.clip


@pytest.mark.skipif(opencv_major() < 5, reason="OpenCV 4 samples at 32nds of a pixel")
@pytest.mark.parametrize("side", [61, 200, 512, 1500])
def test_pixels_of_crops_are_equal(modules, side):
    """Enlarged, as they are, reduced by up to 12; upright and turned; beyond the border."""
    photo = cv2.resize(portrait()[0], (side, side * 3 // 4), interpolation=cv2.INTER_AREA)
    generator = np.random.default_rng(side)
    boxes = some_boxes(generator, (side, side * 3 // 4), 8)
    rolls = [0.0, 0.0, 0.0, 0.0, 25.0, 90.0, 180.0, -135.0]
    crops = called(
        modules, "geometry.js",
        PHOTO + """const crops = values[1].map((box, i) => {
          const region = module.cropBox(box, values[3], photo, values[2][i]);
          const transform = module.toCrop(region, values[2][i], module.centre(box));
          return module.warp(photo, transform, [96, 128]);
        });
        let text = "";
        for (const crop of crops) for (const value of crop) text += String.fromCharCode(value);
        return btoa(text);""",
        as_text(photo), boxes.tolist(), rolls, spec_json(SPECS[0]),
    )  # fmt: skip
    found = np.frombuffer(base64.b64decode(crops), np.uint8).reshape(-1, 128, 96, 3).astype(int)
    for box, lean, crop in zip(boxes, rolls, found, strict=True):
        expected, _ = geometry.crop_face(photo, box, SPECS[0], (96, 128), lean)
        difference = np.abs(crop - expected)
        assert difference.max() <= 1 and difference.mean() < 0.02, (box, lean)


def corrected(modules, boxes, leans, correction):
    return called(
        modules, "geometry.js",
        "return values[0].map((box, i) => module.correctBox(box, values[2], values[1][i]));",
        boxes.tolist(), leans, {"shift": correction.shift, "scale": correction.scale},
    )  # fmt: skip


def test_corrections_and_overlaps_are_equal(modules):
    boxes = some_boxes(np.random.default_rng(5), (400, 300), 12)
    leans = [0.0, 30.0, 180.0] * 4
    correction = geometry.BoxCorrection((0.01, 0.12), (0.88, 1.1))
    found = corrected(modules, boxes, leans, correction)
    pairs = zip(boxes, leans, strict=True)
    expected = [geometry.correct_box(box, correction, lean) for box, lean in pairs]
    np.testing.assert_allclose(found, expected, atol=1e-9)
    overlaps = called(
        modules, "geometry.js",
        "return values[0].map(a => values[0].map(b => module.iou(a, b)));", boxes.tolist(),
    )  # fmt: skip
    np.testing.assert_allclose(
        overlaps, [[geometry.iou(a, b) for b in boxes] for a in boxes], atol=1e-12
    )
    assert 0 < np.mean(overlaps) < 1


# --- the detector --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def constants(modules):
    return modules.evaluate("async () => (await loading).predictor.page.constants")


@pytest.mark.parametrize("name", ["short", "full"])
def test_detections_are_decoded_and_merged_equally(modules, constants, name):
    """From the same outputs of a network, on the portrait twice, and with a low threshold."""
    file, network = f"blazeface-{name}", f"blazeface_{name}"
    detector = anchors.load_anchor_detector(blazeface.FOLDER / f"{file}.onnx", 0.05)
    contract, photo = detector.contract, portrait()[0]
    picture, _ = anchors.letterboxed(np.hstack([photo, photo[:, ::-1]]), contract.size)
    forward = onnx_run(blazeface.FOLDER / f"{file}.onnx", contract)
    outputs = {key: values[0] for key, values in forward(picture[None]).items()}
    centres = anchor_centres(contract)
    weights = weights_of(network)
    found = called(
        modules, "blazeface.js",
        """const [outputs, contract, threshold, weights, constants] = values;
        const centres = module.anchorCentres(contract);
        const candidates = module.decoded(outputs, centres, threshold);
        const merged = module.suppressed(candidates, contract.nms_iou);
        return {centres, candidates, merged,
          boxes: merged.map(one => module.withFaceBox(one, weights, constants).corners)};""",
        {key: values.ravel().tolist() for key, values in outputs.items()},
        {"input": {"shape": contract.input.shape}, "strides": contract.strides,
         "anchors": contract.anchors, "nms_iou": contract.nms_iou},
        0.05, weights.tolist(), constants,
    )  # fmt: skip
    np.testing.assert_array_equal(found["centres"], centres)
    candidates = anchors.decoded(outputs["boxes"], outputs["scores"], centres, contract)
    merged = anchors.suppressed(candidates, contract.nms_iou)
    assert len(candidates.scores) > len(merged.scores) >= 2
    for ours, expected in ((found["candidates"], candidates), (found["merged"], merged)):
        np.testing.assert_allclose([one["score"] for one in ours], expected.scores, atol=1e-6)
        np.testing.assert_allclose([one["corners"] for one in ours], expected.corners, atol=1e-4)
    np.testing.assert_allclose(found["boxes"], with_face_boxes(merged.corners, weights), atol=1e-3)


def test_face_boxes_of_leaning_faces_are_equal(modules, constants):
    generator = np.random.default_rng(3)
    middle = np.array([[30, 35], [70, 35], [50, 55], [50, 75], [10, 45], [90, 45]], np.float64)
    corners = []
    for lean in (0, 15, 30, 90, 179, -120):
        points = geometry.apply(geometry.rotation(lean, np.array([50, 50])), middle)
        corners.append([[0, 0], [100, 98], *(points + generator.normal(0, 3, points.shape))])
    corners = np.array(corners, np.float64)
    weights = weights_of("blazeface_full")
    found = called(
        modules, "blazeface.js",
        """return values[0].map(corners =>
          module.withFaceBox({corners, score: 1}, values[1], values[2]).corners);""",
        corners.tolist(), weights.tolist(), constants,
    )  # fmt: skip
    np.testing.assert_allclose(found, with_face_boxes(corners, weights), atol=1e-9)


def test_tiles_are_equal(modules, constants):
    cases = [(640, 480, 40), (1200, 1600, 40), (4000, 3000, 80), (3000, 500, 25), (300, 300, 40)]
    found = called(
        modules, "blazeface.js",
        """const [cases, constants] = values;
        return cases.map(([width, height, face]) =>
          module.tileSides(Math.max(width, height), 0.06, face, constants)
            .map(side => [side, module.tiles({width, height}, side, constants)]));""",
        cases, constants,
    )  # fmt: skip
    for (width, height, face), given in zip(cases, found, strict=True):
        sides = tiles.tile_sides(max(width, height), 0.06, face)
        np.testing.assert_allclose([side for side, _ in given], sides)
        for side, boxes in given:
            np.testing.assert_allclose(boxes, tiles.tiles(width, height, side), atol=1e-9)
    assert [len(given) for given in found] != [0] * len(cases)


# --- landmarks -----------------------------------------------------------------------------------


def made_face(scheme, settings, generator, coordinates=2):
    """Landmarks of a head that looks somewhere: those of the mean face that the pose is fitted to,
    and others anywhere among them. With three coordinates they have their depth."""
    yaw, pitch, lean = generator.uniform((-60, -30, -180), (60, 30, 180))
    rotation, middle = rotation_matrix(yaw, pitch, lean).T, (200, 150, 0)
    turned = (MEAN_FACE_3D @ rotation) * 100 + middle
    points = generator.uniform(turned.min(0), turned.max(0), (scheme.points, 3))
    model = np.array(settings["fit"]["model"]) @ rotation
    for part, place in zip(settings["fit"]["parts"], model, strict=True):
        for landmark, _ in part:
            points[landmark] = place * 100 + middle + generator.normal(0, 1.5, 3)
    return points[:, :coordinates]


@pytest.mark.parametrize("name", sorted(SCHEMES))
def test_box_roll_and_pose_are_equal_in_every_scheme(modules, name):
    scheme, generator = get_scheme(name), np.random.default_rng(7)
    settings = scheme_settings(scheme)
    faces = [made_face(scheme, settings, generator) for _ in range(12)]
    leans = generator.uniform(-180, 180, len(faces)).tolist()
    found = called(
        modules, "pose.js",
        """const [faces, leans, scheme] = values;
        return faces.map((face, i) => [module.canonicalBox(face, scheme),
          module.landmarkBox(face, scheme, leans[i]), module.rollOfLandmarks(face, scheme),
          module.poseOf(face, scheme)]);""",
        [face.tolist() for face in faces], leans, settings,
    )  # fmt: skip
    for face, lean, (box, turned, own_roll, pose) in zip(faces, leans, found, strict=True):
        np.testing.assert_allclose(box, canonical_box(face, name), atol=1e-3)
        np.testing.assert_allclose(turned, roll.landmark_box(face, name, lean), atol=1e-3)
        assert own_roll == pytest.approx(roll.roll_of(face, name), abs=1e-3)
        np.testing.assert_allclose(pose, pose_of(face, name), atol=1e-2)


@pytest.mark.parametrize("name", sorted(SCHEMES))
def test_expressions_are_equal_in_every_scheme(modules, constants, name):
    scheme, generator = get_scheme(name), np.random.default_rng(8)
    settings = scheme_settings(scheme)
    faces = [made_face(scheme, settings, generator) for _ in range(30)]
    found = called(
        modules, "expression.js",
        "return values[0].map(face => module.expressionOf(face, values[1], values[2]));",
        [face.tolist() for face in faces], settings, constants,
    )  # fmt: skip
    expected = [expression_of(face, name) for face in faces]
    told = [one is not None for one in expected]
    assert can_measure(name) == any(told)
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours is None) == (theirs is None)
        if theirs is not None:
            assert list(ours) == list(MEASURES)
            np.testing.assert_allclose(list(ours.values()), list(vars(theirs).values()), atol=1e-3)


@pytest.mark.parametrize("name", sorted(SCHEMES))
def test_poses_of_landmarks_with_depth_are_equal(modules, name):
    scheme, generator = get_scheme(name), np.random.default_rng(9)
    settings = scheme_settings(scheme)
    faces = [made_face(scheme, settings, generator, coordinates=3) for _ in range(20)]
    found = called(
        modules, "pose.js",
        "return values[0].map(face => module.poseOf3d(face, values[1]));",
        [face.tolist() for face in faces], settings,
    )  # fmt: skip
    for face, ours in zip(faces, found, strict=True):
        np.testing.assert_allclose(ours, pose_of_3d(face, name), atol=1e-4)
    flat = [np.zeros((scheme.points, 3)).tolist()]
    assert called(modules, "pose.js", "return module.poseOf3d(values[0][0], values[1]);",
                  flat, settings) is None  # fmt: skip


def test_landmarks_that_are_no_face_have_no_box(modules):
    settings = [scheme_settings(get_scheme(name)) for name in ("300w_68", "mtfl_5")]
    found = called(
        modules, "pose.js",
        """return values[0].flatMap(scheme => [0, NaN].map(value => {
          const face = scheme.mirror.map(() => [value, value]);
          return [module.canonicalBox(face, scheme), module.poseOf(face, scheme),
            module.rollOfLandmarks(face, scheme)];
        }));""",
        settings,
    )  # fmt: skip
    assert len(found) == 4
    for box, pose, lean in found:
        assert box is None and pose is None and math.isnan(lean)


def test_poses_are_turned_equally(modules):
    poses = [[20.0, -10.0, 5.0], [-70.0, 30.0, 80.0], [0.0, 0.0, 0.0]]
    found = called(
        modules, "pose.js",
        "return values[0].map(pose => values[1].map(degrees => module.turnedPose(pose, degrees)));",
        poses, [0, 45, -170],
    )  # fmt: skip
    expected = [[roll.turned_pose(np.array(p), d) for d in (0, 45, -170)] for p in poses]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_crops_of_further_passes_are_equal(modules, constants):
    """Good boxes, poor ones and wrong ones; faces that lean in their crop."""
    generator = np.random.default_rng(9)
    truth = portrait()[1]
    middle = (truth.min(0) + truth.max(0)) / 2
    cropping = Cropping("300w_68", geometry.CropSpec(), (512, 512))
    boxes, rolls, faces = [], [], []
    for number in range(40):
        lean = generator.choice([0.0, 10.0, 28.0, 120.0, 180.0])
        faces.append(geometry.apply(geometry.rotation(lean, middle), truth))
        box = roll.landmark_box(faces[-1], "300w_68", 0.0)
        size = box[2:] - box[:2]
        shift = generator.normal(0, (0.01, 0.08, 0.5)[number % 3], 4) * np.tile(size, 2)
        boxes.append(np.concatenate([box[:2] + shift[:2], box[2:] + shift[2:].clip(-30, 90)]))
        rolls.append(lean + generator.normal(0, 12) if number % 4 else np.nan)
    correction = geometry.BoxCorrection((0.0037, -0.0006), (0.9978, 1.0002))
    crops = first_crops(np.array(boxes), np.array(rolls), correction)
    found = called(
        modules, "passes.js",
        """const [boxes, rolls, faces, correction, view] = values;
        return boxes.map((box, i) => {
          const crop = module.firstCrop(box, rolls[i], correction, view.constants);
          return [crop, module.nextCrop(crop, faces[i], view)];
        });""",
        np.array(boxes).tolist(), rolls, [face.tolist() for face in faces],
        {"shift": correction.shift, "scale": correction.scale},
        {"photo": {"width": 512, "height": 512}, "spec": spec_json(cropping.spec),
         "scheme": scheme_settings(get_scheme("300w_68")), "constants": constants},
    )  # fmt: skip
    again = 0
    for crop, face, (first, following) in zip(crops, faces, found, strict=True):
        np.testing.assert_allclose([*first["box"], first["roll"]], crop, atol=1e-9)
        expected = next_crop(crop, face, cropping)
        assert (expected is None) == (following is None)
        if expected is not None:
            again += 1
            np.testing.assert_allclose([*following["box"], following["roll"]], expected, atol=1e-6)
    assert 5 < again < 40
