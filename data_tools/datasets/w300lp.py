"""300W-LP (Zhu et al., "Face Alignment Across Large Poses", CVPR 2016), as it is published.

    ROOT/SUBSET/NAME.jpg                       SUBSET: AFW, HELEN, IBUG, LFPW; _Flip: mirrored views
    ROOT/SUBSET/NAME.mat                       pt2d (2, 68), Pose_Para (1, 7), …
    ROOT/landmarks/SUBSET/NAME_pts.mat         pts_2d, pts_3d (68, 2)

NAME is the source photo's with the number of the view: `image00001_0`, `image00001_1`, … `pt2d` is
reported to be the same for all views of a photo, hence wrong for the turned ones, so that
`landmarks/` wins where it exists. `pts_2d` follows the visible contour, `pts_3d` the true jaw.
"""

import re
from pathlib import Path

import numpy as np

from data_tools.datasets.mat_files import load_mat, points_of
from data_tools.samples import Entry, Sample
from senet_landmark.errors import InputError
from senet_landmark.pose import pose_from_para

POINTS = ("auto", "pt2d", "pts_2d", "pts_3d")
"""auto: `pts_2d` where `landmarks/` has the view, `pt2d` otherwise."""


def entries(root: Path, points: str = "auto") -> list[Entry]:
    """The views below `root`, sorted by path; those of one photo and of its flip share identity."""
    found = []
    for photo in sorted(root.glob("*/*.jpg")):
        subset = photo.parent.name
        if subset in ("landmarks", "Code"):
            continue
        own = photo.with_suffix(".mat")
        extra = root / "landmarks" / subset / f"{photo.stem}_pts.mat"
        candidates = {"auto": (extra, own), "pt2d": (own,)}.get(points, (extra,))
        found.append(
            Entry(
                photo=photo,
                source=photo.relative_to(root).as_posix(),
                identity=source_photo(subset, photo.stem),
                annotations=candidates,
                options=(("points", points),),
            )
        )
    return found


def source_photo(subset: str, stem: str) -> str:
    """`HELEN_Flip`, `HELEN_1629243_1_3` -> `HELEN/HELEN_1629243`: what all its views share.

    Where the subset numbers the faces of one photo, as AFW does, they share it too: a crop of one
    shows parts of the other.
    """
    subset = subset.removesuffix("_Flip")
    photo = re.sub(r"_[0-9]+$", "", stem)
    if subset in ("AFW", "HELEN", "IBUG"):
        photo = re.sub(r"_[0-9]{1,2}$", "", photo)
    return f"{subset}/{photo}"


def load(entry: Entry) -> Sample:
    """Reads one view; its pose where the photo's `.mat` has `Pose_Para`.

    Raises:
      InputError: no annotation, one that cannot be read, or one without the points asked for.
    """
    path = next((p for p in entry.annotations if p.is_file()), None)
    if path is None:
        wanted = " or ".join(str(p) for p in entry.annotations)
        raise InputError(f"{entry.photo}: has no annotation; looked for {wanted}.")
    asked = dict(entry.options).get("points", "auto")
    key = asked if asked != "auto" else ("pts_2d" if path.stem.endswith("_pts") else "pt2d")
    values = load_mat(path)
    landmarks = points_of(values, key, path)
    own = entry.photo.with_suffix(".mat")
    if path != own:
        values = load_mat(own) if own.is_file() else {}
    pose = np.full(3, np.nan, np.float32)
    if "Pose_Para" in values:
        pose = np.array(pose_from_para(values["Pose_Para"]), np.float32)
    return Sample(
        photo=entry.photo,
        source=entry.source,
        identity=entry.identity,
        scheme="300w_68",
        landmarks=landmarks,
        pose=pose,
    )
