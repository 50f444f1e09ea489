"""The charts of the evaluation page as SVG bytes, and pictures of faces with their landmarks."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from senet_landmark.evaluation.statistics import ced
from senet_landmark.face import geometry
from senet_landmark.face.procrustes import as_complex, mean_shape
from senet_landmark.face.schemes import Scheme
from senet_landmark.visualisation.charts import COLOURS, INK, legend, plain, svg_of
from senet_landmark.visualisation.drawing import PREDICTION, TRUTH, draw_box, mark_points

SCALE = ListedColormap(colormaps["viridis_r"](np.linspace(0.1, 1, 256)))
"""Colours from low to high error, without the pale yellows that vanish on a light ground."""

PANELS = 2
"""Mean faces in a row of `landmark_errors`."""

MEAN_FACES = 2000
"""Largest number of faces that a mean face is computed from."""

SIDE = 240
"""Side of a face's picture in pixels."""

AREAS = (5.0, 90.0)
"""Areas of the circles for no error and for the largest error, in square points."""


def ced_curves(errors: Mapping[str, np.ndarray], limit: float, normaliser: str) -> bytes:
    """Cumulative error distributions: the share of all faces whose error is at most x.

    Args:
      errors: model -> NME of its faces as shares, +inf for a missed face; at least one face each.
      limit: the largest error on the axis, as a share.
      normaliser: name of what the errors are divided by, for the axis.
    """
    names = [_literal(name) for name in errors]
    figure = Figure(figsize=(4.0, 3.2))
    figure.subplots_adjust(0.14, 0.16, 1, 0.96)
    axes = figure.add_subplot()
    plain(axes)
    for number, (name, values) in enumerate(zip(names, errors.values(), strict=True)):
        thresholds, shares = ced(values, limit)
        colour = COLOURS[number % len(COLOURS)]
        # When colours repeat, another dash tells the lines apart.
        dash = ("-", "--", ":", "-.")[number // len(COLOURS) % 4]
        axes.plot(100 * thresholds, 100 * shares, dash, color=colour, linewidth=1.6, label=name)
    axes.set_xlim(0, 100 * limit)
    axes.set_ylim(0, 101)  # above 100, so that a line at 100 is drawn in full
    axes.grid(color=INK, alpha=0.12, linewidth=0.6)
    axes.set_xlabel(f"{normaliser} NME, %", fontsize=9, color=INK)
    axes.set_ylabel("% of all faces", fontsize=9, color=INK)
    legend(axes)
    return svg_of(figure, whole=True)


def mean_face(truth: np.ndarray, scheme: Scheme) -> np.ndarray:
    """The Procrustes mean of faces [N, K, 2] as complex [K]; NaN where no face has the landmark."""
    points = as_complex(truth[:: -(-len(truth) // MEAN_FACES)])
    return np.where(np.isfinite(points).any(axis=0), mean_shape(points, scheme), np.nan)


def landmark_errors(
    mean: np.ndarray,
    panels: Sequence[tuple[str, Sequence[float | None]]],
    top: float,
    normaliser: str,
) -> bytes:
    """The error of each landmark as area and colour of a circle on the mean face; a panel a model.

    Args:
      mean: complex [K], from `mean_face`.
      panels: (title, error of each landmark in percent or None) of each panel.
      top: error at the upper end of the colour scale, in percent.
      normaliser: name of what the errors are divided by, for the scale.
    """
    columns = min(PANELS, len(panels))
    rows = math.ceil(len(panels) / columns)
    side, title, bar = 4.6, 0.3, 0.85  # inches
    width, height = columns * side + bar, rows * (side + title)
    figure = Figure(figsize=(width, height))
    for number, (name, errors) in enumerate(panels):
        row, column = divmod(number, columns)
        bottom = height - (row + 1) * (side + title)
        rectangle = (column * side / width, bottom / height, side / width, side / height)
        axes = figure.add_axes(rectangle)
        _face(axes, mean, errors, top)
        axes.set_title(_literal(name), fontsize=10, color=INK)
    rectangle = ((columns * side + 0.1) / width, 0.5 / height, 0.14 / width, (side - 1) / height)
    strip = figure.add_axes(rectangle)
    gradient = np.linspace(0, 1, 256)[:, None]
    strip.imshow(gradient, cmap=SCALE, aspect="auto", origin="lower", extent=(0, 1, 0, top))
    strip.spines[:].set_visible(False)
    strip.set_xticks([])
    strip.yaxis.tick_right()
    strip.yaxis.set_label_position("right")
    strip.tick_params(colors=INK, labelsize=8)
    strip.set_ylabel(f"mean {normaliser} error, %", fontsize=8, color=INK)
    return svg_of(figure)


def _face(axes: Any, mean: np.ndarray, errors: Sequence[float | None], top: float) -> None:
    """Draws one panel: a filled circle for each error, a small hollow one where it is None."""
    axes.axis("off")
    axes.set_aspect("equal")
    axes.set_xlim(*_limits(mean.real))
    axes.set_ylim(*_limits(mean.imag)[::-1])
    values = np.array([np.nan if error is None else error for error in errors], np.float64)
    shares = np.clip(values / top, 0, 1)
    areas = AREAS[0] + np.nan_to_num(shares) * (AREAS[1] - AREAS[0])
    missing = np.isnan(shares)
    axes.scatter(
        mean.real[missing], mean.imag[missing], s=areas[missing], facecolors="none",
        edgecolors="#999999", linewidths=0.7,
    )  # fmt: skip
    axes.scatter(
        mean.real[~missing], mean.imag[~missing], s=areas[~missing], color=SCALE(shares[~missing]),
        linewidths=0,
    )  # fmt: skip
    size = 6 if len(mean) > 30 else 9
    for index in np.flatnonzero(np.isfinite(mean)):
        away = (mean[index] - mean[np.isfinite(mean)]).astype(np.complex128)
        away = away[np.abs(away) > 1e-9]
        # The number stands on the side away from the other points; near points count most.
        direction = (away / np.abs(away) ** 4).sum()
        distance = math.sqrt(areas[index] / math.pi) + 0.75 * size
        offset = direction / max(abs(direction), 1e-9) * distance
        axes.annotate(
            str(index), (mean[index].real, mean[index].imag), (offset.real, -offset.imag),
            textcoords="offset points", ha="center", va="center", fontsize=size, color=INK,
        )  # fmt: skip


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Limits of an axis, with room for circles and numbers."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    room = 0.06 * max(high - low, 1e-6)
    return low - room, high + room


def _literal(name: str) -> str:
    """A name that matplotlib draws literally: no formula between $; in the legend despite a `_`."""
    return (" " if name.startswith("_") else "") + name.replace("$", r"\$")


def face_picture(
    photo: np.ndarray, truth: np.ndarray, predicted: np.ndarray | None, box: np.ndarray | None
) -> np.ndarray:
    """The part of a photo around a face, with box, ground truth (blue) and prediction (orange).

    Args:
      photo: RGB uint8 [H, W, 3].
      truth: ground truth [K, 2] in photo pixels; NaN where unknown. If its points span no area, the
        whole photo is shown.
      predicted: predicted landmarks, the same; None for a missed face, which is shown with more of
        its surroundings.
      box: [4] in photo pixels, or None.

    Returns:
      RGB uint8 [SIDE, SIDE, 3].
    """
    annotated = truth[np.isfinite(truth).all(axis=1)].astype(np.float64)
    predictions = np.zeros((0, 2))
    if predicted is not None:
        predictions = predicted[np.isfinite(predicted).all(axis=1)].astype(np.float64)
    ends = np.stack([annotated.min(0), annotated.max(0)]) if len(annotated) else np.zeros((2, 2))
    centre, side = ends.mean(axis=0), float(np.ptp(ends, axis=0).max())
    if side > 0:
        # The region grows to show predictions that are far off, as long as the face stays large.
        reach = 1.1 * float(np.abs(predictions - centre).max(initial=0.0))
        half = 1.1 * side if predicted is None else min(max(reach, 0.75 * side), 1.1 * side)
    else:
        size = np.array(photo.shape[1::-1], np.float64)
        centre, half = (size - 1) / 2, float(size.max()) / 2
    transform = geometry.to_crop(np.concatenate([centre - half, centre + half]))
    picture = geometry.warp(photo, transform, (SIDE, SIDE))

    def to_picture(points: np.ndarray) -> np.ndarray:
        return geometry.apply(transform, points) * SIDE - 0.5

    if box is not None:
        picture = draw_box(picture, to_picture(np.asarray(box, np.float64).reshape(2, 2)).ravel())
    radius = 1.9 if len(truth) > 30 else 2.8  # the page shows it at about half its size
    picture = mark_points(picture, to_picture(annotated), TRUTH, radius)
    return mark_points(picture, to_picture(predictions), PREDICTION, radius)
