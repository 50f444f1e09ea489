"""What the charts of all pages share: colours, axes, SVG by matplotlib's object interface."""

import io
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

COLOURS = ("#4477aa", "#cc6677", "#228833", "#aa7722", "#8855aa", "#3399aa", "#777777", "#bb5588")
"""After Tol, "Colour schemes" (SRON, 2021): told apart by colour-blind readers too."""

INK = "#333333"


def svg_of(figure: Figure) -> bytes:
    """The figure as SVG on a clear ground; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    # Without a date and random names.
    with rc_context({"svg.hashsalt": "senet_landmark"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return buffer.getvalue()


def plain(axes: Any) -> None:
    """Axes without a frame, in soft ink."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.tick_params(colors=INK, labelsize=8)


def legend(axes: Any) -> None:
    """At the right of the axes, where it covers nothing."""
    axes.legend(
        fontsize=8, frameon=False, labelcolor=INK, loc="upper left", bbox_to_anchor=(1.01, 1)
    )
