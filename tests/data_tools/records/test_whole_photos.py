"""Records of whole photos: what they show, and which are refused."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from made_records import open_store, parse
from senet_landmark.config import NO_AUGMENTATION
from senet_landmark.data.input_pipeline import BatchMaker
from senet_landmark.data.records import load_records_info
from senet_landmark.data_tools.inspection.inspect_records import inspect_records
from senet_landmark.data_tools.records.build_records import build_records
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.errors import InputError
from senet_landmark.export.freezing.recorded_faces import recorded_faces
from senet_landmark.face import geometry
from senet_landmark.io.images import decode_photo
from senet_landmark.presets import get_preset

pytestmark = pytest.mark.slow

PHOTO, TRUTH = portrait()[0][30:280, 90:430], portrait()[1] - (90, 30)
"""340x250 pixels, with the face at the left."""
TCDCN, FRAME = (replace(get_preset(n).records, held_out=0.0) for n in ("tcdcn", "cnn"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A CSV: one photo with a face, one with two faces of persons of their own."""
    folder = tmp_path_factory.mktemp("photos")
    rows = ["photo,identity," + ",".join(f"x{i},y{i}" for i in range(68))]
    for name, identity in (("one", "a"), ("two", "b"), ("two", "c")):
        cv2.imwrite(str(folder / f"{name}.png"), PHOTO[..., ::-1])
        rows.append(f"{name}.png,{identity}," + ",".join(f"{v:.3f}" for v in TRUTH.ravel()))
    (folder / "faces.csv").write_text("\n".join(rows))
    return folder


@pytest.fixture(scope="module")
def built(photos, tmp_path_factory):
    """Preset -> (report, folder of records)."""
    out = tmp_path_factory.mktemp("records")
    configs = {"tcdcn": TCDCN, "cnn": FRAME}
    return {
        name: (build_records("csv", photos, out / name, config, workers=1), out / name)
        for name, config in configs.items()
    }


def test_record_is_the_photo_with_its_proportions_lost(built):
    (record,) = parse(built["tcdcn"][1])
    image = decode_photo(record.image)
    expected = cv2.resize(PHOTO, (160, 160), interpolation=cv2.INTER_LINEAR)
    assert image.shape == (160, 160, 3) and np.abs(image.astype(int) - expected).mean() < 2
    np.testing.assert_allclose(record.box, [0, 0, 1, 1], atol=1e-6)
    np.testing.assert_allclose(record.landmarks, (TRUTH + 0.5) / (340, 250), atol=1e-5)


def test_recorded_frame_keeps_its_pixels_and_both_ends(built):
    (record,) = parse(built["cnn"][1])
    image = decode_photo(record.image)
    first = (np.array([392, 392]) - (340, 250)) // 2
    part = image[first[1] : first[1] + 250, first[0] : first[0] + 340]
    assert np.abs(part.astype(int) - PHOTO).mean() < 1  # 250 pixels of the shorter side are 250
    np.testing.assert_allclose(
        record.box * 392, [*first, *(first + (340, 250))], atol=1e-3
    )  # where the photo ends


def test_figures_are_of_the_face(built, tmp_path):
    side = np.ptp(TRUTH, axis=0).max()
    for report, folder in built.values():
        assert report["box_side_pixels"]["median"] == pytest.approx(side, abs=0.1)
        report = inspect_records([folder], tmp_path / folder.name, workers=1)
        assert report["suspect_faces"] == 0
        assert report["splits"][0]["box_side_pixels"]["median"] == pytest.approx(side, abs=0.1)


def test_photo_of_several_faces_is_left_out(built):
    """Also where each face is of another split."""
    for report, _ in built.values():
        assert report["faces"] == 1 and report["skipped_count"] == 2
        assert all("two.png: has several" in skip["reason"] for skip in report["skipped"])


@pytest.mark.parametrize("boxes", ["dlib", "annotation"])
def test_other_boxes_are_refused(photos, tmp_path, boxes):
    with pytest.raises(InputError, match=rf"whole photos .*--boxes {boxes}"):
        build_records("csv", photos, tmp_path / "out", TCDCN, boxes=boxes, workers=1)
    assert not (tmp_path / "out").exists()


def test_training_sees_cuts_of_the_frame_with_their_points(built):
    """Without the random cut the middle; with it another place each time; never a border."""
    store = open_store(built["cnn"][1])
    config = get_preset("cnn")
    attributes = load_records_info(built["cnn"][1]).attributes
    plain = BatchMaker(store, FRAME.crop, (224, 224), NO_AUGMENTATION, 40, attributes=attributes)
    batch, cuts = plain.batch(0), replace(plain, augment=config.augment).batch(0)
    middle = PHOTO[13:237, 58:282]
    assert np.abs(batch["image"][0].astype(int) - middle).mean() < 1
    np.testing.assert_allclose(batch["landmarks"][0] * 224 - 0.5, TRUTH - (58, 13), atol=0.01)
    first = TRUTH - (cuts["landmarks"] * 224 - 0.5)
    assert np.ptp(first, axis=1).max() < 0.01  # all points moved alike
    first = first.mean(axis=1)
    assert (first >= -0.01).all() and (first <= np.array([116, 26]) + 0.01).all()
    assert (np.ptp(first, axis=0) > (90, 20)).all()
    for image, (x, y) in zip(cuts["image"], first.round().astype(int), strict=True):
        # Half a pixel of difference is a few grey levels.
        assert np.abs(image.astype(int) - PHOTO[y : y + 224, x : x + 224]).mean() < 6


def test_models_of_faces_and_of_photos_do_not_take_each_others_records(built, synthetic_records):
    frame, face = FRAME.crop, geometry.CropSpec()
    crops = recorded_faces(built["cnn"][1], "300w_68", frame, (224, 224), "train").crops(1)
    assert np.abs(crops[0].astype(int) - PHOTO[13:237, 58:282]).mean() < 1
    with pytest.raises(InputError, match="has whole photos, the model takes crops of faces"):
        recorded_faces(built["cnn"][1], "300w_68", face, (128, 128), "train")
    with pytest.raises(InputError, match="has crops of faces, the model takes whole photos"):
        recorded_faces(synthetic_records, "300w_68", frame, (224, 224))
