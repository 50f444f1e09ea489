"""AFLW2000-3D (Zhu et al., "Face Alignment Across Large Poses", CVPR 2016): yaw to 90 degrees.

    ROOT/NAME.jpg, ROOT/NAME.mat       pt3d_68 [3, 68], Pose_Para [1, 7], pt2d [2, 21], roi

`pt3d_68` are the 68 points of a fitted 3D face, with their depth. They follow the true jaw rather
than the visible contour, and include points that are turned away from the camera: these are marked
invisible here, by the normal of the surface. `pt2d` are AFLW's own 21 points; a point that the
annotator did not see is -1.
"""

import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from senet_landmark.data_tools.datasets.reading.files import (
    annotation_of,
    name_of,
    photos_and_annotations,
)
from senet_landmark.data_tools.datasets.reading.mat_files import load_mat, points_of
from senet_landmark.data_tools.datasets.samples import Entry, Sample, identity_of, sample_of
from senet_landmark.data_tools.datasets.w300lp import pose_of_mat
from senet_landmark.errors import InputError
from senet_landmark.face.pose import MEAN_FACE_3D
from senet_landmark.face.schemes import TRUE_JAW

POINTS = ("auto", "pt3d_68", "pt2d")
"""auto: `pt3d_68`."""


def entries(root: Path, points: str = "auto") -> Iterator[Entry]:
    """The photos below `root`, sorted by path; all are for testing, each with its own identity."""
    for photo, annotation in photos_and_annotations(root, ".mat"):
        source = name_of(photo, root)
        yield Entry(
            photo=photo,
            source=source,
            identity=identity_of(source),
            annotations=(annotation,),
            scheme="aflw_21" if points == "pt2d" else TRUE_JAW,
            test=True,
            points=points,
        )


def load(entry: Entry) -> Sample:
    """Reads one photo's points and pose. Raises InputError that names the `.mat`."""
    path = annotation_of(entry)
    values = load_mat(path)
    pose = pose_of_mat(values, path)
    if entry.points == "pt2d":
        landmarks = points_of(values, "pt2d", path)
        visible = np.all(landmarks >= 0, axis=1)
        landmarks[~visible] = np.nan
        return sample_of(entry, landmarks, visible=visible, pose=pose)
    points = np.asarray(values.get("pt3d_68", np.empty(0)), np.float64)
    if points.shape != (3, 68):
        raise InputError(f"{path}: pt3d_68 is {points.shape}, not (3, 68).")
    # In the file z grows towards the camera; here and in pose.py away from it.
    points = points.T * (1, 1, -1)
    visible = facing_camera(points)
    return sample_of(entry, points[:, :2], visible=visible, pose=pose, depth=points[:, 2])


def facing_camera(points: np.ndarray) -> np.ndarray:
    """Which points lie on skin that faces the camera.

    The normal at a point is the mean of the normals of its triangles; the triangles are those of
    the mean face. A landmark at the silhouette counts as visible: its normal is at 90 degrees to
    the viewing direction, and annotators mark it. From 100 degrees on a landmark is hidden.

    Args:
      points: [68, 3], x right, y down, z away from the camera.

    Returns:
      bool [68].
    """
    triangles = _triangles()
    corners = points[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    at_points = np.zeros((68, 3))
    for corner in range(3):
        np.add.at(at_points, triangles[:, corner], normals)
    at_points /= np.linalg.norm(at_points, axis=1, keepdims=True) + 1e-12
    return np.asarray(at_points[:, 2] < np.cos(np.radians(80)))


@functools.cache
def _triangles() -> np.ndarray:
    """Triangles [T, 3] of the mean face, unrolled to a plane; their normals face the viewer."""
    from scipy.spatial import Delaunay  # slow to import, and no other data set needs it

    x, y, z = MEAN_FACE_3D.T.astype(np.float64)
    # Unrolled around the axis of the neck; a plain projection would fold the ends of the jaw.
    flat = np.stack([np.arctan2(x, 1.2 - z), y], axis=1)
    triangles = np.asarray(Delaunay(flat).simplices)
    a, b, c = flat[triangles[:, 0]], flat[triangles[:, 1]], flat[triangles[:, 2]]
    turning = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    # With y down, a triangle that turns clockwise in the picture has its normal along +z.
    triangles[turning > 0] = triangles[turning > 0][:, ::-1]
    return triangles
