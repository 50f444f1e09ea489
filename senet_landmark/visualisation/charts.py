"""Shared by the charts of all pages: colours, axes, SVG. Uses matplotlib without pyplot."""

import io
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

COLOURS = ("#4477aa", "#cc6677", "#228833", "#aa7722", "#8855aa", "#3399aa", "#777777", "#bb5588")
"""After Tol, "Colour schemes" (SRON, 2021): colour-blind readers can tell them apart too."""

INK = "#333333"


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
