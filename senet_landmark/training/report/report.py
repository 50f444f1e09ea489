"""The report of a training run: RUN/report.html, one page that contains all its pictures."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow.compat.v1 as tf

from senet_landmark.config import Config, flat, from_json, to_json
from senet_landmark.data.records import REPORT_NAME, RecordsInfo
from senet_landmark.errors import InputError
from senet_landmark.face.schemes import get_scheme
from senet_landmark.io.files import read_json, write_bytes
from senet_landmark.networks.model import build_model
from senet_landmark.networks.registry import get_network, resolved
from senet_landmark.presets import PRESETS
from senet_landmark.training import checkpoints
from senet_landmark.training.report.charts import NME, charts_of
from senet_landmark.training.report.faces import training_faces, worst_faces
from senet_landmark.training.run_log import RunLog, logged_picture, read_log
from senet_landmark.training.validation import TRAINING
from senet_landmark.visualisation.pages import data_uri, jpeg_uri, render

NAME = "report.html"
"""Name of the page in a run's folder."""

PICTURES = "validation/predictions"
"""Tag of the pictures of validation faces."""

SKIPPED = 50
"""Number of skipped records that the page lists."""

ENDINGS = {
    "done": "Done.",
    "interrupted": "Interrupted; everything was saved. The same command continues the run.",
    "early_stopped": "Stopped early: the validation NME no longer fell.",
}
"""What `ended` in result.json means."""


def write_training_report(run: Path | str, *, most: int = 500) -> Path:
    """Writes RUN/report.html from the files in the run's folder, whole or not at all.

    The run may still be in progress, and its records may have been deleted: the page then says so.

    Args:
      run: folder of the run.
      most: number of validation faces that are predicted to find the worst; 0 shows none.

    Returns:
      The path of the page.

    Raises:
      InputError: the folder is not that of a run, or one of its files is damaged.
    """
    run = Path(run)
    config, info, folder = checkpoints.load_run(run)
    log = read_log(run)
    state = checkpoints.load_state(run)
    result = _object(run / "result.json")
    validations = log.curves.get(NME, {})
    last = max((step for curve in log.curves.values() for step in curve), default=0)
    steps, ending = _ending(result, last)
    # A run in progress knows its minutes at its last checkpoint, which is saved at a validation.
    timed_steps = steps if result and steps else max(validations, default=0)
    training, training_problem = training_faces(config, folder)
    with tf.Graph().as_default():
        model = build_model(config.network, get_scheme(info.scheme).points, is_training=False)
        parameters = sum(math.prod(v.shape.as_list()) for v in tf.trainable_variables())
    worst, worst_of, worst_problem = worst_faces(config, folder, run, model, most)
    page = render(
        Path(__file__).parent / "templates" / "training_report.html",
        name=run.resolve().name,
        ending=ending,
        facts=_facts(config, info, folder, parameters, steps, timed_steps, state),
        charts=[
            (name, data_uri(svg, "svg+xml")) for name, svg in charts_of(log.curves, log.resumed)
        ],
        resumed=log.resumed,
        training=training,
        training_problem=training_problem,
        predictions=_predictions(log),
        worst=worst,
        worst_of=worst_of,
        worst_problem=worst_problem,
        figures=_figures(log, state.best_step),
        preset=config.preset,
        preset_known=config.preset in PRESETS,
        changes=_changes(config),
        options=flat(to_json(config)),
        environment=flat(_object(run / "environment.json")),
        skipped=_skipped(run / "skipped.json"),
        skipped_most=SKIPPED,
    )
    path = run / NAME
    write_bytes(path, page.encode())
    return path


# --- figures -----------------------------------------------------------------------------------


def _ending(result: Mapping[str, Any], last: int) -> tuple[int, str]:
    """(steps done, how the run ended); a result older than the events is of an earlier session."""
    if not result or result.get("steps", 0) < last:
        return last, "No result yet: the run is in progress, or it was killed and can be continued."
    kind = "interrupted" if result.get("interrupted") else "done"
    return result["steps"], ENDINGS.get(str(result.get("ended", kind)), ENDINGS[kind])


def _facts(
    config: Config,
    info: RecordsInfo,
    folder: Path,
    parameters: int,
    steps: int,
    timed_steps: int,
    state: checkpoints.RunState,
) -> list[tuple[str, str, str]]:
    """(name, value, remark) of each fact at the top of the page."""
    network = resolved(config.network)
    faces = _object(folder / REPORT_NAME).get("faces_by_split", {})
    counts = ", ".join(f"{name} {count:,}" for name, count in faces.items() if count)
    spec = get_network(config.network.name)
    facts = [
        ("validation NME", "–", "none yet"),
        ("steps", f"{steps:,}", f"{config.train.batch_size} faces each"),
        ("minutes", f"{state.minutes:.1f}", "all sessions, validations included"),
        ("faces a second", "–", ""),
        ("network", network.name, f"{parameters:,} parameters, head {network.head}"),
        ("records", info.dataset, counts or "folder of the records not found"),
        ("landmarks", str(get_scheme(info.scheme).points), info.scheme),
        ("input", f"{spec.input_size[0]} × {spec.input_size[1]}", "pixels"),
    ]
    if state.best_nme is not None:
        facts[0] = ("best validation NME", f"{state.best_nme:.2f}%", f"step {state.best_step:,}")
    if timed_steps and state.minutes:
        rate = timed_steps * config.train.batch_size / (60 * state.minutes)
        facts[3] = ("faces a second", f"{rate:,.0f}", "on average, validations included")
    return facts


def _figures(log: RunLog, best_step: int) -> dict[str, Any]:
    """The figures of the validation at the best and at the last step; training faces beside."""
    prefix = "validation/"
    curves = {t.removeprefix(prefix): c for t, c in log.curves.items() if t.startswith(prefix)}
    names = [name for name in curves if not name.startswith(TRAINING)]
    steps = sorted({step for curve in curves.values() for step in curve})
    measured = len(names) < len(curves)
    columns = [
        (f"step {step:,}{', training faces' if beginning else ''}", beginning, step)
        for step in steps
        if step in (best_step, steps[-1])
        for beginning in (("", TRAINING) if measured else ("",))
    ]
    return {
        "titles": [title for title, _, _ in columns],
        "rows": [
            (name, [_number(curves.get(before + name, {}).get(s)) for _, before, s in columns])
            for name in names
        ],
    }


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3g}" if 0 < abs(value) < 0.1 else f"{value:.3f}"


def _predictions(log: RunLog) -> list[tuple[int, str]]:
    """(step, picture) of the first and of the last validation."""
    positions = log.pictures.get(PICTURES, {})
    ends = sorted({*list(positions)[:1], *list(positions)[-1:]})
    return [(step, jpeg_uri(logged_picture(positions[step], PICTURES))) for step in ends]


# --- tables ------------------------------------------------------------------------------------


def _object(path: Path) -> dict[str, Any]:
    """Reads a JSON object; an empty one if the file does not exist."""
    value = read_json(path) if path.is_file() else {}
    if not isinstance(value, dict):
        raise InputError(f"{path}: holds no JSON object. Delete it.")
    return value


def _skipped(path: Path) -> list[dict[str, Any]]:
    value = read_json(path) if path.is_file() else []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise InputError(f"{path}: holds no list of skipped records. Delete it.")
    columns = (("path", "file"), ("number", "record"), ("source",), ("reason",))
    return [
        {names[0]: next((item[name] for name in names if name in item), "") for names in columns}
        for item in value
    ]


def _changes(config: Config) -> list[tuple[str, str, str]]:
    """(option, value, the preset's value) where they differ."""
    if config.preset not in PRESETS:
        return []
    # Through JSON, as the run's configuration was: this turns a 7 into a 7.0.
    preset = from_json(Config, to_json(PRESETS[config.preset]))
    defaults = dict(flat(to_json(preset)))
    values = flat(to_json(config))
    return [(name, text, defaults[name]) for name, text in values if defaults[name] != text]
