"""The poses that training takes for true: those of the records, or of the landmarks."""

import numpy as np

from made_records import record_of, write_records
from senet_landmark.data.input_pipeline import (
    RecordStore,
    true_poses,
)
from senet_landmark.face.pose import (
    MEAN_FACE_3D,
    PFLD_POINTS,
    STABLE_POINTS,
    pose_from_landmarks,
    rotation_matrix,
)
from senet_landmark.face.scheme_conversion import convert

UNKNOWN = np.full(3, np.nan)


def turned_mean_face(angles):
    """The mean face as a camera far away sees it, [68, 2], about 100 pixels wide."""
    return (MEAN_FACE_3D @ rotation_matrix(*angles).T)[:, :2] * 70


def test_true_poses_are_the_records_or_of_the_landmarks(tmp_path):
    angles = [(20, -10, 5), (-35, 8, -12), (10, 3, 40)]
    size = (200, 120)  # not square: landmarks are fitted in pixels
    seen = [turned_mean_face(a) * 0.7 + (100, 60) for a in angles]
    seen[1][np.setdiff1d(STABLE_POINTS, PFLD_POINTS)] += 3  # a pose of other points errs
    records = [
        record_of(seen[0], "300w_68", (1, 2, 3), size),
        record_of(seen[1], "300w_68", size=size),
        record_of(seen[2], "300w_68", (4, np.nan, 6), size),
        record_of(seen[2] * np.nan, "300w_68", (7, 8, 9), size),
        record_of(seen[2] * np.nan, "300w_68", size=size),
    ]
    store = RecordStore([write_records(tmp_path / "records", records)])
    recorded = true_poses(store, "records")
    assert recorded.shape == (5, 3) and recorded.dtype == np.float32
    np.testing.assert_array_equal(recorded[0], [1, 2, 3])
    np.testing.assert_allclose(recorded[1], pose_from_landmarks(seen[1]), atol=0.01)
    np.testing.assert_allclose(recorded[2], angles[2], atol=0.01)
    np.testing.assert_array_equal(recorded[3:], [[7, 8, 9], UNKNOWN])
    fitted = true_poses(store, "landmarks")
    np.testing.assert_allclose(fitted[:3], angles, atol=0.01)
    assert np.isnan(fitted[3:]).all()
    assert np.abs(recorded[1] - fitted[1]).max() > 0.1
    np.testing.assert_array_equal(store.record(0).pose, [1, 2, 3])  # the store is as it was


def test_true_poses_of_schemes_without_pflds_points(tmp_path):
    angles = (15, -5, 20)
    points = convert(turned_mean_face(angles), "300w_68", "mtfl_5") + (100, 100)
    record = record_of(points, "mtfl_5", size=(200, 200))
    store = RecordStore([write_records(tmp_path / "records", [record])])
    for truth in ("records", "landmarks"):
        np.testing.assert_allclose(true_poses(store, truth), [angles], atol=0.05)
