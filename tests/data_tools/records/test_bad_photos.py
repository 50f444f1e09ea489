"""The record builder against bad photos and landmarks."""

from pathlib import Path

import numpy as np
import pytest

from made_records import copy_tree, parse
from senet_landmark.config import RecordsConfig
from senet_landmark.data_tools.records.build_records import build_records
from senet_landmark.io.images import decode_photo

pytestmark = pytest.mark.slow


def test_bad_photos_of_every_kind(synthetic_tree, tmp_path):
    """The job goes on; each is named with its reason; the good ones are all there."""
    tree = copy_tree(synthetic_tree, tmp_path / "tree", 10)
    photos = sorted((tree / "SYNTH").glob("*.jpg"))
    photos[0].write_bytes(photos[0].read_bytes()[:5000])
    photos[1].write_bytes(b"")
    photos[2].rename(photos[2].with_suffix(".txt"))  # an annotation without photo
    photos[3].write_text("<html>not a photo</html>")
    photos[4].with_suffix(".mat").unlink()
    (tree / "landmarks" / "SYNTH" / f"{photos[4].stem}_pts.mat").unlink()
    moved = photos[5].with_name("ein Name mit Ümläuten 名_0.jpg")
    for old, new in (
        (photos[5], moved),
        (photos[5].with_suffix(".mat"), moved.with_suffix(".mat")),
        (
            tree / "landmarks" / "SYNTH" / f"{photos[5].stem}_pts.mat",
            tree / "landmarks" / "SYNTH" / f"{moved.stem}_pts.mat",
        ),
    ):
        old.rename(new)
    out = tmp_path / "out"
    report = build_records("300w_lp", tree, out, RecordsConfig(held_out=0), workers=2)
    assert report["faces"] == 5 and report["skipped_count"] == 5
    reasons = {Path(skip["photo"]).stem: skip["reason"] for skip in report["skipped"]}
    wanted = ["cut off", "empty", "cannot be read", "does not decode", "no annotation"]
    for photo, words in zip(photos, wanted, strict=False):
        assert words in reasons[photo.stem] and photo.stem in reasons[photo.stem]
    assert f"SYNTH/{moved.name}" in {record.source for record in parse(out)}


def test_landmarks_outside_the_photo_are_kept(synthetic_tree, tmp_path):
    import scipy.io

    tree = copy_tree(synthetic_tree, tmp_path / "tree", 2)
    path = next((tree / "landmarks" / "SYNTH").glob("*.mat"))
    points = scipy.io.loadmat(path)["pts_2d"] - (180, 0)
    scipy.io.savemat(path, {"pts_2d": points})
    build_records("300w_lp", tree, tmp_path / "out", RecordsConfig(held_out=0), workers=1)
    (record,) = (r for r in parse(tmp_path / "out") if Path(r.source).stem in path.stem)
    size = record.region[2:] - record.region[:2]
    np.testing.assert_allclose(record.landmarks * size + record.region[:2], points, atol=2e-3)
    assert decode_photo(record.image)[:, :20].max() == 0  # black where there is no photo
