"""300W (Sagonas et al., "300 Faces in-the-Wild Challenge", ICCVW 2013): photos with iBUG `.pts`."""

from pathlib import Path

import numpy as np

from data_tools.samples import Entry, Sample
from senet_landmark.errors import InputError
from senet_landmark.images import PHOTO_SUFFIXES

POINTS = ("auto",)


def entries(root: Path, points: str = "auto") -> list[Entry]:
    """Every photo below `root` (its own folder included), sorted by path.

    A photo without a `.pts` is listed too, so that reading it reports the missing annotation; but
    a folder without any `.pts` is not of this data set.
    """
    del points
    photos = sorted(p for p in root.rglob("*") if p.suffix.lower() in PHOTO_SUFFIXES)
    if not any(photo.with_suffix(".pts").exists() for photo in photos):
        return []
    return [
        Entry(
            photo=photo,
            source=photo.relative_to(root).as_posix(),
            identity=photo.relative_to(root).with_suffix("").as_posix(),
            annotations=(photo.with_suffix(".pts"),),
        )
        for photo in photos
    ]


def load(entry: Entry) -> Sample:
    """Reads one photo's points. Raises InputError that names the `.pts` file."""
    return Sample(
        photo=entry.photo,
        source=entry.source,
        identity=entry.identity,
        scheme="300w_68",
        landmarks=read_pts(entry.annotations[0]),
    )


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
