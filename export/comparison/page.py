"""The comparison as a page, Markdown tables, CSV and JSON, with two charts."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from senet_landmark.evaluation.statistics import SQUARED
from senet_landmark.export.comparison.charts import Row, draw_errors, draw_latencies
from senet_landmark.export.comparison.notes import CONSTANTS
from senet_landmark.export.speed.harness import THREADS, with_threads
from senet_landmark.io.files import write_bytes, write_json
from senet_landmark.training.validation import TRAINING as MEASURED
from senet_landmark.visualisation.charts import svg_of
from senet_landmark.visualisation.pages import data_uri, render
from senet_landmark.visualisation.tables import markdown_table


@dataclass(frozen=True)
class Column:
    """A column of figures; the lowest is the best.

    Attributes:
      title: the column's head, with the unit.
      keys: keys of `_flat`: the figures that one cell shows.
      text: format specification of a figure.
      ranked: whether the best figure is in bold.
      unit: each figure is divided by this number.
      tail: model -> the text after its figures.
    """

    title: str
    keys: tuple[str, ...]
    text: str = ".2f"
    ranked: bool = True
    unit: float = 1
    tail: Callable[[Mapping[str, Any]], str] = lambda row: ""


def _columns(result: Mapping[str, Any]) -> list[Column]:
    """The columns of the table of all models: first the errors, then what they cost."""

    def mark(row: Mapping[str, Any]) -> str:
        return "†" if row["parameters_are"] == CONSTANTS else ""

    columns = []
    for label in result["sets"]:

        def interval(row: Mapping[str, Any], label: str = label) -> str:
            low, high = row[f"{label} low"], row[f"{label} high"]
            return "" if low is None else f" ({low:.2f}–{high:.2f})"

        columns += [
            Column(f"{label}: NME, %", (f"{label} nme_inter_ocular",), tail=interval),
            Column(f"{label}: by box, %", (f"{label} nme_bbox_size",)),
        ]
    if not columns:
        columns = [Column("validation NME, %", ("validation_nme",), ranked=False)]
    columns += [
        Column("parameters, M", ("parameters",), unit=1e6, tail=mark),
        Column("MFLOPs", ("mflops",), ".1f"),
        Column("size, MB", ("megabytes",)),
    ]
    if result["rounds"]:
        columns += [
            Column(f"{spec.title}, ms", (f"{engine} one_thread ms",), ".1f")
            for engine, spec in with_threads().items()
        ]
    return columns


def _squares(labels: Iterable[str]) -> list[Column]:
    """The columns of the table of squared errors."""
    titles = dict(zip(SQUARED, ("MSE, photo pixels²", "sum of squared distances"), strict=True))
    texts = dict(zip(SQUARED, (".2f", ".4f"), strict=True))
    return [
        Column(f"{label}: {title}", (f"{label} {key}",), texts[key])
        for label in labels
        for key, title in titles.items()
    ]


TRAINING = (
    Column("minutes", ("minutes",), ".1f", ranked=False),
    Column("faces/s", ("train_faces_per_second",), ".1f", ranked=False),
    Column("steps", ("steps",), ",.0f", ranked=False),
    Column("images seen", ("images_seen",), ",.0f", ranked=False),
    Column("validation NME, %", ("validation_nme",), ranked=False),
)
"""The columns of the table of networks and their training."""


def _thread_columns(cores: int) -> list[Column]:
    """The columns of the page's table of latencies."""
    return [
        Column(
            f"{spec.title}, 1 / {cores} threads",
            tuple(f"{engine} {threads} ms" for threads in THREADS),
            ".1f",
        )
        for engine, spec in with_threads().items()
    ]


_VALIDATION = {
    "mse_pixels": "MSE, input pixels²",
    "mse_photo_pixels": "MSE, photo pixels²",
    "nme_inter_ocular": "NME, %",
    "loss": "loss",
    "depth_mae": "depth error, % of the box",
    "pose_mae_yaw": "yaw error, °",
    "pose_mae_pitch": "pitch error, °",
    "pose_mae_roll": "roll error, °",
}
_ACCURACY = "accuracy_"


def _validation_titles(rows: Sequence[Row]) -> dict[str, str]:
    """Validation figure that at least one model has -> the title of its column.

    After each figure comes that of training faces, if a model has it.
    """
    keys = dict.fromkeys(key for row in rows for key in row["validation"])
    titles = {key: title for key, title in _VALIDATION.items() if key in keys}
    for key in keys:
        if key.startswith(_ACCURACY):
            name = key.removeprefix(_ACCURACY).replace("_", " ")
            titles[key] = f"accuracy of {name}, %"
    pairs = {
        key: {key: title, MEASURED + key: f"{title} (training faces)"}
        for key, title in titles.items()
    }
    return {key: title for pair in pairs.values() for key, title in pair.items() if key in keys}


def _flat(row: Row, validation: Sequence[str]) -> dict[str, Any]:
    """A model's figures in one flat dict: a line of the CSV, and the input of the tables."""
    nested = ("latency_ms", "sets", "validation")
    flat = {key: value for key, value in row.items() if key not in nested}
    flat["input_size"] = "x".join(map(str, row["input_size"]))
    for engine in with_threads():
        latencies = (row["latency_ms"] or {}).get(engine, {})
        flat |= {f"{engine} {t} ms": latencies.get(t, {}).get("median") for t in THREADS}
    flat |= {f"validation {key}": row["validation"].get(key) for key in validation}
    for label, figures in row["sets"].items():
        low, high = figures.get("interval_95") or (None, None)
        keys = ("n", "missed", "nme_inter_ocular", "nme_bbox_size", *SQUARED)
        errors = {key: figures.get(key) for key in keys} | {"low": low, "high": high}
        flat |= {f"{label} {key}": value for key, value in errors.items()}
    return flat


def _table(
    texts: Mapping[str, str], columns: Sequence[Column], rows: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """A table for the page and for Markdown.

    Args:
      texts: title of each text column -> its key in `rows`.
      columns: the columns of figures.
      rows: one for each line, as `_flat` makes them.
    """
    cells = [_cells(column, rows) for column in columns]
    return {
        "heads": list(texts),
        "titles": [column.title for column in columns],
        "lines": [
            {
                "texts": ["–" if row[key] is None else str(row[key]) for key in texts.values()],
                "cells": [column_cells[i] for column_cells in cells],
            }
            for i, row in enumerate(rows)
        ],
    }


def _cells(column: Column, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A cell for each model: `parts`, (text, is the best) of its figures; `tail`, what follows."""
    best: list[str | None] = []
    for key in column.keys:
        values = [row[key] for row in rows if row[key] is not None]
        # Texts are compared, so that equal texts are all bold; a single model is not "the best".
        least = format(min(values) / column.unit, column.text) if len(values) > 1 else None
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


def write_comparison(out: Path, result: Mapping[str, Any]) -> None:
    """Writes compare.csv, .md, .html and .json of a result of `compare` to the folder `out`."""
    models = result["models"]
    titles = _validation_titles(models)
    rows = [_flat(row, list(titles)) for row in models]
    table = _table({"model": "name"}, _columns(result), rows)
    squares = _table({"model": "name"}, _squares(result["sets"]), rows)
    texts = {"model": "name", "network": "network", "input": "input_size"}
    training = _table({**texts, "trained on": "trained_on"}, TRAINING, rows)
    validation = _table(
        {"model": "name"},
        [
            Column(title, (f"validation {key}",), ".4g" if "loss" in key else ".2f", ranked=False)
            for key, title in titles.items()
        ],
        [row for row in rows if row["kind"] == "run"],
    )
    cores = result["environment"]["cores"]
    page = render(
        Path(__file__).parent / "templates" / "compare.html",
        names=[row["name"] for row in rows],
        table=table,
        squares=squares if result["sets"] else None,
        training=training,
        validation=validation if titles else None,
        failed=result["failed"],
        notes=result["notes"],
        sets=list(result["sets"]),
        errors=_chart(draw_errors(models)),
        latencies=_chart(draw_latencies(models)),
        threads=_table({"model": "name"}, _thread_columns(cores), rows),
    )
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    parts = [_markdown(table), "Networks and their training:\n\n" + _markdown(training)]
    if result["sets"]:
        parts.insert(1, "Squared errors:\n\n" + _markdown(squares))
    if titles:
        parts.append("On the validation split:\n\n" + _markdown(validation))
    lines = [f"Not compared: {f['name']}: {f['error']}" for f in result["failed"]]
    parts.append("\n".join(f"- {' '.join(x.split())}" for x in [*lines, *result["notes"]]))
    write_bytes(out / "compare.csv", stream.getvalue().encode())
    write_bytes(out / "compare.md", ("\n".join(parts) + "\n").encode())
    write_bytes(out / "compare.html", page.encode())
    write_json(out / "compare.json", result)


def _markdown(table: Mapping[str, Any]) -> str:
    def text(cell: dict[str, Any]) -> str:
        parts = [f"**{figure}**" if best else figure for figure, best in cell["parts"]]
        return " / ".join(parts) + cell["tail"]

    lines = [[*line["texts"], *map(text, line["cells"])] for line in table["lines"]]
    heads = table["heads"]
    return markdown_table([*heads, *table["titles"]], lines, texts=len(heads))


def _chart(figure: Figure | None) -> str:
    return "" if figure is None else data_uri(svg_of(figure, whole=True), "svg+xml")
