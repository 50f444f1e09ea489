"""What a reader of a comparison must know of its figures, as sentences."""

from collections.abc import Mapping
from typing import Any

from senet_landmark.export.engines.interface import EngineName
from senet_landmark.export.engines.registry import ENGINES
from senet_landmark.export.speed.harness import with_threads

VARIABLES, CONSTANTS = "trainable variables", "constants of the graph"
"""What a model's parameters may be."""


def notes_of(result: Mapping[str, Any]) -> list[str]:
    """The conventions, as sentences."""
    notes = [
        "In bold: the least of a column. Training and validation are not ranked: runs differ in "
        "machine, records and split.",
        f"Parameters: the {VARIABLES} of a training run; †: of a .pb, the float {CONSTANTS}, "
        "with batch norm folded (two vectors a layer become one) and fixed numbers, such as grids, "
        "counted.",
        "MFLOPs of one face, by TensorFlow's profiler on the frozen graph, batch norm folded; a "
        "multiplication and an addition are two. Size: the .pb, 1 MB is 10⁶ bytes.",
    ]
    if result["rounds"]:
        notes.append(_latency_note(result))
    notes.append(
        "Training, of a run: all its steps, images are steps times batch size, faces/s are images "
        "by minutes, validations included; of a .pb: what its contract says, the step that the "
        "weights are from."
    )
    shown = {row["name"] for row in result["models"]}
    trained = [f"{x['name']} on {x['records']}" for x in result["trained"] if x["name"] in shown]
    if trained:
        notes.append(
            f"Trained from scratch for this comparison, each for at least {result['minutes']:g} "
            f"minutes: {', '.join(trained)}."
        )
    if any(row["validation"] for row in result["models"]):
        notes.append(
            "On the validation split: each run's own, with the weights that are frozen, measured "
            "while training. MSE of a coordinate in squared pixels of the network's input, so that "
            "networks of one input size compare; angles: mean absolute error."
        )
    if result["sets"]:
        notes.append(
            f"NME: mean over faces by the distance of the outer eye corners, in brackets 95% of "
            f"bootstraps; by box: by the square root of width times height of the landmarks' box. "
            f"Face boxes: {result['boxes']}; engine: {result['engine']}."
        )
    return [*notes, *_missing_latencies(result), *_set_notes(result)]


def _latency_note(result: Mapping[str, Any]) -> str:
    where = result["environment"]
    releases = ", ".join(
        f"{spec.title} {where[name]}" for name, spec in with_threads().items() if where[name]
    )
    return (
        f"Latency of the model alone on one crop, without finding the face, with one thread; all "
        f"threads are in compare.csv and on the page: median of {result['rounds']} runs, warm, the "
        f"models taking turns in one process; ONNX Runtime (its threads not spinning "
        f"between runs) and LiteRT have conversions of the .pb. "
        f"{where['processor']}, {where['cores']} cores, {releases}."
    )


def _missing_latencies(result: Mapping[str, Any]) -> list[str]:
    """Why there is no latency, once for the models that have the same reason."""
    reasons: dict[tuple[EngineName, str], list[str]] = {}
    for row in result["models"]:
        for engine, of in (row["latency_ms"] or {}).items():
            if "error" in of:
                reasons.setdefault((engine, of["error"]), []).append(row["name"])
    return [
        f"No latency in {ENGINES[engine].title} of {', '.join(names)}: {error}"
        for (engine, error), names in reasons.items()
    ]


def _set_notes(result: Mapping[str, Any]) -> list[str]:
    """Faces measured on each set, and models that could not be."""
    notes = []
    for label in result["sets"]:
        counts: dict[tuple[int, ...], str] = {}
        for row in result["models"]:
            of = row["sets"][label]
            if "n" in of:
                counts.setdefault((of["n"], of["missed"], of["skipped"]), row["name"])
        for (n, missed, skipped), name in counts.items():
            whose = f" ({name})" if len(counts) > 1 else ""
            notes.append(
                f"{label}{whose}: {n} faces measured, {missed} missed for want of a box, "
                f"{skipped} skipped."
            )
        for row in result["models"]:
            if reason := row["sets"][label].get("reason"):
                notes.append(f"{row['name']} on {label}: {reason}")
    return notes
