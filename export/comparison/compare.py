"""`senet-landmark compare`: trains presets; cost and accuracy of models side by side."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf

from senet_landmark.detectors.registry import get_detector
from senet_landmark.errors import InputError
from senet_landmark.evaluation.measuring import scheme_problem
from senet_landmark.evaluation.statistics import SQUARED
from senet_landmark.export.comparison.charts import Row
from senet_landmark.export.comparison.graph_costs import count_constants, count_flops, load_graph
from senet_landmark.export.comparison.notes import CONSTANTS, VARIABLES, notes_of
from senet_landmark.export.comparison.page import write_comparison
from senet_landmark.export.comparison.training import plan_trainings, train_all
from senet_landmark.export.engines.interface import EngineName
from senet_landmark.export.engines.registry import load_engine
from senet_landmark.export.evaluation.evaluate import evaluate_models, unique_names
from senet_landmark.export.evaluation.face_sources import Photos, Records, faces_at
from senet_landmark.export.freezing.freeze import freeze
from senet_landmark.export.speed.harness import add_conversions, environment
from senet_landmark.export.speed.latency import measure_latency
from senet_landmark.face.boxes import ANNOTATION, LANDMARKS
from senet_landmark.face.schemes import get_scheme
from senet_landmark.frozen.contract import contract_path, load_contract
from senet_landmark.frozen.models import find_model
from senet_landmark.networks.model import build_model
from senet_landmark.networks.registry import resolved
from senet_landmark.training.checkpoints import latest_checkpoint, load_run, load_state, step_of


def compare(
    models: Sequence[Path | str],
    sets: Sequence[tuple[str, Path]],
    out: Path | str,
    *,
    train: Sequence[tuple[str, Path]] = (),
    minutes: float = 20.0,
    boxes: str = LANDMARKS,
    rounds: int = 30,
    detector_model: Path | None = None,
    unseen_by: Sequence[Path] = (),
) -> dict[str, Any]:
    """Trains presets and measures models; writes compare.json, .md, .csv and .html.

    Args:
      models: folders of training runs, which are frozen first, `.pb` files, or names of models
        that ship.
      sets: (data set, its folder) of each set to measure the NME on. For the data set `records` the
        folder holds records, and their test split is measured.
      out: folder for the four files, and for `runs`.
      train: (preset, folder of records) of each run to train first, one after another, in
        `OUT/runs`; they come after `models`. A run that has reached its minutes is left as it is;
        an interrupted one is resumed.
      minutes: minutes of training for each of these runs.
      boxes: source of the face boxes.
      rounds: timed runs of each model in each engine; 0: no latency is measured.
      detector_model: the detector's file, for `dlib_cnn` and `yunet`.
      unseen_by: folders of records; photos of identities in their training or held-out split are
        not measured.

    Returns:
      The content of compare.json:
      models: for each model, with None for an unknown value: name, model (as given), kind (`run` or
        `pb`), network, head, scheme, input_size (width, height), preset, trained_on, parameters and
        parameters_are (what was counted), constants (float numbers in the graph), mflops (for one
        face), megabytes (10^6 bytes), latency_ms (see `latency.measure_latency`), minutes, steps,
        images_seen, train_faces_per_second (images seen divided by training time), weights_step
        (the step of the weights), validation_nme in percent, validation (of a run: the figures of
        the frozen weights, see `validation.Validation`), and sets: label -> n, missed, skipped,
        nme_inter_ocular and its interval_95, nme_bbox_size, errors in percent, and the squared
        errors of `statistics.SQUARED`; or reason.
      failed: name, model and error of each model that could not be trained or loaded.
      trained: name, preset and records of each run of `train`.
      minutes: the requested minutes; None without `train`.
      sets: label -> dataset, folder, scheme.
      boxes, engine (which computed the NME), rounds, environment, notes.

    Raises:
      InputError: no model is given, or none can be loaded; a data set is unknown, or its folder
        does not hold it; a detector is absent; or `plan_trainings` refuses a run. All but the
        loading is checked before anything is trained.
      KeyboardInterrupt: Ctrl-C, or SIGTERM; during training its message says what was saved.
    """
    if not (models or train):
        raise InputError("Give at least one training run or model to compare, or --train.")
    if rounds < 0:
        raise InputError(f"The number of rounds must not be negative, it is {rounds}.")
    all_faces = [faces_at(name, Path(root), unseen_by=unseen_by) for name, root in sets]
    labels = unique_names([faces.names for faces in all_faces])
    faces_by_label = dict(zip(labels, all_faces, strict=True))
    # Before any model is trained or frozen: the user learns at once that a folder is wrong.
    targets = {label: faces.scheme() for label, faces in faces_by_label.items()}
    if boxes not in (LANDMARKS, ANNOTATION):
        get_detector(boxes, detector_model)
    trainings = plan_trainings(train, minutes, Path(out) / "runs") if train else []
    problems = train_all(trainings)
    runs = [training.run for training in trainings]
    names = _names(models, runs)
    rows: list[Row] = []
    failed: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        for model, name in zip([*models, *runs], names, strict=True):
            path = Path(folder) / f"{name}.pb"
            try:
                if problem := problems.get(Path(model)):
                    raise InputError(problem)
                rows.append({"name": name, "model": str(model), **_describe(model, path)})
            except Exception as error:  # one bad model must not stop the comparison of the others
                problem = str(error).replace(str(path), path.name) or type(error).__name__
                failed.append({"name": name, "model": str(model), "error": problem})
        if not rows:
            errors = "; ".join(f"{f['model']}: {f['error']}" for f in failed)
            raise InputError(f"No model can be compared. {errors}")
        paths = {row["name"]: Path(folder) / f"{row['name']}.pb" for row in rows}
        if rounds:
            missing = [_convert(row, paths[row["name"]]) for row in rows]
            measured = measure_latency(list(paths.values()), rounds)
            for row, latencies, reasons in zip(rows, measured, missing, strict=True):
                row["latency_ms"] = latencies | {e: {"error": x} for e, x in reasons.items()}
        engine = _common_engine(list(paths.values()))
        for label, faces in faces_by_label.items():
            for row in rows:
                row["sets"][label] = {
                    "reason": scheme_problem(row["name"], row["scheme"], targets[label])
                }
            measurable = [row for row in rows if not row["sets"][label]["reason"]]
            figures_of_set = _measure(
                [paths[row["name"]] for row in measurable], faces, Path(folder) / "out",
                boxes=(boxes,), engine=engine, detector_model=detector_model, page=False,
            )  # fmt: skip
            for row, figures in zip(measurable, figures_of_set, strict=True):
                row["sets"][label] = figures
    result: dict[str, Any] = {
        "models": rows,
        "failed": failed,
        "trained": [
            {"name": name, "preset": training.config.preset, "records": str(training.records)}
            for name, training in zip(names[len(models) :], trainings, strict=True)
        ],
        "minutes": minutes if train else None,
        "sets": {
            label: {"dataset": dataset, "folder": str(root), "scheme": target}
            for (label, target), (dataset, root) in zip(targets.items(), sets, strict=True)
        },
        "boxes": boxes,
        "engine": engine,
        "rounds": rounds,
        "environment": environment(),
    }
    result["notes"] = notes_of(result)
    write_comparison(Path(out), result)
    return result


def _names(models: Sequence[Path | str], runs: Sequence[Path]) -> list[str]:
    """A name for each model: its folder's or file's; after the parent's where two are equal."""
    paths = [Path(model).resolve() for model in models]
    names = [(p.name if p.is_dir() else p.stem, p.parent.name) for p in paths]
    return unique_names(names + [(run.name, run.parent.name) for run in runs])


# --- one model ---------------------------------------------------------------------------------


def _describe(model: Path | str, path: Path) -> Row:
    """The figures of a model that need no run of it; leaves its `.pb` at `path`."""
    run = Path(model) if Path(model).is_dir() else None
    if run:
        freeze(run, path)
    else:
        file = find_model(model)
        load_contract(file)  # its message names the file that the user knows
        shutil.copy(file, path)
        shutil.copy(contract_path(file), contract_path(path))
    contract = load_contract(path)
    graph, batch = load_graph(path, contract)
    constants, flops = count_constants(graph), count_flops(graph)
    training = contract.training
    return {
        "kind": "run" if run else "pb",
        "network": contract.network,
        "head": None,
        "scheme": contract.scheme,
        "input_size": list(contract.size),
        "preset": training.get("preset"),
        "trained_on": training.get("dataset"),
        "parameters": constants,
        "parameters_are": CONSTANTS,
        "constants": constants,
        "mflops": None if flops is None else round(flops / batch / 1e6, 3),
        "megabytes": round(path.stat().st_size / 1e6, 3),
        "latency_ms": None,
        "minutes": training.get("minutes"),
        "steps": training.get("step"),
        "images_seen": None,
        "train_faces_per_second": None,
        "weights_step": training.get("step"),
        "validation_nme": contract.metrics.get("validation_nme_inter_ocular"),
        "validation": {},
        **(_run_figures(run) if run else {}),
        "sets": {},
    }


def _run_figures(run: Path) -> Row:
    """The figures that only the folder of a training run has."""
    config, info, _ = load_run(run)
    state = load_state(run)
    with tf.Graph().as_default():
        build_model(config.network, get_scheme(info.scheme).points, is_training=False)
        parameters = sum(int(np.prod(v.shape.as_list())) for v in tf.trainable_variables())
    figures: Row = {
        "head": resolved(config.network).head,
        "parameters": parameters,
        "parameters_are": VARIABLES,
        "minutes": round(state.minutes, 2),
        "validation": {key: round(value, 4) for key, value in state.figures.items()},
    }
    if "nme_inter_ocular" in state.figures:
        # A contract holds the best NME of a run, but not every run keeps the weights that had it.
        figures["validation_nme"] = figures["validation"]["nme_inter_ocular"]
    if latest := latest_checkpoint(run):
        steps = step_of(latest)
        images = steps * config.train.batch_size
        figures |= {"steps": steps, "images_seen": images}
        if state.minutes:
            figures["train_faces_per_second"] = round(images / (60 * state.minutes), 1)
    return figures


def _convert(row: Row, path: Path) -> dict[EngineName, str]:
    """Writes the conversions of a `.pb` beside it; returns engine -> why its conversion failed."""
    return add_conversions(path, load_run(row["model"])[2] if row["kind"] == "run" else None)


def _common_engine(models: Sequence[Path]) -> EngineName:
    """OpenCV if it runs every model, else TensorFlow: one engine computes the NME of all models."""
    try:
        for model in models:
            load_engine(model, load_contract(model), "opencv")
    except InputError:
        return "tensorflow"
    return "opencv"


def _measure(
    models: Sequence[Path], faces: Photos | Records, out: Path, **options: Any
) -> list[Row]:
    """The figures of each model on one data set, or the reason why it has none."""
    if not models:
        return []
    try:
        metrics = evaluate_models(models, faces, out, **options)
    except InputError as error:
        if len(models) == 1:
            return [{"reason": str(error).replace(str(models[0]), models[0].name)}]
        # Perhaps only one model fails: measure each alone.
        return [_measure([model], faces, out, **options)[0] for model in models]
    return [
        {
            "n": figures["n"],
            "missed": figures["missed_faces"],
            "skipped": len(metrics["skipped"]),
            "nme_inter_ocular": figures["nme_inter_ocular"],
            "interval_95": figures["interval_95"]["nme_inter_ocular"],
            "nme_bbox_size": figures["nme_bbox_size"],
            **{key: figures[key] for key in SQUARED},
        }
        for figures in metrics["models"]
    ]
