"""300W (Sagonas et al., "300 Faces in-the-Wild Challenge", ICCVW 2013): photos with iBUG `.pts`.

    ROOT/…/NAME.jpg or .png        anywhere below ROOT, with
    ROOT/…/NAME.pts                the points, 1-based

The published test subsets are told by folder: `ibug` is the challenging one, `helen/testset` and
`lfpw/testset` are the common one, the two together the full one; `01_Indoor` and `02_Outdoor` are
the challenge's own 600 photos. All else (`afw`, `helen/trainset`, `lfpw/trainset`) is for training.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data_tools.datasets.files import annotation_of, photos_and_annotations
from data_tools.samples import Entry, Sample, sample_of
from senet_landmark.errors import InputError


def entries(root: Path, points: str = "auto") -> Iterator[Entry]:
    """Every photo and every `.pts` below `root` (its own folder included), sorted by path.

    One without the other is listed too, so that reading it reports what is absent.
    """
    del points
    # A part of the published tree may be given as root: its own name and its parents' tell too.
    above = tuple(part.lower() for part in root.resolve().parts[-2:])
    for photo, annotation in photos_and_annotations(root, ".pts"):
        below = photo.relative_to(root)
        subset = subset_of((*above, *(part.lower() for part in below.parts[:-1])))
        yield Entry(
            photo=photo,
            source=below.as_posix(),
            identity=below.with_suffix("").as_posix(),
            annotations=(annotation,),
            scheme="300w_68",
            subset=subset,
            test=subset != "training",
        )


def subset_of(folders: tuple[str, ...]) -> str:
    """training, common, challenging or private, by the folders (lower case) on a photo's path."""
    if "ibug" in folders:
        return "challenging"
    if "testset" in folders:
        return "common"
    if "01_indoor" in folders or "02_outdoor" in folders:
        return "private"
    return "training"


def load(entry: Entry) -> Sample:
    """Reads one photo's points. Raises InputError that names the `.pts` file."""
    return sample_of(entry, read_pts(annotation_of(entry)))


def read_pts(path: Path) -> np.ndarray:
    """The points of an iBUG `.pts` file, float32 [K, 2], brought from 1-based to 0-based pixels.

    Raises:
      InputError: the file is absent, or is not `version: 1`, `n_points: K` and K lines in braces.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(f"{path}: the annotation is absent.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}).") from error
    try:
        head, rest = text.split("{", 1)
        body, _ = rest.split("}", 1)
        fields = dict(line.split(":", 1) for line in head.splitlines() if ":" in line)
        expected = int(fields["n_points"])
        points = np.array([line.split() for line in body.strip().splitlines()], np.float64)
    except (ValueError, KeyError) as error:
        raise InputError(
            f"{path}: is not a .pts file (version, n_points, then x y a line in braces)."
        ) from error
    if points.shape != (expected, 2):
        raise InputError(f"{path}: says n_points: {expected}, but holds {len(points)} points.")
    return (points - 1).astype(np.float32)


def write_pts(points: np.ndarray) -> str:
    """The text of an iBUG `.pts` file: 0-based [K, 2] to 1-based."""
    lines = [f"{x + 1:.3f} {y + 1:.3f}" for x, y in np.asarray(points, np.float64)]
    return "\n".join(["version: 1", f"n_points: {len(lines)}", "{", *lines, "}", ""])
