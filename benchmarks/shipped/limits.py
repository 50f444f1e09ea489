"""Where a model fails, on one public-domain portrait: turned, tilted, small, covered, dark.

python benchmarks/shipped/limits.py --model senet-68 --out export/pretrained/senet-68-limits.jpg

Each row makes one condition harder from left to right. The face box comes from the true landmarks.
The prediction is drawn in orange; the ground truth is drawn in blue if the error exceeds 4%. The
number is the mean error in percent of the face box's size, of a model of the true jaw without the
contour where that is known only as it is seen. One face shows where a model's limits are, but not
how often photos exceed them: for that, use `evaluate`.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.data_tools.synthesis.turned_mesh import (
    draw_face,
    fit_face,
    landmarks_of,
    turn_face,
)
from senet_landmark.evaluation.metrics import nme
from senet_landmark.export.inference.predictor import PASSES, Predictor
from senet_landmark.face.geometry import box_from_landmarks
from senet_landmark.face.scheme_conversion import convert
from senet_landmark.face.schemes import TRUE_JAW, get_scheme
from senet_landmark.io.images import write_picture
from senet_landmark.visualisation.drawing import (
    PREDICTION,
    TRUTH,
    contact_sheet,
    draw_label,
    mark_points,
)

SIDE = 360
"""Side of the photos in pixels; the face covers about half of it."""
CELL = 150
"""Side in pixels of a picture on the sheet."""
FAR = 4.0
"""The ground truth is drawn if the error is above this, in percent of the face box's size."""

SCHEME = get_scheme("300w_68")

Case = tuple[str, np.ndarray, np.ndarray, np.ndarray]
"""Title, photo RGB uint8 [H, W, 3], true landmarks [68, 2] as seen and of `TRUE_JAW`."""


def upright() -> tuple[np.ndarray, np.ndarray]:
    """The part of the portrait around its face, SIDE x SIDE pixels, and its landmarks."""
    photo, points = portrait()
    box = box_from_landmarks(points)
    zoom = SIDE / (2 * max(box[2:] - box[:2]))
    middle = (box[:2] + box[2:]) / 2
    matrix = np.column_stack([np.eye(2) * zoom, SIDE / 2 - zoom * middle])
    return _moved(photo, points, matrix)


def cases() -> Iterator[list[Case]]:
    """The rows of the sheet."""
    photo, points = upright()
    box = box_from_landmarks(points)
    face = fit_face(points, (SIDE, SIDE))
    row: list[Case] = []
    for yaw in (0, 15, 30, 45, 60, 75):
        pose = (float(yaw), *face.pose[1:])
        turned, depth = turn_face(face, pose)
        drawn = draw_face(photo, face, turned, depth)
        row.append((f"yaw {yaw}", drawn, *landmarks_of(turned, pose)))
    yield row
    centre = (SIDE / 2, SIDE / 2)
    yield [
        _seen(f"tilt {angle}", *_moved(photo, points, cv2.getRotationMatrix2D(centre, angle, 1)))
        for angle in (0, 20, 40, 60, 90, 180)
    ]
    row = []
    for pixels in (128, 48, 24, 16, 10, 6):
        side = round(2 * pixels)  # the photo's side; the face is half as large
        small = cv2.resize(photo, (side, side), interpolation=cv2.INTER_AREA)
        large = cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
        row.append(_seen(f"{pixels} px", large, points))
    yield row
    row = []
    for share in (0.0, 0.2, 0.35, 0.5, 0.65, 0.8):
        covered = photo.copy()
        covered[round(box[3] - share * (box[3] - box[1])) :] = (70, 90, 130)
        row.append(_seen(f"covered {share:.0%}", covered, points))
    yield row
    noise = np.random.default_rng(0).normal(0, 4, photo.shape)
    yield [
        _seen(f"light {share:g}", np.clip(photo * share + noise, 0, 255).astype(np.uint8), points)
        for share in (1, 0.3, 0.1, 0.05, 0.03, 0.02)
    ]


def sheet(model: str, passes: int) -> tuple[np.ndarray, list[tuple[str, float]]]:
    """The picture, and (case, percent of the box's size) of each of its cells."""
    predictor = Predictor(model, passes=passes)
    pictures, figures = [], []
    rows = list(cases())
    for title, photo, visible, jaw in (case for row in rows for case in row):
        predicted = predictor.landmarks(photo, box_from_landmarks(visible)[None], "landmarks")
        truth = jaw if predictor.scheme.name == TRUE_JAW else visible
        known = np.isfinite(truth).all(axis=1)
        error = 100 * float(nme(predicted, truth[None], SCHEME, "bbox_size", known[None])[0])
        drawn = mark_points(photo, truth[known], TRUTH, 2) if error > FAR else photo
        drawn = mark_points(drawn, predicted[0], PREDICTION, 2)
        pictures.append(draw_label(drawn, f"{title}: {error:.1f}%", np.array([8, 32]), 24))
        figures.append((title, error))
    return contact_sheet(pictures, columns=len(rows[0]), cell=CELL), figures


def _seen(title: str, photo: np.ndarray, points: np.ndarray) -> Case:
    """A case whose contour is known only as it is seen."""
    return title, photo, points, convert(points, SCHEME.name, TRUE_JAW)


def _moved(
    photo: np.ndarray, points: np.ndarray, matrix: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    moved = cv2.warpAffine(photo, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
    return moved, points @ matrix[:, :2].T + matrix[:, 2]


def main() -> None:
    """Writes the sheet and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="senet-68", help="a .pb, or a name that ships")
    parser.add_argument("--passes", type=int, default=PASSES)
    parser.add_argument("--out", type=Path, default=Path("limits.jpg"))
    options = parser.parse_args()
    picture, figures = sheet(options.model, options.passes)
    write_picture(options.out, picture)
    for title, error in figures:
        print(f"{title:14} {error:6.2f}%")
    print(f"Look at {options.out}")


if __name__ == "__main__":
    main()
