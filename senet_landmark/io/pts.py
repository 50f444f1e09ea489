"""iBUG's `.pts` files: one face's landmarks, in pixels counted from 1."""

from pathlib import Path

import numpy as np

from senet_landmark.errors import InputError


def read_pts(path: Path) -> np.ndarray:
    """The points of an iBUG `.pts` file, float32 [K, 2], converted from 1-based to 0-based pixels.

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
    """The text of an iBUG `.pts` file (1-based pixels) of points [K, 2] in 0-based pixels."""
    lines = [f"{x + 1:.3f} {y + 1:.3f}" for x, y in np.asarray(points, np.float64)]
    return "\n".join(["version: 1", f"n_points: {len(lines)}", "{", *lines, "}", ""])
