"""A synthetic face data set made from one public-domain portrait, as 300W-LP or WFLW.

It serves for trying every step, and for the tests, on a machine without data: hundreds of faces
with different shapes, expressions, poses, colours, light and backgrounds, all made by warping one
photo. The landmarks are exact, because the same warp moves the pixels and the landmarks. It cannot
replace photos of many people: a model trained only on it will not work on real photos.

Source of the portrait: NASA, official portrait of astronaut Eileen Collins (public domain), as
distributed with scikit-image (`skimage.data.astronaut`).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from senet_landmark.data_tools.datasets.reading.mat_files import pose_para, view_files
from senet_landmark.data_tools.parallel import as_completed, worker_count
from senet_landmark.data_tools.synthesis import look, shape, warp, wflw_tree
from senet_landmark.data_tools.synthesis.mesh import Mesh, load_mesh, portrait, portrait_path
from senet_landmark.io.files import write_bytes

__all__ = ["portrait", "portrait_path", "write_synthetic"]

YAW, PITCH, ROLL = 35.0, 20.0, 25.0
"""Largest angles in degrees; signs as in `senet_landmark.face.pose`."""
LAYOUTS = {"300w_lp": "300W_LP", "wflw": "WFLW"}
"""Layout, called as the data set -> usual name of its folder."""
FACE_SIZE = (150.0, 230.0)
"""Smallest and largest extent of the landmarks before the turn, in pixels of a picture of 450."""


def write_synthetic(
    root: Path | str,
    *,
    count: int = 600,
    views: int = 1,
    seed: int = 0,
    size: int = 450,
    subset: str = "SYNTH",
    layout: str = "300w_lp",
    test: int = 0,
    workers: int | None = None,
    progress: bool = True,
) -> list[Path]:
    """Writes a data set in the layout of 300W-LP or of WFLW.

    In 300W-LP's, for face 12, view 0: `root/SUBSET/SYNTH_00012_0.jpg` (RGB, size x size),
    `SYNTH_00012_0.mat` with `pt2d` [2, 68] float64, `Pose_Para` [1, 7] float32 (pitch, yaw, roll
    in radians, translation x, y, z, scale) and `roi` [1, 4] int16; and, in
    `root/landmarks/SUBSET/`, `SYNTH_00012_0_pts.mat` with `pts_2d` (the jaw on the visible contour)
    and `pts_3d` (the true jaw), [68, 2] float32.
    Points are 0-based pixels, finite and inside the picture. Unlike in the real 300W-LP, `pt2d` is
    right for every view (it equals `pts_2d`).

    In WFLW's, photos and lists are as `wflw_tree.py` describes. The 98 points follow the curves of
    the 68, and some faces are dimmed, painted, covered or blurred, as their attributes say.

    Args:
      root: folder to write to; made if absent, files of the same names are replaced.
      count: number of faces, each with its own shape, expression, colours and background.
      views: number of views of each face.
      seed: random seed; the same seed gives the same files for any `workers` and `count`.
      size: width and height of the photos in pixels, at least 64.
      subset: name of the folder, and beginning of the file names.
      layout: `300w_lp` or `wflw`.
      test: how many of the last faces are in WFLW's list for testing; 300W-LP has none.
      workers: number of processes; by default one a core. With 1 the work runs in this process.
      progress: whether to show a progress bar.

    Returns:
      The paths of the photos, in order.

    Raises:
      ValueError: a number is out of range, or `subset` is not a plain folder name.
    """
    if count < 1 or views < 1 or size < 64:
        raise ValueError(
            f"count and views must be at least 1 and size 64, got {count}, {views} and {size}"
        )
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    if not subset or subset != Path(subset).name or subset == "landmarks":
        raise ValueError(f"subset must be a plain folder name other than landmarks: {subset!r}")
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, not {layout!r}")
    if not 0 <= test < count or (test and layout != "wflw"):
        raise ValueError(f"test must be below count, and 0 in 300W-LP's layout, got {test}")
    root = Path(root)
    work = functools.partial(
        _write_faces, root=root, views=views, seed=seed, size=size, subset=subset, layout=layout
    )
    blocks = [range(first, min(first + 8, count)) for first in range(0, count, 8)]
    written: dict[int, list[tuple[Path, str]]] = {}
    with tqdm(total=count, desc=subset, unit="face", disable=not progress) as bar:
        for index, paths in as_completed(work, blocks, worker_count(workers, len(blocks))):
            written[index] = paths
            bar.update(len(blocks[index]))
    faces = [face for index in range(len(blocks)) for face in written[index]]
    if layout == "wflw":
        wflw_tree.write_lists(root, [line for _, line in faces], test * views)
    return [photo for photo, _ in faces]


def _write_faces(indices: Iterable[int], **options: Any) -> list[tuple[Path, str]]:
    return [face for index in indices for face in _write_face(index, **options)]


def _write_face(
    index: int, *, root: Path, views: int, seed: int, size: int, subset: str, layout: str
) -> list[tuple[Path, str]]:
    """Draws and writes every view of one face: its photo, and its line in WFLW's lists."""
    mesh = load_mesh()
    rng = np.random.default_rng([seed, index])
    face = shape.random_face(mesh, rng)
    face_look = look.random_look(rng, size)
    written = []
    for view in range(views):
        rng = np.random.default_rng([seed, index, view])
        pose, scale, centre = _random_view(mesh, face, rng, size)
        drawing = warp.draw(mesh, face, pose, scale, centre, size)
        picture = look.compose(drawing, face_look, rng)
        name, line = f"{subset}_{index:05d}_{view}", ""
        # Rounded, because the last bits depend on how many threads a matrix product is given.
        contour, jaw = drawing.contour_points.round(3), drawing.jaw_points.round(3)
        files: dict[Path, bytes] = {}
        if layout == "wflw":
            photo = root / "WFLW_images" / subset / f"{name}.jpg"
            points = wflw_tree.points_98(contour).round(3)
            picture, attributes = wflw_tree.with_attributes(picture, points, pose[0], rng)
            line = wflw_tree.line_of(points, attributes, f"{subset}/{name}.jpg")
        else:
            photo = root / subset / f"{name}.jpg"
            para, roi = pose_para(pose, scale, centre, size), np.array([[0, 0, size, size]], "i2")
            depth = drawing.jaw_depth.round(3)
            files = view_files(root, subset, name, contour, jaw, para, roi, depth)
        data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
        for path, content in {photo: data.tobytes(), **files}.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, content)
        written.append((photo, line))
    return written


def _random_view(
    mesh: Mesh, face: np.ndarray, rng: np.random.Generator, size: int
) -> tuple[tuple[float, float, float], float, np.ndarray]:
    """Random pose in degrees, scale, and position of the face's origin; all landmarks inside."""
    # Frontal and upright faces are more frequent.
    share = rng.uniform(-1, 1, 3)
    yaw, pitch, roll = share * np.abs(share) * [YAW, PITCH, ROLL]
    pose = (float(yaw), float(pitch), float(roll))
    extent = np.ptp(face[:68, :2], axis=0).mean()
    scale = float(rng.uniform(*FACE_SIZE)) * size / 450 / extent
    points, _ = warp.project_landmarks(mesh, face, pose, scale)
    low, high = points.min(axis=0), points.max(axis=0)
    centre = (size - 1) / 2 - (low + high) / 2 + rng.normal(0, 0.045 * size, 2)
    margin = 0.02 * size
    return pose, scale, np.clip(centre, margin - low, size - 1 - margin - high)
