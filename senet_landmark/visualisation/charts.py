"""Shared by the charts of all pages: colours, axes, SVG. Uses matplotlib without pyplot."""

import io
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

COLOURS = ("#4477aa", "#cc6677", "#228833", "#aa7722", "#8855aa", "#3399aa", "#777777", "#bb5588")
"""After Tol, "Colour schemes" (SRON, 2021): colour-blind readers can tell them apart too."""

INK = "#333333"

LOG_FROM = 2.5
"""An axis is logarithmic if its largest value is at least this many times its smallest."""


def svg_of(figure: Figure, *, whole: bool = False) -> bytes:
    """The figure as SVG with a transparent background; the same figure gives the same bytes.

    Args:
      figure: the figure.
      whole: whether the picture's size is that of all that is drawn, as a `legend` with long names
        is wider than planned; else it is the figure's own.
    """
    buffer = io.BytesIO()
    # A fixed salt instead of random ids, and no date, so that the bytes are the same each time.
    with rc_context({"svg.hashsalt": "senet_landmark"}):
        figure.savefig(
            buffer, format="svg", transparent=True, metadata={"Date": None},
            bbox_inches="tight" if whole else None, pad_inches=0.04,
        )  # fmt: skip
    return buffer.getvalue()


def plain(axes: Any) -> None:
    """Removes the top and right border of the axes; the rest gets the colour `INK`."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.tick_params(colors=INK, labelsize=8)


def legend(axes: Any) -> None:
    """Adds a legend to the right of the axes, where it covers nothing."""
    axes.legend(
        fontsize=8, frameon=False, labelcolor=INK, loc="upper left", bbox_to_anchor=(1.01, 1)
    )


def value_axis(axes: Any, values: np.ndarray) -> None:
    """Makes the vertical axis logarithmic if the values span a wide range (`LOG_FROM`)."""
    values = values[np.isfinite(values)]
    if not len(values) or values.min() <= 0 or values.max() < LOG_FROM * values.min():
        return
    axes.set_yscale("log")
    decades = np.log10(values.max() / values.min())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7) if decades < 1.5 else (1,)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
