"""Turned views of the photos of a 300W-LP tree, for data sets with only frontal faces.

300W-LP itself was made by this out-of-plane augmentation ("face profiling", Zhu et al., "Face
Alignment Across Large Poses", CVPR 2016, section 5); here the mean 3D landmarks replace the
morphable model: see `turned_mesh.py`. Parts that turn away are hidden; parts that come into view
are stretched.
"""

from __future__ import annotations

import functools
import os
import re
import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from senet_landmark.data_tools.datasets import w300lp
from senet_landmark.data_tools.datasets.reading.mat_files import load_mat, pose_para, view_files
from senet_landmark.data_tools.datasets.samples import Entry
from senet_landmark.data_tools.parallel import as_completed, worker_count
from senet_landmark.data_tools.synthesis.turned_mesh import (
    FittedFace,
    Pose,
    draw_face,
    fit_face,
    landmarks_of,
    origin_of,
    turn_face,
)
from senet_landmark.errors import InputError
from senet_landmark.face.depth import centred
from senet_landmark.io.files import read_json, require_folder, write_bytes, write_json
from senet_landmark.io.images import read_photo, write_picture
from senet_landmark.io.temporaries import remove_leftovers
from senet_landmark.visualisation.drawing import contact_sheet, fit_into, mark_points

FRONTAL = 8.0
"""Up to this |yaw| in degrees a face may turn to either side: the pose is not more exact."""
PITCH = 4.0
"""Standard deviation of the random change of pitch, degrees; its limit is twice as much."""
MIN_TURN = 5.0
"""A face is not turned if its yaw is closer to the largest yaw than this, in degrees."""
MAX_MISFIT = 0.19
"""Largest RMS distance between the landmarks and those of the mean face, in distances of the outer
eye corners. Beyond it the mean face's depth does not fit: 4 of 1000 of 300W's training photos, most
of them babies."""
JOB = "turned_views.json"


@dataclass(frozen=True)
class _Options:
    root: Path
    out: Path
    views: int
    max_yaw: float
    step: float | None
    seed: int


@dataclass(frozen=True)
class _Outcome:
    """The result for one photo."""

    source: str
    yaws: list[float] = field(default_factory=list)  # degrees, of the views that this run made
    present: int = 0  # number of views that an earlier run made
    reason: str = ""  # why the photo was skipped, or not turned
    copied: bool = True


def write_turned_views(
    root: Path | str,
    out: Path | str,
    *,
    views: int = 3,
    max_yaw: float = 75.0,
    step: float | None = None,
    seed: int = 0,
    workers: int = 0,
    progress: bool = True,
) -> dict[str, Any]:
    """Turns the faces of a 300W-LP tree away from the camera, and writes a tree with these views.

    Only the originals, the photos `NAME_0`, are read from `root`; other views and the `_Flip`
    folders are not. `out/SUBSET/NAME_0.jpg` and its annotation are copies. `NAME_1.jpg`,
    `NAME_2.jpg` … show the face at growing yaw, turned further to the side that it already faces.
    Their `.mat` has `pt2d` [2, 68] float64, `Pose_Para` [1, 7] float32 and `roi` [1, 4] int16;
    `landmarks/SUBSET/NAME_1_pts.mat` has `pts_2d` (equal to `pt2d`: the jaw on the visible contour)
    and `pts_3d` (the true jaw), [68, 2] float32, and `depth`, [68, 1] float32, that of `pts_3d` in
    pixels (`senet_landmark.face.depth`). Points are 0-based pixels in a photo of the original's
    size.

    The same options give the same files for any number of workers. A second call continues an
    interrupted one. A photo or annotation that cannot be read is skipped. A face is copied without
    views if it is already turned to `max_yaw`, or if its shape is too far from the mean face. The
    report names both kinds, with the reasons.

    Args:
      root: folder of the tree that is read.
      out: folder to write to: a new one, or one of an earlier run with the same options.
      views: number of turned views of each photo.
      max_yaw: largest yaw in degrees, up to 90.
      step: degrees of yaw from one view to the next, beginning at the photo's own yaw; views beyond
        `max_yaw` are left out. By default the range from the photo's own yaw to `max_yaw` is
        divided into `views` equal parts, and each part gets one random yaw.
      seed: seed of the yaws, of the small changes of pitch, and of the side to which frontal faces
        turn.
      workers: number of processes; 0: one a core.
      progress: whether to show a progress bar.

    Returns:
      The report, as written to `out/report.json`; `out/contact_sheet.png` shows some views.

    Raises:
      InputError: a number is out of range, one folder is inside the other, `out` holds other files,
        or there is no photo to turn or none that can be read.
    """
    began = time.monotonic()
    _check_numbers(views, max_yaw, step, seed, workers)
    root = require_folder(root, "a 300W-LP tree")
    out = Path(out)
    inside, outside = root.resolve(), out.resolve()
    if inside.is_relative_to(outside) or outside.is_relative_to(inside):
        raise InputError(f"{out}: must be neither {root} itself, nor in it, nor around it.")
    listed = list(w300lp.entries(root))
    originals = [e for e in listed if _is_original(e)]
    if not originals:
        raise InputError(
            f"{root}: no SUBSET/NAME_0.jpg to turn ({len(listed)} photos of other names)."
        )
    options = _Options(root, out, views, max_yaw, step, seed)
    _claim(options)

    work = functools.partial(_turn_photos, options=options)
    blocks = [originals[first : first + 8] for first in range(0, len(originals), 8)]
    done: dict[int, list[_Outcome]] = {}
    with tqdm(total=len(originals), desc="turning", unit="photo", disable=not progress) as bar:
        for index, outcomes in as_completed(work, blocks, worker_count(workers, len(blocks))):
            done[index] = outcomes
            bar.update(len(outcomes))
    outcomes = [outcome for index in range(len(blocks)) for outcome in done[index]]
    report = _report(options, outcomes, len(listed) - len(originals), time.monotonic() - began)
    if report["skipped_count"] == len(outcomes):
        reasons = "; ".join(skip["reason"] for skip in report["skipped"][:3])
        raise InputError(f"{root}: no photo could be used. First reasons: {reasons}")
    _draw_contact_sheet(options, [o.source for o in outcomes if o.copied])
    write_json(out / "report.json", report)
    return report


def _check_numbers(views: int, max_yaw: float, step: float | None, seed: int, workers: int) -> None:
    if views < 1:
        raise InputError(f"views must be at least 1, got {views}.")
    if not 0 < max_yaw <= 90:
        raise InputError(f"max_yaw must be above 0 and at most 90 degrees, got {max_yaw}.")
    if step is not None and not 1 <= step <= 90:
        raise InputError(f"step must be from 1 to 90 degrees, got {step}.")
    if seed < 0 or workers < 0:
        raise InputError(f"seed and workers must not be negative, got {seed} and {workers}.")


def _is_original(entry: Entry) -> bool:
    return entry.photo.stem.endswith("_0") and not _subset(entry).endswith("_Flip")


def _subset(entry: Entry) -> str:
    return entry.source.split("/")[0]


def _claim(options: _Options) -> None:
    """Prepares the output folder. Raises InputError if it holds something else."""
    out, job = options.out, options.out / JOB
    wanted = {
        "views": options.views,
        "max_yaw": float(options.max_yaw),
        "step": options.step,
        "seed": options.seed,
    }
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; give a folder for the views.")
    if job.exists():
        if read_json(job) != wanted:
            raise InputError(
                f"{out}: holds views of other options. Give the same ones to continue it, delete "
                "it, or give another --out."
            )
        for folder in [*out.glob("*/"), *out.glob("landmarks/*/")]:
            remove_leftovers(folder)
    elif out.exists() and any(out.iterdir()):
        raise InputError(f"{out}: is not empty. Give another --out.")
    else:
        write_json(job, wanted)


def _turn_photos(entries: Iterable[Entry], *, options: _Options) -> list[_Outcome]:
    outcomes = []
    for entry in entries:
        try:
            outcomes.append(_turn_photo(entry, options))
        except InputError as error:
            outcomes.append(_Outcome(entry.source, reason=str(error), copied=False))
    return outcomes


def _turn_photo(entry: Entry, options: _Options) -> _Outcome:
    """Writes the missing views of one photo, and its copy."""
    subset, base = _subset(entry), entry.photo.stem.removesuffix("_0")
    names = [f"{base}_{view}" for view in range(1, options.views + 1)]
    missing = {name for name in names if not _is_whole(options.out, subset, name)}
    copied = (options.out / entry.source).exists()
    if copied and not missing:
        return _Outcome(entry.source, present=len(names))
    sample = w300lp.load(entry)
    photo = read_photo(entry.photo, upright=False)  # as the reader of 300W-LP
    height, width = photo.shape[:2]
    try:
        face = fit_face(sample.landmarks, (width, height))
    except InputError as error:
        raise InputError(f"{entry.photo}: {error}") from error
    mat = entry.photo.with_suffix(".mat")
    if not copied:
        points = Path("landmarks", subset, f"{entry.photo.stem}_pts.mat")
        for path in (points, mat.relative_to(options.root), entry.photo.relative_to(options.root)):
            if (options.root / path).is_file():
                write_bytes(options.out / path, (options.root / path).read_bytes())
    roi = load_mat(mat).get("roi") if os.path.isfile(mat) else None
    if roi is None or np.shape(roi) != (1, 4):
        roi = np.array([[0, 0, width, height]], np.int16)
    if face.misfit > MAX_MISFIT:
        return _Outcome(entry.source, reason="the landmarks differ too much from the mean face")
    poses = list(_poses(entry.source, face.pose, options))
    if not poses:
        return _Outcome(entry.source, reason=f"is turned already, yaw {face.pose[0]:.0f} degrees")
    yaws: list[float] = []
    for name, pose in zip(names, poses, strict=False):
        if name not in missing:
            continue
        picture, annotation = _view(photo, face, pose, options.out, subset, name, roi)
        for path, content in annotation.items():
            write_bytes(path, content)
        # The photo is written last: if it exists, the view is complete.
        write_bytes(options.out / subset / f"{name}.jpg", picture)
        yaws.append(round(pose[0], 1))
    return _Outcome(entry.source, yaws=yaws, present=len(poses) - len(yaws))


def _is_whole(out: Path, subset: str, name: str) -> bool:
    photo = out / subset / f"{name}.jpg"
    points = out / "landmarks" / subset / f"{name}_pts.mat"
    return photo.exists() and photo.with_suffix(".mat").exists() and points.exists()


def _poses(source: str, pose: Pose, options: _Options) -> Iterator[Pose]:
    """The poses of a photo's views, degrees, by growing |yaw|; they depend on seed and photo."""
    rng = np.random.default_rng([options.seed, zlib.crc32(source.encode())])
    yaw, pitch, roll = pose
    side = float(rng.choice([-1, 1]))
    if abs(yaw) > FRONTAL:
        side = float(np.sign(yaw))
    begin = max(side * yaw, 0.0)
    span = options.max_yaw - begin
    for view in range(1, options.views + 1):
        share, nod = rng.uniform(0, 0.5), float(np.clip(rng.normal(), -2, 2)) * PITCH
        if span < MIN_TURN:
            return
        turn = options.step * view if options.step else span * (view - share) / options.views
        if turn > span:
            return
        yield side * float(begin + turn), pitch + nod, roll


def _view(
    photo: np.ndarray,
    face: FittedFace,
    pose: Pose,
    out: Path,
    subset: str,
    name: str,
    roi: np.ndarray,
) -> tuple[bytes, dict[Path, bytes]]:
    """The JPEG of a view, and path -> content of the files of its annotation."""
    points, depth = turn_face(face, pose)
    picture = draw_face(photo, face, points, depth)
    contour, jaw = landmarks_of(points, pose)
    para = pose_para(pose, face.scale, origin_of(face, pose), face.size[1])
    _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    annotation = view_files(
        out, subset, name, contour.round(3), jaw.round(3), para, roi, centred(depth[:68]).round(3)
    )
    return data.tobytes(), annotation


def _report(
    options: _Options, outcomes: list[_Outcome], others: int, seconds: float
) -> dict[str, Any]:
    listed: dict[bool, list[dict[str, str]]] = {False: [], True: []}
    for o in outcomes:
        if o.reason:
            listed[o.copied].append({"source": o.source, "reason": o.reason})
    skipped, not_turned = listed[False], listed[True]
    yaws = np.abs([yaw for o in outcomes for yaw in o.yaws])
    count = len(yaws)
    return {
        "photos": len(outcomes) - len(skipped),
        "views": count,
        "views_present": sum(o.present for o in outcomes),
        "other_views_ignored": others,
        "skipped_count": len(skipped),
        "skipped": skipped,
        "not_turned_count": len(not_turned),
        "not_turned": not_turned,
        "yaw_degrees": [float(f(yaws)) for f in (np.min, np.median, np.max)] if count else [],
        "max_yaw": float(options.max_yaw),
        "seed": options.seed,
        "seconds": round(seconds, 1),
        "views_per_second": round(count / max(seconds, 1e-6), 1),
    }


def _draw_contact_sheet(
    options: _Options, sources: list[str], most: int = 10, cell: int = 220
) -> None:
    """Draws some photos, each followed by its views, with their `pts_2d`."""
    pictures = []
    chosen = set(sources[:: -(-len(sources) // most)])
    stems = {re.sub(r"_0\.[^.]*$", "", source) for source in chosen}
    for entry in w300lp.entries(options.out):
        if re.sub(r"_[0-9]+\.[^.]*$", "", entry.source) in stems:
            landmarks = w300lp.load(entry).landmarks
            photo = read_photo(entry.photo, upright=False)
            picture, points = fit_into(photo, cell, landmarks)
            pictures.append(mark_points(picture, points))
    columns = 2 * (options.views + 1)
    write_picture(options.out / "contact_sheet.png", contact_sheet(pictures, columns, cell))
