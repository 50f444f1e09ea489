"""Crops, their inverse, and box corrections."""

import numpy as np
import pytest

from senet_landmark.errors import InputError
from senet_landmark.face import geometry
from senet_landmark.face.geometry import BoxCorrection, CropSpec
from senet_landmark.presets import PRESETS

SPECS = [config.records.crop for config in PRESETS.values()]
BOX = np.array([40.0, 60.0, 140.0, 180.0])


@pytest.mark.parametrize("spec", SPECS)
def test_crop_then_invert_is_the_identity(spec):
    points = np.random.default_rng(0).uniform(-50, 250, (68, 2))
    transform = geometry.to_crop(geometry.crop_box(BOX, spec, (200, 220)))
    back = geometry.apply(geometry.invert(transform), geometry.apply(transform, points))
    np.testing.assert_allclose(back, points, atol=1e-9)


@pytest.mark.parametrize("size", [(128, 128), (37, 64), (400, 300)])
@pytest.mark.parametrize("spec", SPECS)
def test_pixels_land_where_their_coordinates_say(spec, size):
    """A dot in the photo is found in the crop at the place that the transform names."""
    for x, y in ((70, 90), (100, 150), (120, 110)):
        photo = np.zeros((240, 200, 3), np.uint8)
        photo[y - 4 : y + 5, x - 4 : x + 5] = 255
        crop, transform = geometry.crop_face(photo, BOX, spec, size)
        weights = crop[..., 0].astype(float)
        rows, columns = np.mgrid[: size[1], : size[0]]
        centre = np.array([(columns * weights).sum(), (rows * weights).sum()]) / weights.sum()
        expected = geometry.apply(transform, np.array([x, y], float)) * size - 0.5
        np.testing.assert_allclose(centre, expected, atol=0.2)


@pytest.mark.parametrize("factor", [2, 3.5, 7])
def test_a_large_photo_gives_the_crop_of_the_small_one(factor):
    """The same scene in more pixels: the reduction neither shifts nor aliases."""
    generator = np.random.default_rng(1)
    scene = generator.uniform(0, 1, (6, 3, 4))

    def render(scale):
        rows, columns = np.mgrid[: int(200 * scale), : int(200 * scale)]
        x, y = (columns + 0.5) / scale, (rows + 0.5) / scale
        waves = [
            np.sin(a[..., 0] * x[..., None] / 9 + a[..., 1] * y[..., None] / 9 + 6 * a[..., 2])
            for a in scene
        ]
        return np.uint8(127 + 20 * np.sum(waves, axis=0).clip(-6, 6))

    small = geometry.crop_face(render(1.0), np.array([50, 50, 149, 149.0]), CropSpec(), (64, 64))[0]
    box = (np.array([50, 50, 149, 149.0]) + 0.5) * factor - 0.5
    large = geometry.crop_face(render(factor), box, CropSpec(), (64, 64))[0]
    assert np.abs(small.astype(int) - large.astype(int)).mean() < 1.5


def test_square_crop_keeps_proportions_and_covers_the_box():
    region = geometry.crop_box(BOX, CropSpec(), (1000, 1000))
    assert region[2] - region[0] == pytest.approx(region[3] - region[1])
    assert (region[:2] <= BOX[:2]).all() and (region[2:] >= BOX[2:]).all()


@pytest.mark.parametrize("fit", ["around", "inside"])
def test_square_lies_around_the_box_or_inside_it(fit):
    generator = np.random.default_rng(6)
    for _ in range(200):
        first = generator.uniform(-50, 50, 2)
        box = np.concatenate([first, first + generator.uniform(5, 300, 2)])
        spec = CropSpec(margins=(0.0, 0.0, 0.0, 0.0), fit=fit)
        region = geometry.crop_box(box, spec, (100, 100))
        inner, outer = (region, box) if fit == "inside" else (box, region)
        assert (outer[:2] <= inner[:2] + 1e-9).all() and (inner[2:] <= outer[2:] + 1e-9).all()
        sides = region[2:] - region[:2]
        assert sides[0] == pytest.approx(sides[1])
        assert np.isclose(sides[0], box[2:] - box[:2]).any()  # no larger than need be, no smaller
        np.testing.assert_allclose(region[:2] + region[2:], box[:2] + box[2:])


def test_whole_photo_is_cropped_whatever_the_face():
    photo = PRESETS["tcdcn"].records.crop
    for face in (BOX, BOX - 500):
        source = geometry.crop_source(face, photo, (200, 120))
        region = geometry.crop_box(source, photo, (200, 120))
        np.testing.assert_array_equal(region, [-0.5, -0.5, 199.5, 119.5])
    np.testing.assert_array_equal(geometry.crop_source(BOX, CropSpec(), (200, 120)), BOX)


def test_frame_of_the_cnn_is_224_of_250_pixels_in_the_middle():
    frame = PRESETS["cnn"].records.crop
    for size in ((320, 250), (250, 400)):
        region = geometry.crop_box(geometry.crop_source(BOX, frame, size), frame, size)
        np.testing.assert_allclose(region[2:] - region[:2], 224)
        np.testing.assert_allclose((region[:2] + region[2:] + 1) / 2, np.array(size) / 2)


def test_margins_that_leave_nothing_are_refused():
    with pytest.raises(InputError, match="leave nothing"):
        geometry.crop_box(BOX, CropSpec(margins=(-0.5, 0.0, -0.5, 0.0)), (200, 220))


def test_original_margins_and_clip():
    spec = PRESETS["senet_original"].records.crop
    region = geometry.crop_box(BOX, spec, (1000, 1000))
    np.testing.assert_allclose(region, [40 - 5, 60 - 36, 140 + 5, 180 + 0.05 * (120 + 36)])
    clipped = geometry.crop_box(BOX, spec, (130, 170))
    np.testing.assert_allclose(clipped, [35, 24, 129.5, 169.5])


def test_correction_is_recovered_and_ignores_outliers():
    generator = np.random.default_rng(2)
    source = generator.uniform(0, 100, (50, 4))
    source[:, 2:] = source[:, :2] + generator.uniform(50, 90, (50, 2))
    known = BoxCorrection(shift=(0.05, -0.1), scale=(0.9, 1.2))
    canonical = np.stack([geometry.correct_box(box, known) for box in source])
    canonical[:5] += 500
    assert geometry.fit_correction(source, canonical) == known


def test_best_match_takes_the_annotated_face():
    boxes = np.array([[300, 300, 400, 400], [42, 61, 139, 178], [0, 0, 900, 900.0]])
    assert geometry.best_match(boxes, BOX) == 1
    assert geometry.best_match(boxes[:1], BOX) is None
    assert geometry.best_match(boxes[:0], BOX) is None


def test_iou():
    assert geometry.iou(BOX, BOX) == pytest.approx(1)
    assert geometry.iou(np.array([0, 0, 2, 2.0]), np.array([1, 0, 3, 2.0])) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    "points",
    [np.full((68, 2), np.nan), np.zeros((68, 2)), np.zeros((0, 2)), np.zeros((68, 3))],
)
def test_degenerate_landmarks_are_refused(points):
    with pytest.raises(InputError):
        geometry.box_from_landmarks(points)


@pytest.mark.parametrize("box", [[5, 5, 5, 9], [0, 0, np.nan, 4], [9, 9, 1, 1]])
def test_degenerate_boxes_are_refused(box):
    with pytest.raises(InputError, match="no area"):
        geometry.crop_box(np.array(box, float), CropSpec(), (100, 100))


def test_box_outside_the_photo_is_black_or_refused():
    photo = np.full((50, 50, 3), 255, np.uint8)
    box = np.array([500.0, 500, 600, 600])
    assert not geometry.crop_face(photo, box, CropSpec(), (16, 16))[0].any()
    with pytest.raises(InputError, match="outside"):
        geometry.crop_face(photo, box, CropSpec(clip=True), (16, 16))


def test_shrink_keeps_places():
    photo = np.zeros((600, 900, 3), np.uint8)
    photo[280:320, 580:620] = 255
    small, factor = geometry.shrink(photo, 300)
    assert max(small.shape) == 300
    rows, columns = np.nonzero(small[..., 0] > 127)
    expected = (np.array([599.5, 299.5]) + 0.5) * factor - 0.5
    np.testing.assert_allclose([columns.mean(), rows.mean()], expected, atol=0.3)
    assert geometry.shrink(photo, 1000)[1] == 1.0


@pytest.mark.parametrize("spec", SPECS)
def test_without_roll_a_crop_is_what_it_was(spec):
    """Bit for bit: figures of upright faces do not depend on rolls."""
    photo = np.random.default_rng(3).integers(0, 255, (220, 200, 3), np.uint8)
    region = geometry.crop_box(BOX, spec, (200, 220))
    size = region[2:] - region[:2]
    plain = [[1 / size[0], 0, -region[0] / size[0]], [0, 1 / size[1], -region[1] / size[1]]]
    crop, transform = geometry.crop_face(photo, BOX, spec, (64, 64))
    same_crop, same_transform = geometry.crop_face(photo, BOX, spec, (64, 64), roll=0.0)
    np.testing.assert_array_equal(transform, plain)
    np.testing.assert_array_equal(transform, same_transform)
    np.testing.assert_array_equal(crop, same_crop)
    correction = BoxCorrection(shift=(0.05, -0.1), scale=(0.9, 1.2))
    np.testing.assert_array_equal(
        geometry.correct_box(BOX, correction), geometry.correct_box(BOX, correction, 0.0)
    )


@pytest.mark.parametrize("roll", [-150.0, -90.0, -20.5, 1e-3, 33.0, 90.0, 180.0])
@pytest.mark.parametrize("spec", SPECS)
def test_turned_crop_then_invert_is_the_identity(spec, roll):
    points = np.random.default_rng(0).uniform(-50, 250, (68, 2))
    centre = (BOX[:2] + BOX[2:]) / 2
    region = geometry.crop_box(BOX, spec, (200, 220), roll)
    transform = geometry.to_crop(region, roll, centre)
    back = geometry.apply(geometry.invert(transform), geometry.apply(transform, points))
    np.testing.assert_allclose(back, points, atol=1e-9)
    np.testing.assert_allclose(
        geometry.invert(geometry.invert(transform)), transform, rtol=1e-9, atol=1e-12
    )
    upright = geometry.to_crop(region)
    np.testing.assert_allclose(geometry.apply(transform, centre), geometry.apply(upright, centre))


@pytest.mark.parametrize("size", [(128, 128), (37, 64), (400, 300)])
@pytest.mark.parametrize("spec", SPECS)
def test_pixels_of_a_turned_crop_land_where_their_coordinates_say(spec, size):
    for roll, (x, y) in ((40, (85, 110)), (90, (95, 135)), (-120, (100, 110)), (180, (90, 120))):
        photo = np.zeros((240, 200, 3), np.uint8)
        photo[y - 4 : y + 5, x - 4 : x + 5] = 255
        crop, transform = geometry.crop_face(photo, BOX, spec, size, roll)
        weights = crop[..., 0].astype(float)
        rows, columns = np.mgrid[: size[1], : size[0]]
        centre = np.array([(columns * weights).sum(), (rows * weights).sum()]) / weights.sum()
        expected = geometry.apply(transform, np.array([x, y], float)) * size - 0.5
        np.testing.assert_allclose(centre, expected, atol=0.2)


def test_a_face_that_lies_gives_the_crop_of_one_that_stands():
    photo = np.random.default_rng(4).integers(0, 255, (30, 30, 3), np.uint8)
    photo = np.repeat(np.repeat(photo, 8, axis=0), 8, axis=1)  # 240 x 240
    box = np.array([70.0, 60, 150, 170])
    correction = BoxCorrection(shift=(0.1, 0.2), scale=(0.9, 0.8))
    spec = CropSpec(margins=(0.1, 0.3, 0.2, 0.05), square=False)
    upright = geometry.correct_box(box, correction)
    expected, _ = geometry.crop_face(photo, upright, spec, (64, 80))
    for quarters, roll in ((3, 90.0), (2, 180.0), (1, -90.0)):
        turned = np.ascontiguousarray(np.rot90(photo, quarters))
        turn = geometry.rotation(roll, np.array([119.5, 119.5]))
        half = (box[2:] - box[:2]) / 2
        centre = geometry.apply(turn, (box[:2] + box[2:]) / 2)
        moved = geometry.correct_box(
            np.concatenate([centre - half, centre + half]), correction, roll
        )
        crop, transform = geometry.crop_face(turned, moved, spec, (64, 80), roll)
        assert np.abs(crop.astype(int) - expected.astype(int)).max() <= 8
        corner = geometry.apply(geometry.invert(transform), np.zeros(2))
        plain = geometry.to_crop(geometry.crop_box(upright, spec, (240, 240)))
        standing = geometry.apply(geometry.invert(plain), np.zeros(2))
        np.testing.assert_allclose(corner, geometry.apply(turn, standing), atol=1e-9)


def test_a_turned_crop_ends_nowhere_at_the_border():
    spec = PRESETS["senet_original"].records.crop
    free = geometry.crop_box(BOX, spec, (1000, 1000))
    np.testing.assert_array_equal(geometry.crop_box(BOX, spec, (130, 170), 45.0), free)
