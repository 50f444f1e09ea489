"""Charts of the page, drawn with matplotlib's object interface: SVG bytes without background."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from matplotlib.ticker import MaxNLocator

from senet_landmark.data_tools.inspection.survey import Shape
from senet_landmark.visualisation.charts import COLOURS, INK, legend, plain, svg_of


def histograms(
    panels: Sequence[tuple[str, Mapping[str, np.ndarray], tuple[float, float] | None]],
    unit: str,
    *,
    whole: bool = False,
) -> bytes:
    """Draws histograms side by side; each split's histogram shows shares of its faces.

    Args:
      panels: (label of the axis, split -> values, range or None) of each; NaN is left out.
      unit: what is counted, for the label of the vertical axis.
      whole: whether the values are whole numbers.
    """
    named = len(panels[0][1]) > 1
    width = 3.4 * len(panels) + 0.4 + 1.5 * named
    figure = Figure(figsize=(width, 2.5))
    figure.subplots_adjust(0.6 / width, 0.19, 1 - (0.1 + 1.5 * named) / width, 0.97, wspace=0.16)
    for number, (label, sides, limits) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), number + 1)
        plain(axes)
        axes.set_xlabel(label, fontsize=9, color=INK)
        known = {name: values[np.isfinite(values)] for name, values in sides.items()}
        known = {name: values for name, values in known.items() if len(values)}
        if not known:
            axes.text(0.5, 0.5, "unknown", ha="center", transform=axes.transAxes, color=INK)
            continue
        low, high = limits or (
            min(float(values.min()) for values in known.values()),
            max(float(np.percentile(values, 99.5)) for values in known.values()),
        )
        if whole:
            edges = np.arange(np.floor(low), max(high, low + 1) + 1.5, max(1, (high - low) // 30))
            edges = edges - 0.5
            axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        else:
            edges = np.linspace(low, high if high > low else low + 1, 37)
        for colour, name in zip(COLOURS * 9, sides, strict=False):
            values = known.get(name, np.zeros(0))
            counts = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
            share = 100 * counts / max(len(values), 1)
            axes.stairs(share, edges, color=colour, label=name, linewidth=1.4)
            axes.stairs(share, edges, color=colour, fill=True, alpha=0.15)
        axes.set_ylim(bottom=0)
        if number == 0:
            axes.set_ylabel(f"% of {unit}", fontsize=9, color=INK)
        if named and number == len(panels) - 1:
            legend(axes)
    return svg_of(figure, whole=True)


def mean_face(shape: Shape) -> bytes:
    """Draws the mean face with coloured parts and numbered points, and the points' scatter."""
    mean = shape.mean
    many = len(mean) > 30
    figure = Figure(figsize=(10.4, 5.0))
    figure.subplots_adjust(0.01, 0.07, 0.99, 0.94, wspace=0.03)
    numbered, spread = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
    for axes, title in ((numbered, "mean and numbers"), (spread, "two standard deviations")):
        axes.set_aspect("equal")
        axes.invert_yaxis()
        axes.axis("off")
        axes.set_title(title, fontsize=10, color=INK)
        for colour, (name, members) in zip(COLOURS, shape.scheme.groups.items(), strict=False):
            part = mean[list(members)]
            size = 14 if many else 26
            axes.scatter(part.real, part.imag, s=size, color=colour, label=name, zorder=3)
    for index, point in enumerate(mean):
        position = (point.real + 0.012, point.imag - 0.014)
        numbered.text(*position, str(index), fontsize=6 if many else 10, color=INK)
    for colour, members in zip(COLOURS, shape.scheme.groups.values(), strict=False):
        for index in members:
            around = shape.aligned.points[:, index]
            around = around[np.isfinite(around)]
            if len(around) > 2:
                spread.add_patch(_ellipse(around, colour))
    spread.autoscale_view()
    handles, names = numbered.get_legend_handles_labels()
    figure.legend(
        handles, names, loc="lower center", ncols=len(names), fontsize=9, frameon=False,
        labelcolor=INK,
    )  # fmt: skip
    return svg_of(figure)


def _ellipse(points: np.ndarray, colour: str) -> Ellipse:
    """The ellipse of two standard deviations of points, complex [N]."""
    covariance = np.cov(points.real, points.imag)
    variance, axes = np.linalg.eigh(covariance)
    width, height = 4 * np.sqrt(np.maximum(variance, 0))
    angle = float(np.degrees(np.arctan2(axes[1, 0], axes[0, 0])))
    centre = (float(points.real.mean()), float(points.imag.mean()))
    return Ellipse(
        centre, float(width), float(height), angle=angle, facecolor=colour, alpha=0.25,
        edgecolor=colour,
    )  # fmt: skip


def bars(rows: Sequence[tuple[str, Mapping[str, float]]]) -> bytes:
    """Draws shares in percent as horizontal bars; each row is (class, split -> share)."""
    sides = list(rows[0][1])
    height = 0.7 + 0.16 * len(rows) * (len(sides) + 1)
    figure = Figure(figsize=(8.4, height))
    figure.subplots_adjust(0.2, 0.5 / height, 0.8, 1 - 0.08 / height)
    axes = figure.add_subplot()
    plain(axes)
    step = len(sides) + 1
    for number, (colour, side) in enumerate(zip(COLOURS * 9, sides, strict=False)):
        heights = [row * step + number for row in range(len(rows))]
        axes.barh(heights, [shares[side] for _, shares in rows], color=colour, label=side)
    axes.set_yticks([row * step + (len(sides) - 1) / 2 for row in range(len(rows))])
    axes.set_yticklabels([name for name, _ in rows])
    axes.invert_yaxis()
    axes.set_xlabel("% of faces", fontsize=9, color=INK)
    if len(sides) > 1:
        legend(axes)
    return svg_of(figure, whole=True)
