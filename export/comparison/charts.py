"""The charts of a comparison: error over cost, and latency."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from senet_landmark.export.engines.registry import ENGINES
from senet_landmark.export.speed.harness import THREADS, with_threads
from senet_landmark.visualisation.charts import COLOURS, INK, legend, plain

Row = dict[str, Any]
"""The figures of one model, as `compare` returns them."""


def draw_errors(rows: Sequence[Row]) -> Figure | None:
    """NME over MFLOPs, one panel for each data set; the area of a disc is the number of parameters.

    Without a data set the panel shows the validation NME.

    Returns:
      None if no model has both figures.
    """

    def figures(row: Row, label: str) -> Mapping[str, Any]:
        return row["sets"][label] if row["sets"] else {"nme_inter_ocular": row["validation_nme"]}

    panels = {
        label: [
            (index, row, figures(row, label))
            for index, row in enumerate(rows)
            if row["mflops"] and figures(row, label).get("nme_inter_ocular") is not None
        ]
        for label in rows[0]["sets"] or ("validation",)
    }
    panels = {label: models for label, models in panels.items() if models}
    if not panels:
        return None
    columns = min(len(panels), 3)
    lines = -(-len(panels) // columns)
    width, height = 3.5 * columns + 2.2, 3.2 * lines
    figure = Figure(figsize=(width, height))
    figure.subplots_adjust(
        0.6 / width, 0.5 / height, 1 - 2.2 / width, 1 - 0.3 / height, wspace=0.25, hspace=0.45
    )
    sizes = [row["mflops"] for row in rows if row["mflops"]]
    largest = max(row["parameters"] for row in rows)
    for number, (label, models) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(lines, columns, number)
        plain(axes)
        axes.set_title(label, fontsize=10, color=INK)
        axes.set_xlabel("MFLOPs a face", fontsize=9, color=INK)
        axes.set_ylabel("NME, %", fontsize=9, color=INK)
        axes.set_xscale("log")
        axes.set_xlim(min(sizes) / 1.6, max(sizes) * 1.6)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        for index, row, errors in models:
            colour, nme = COLOURS[index % len(COLOURS)], errors["nme_inter_ocular"]
            if errors.get("interval_95"):
                axes.plot([row["mflops"]] * 2, errors["interval_95"], color=colour, linewidth=1.2)
            area = 12 + 340 * row["parameters"] / largest
            axes.scatter(row["mflops"], nme, s=area, color=colour, alpha=0.55, linewidths=0)
            axes.scatter(row["mflops"], nme, s=5, color=colour)
        axes.margins(y=0.2)
        axes.set_ylim(bottom=max(0.0, axes.get_ylim()[0]))
    for index, row in enumerate(rows):
        figure.axes[columns - 1].plot([], [], "o", color=COLOURS[index % 8], label=row["name"])
    legend(figure.axes[columns - 1])
    return figure


def draw_latencies(rows: Sequence[Row]) -> Figure | None:
    """Bars of the median latencies, with quartiles: one colour per engine, paler for all threads.

    Returns:
      None if nothing was measured.
    """
    settings = [(engine, threads) for engine in with_threads() for threads in THREADS]
    if not any(threads in (row["latency_ms"] or {}).get(engine, {})
               for row in rows for engine, threads in settings):  # fmt: skip
        return None
    step = len(settings) + 1
    height = 0.6 + 0.13 * step * len(rows)
    figure = Figure(figsize=(8.6, height))
    figure.subplots_adjust(0.2, 0.5 / height, 0.74, 1 - 0.08 / height)
    axes = figure.add_subplot()
    plain(axes)
    for number, (engine, threads) in enumerate(settings):
        latencies = [row["latency_ms"][engine].get(threads) for row in rows]
        positions = [i * step + number for i, latency in enumerate(latencies) if latency]
        measured = [latency for latency in latencies if latency]
        medians = [latency["median"] for latency in measured]
        low = [latency["median"] - latency["quartiles"][0] for latency in measured]
        high = [latency["quartiles"][1] - latency["median"] for latency in measured]
        name = f"{ENGINES[engine].title}, {threads.replace('_', ' ')}"
        colour = COLOURS[number // len(THREADS)]
        opacity = 1.0 if threads == "one_thread" else 0.5
        axes.barh(positions, medians, color=colour, alpha=opacity, label=name)
        axes.errorbar(medians, positions, xerr=[low, high], fmt="none", ecolor=INK, linewidth=0.8)
    axes.set_yticks([i * step + (len(settings) - 1) / 2 for i in range(len(rows))])
    axes.set_yticklabels([row["name"] for row in rows])
    axes.invert_yaxis()
    axes.set_xlabel("ms a crop", fontsize=9, color=INK)
    legend(axes)
    return figure
