"""Curves of a training run as SVG bytes: which tags share a chart, and how a chart is drawn."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from senet_landmark.training.validation import TRAINING
from senet_landmark.visualisation.charts import COLOURS, INK, plain, svg_of, value_axis

Curve = Mapping[int, float]
"""Step -> value."""

SIZE = (5.4, 3.0)
"""Width and height of a chart in inches."""


@dataclass(frozen=True)
class Chart:
    """Which curves share a chart.

    Attributes:
      title: title of the chart.
      pattern: regular expression that matches the whole tag; its group, if it has one, gives the
        name of the line.
      mark_lowest: whether to mark the lowest value.
      linear: whether the value axis is always linear, e.g. for percentages.
    """

    title: str
    pattern: str
    mark_lowest: bool = False
    linear: bool = False


NME = "validation/nme_inter_ocular"
"""Tag of the error by which the best weights are chosen."""

MEASURED = f"validation/{TRAINING}"
"""How the tags of figures of training faces begin; they are in the charts of validation faces."""

CHARTS = (
    Chart("Training loss", "train/loss"),
    Chart("Loss without augmentation and ASM copies", "validation/loss"),
    Chart("Validation NME, % of the inter-ocular distance", NME, mark_lowest=True),
    Chart("Learning rate", "train/learning_rate"),
    Chart("Training loss by task", "train/loss_(.+)"),
    Chart("Pose: mean absolute error, degrees", "validation/pose_mae_(.+)"),
    Chart("Depth: mean absolute error, % of the face box", "validation/depth_mae"),
    Chart(
        "Attributes: accuracy on the validation split, %", "validation/accuracy_(.+)", linear=True
    ),
    Chart("Area under the curve of errors, % up to NME", "validation/auc_(.+)", linear=True),
    Chart("Failures, % of faces beyond NME", "validation/failure_rate_(.+)"),
    Chart("Validation NME by other distances, %", "validation/nme_(.+)"),
    Chart("Squared error of a coordinate, pixels² of the network's input", "validation/mse_pixels"),
    Chart("Squared error of a coordinate, pixels² of the photo", "validation/mse_photo_pixels"),
    Chart("Sum of squared distances, in crops", "validation/squared_distance_sum"),
    Chart("Training faces a second", "train/(?:faces|images)_per_second", linear=True),
)


def charts_of(curves: Mapping[str, Curve], resumed: Sequence[int] = ()) -> list[tuple[str, bytes]]:
    """(title, SVG) of all logged curves; a tag that matches no chart gets its own chart.

    Args:
      curves: tag -> step -> value. Figures of training faces are in the chart of the same figure of
        validation faces.
      resumed: steps at which the run was resumed.
    """
    remaining = {tag: curve for tag, curve in curves.items() if curve}
    charts = [*CHARTS, *(Chart(tag, re.escape(tag)) for tag in remaining)]
    last = max((step for curve in remaining.values() for step in curve), default=1)
    drawn = []
    for chart in charts:
        matches = {
            tag: re.fullmatch(chart.pattern, tag.replace(MEASURED, "validation/"))
            for tag in remaining
        }
        names = {
            tag: match.group(1) if match.groups() else "" for tag, match in matches.items() if match
        }
        beside = any(tag.startswith(MEASURED) for tag in names)
        lines = {
            _line_name(name, tag, beside): remaining[tag]
            for tag, name in sorted(names.items(), key=lambda pair: pair[0].startswith(MEASURED))
        }
        remaining = {tag: curve for tag, curve in remaining.items() if not matches[tag]}
        # With a single task its loss equals the training loss.
        if lines and list(lines) != ["landmarks"]:
            drawn.append((chart.title, line_chart(chart, lines, last, resumed)))
    return drawn


def _line_name(name: str, tag: str, beside: bool) -> str:
    """`name`; and whose figure it is, where those of training faces are in the same chart."""
    if tag.startswith(MEASURED):
        return f"{name}, training" if name else "training faces"
    return name or ("validation faces" if beside else "")


def line_chart(
    chart: Chart, lines: Mapping[str, Curve], last: int, resumed: Sequence[int] = ()
) -> bytes:
    """Draws lines over steps; the value axis is logarithmic if the values span a wide range.

    Args:
      chart: the chart; its title is not drawn, as the page shows it.
      lines: name -> curve; a single line needs no name.
      last: last step of the horizontal axis, the same for all charts.
      resumed: steps that are marked by thin vertical lines.
    """
    figure = Figure(figsize=SIZE)
    figure.subplots_adjust(0.115, 0.15, 0.975, 0.86 if len(lines) > 1 else 0.95)
    axes = figure.add_subplot()
    plain(axes)
    for step in resumed:
        axes.axvline(step, color=INK, alpha=0.3, linewidth=0.8, linestyle=(0, (2, 3)))
    for number, (name, curve) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        dots = "." if len(curve) < 40 else ""
        axes.plot(
            list(curve), list(curve.values()), color=colour, linewidth=1.5, label=name or " ",
            marker=dots, markersize=4,
        )  # fmt: skip
    axes.set_xlim(0, last * 1.02)
    if not chart.linear:
        value_axis(axes, np.array([v for curve in lines.values() for v in curve.values()]))
    axes.grid(color=INK, alpha=0.12, linewidth=0.6)
    axes.set_xlabel("step", fontsize=9, color=INK)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    if chart.mark_lowest:
        _mark_lowest(axes, next(iter(lines.values())))
    if len(lines) > 1:
        axes.legend(
            fontsize=8, frameon=False, labelcolor=INK, loc="lower left", bbox_to_anchor=(0, 1),
            ncols=4, borderaxespad=0.2, handlelength=1.4, columnspacing=1.2,
        )  # fmt: skip
    return svg_of(figure)


def _mark_lowest(axes: Any, curve: Curve) -> None:
    step = min(curve, key=curve.__getitem__)
    axes.plot([step], [curve[step]], "o", color=COLOURS[1], markersize=6)
    # The upper right corner, which a falling curve leaves free.
    axes.text(
        0.98, 0.95, f"lowest: {curve[step]:.2f} at step {step:,}", transform=axes.transAxes,
        ha="right", va="top", fontsize=9, color=COLOURS[1],
    )  # fmt: skip
