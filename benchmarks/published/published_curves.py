"""The curves of the published systems' trainings as one picture, and how long each took.

python benchmarks/published/published_curves.py FOLDER [--out docs/pictures/published_systems.png]

FOLDER has the runs that `published_systems.sh` makes; those that are absent are left out and named.
A run that began from weights of an earlier session goes on at the faces that those had seen.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from senet_landmark.frozen.contract import load_contract
from senet_landmark.runtime import start_tensorflow
from senet_landmark.visualisation.charts import COLOURS, INK, legend, plain, value_axis
from senet_landmark.visualisation.tables import markdown_table


class Line(NamedTuple):
    """A figure of validation faces, or of training faces, and the label of its curve."""

    figure: str
    label: str = ""
    of_training: bool = False


class Panel(NamedTuple):
    """A chart: the same curves of several runs."""

    title: str
    runs: tuple[str, ...]
    lines: tuple[Line, ...]


PANELS = (
    Panel(
        "300W: error of validation faces by the eye corners, %",
        (
            "asmnet", "asmnet_without_asm", "asmnet_balanced", "senet_original",
            "senet_original_augmented", "pfld_025", "pfld_025_unaugmented", "pfld_025_wing",
        ),
        (Line("nme_inter_ocular"),),
    ),
    Panel(
        "TCDCN: mean squared error, pixels² of the photo",
        ("tcdcn", "tcdcn_attributes", "tcdcn_pose", "tcdcn_landmarks"),
        (
            Line("mse_photo_pixels", "validation"),
            Line("mse_photo_pixels", "training", of_training=True),
        ),
    ),
    Panel(
        "Plain CNN: loss",
        ("cnn_person", "cnn_frames"),
        (
            Line("loss", "validation"),
            Line("loss", "training, without the random cut", of_training=True),
        ),
    ),
)  # fmt: skip


class Run(NamedTuple):
    """What is known of a run: tag -> faces seen -> value; faces; hours of training."""

    curves: dict[str, dict[int, float]]
    faces: int
    hours: float


def read_run(folder: Path) -> Run:
    """The curves of a run over the faces that it has seen."""
    from senet_landmark.training.checkpoints import load_run, load_state
    from senet_landmark.training.run_log import read_log

    options = load_run(folder)[0].train
    batch, minutes, before = options.batch_size, load_state(folder).minutes, 0
    if options.start_from:
        earlier = load_contract(folder.parent / options.start_from).training
        before, minutes = earlier["step"] * batch, minutes + earlier["minutes"]
    curves = {
        tag: {before + step * batch: value for step, value in curve.items()}
        for tag, curve in read_log(folder).curves.items()
    }
    faces = max(max(curve) for curve in curves.values() if curve)
    return Run(curves, faces, minutes / 60)


def draw(axes: Any, panel: Panel, runs: dict[str, Run]) -> None:
    """Draws a panel over the logarithm of the faces."""
    from senet_landmark.training.report.charts import MEASURED

    there = [name for name in panel.runs if name in runs]
    for colour, name in zip(COLOURS, there, strict=False):
        for line in panel.lines:
            tag = f"{MEASURED if line.of_training else 'validation/'}{line.figure}"
            curve, style = runs[name].curves.get(tag, {}), ":" if line.of_training else "-"
            label = ", ".join(word for word in (name, line.label) if word)
            axes.plot(list(curve), list(curve.values()), style, color=colour, label=label, lw=1.3)
    values = [v for line in axes.get_lines() for v in line.get_ydata()]
    value_axis(axes, np.array(values))
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda faces, _: f"{faces:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(color=INK, alpha=0.12, linewidth=0.6)
    axes.set_title(panel.title, fontsize=9, color=INK, loc="left")
    plain(axes)
    legend(axes)


def main() -> None:
    """Draws the picture, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    place = Path(__file__).parents[2] / "docs" / "pictures" / "published_systems.png"
    parser.add_argument("--out", type=Path, default=place)
    arguments = parser.parse_args()
    start_tensorflow()
    names = [name for panel in PANELS for name in panel.runs]
    there = [name for name in names if (arguments.folder / name / "config.json").is_file()]
    runs = {name: read_run(arguments.folder / name) for name in there}
    if absent := [name for name in names if name not in runs]:
        print(f"not in {arguments.folder}: {', '.join(absent)}", file=sys.stderr)
    panels = [panel for panel in PANELS if runs.keys() & set(panel.runs)]
    if not panels:
        sys.exit(f"{arguments.folder} has none of the runs.")
    figure = Figure(figsize=(8.6, 2.7 * len(panels)), layout="constrained")
    charts = figure.subplots(len(panels), squeeze=False)[:, 0]
    for axes, panel in zip(charts, panels, strict=True):
        draw(axes, panel, runs)
    charts[-1].set_xlabel("faces seen", fontsize=8, color=INK)
    figure.savefig(arguments.out, dpi=100, bbox_inches="tight")
    rows = [(name, f"{run.faces:,}", f"{run.hours:.1f}") for name, run in runs.items()]
    print(markdown_table(["run", "faces seen", "hours"], rows, texts=1), end="")


if __name__ == "__main__":
    main()
