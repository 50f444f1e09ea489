"""The report of a training run: RUN/report.html, one page with everything in it."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow.compat.v1 as tf

from senet_landmark.config import Config, from_json, to_json
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
from senet_landmark.visualisation.pages import data_uri, jpeg_uri, render

NAME = "report.html"
"""Of the page, in a run's folder."""

PICTURES = "validation/predictions"
"""Tag of the pictures of validation faces."""

SKIPPED = 50
"""Skipped records that are named."""

ENDINGS = {
    "done": "Done.",
    "interrupted": "Interrupted; everything was saved, and the same command goes on.",
    "early_stopped": "Stopped early: the validation NME fell no longer.",
}
"""What `ended` in result.json means."""


def write_training_report(run: Path | str, *, most: int = 500) -> Path:
    """Writes RUN/report.html from what the run's folder holds, whole or not at all.

    The run may be in progress, and its records may be gone: the page then says so.

    Args:
      run: folder of `train`.
      most: validation faces among which the worst are looked for, as each is predicted anew; 0
        shows none.

    Returns:
      The page's path.

    Raises:
      InputError: the folder is not a run's, or a file of it is damaged.
    """
    run = Path(run)
    config, info, folder = checkpoints.load_run(run)
    log = read_log(run)
    state = checkpoints.load_state(run)
    result = _object(run / "result.json")
    validations = log.curves.get(NME, {})
    last = max((step for curve in log.curves.values() for step in curve), default=0)
    steps, ending = _ending(result, last)
    # Of a run in progress: minutes as of its last checkpoint, which is made with a validation.
    measured = steps if result and steps else max(validations, default=0)
    training, training_problem = training_faces(config, folder)
    with tf.Graph().as_default():
        model = build_model(config.network, get_scheme(info.scheme).points, is_training=False)
        parameters = sum(math.prod(v.shape.as_list()) for v in tf.trainable_variables())
    worst, worst_of, worst_problem = worst_faces(config, folder, run, model, most)
    page = render(
        Path(__file__).parent / "templates" / "training_report.html",
        name=run.resolve().name,
        ending=ending,
        facts=_facts(config, info, folder, parameters, steps, measured, state),
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
        options=_flat(to_json(config)),
        environment=_flat(_object(run / "environment.json")),
        skipped=_skipped(run / "skipped.json"),
        skipped_most=SKIPPED,
    )
    path = run / NAME
    write_bytes(path, page.encode())
    return path


# --- figures -----------------------------------------------------------------------------------


def _ending(result: Mapping[str, Any], last: int) -> tuple[int, str]:
    """(steps done, how it ended); a result that events have outrun is an earlier session's."""
    if not result or result.get("steps", 0) < last:
        return last, "No result yet: it is in progress, or was ended by force and can go on."
    kind = "interrupted" if result.get("interrupted") else "done"
    return result["steps"], ENDINGS.get(str(result.get("ended", kind)), ENDINGS[kind])


def _facts(
    config: Config,
    info: RecordsInfo,
    folder: Path,
    parameters: int,
    steps: int,
    measured: int,
    state: checkpoints.RunState,
) -> list[tuple[str, str, str]]:
    """(name, value, remark) of what the page begins with."""
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
        ("records", info.dataset, counts or "counts are gone with their folder"),
        ("landmarks", str(get_scheme(info.scheme).points), info.scheme),
        ("input", f"{spec.input_size[0]} × {spec.input_size[1]}", "pixels"),
    ]
    if state.best_nme is not None:
        facts[0] = ("best validation NME", f"{state.best_nme:.2f}%", f"step {state.best_step:,}")
    if measured and state.minutes:
        rate = measured * config.train.batch_size / (60 * state.minutes)
        facts[3] = ("faces a second", f"{rate:,.0f}", "on average, validations included")
    return facts


def _figures(log: RunLog, best_step: int) -> dict[str, Any]:
    """The validation's figures at the best step and at the last."""
    prefix = "validation/"
    curves = {t.removeprefix(prefix): c for t, c in log.curves.items() if t.startswith(prefix)}
    steps = sorted({step for curve in curves.values() for step in curve})
    chosen = [step for step in steps if step in (best_step, steps[-1])]
    return {
        "steps": chosen,
        "rows": [
            (name, [f"{curve[s]:.3f}" if s in curve else "–" for s in chosen])
            for name, curve in curves.items()
        ],
    }


def _predictions(log: RunLog) -> list[tuple[int, str]]:
    """(step, picture) of the first validation and of the last."""
    places = log.pictures.get(PICTURES, {})
    ends = sorted({*list(places)[:1], *list(places)[-1:]})
    return [(step, jpeg_uri(logged_picture(places[step], PICTURES))) for step in ends]


# --- tables ------------------------------------------------------------------------------------


def _object(path: Path) -> dict[str, Any]:
    """A JSON object; an empty one where there is no such file."""
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


def _flat(value: Any, name: str = "") -> list[tuple[str, str]]:
    """Nested objects -> (a.b.c, text) of each value."""
    if not isinstance(value, dict):
        shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        return [(name, shown or "–")]
    pairs = [_flat(v, f"{name}.{k}" if name else str(k)) for k, v in value.items()]
    return [pair for nested in pairs for pair in nested]


def _changes(config: Config) -> list[tuple[str, str, str]]:
    """(option, value, the preset's value) where they differ."""
    if config.preset not in PRESETS:
        return []
    # By way of JSON, as the run's own: a 7 is a 7.0 then.
    preset = from_json(Config, to_json(PRESETS[config.preset]))
    begun = dict(_flat(to_json(preset)))
    values = _flat(to_json(config))
    return [(name, text, begun[name]) for name, text in values if begun[name] != text]
