"""300W-LP (Zhu et al., "Face Alignment Across Large Poses", CVPR 2016), as published.

    ROOT/SUBSET/NAME.jpg                       SUBSET: AFW, HELEN, IBUG, LFPW; _Flip: mirrored views
    ROOT/SUBSET/NAME.mat                       pt2d [2, 68], Pose_Para [1, 7], …
    ROOT/landmarks/SUBSET/NAME_pts.mat         pts_2d, pts_3d [68, 2]; of made views: depth [68, 1]

NAME is the name of the source photo with the number of the view: `image00001_0`, `image00001_1`, …
`pt2d` is reported to be the same for all views of a photo, and so wrong for the turned views;
therefore `landmarks/` is preferred if it exists. `pts_2d` follows the visible contour, `pts_3d` the
true jaw, which is a scheme of its own, `300w_68_3d`. `depth` is that of `pts_3d`, in pixels
(`senet_landmark.face.depth`); only made views have it, the published ones do not. The pose comes
from `Pose_Para`, in degrees; for its signs see `senet_landmark.face.pose`.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from senet_landmark.data_tools.datasets.reading.files import (
    annotation_of,
    name_of,
    photos_and_annotations,
)
from senet_landmark.data_tools.datasets.reading.mat_files import depth_of, load_mat, points_of
from senet_landmark.data_tools.datasets.samples import Entry, Sample, sample_of
from senet_landmark.errors import InputError
from senet_landmark.face.pose import pose_from_para
from senet_landmark.face.schemes import TRUE_JAW
from senet_landmark.io.files import printable

POINTS = ("auto", "pt2d", "pts_2d", "pts_3d")
"""auto: `pts_2d` if `landmarks/` has the view, else `pt2d`."""


def entries(root: Path, points: str = "auto") -> Iterator[Entry]:
    """The views below `root`, sorted by path; views of one photo and of its flip share an identity.

    A photo without annotation, or an annotation without photo, is listed too: reading it reports
    the error.
    """
    seen = set(root.resolve().parents) | {root.resolve()}
    # A linked folder comes after the others, and only if it is none of them, nor above them.
    for folder in sorted(root.iterdir(), key=lambda path: (path.is_symlink(), path)):
        subset = folder.name
        if subset in ("landmarks", "Code") or not folder.is_dir() or folder.resolve() in seen:
            continue
        seen.add(folder.resolve())
        for photo, mat in photos_and_annotations(folder, ".mat"):
            extra = root / "landmarks" / subset / f"{photo.stem}_pts.mat"
            candidates = {"auto": (extra, mat), "pt2d": (mat,)}.get(points, (extra,))
            yield Entry(
                photo=photo,
                source=name_of(photo, root),
                identity=printable(source_photo(subset, photo.stem)),
                annotations=candidates,
                scheme=TRUE_JAW if points == "pts_3d" else "300w_68",
                subset=subset.removesuffix("_Flip"),
                points=points,
            )


def source_photo(subset: str, stem: str) -> str:
    """The identity of a view: `HELEN_Flip`, `HELEN_1629243_1_3` -> `HELEN/HELEN_1629243`.

    Some subsets, such as AFW, number the faces of one photo. These faces share an identity too,
    because a crop of one shows parts of the other.
    """
    subset = subset.removesuffix("_Flip")
    photo = re.sub(r"_[0-9]+$", "", stem)
    if subset in ("AFW", "HELEN", "IBUG"):
        photo = re.sub(r"_[0-9]{1,2}$", "", photo)
    return f"{subset}/{photo}"


def load(entry: Entry) -> Sample:
    """Reads one view, with its pose if the photo's `.mat` has one.

    Raises:
      InputError: the annotation is absent, cannot be read, or lacks the chosen points.
    """
    path = annotation_of(entry)
    chosen = entry.points
    key = chosen if chosen != "auto" else ("pts_2d" if path.stem.endswith("_pts") else "pt2d")
    values = load_mat(path)
    landmarks = points_of(values, key, path)
    depth = depth_of(values, len(landmarks), path) if key == "pts_3d" else None
    mat = entry.photo.with_suffix(".mat")
    if path != mat:
        values = load_mat(mat) if os.path.isfile(mat) else {}
    return sample_of(entry, landmarks, pose=pose_of_mat(values, mat), depth=depth)


def pose_of_mat(values: dict[str, np.ndarray], path: Path) -> tuple[float, float, float]:
    """(yaw, pitch, roll) in degrees from a `.mat`'s `Pose_Para`; NaN without it.

    Raises:
      InputError: `Pose_Para` is not 3 to 7 finite numbers.
    """
    if "Pose_Para" not in values:
        return (np.nan, np.nan, np.nan)
    try:
        return pose_from_para(values["Pose_Para"])
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: {error}") from error
