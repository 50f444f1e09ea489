"""`senet-landmark compare`: what models cost and reach, side by side."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf

from data_tools import face_boxes
from data_tools.datasets.registry import list_entries
from export import latency
from export.comparison_page import CONSTANTS, VARIABLES, Row, notes_of, write_comparison
from export.contract import contract_path, load_contract
from export.engines import EngineName, load_engine
from export.evaluate import Photos, evaluate_models, unique_names
from export.freeze import freeze
from export.predictor import find_model
from senet_landmark.checkpoints import latest_checkpoint, load_run, load_state, step_of
from senet_landmark.errors import InputError
from senet_landmark.model import build_model
from senet_landmark.scheme_conversion import can_convert
from senet_landmark.schemes import get_scheme


def compare(
    models: Sequence[Path | str],
    sets: Sequence[tuple[str, Path]],
    out: Path | str,
    *,
    boxes: face_boxes.BoxSource = face_boxes.LANDMARKS,
    rounds: int = 30,
    detector_model: Path | None = None,
) -> dict[str, Any]:
    """Measures models side by side; writes compare.json, .md, .csv and .html.

    Args:
      models: folders of training runs, which are frozen for it, `.pb` files, or names of models
        that ship.
      sets: (data set, its folder) of each that the NME is measured on.
      out: folder for the four files.
      boxes: source of the face boxes.
      rounds: timed runs of each model on each engine; 0: no latency.
      detector_model: the file of dlib's CNN detector, for `dlib_cnn`.

    Returns:
      models: of each, with None where a thing is unknown: name, model (as given), kind (`run` or
        `pb`), network, head, scheme, preset, trained_on, parameters and parameters_are (what was
        counted), constants (float numbers in the graph), mflops (a face), megabytes (10^6 bytes),
        latency_ms (see `latency.measure_latency`), minutes, steps, images_seen, weights_step (that
        the weights are from), validation_nme, and sets: label -> n, missed, skipped,
        nme_inter_ocular and its interval_95, nme_bbox_size, all in percent; or reason.
      failed: name, model and error of those that could not be loaded.
      sets: label -> dataset, folder, scheme. boxes, engine (that the NME is from), rounds,
        environment, notes.

    Raises:
      InputError: no model, or none that can be loaded; an unknown data set; a folder without one; a
        detector that is absent.
    """
    if not models:
        raise InputError("Give at least one training run or model to compare.")
    if rounds < 0:
        raise InputError(f"The number of rounds must not be negative, it is {rounds}.")
    places = dict(
        zip(unique_names([(name, Path(root).name) for name, root in sets]), sets, strict=True)
    )
    # Before any model is frozen: a wrong folder or detector is to be told at once.
    targets = {label: list_entries(*of)[0].scheme for label, of in places.items()}
    if boxes not in (face_boxes.LANDMARKS, face_boxes.ANNOTATION):
        face_boxes.get_detector(boxes, detector_model)
    rows: list[Row] = []
    failed: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        for model, name in zip(models, _names(models), strict=True):
            path = Path(folder) / f"{name}.pb"
            try:
                rows.append({"name": name, "model": str(model), **_describe(model, path)})
            except Exception as error:  # whatever it is, the other models must not be lost to it
                problem = str(error).replace(str(path), path.name) or type(error).__name__
                failed.append({"name": name, "model": str(model), "error": problem})
        if not rows:
            reasons = "; ".join(f"{f['model']}: {f['error']}" for f in failed)
            raise InputError(f"No model can be compared. {reasons}")
        paths = {row["name"]: Path(folder) / f"{row['name']}.pb" for row in rows}
        if rounds:
            for row, found in zip(
                rows, latency.measure_latency(list(paths.values()), rounds), strict=True
            ):
                row["latency_ms"] = found
        engine = _common_engine(list(paths.values()))
        for label, (dataset, root) in places.items():
            able = [row for row in rows if can_convert(row["scheme"], targets[label])]
            every = _measure(
                [paths[row["name"]] for row in able], Photos(dataset, root), Path(folder) / "out",
                boxes=(boxes,), engine=engine, detector_model=detector_model, page=False,
            )  # fmt: skip
            for row in rows:
                reason = f"{row['scheme']} cannot be brought to {targets[label]}."
                row["sets"][label] = {"reason": reason}
            for row, figures in zip(able, every, strict=True):
                row["sets"][label] = figures
    result = {
        "models": rows,
        "failed": failed,
        "sets": {
            label: {"dataset": dataset, "folder": str(root), "scheme": targets[label]}
            for label, (dataset, root) in places.items()
        },
        "boxes": boxes,
        "engine": engine,
        "rounds": rounds,
        "environment": latency.environment(),
    }
    result["notes"] = notes_of(result)
    write_comparison(Path(out), result)
    return result


def _names(models: Sequence[Path | str]) -> list[str]:
    """What each model is called: its folder's or file's name, with the parent's if need be."""
    paths = [Path(model).resolve() for model in models]
    return unique_names([(p.name if p.is_dir() else p.stem, p.parent.name) for p in paths])


# --- one model ---------------------------------------------------------------------------------


def _describe(model: Path | str, path: Path) -> Row:
    """What is known of a model without running it; leaves its `.pb` at `path`."""
    run = Path(model) if Path(model).is_dir() else None
    if run:
        freeze(run, path)
    else:
        source = find_model(model)
        load_contract(source)  # its message names the file that the user knows
        shutil.copy(source, path)
        shutil.copy(contract_path(source), contract_path(path))
    contract = load_contract(path)
    graph, batch = latency.load_graph(path, contract)
    constants, flops = latency.count_constants(graph), latency.count_flops(graph)
    training = contract.training
    return {
        "kind": "run" if run else "pb",
        "network": contract.network,
        "head": None,
        "scheme": contract.scheme,
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
        "weights_step": training.get("step"),
        "validation_nme": contract.metrics.get("validation_nme_inter_ocular"),
        **(_of_run(run) if run else {}),
        "sets": {},
    }


def _of_run(run: Path) -> Row:
    """What only a run's folder says."""
    config, info, _ = load_run(run)
    with tf.Graph().as_default():
        build_model(config.network, get_scheme(info.scheme).points, is_training=False)
        parameters = sum(int(np.prod(v.shape.as_list())) for v in tf.trainable_variables())
    found = {
        "head": config.network.head,
        "parameters": parameters,
        "parameters_are": VARIABLES,
        "minutes": round(load_state(run).minutes, 2),
    }
    if latest := latest_checkpoint(run):
        steps = step_of(latest)
        found |= {"steps": steps, "images_seen": steps * config.train.batch_size}
    return found


def _common_engine(models: Sequence[Path]) -> EngineName:
    """OpenCV if it runs every model, or else TensorFlow: the NME of all is from one engine."""
    try:
        for model in models:
            load_engine(model, load_contract(model), "opencv")
    except InputError:
        return "tensorflow"
    return "opencv"


def _measure(models: Sequence[Path], faces: Photos, out: Path, **options: Any) -> list[Row]:
    """The figures of each model on one set, or the reason why there are none."""
    if not models:
        return []
    try:
        metrics = evaluate_models(models, faces, out, **options)
    except InputError as error:
        if len(models) == 1:
            return [{"reason": str(error).replace(str(models[0]), models[0].name)}]
        # It may be one model's fault.
        return [_measure([model], faces, out, **options)[0] for model in models]
    return [
        {
            "n": of["n"],
            "missed": of["missed_faces"],
            "skipped": len(metrics["skipped"]),
            "nme_inter_ocular": of["nme_inter_ocular"],
            "interval_95": of["interval_95"]["nme_inter_ocular"],
            "nme_bbox_size": of["nme_bbox_size"],
        }
        for of in metrics["models"]
    ]
