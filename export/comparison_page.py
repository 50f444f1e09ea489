"""The comparison as a page, a Markdown table, CSV and JSON, with two charts."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from export import latency
from senet_landmark.charts import COLOURS, INK, legend, plain, svg_of
from senet_landmark.files import write_bytes, write_json
from senet_landmark.pages import data_uri, render

Row = dict[str, Any]
"""What is known of one model; see `compare`."""

VARIABLES, CONSTANTS = "trainable variables", "constants of the graph"


@dataclass(frozen=True)
class Column:
    """A column of figures; the least is the best.

    Attributes:
      title: its head, with the unit.
      keys: of `_flat`, the figures of one cell.
      text: how a figure is formatted.
      ranked: the best of each figure is in bold.
      unit: what a figure is divided by.
      tail: model -> what follows its figures.
    """

    title: str
    keys: tuple[str, ...]
    text: str = ".2f"
    ranked: bool = True
    unit: float = 1
    tail: Callable[[Mapping[str, Any]], str] = lambda row: ""


def _columns(result: Mapping[str, Any]) -> list[Column]:
    def mark(row: Mapping[str, Any]) -> str:
        return "†" if row["parameters_are"] == CONSTANTS else ""

    columns = [
        Column("parameters, M", ("parameters",), unit=1e6, tail=mark),
        Column("MFLOPs", ("mflops",), ".1f"),
        Column("size, MB", ("megabytes",)),
    ]
    if result["rounds"]:
        cores = result["environment"]["cores"]
        columns += [
            Column(
                f"{latency.ENGINES[engine]}, ms, 1 / {cores} threads",
                tuple(f"{engine} {threads} ms" for threads in latency.THREADS),
                ".1f",
            )
            for engine in latency.ENGINES
        ]
    columns += [
        Column("training, min", ("minutes",), ".1f", ranked=False),
        Column("steps", ("steps",), ",.0f", ranked=False),
        Column("images seen", ("images_seen",), ",.0f", ranked=False),
        Column("validation NME, %", ("validation_nme",), ranked=False),
    ]
    for label in result["sets"]:

        def interval(row: Mapping[str, Any], label: str = label) -> str:
            low, high = row[f"{label} low"], row[f"{label} high"]
            return "" if low is None else f" ({low:.2f}–{high:.2f})"

        columns += [
            Column(f"{label}: NME, %", (f"{label} nme_inter_ocular",), tail=interval),
            Column(f"{label}: by box, %", (f"{label} nme_bbox_size",)),
        ]
    return columns


def _flat(row: Row) -> dict[str, Any]:
    """A model's figures without levels: the CSV's line, and what the table is made of."""
    flat = {key: value for key, value in row.items() if key not in ("latency_ms", "sets")}
    for engine in latency.ENGINES:
        of = (row["latency_ms"] or {}).get(engine, {})
        flat |= {f"{engine} {t} ms": of.get(t, {}).get("median") for t in latency.THREADS}
    for label, figures in row["sets"].items():
        low, high = figures.get("interval_95") or (None, None)
        of = {key: figures.get(key) for key in ("n", "missed", "nme_inter_ocular", "nme_bbox_size")}
        flat |= {f"{label} {k}": v for k, v in {**of, "low": low, "high": high}.items()}
    return flat


def _cells(column: Column, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each model: parts, (text, is the best) of each figure; tail, what follows them."""
    best: list[str | None] = []
    for key in column.keys:
        known = [row[key] for row in rows if row[key] is not None]
        # By the text, so that what looks equal is in bold alike; a single model is not "the best".
        least = format(min(known) / column.unit, column.text) if len(known) > 1 else None
        best.append(least if column.ranked else None)
    cells = []
    for row in rows:
        shown = [
            "–" if row[key] is None else format(row[key] / column.unit, column.text)
            for key in column.keys
        ]
        parts = [(text, text == least) for text, least in zip(shown, best, strict=True)]
        cells.append({"parts": parts, "tail": column.tail(row)})
    return cells


def notes_of(result: Mapping[str, Any]) -> list[str]:
    """The conventions, as sentences."""
    where = result["environment"]
    notes = [
        "In bold: the least of a column. Training and validation are not ranked: runs differ in "
        "machine, records and split.",
        f"Parameters: the {VARIABLES} of a training run; †: of a .pb, the float {CONSTANTS}, "
        "with batch norm folded (two vectors a layer become one) and fixed numbers, such as grids, "
        "counted.",
        "MFLOPs of one face, by TensorFlow's profiler on the frozen graph, batch norm folded; a "
        "multiplication and an addition are two. Size: the .pb, 1 MB is 10⁶ bytes.",
        "Training, of a run: all its steps, images are steps times batch size; of a .pb: what its "
        "contract says, the step that the weights are from.",
    ]
    if result["rounds"]:
        notes.insert(
            3,
            f"Latency of the model alone on one crop, without finding the face: median of "
            f"{result['rounds']} runs, warm, the models taking turns in one process; "
            f"{where['processor']}, OpenCV {where['opencv']}, TensorFlow {where['tensorflow']}.",
        )
    if result["sets"]:
        notes.append(
            f"NME: mean over faces by the distance of the outer eye corners, in brackets 95% of "
            f"bootstraps; by box: by the square root of width times height of the landmarks' box. "
            f"Face boxes: {result['boxes']}; engine: {result['engine']}."
        )
    for row in result["models"]:
        for engine, of in (row["latency_ms"] or {}).items():
            if "error" in of:
                notes.append(f"{row['name']}, {engine}: {of['error']}")
    for label in result["sets"]:
        counts = {tuple(r["sets"][label].get(k) for k in ("n", "missed", "skipped")): r["name"]
                  for r in result["models"]}  # fmt: skip
        for (n, missed, skipped), name in counts.items():
            if n is not None:
                whose = f" ({name})" if len(counts) > 1 else ""
                notes.append(
                    f"{label}{whose}: {n} faces measured, {missed} missed for want of a box, "
                    f"{skipped} skipped."
                )
        for row in result["models"]:
            if reason := row["sets"][label].get("reason"):
                notes.append(f"{row['name']} on {label}: {reason}")
    return notes


def write_comparison(out: Path, result: Mapping[str, Any]) -> None:
    """The four files."""
    rows = [_flat(row) for row in result["models"]]
    columns = _columns(result)
    table = [_cells(column, rows) for column in columns]
    lines = [
        {"name": row["name"], "network": row["network"], "cells": [cells[i] for cells in table]}
        for i, row in enumerate(rows)
    ]
    titles = [column.title for column in columns]
    page = render(
        Path(__file__).parent / "templates" / "compare.html",
        titles=titles,
        lines=lines,
        failed=result["failed"],
        notes=result["notes"],
        sets=list(result["sets"]),
        errors=_chart(draw_errors(result["models"])),
        latencies=_chart(draw_latencies(result["models"])),
    )
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(out / "compare.csv", stream.getvalue().encode())
    write_bytes(out / "compare.md", _markdown(titles, lines, result).encode())
    write_bytes(out / "compare.html", page.encode())
    write_json(out / "compare.json", result)


def _markdown(titles: list[str], lines: list[dict[str, Any]], result: Mapping[str, Any]) -> str:
    def text(cell: dict[str, Any]) -> str:
        parts = [f"**{figure}**" if best else figure for figure, best in cell["parts"]]
        return " / ".join(parts) + cell["tail"]

    table = [["model", "network", *titles], ["---", "---", *("---:" for _ in titles)]]
    table += [[x["name"], x["network"], *map(text, x["cells"])] for x in lines]
    rows = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in table]
    rest = [f"- Not compared: {f['name']}: {f['error']}" for f in result["failed"]]
    rest += [f"- {note}" for note in result["notes"]]
    return "\n".join([*rows, "", *(" ".join(line.split()) for line in rest)]) + "\n"


# --- charts ------------------------------------------------------------------------------------


def _chart(figure: Figure | None) -> str:
    return "" if figure is None else data_uri(svg_of(figure), "svg+xml")


def draw_errors(rows: Sequence[Row]) -> Figure | None:
    """NME over MFLOPs, a panel a set; area: parameters. Validation NME where there is no set.

    Returns:
      None where no model has both figures.
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
    across = min(len(panels), 3)
    down = -(-len(panels) // across)
    width, height = 3.5 * across + 2.2, 3.2 * down
    figure = Figure(figsize=(width, height))
    figure.subplots_adjust(
        0.6 / width, 0.5 / height, 1 - 2.2 / width, 1 - 0.3 / height, wspace=0.25, hspace=0.45
    )
    sizes = [row["mflops"] for row in rows if row["mflops"]]
    largest = max(row["parameters"] for row in rows)
    for number, (label, models) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(down, across, number)
        plain(axes)
        axes.set_title(label, fontsize=10, color=INK)
        axes.set_xlabel("MFLOPs a face", fontsize=9, color=INK)
        axes.set_ylabel("NME, %", fontsize=9, color=INK)
        axes.set_xscale("log")
        axes.set_xlim(min(sizes) / 1.6, max(sizes) * 1.6)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        for index, row, of in models:
            colour, nme = COLOURS[index % len(COLOURS)], of["nme_inter_ocular"]
            if of.get("interval_95"):
                axes.plot([row["mflops"]] * 2, of["interval_95"], color=colour, linewidth=1.2)
            area = 12 + 340 * row["parameters"] / largest
            axes.scatter(row["mflops"], nme, s=area, color=colour, alpha=0.55, linewidths=0)
            axes.scatter(row["mflops"], nme, s=5, color=colour)
        axes.margins(y=0.2)
        axes.set_ylim(bottom=max(0.0, axes.get_ylim()[0]))
    for index, row in enumerate(rows):
        figure.axes[across - 1].plot([], [], "o", color=COLOURS[index % 8], label=row["name"])
    legend(figure.axes[across - 1])
    return figure


def draw_latencies(rows: Sequence[Row]) -> Figure | None:
    """Bars of the medians, with their quartiles; None where nothing was measured."""
    settings = [(engine, threads) for engine in latency.ENGINES for threads in latency.THREADS]
    if not any(threads in (row["latency_ms"] or {}).get(engine, {})
               for row in rows for engine, threads in settings):  # fmt: skip
        return None
    step = len(settings) + 1
    height = 0.6 + 0.16 * step * len(rows)
    figure = Figure(figsize=(8.6, height))
    figure.subplots_adjust(0.2, 0.5 / height, 0.74, 1 - 0.08 / height)
    axes = figure.add_subplot()
    plain(axes)
    for number, (engine, threads) in enumerate(settings):
        found = [row["latency_ms"][engine].get(threads) for row in rows]
        places = [i * step + number for i, of in enumerate(found) if of]
        known = [of for of in found if of]
        medians = [of["median"] for of in known]
        low = [of["median"] - of["quartiles"][0] for of in known]
        high = [of["quartiles"][1] - of["median"] for of in known]
        name = f"{latency.ENGINES[engine]}, {threads.replace('_', ' ')}"
        axes.barh(places, medians, color=COLOURS[number], label=name)
        axes.errorbar(medians, places, xerr=[low, high], fmt="none", ecolor=INK, linewidth=0.8)
    axes.set_yticks([i * step + (len(settings) - 1) / 2 for i in range(len(rows))])
    axes.set_yticklabels([row["name"] for row in rows])
    axes.invert_yaxis()
    axes.set_xlabel("ms a crop", fontsize=9, color=INK)
    legend(axes)
    return figure
