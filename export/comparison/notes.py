"""What a reader must know about the figures of a comparison, as sentences."""

from collections.abc import Mapping
from typing import Any

from senet_landmark.export.engines.interface import EngineName
from senet_landmark.export.engines.registry import ENGINES
from senet_landmark.export.speed.harness import with_threads

VARIABLES, CONSTANTS = "trainable variables", "constants of the graph"
"""What is counted as the parameters of a run, and of a `.pb`."""


def notes_of(result: Mapping[str, Any]) -> list[str]:
    """The conventions of a result of `compare`, as sentences."""
    notes = [
        "In bold: the lowest value of a column. Training and validation are not ranked: runs "
        "differ in machine, records and split.",
        f"Parameters: the {VARIABLES} of a training run; †: the float {CONSTANTS} of a .pb. There "
        "batch norm is folded (two vectors of a layer become one), and fixed numbers such as grids "
        "count too.",
        "MFLOPs: for one face, by TensorFlow's profiler on the frozen graph, batch norm folded; a "
        "multiplication and an addition are two. Size: of the .pb, 1 MB is 10⁶ bytes.",
    ]
    if result["rounds"]:
        notes.append(_latency_note(result))
    notes.append(
        "Training of a run: all its steps; images are steps times batch size, faces/s are images "
        "divided by the training time, validations included. Training of a .pb: what its contract "
        "says, up to the step of its weights."
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
            "On the validation split: each run on its own split, with the weights that are frozen, "
            "measured during training. MSE of a coordinate is in squared pixels of the network's "
            "input, which compare only between networks of the same input size, and of the photo. "
            "Loss: weighted sum of its terms, without augmentation, ASM copies and regularisation; "
            "compare it only between runs of the same loss. Angles: mean absolute error."
        )
    if result["sets"]:
        notes.append(
            f"NME: the mean over the faces, divided by the distance of the outer eye corners; in "
            f"brackets its 95% bootstrap interval. By box: divided by the square root of width "
            f"times height of the landmarks' box. MSE: of a coordinate, in squared pixels of the "
            f"photo. Sum of squared distances: over a face's landmarks, in units of the side of "
            f"its default crop. Face boxes: {result['boxes']}; engine: {result['engine']}."
        )
    return [*notes, *_missing_latencies(result), *_set_notes(result)]


def _latency_note(result: Mapping[str, Any]) -> str:
    machine = result["environment"]
    releases = ", ".join(
        f"{spec.title} {machine[name]}" for name, spec in with_threads().items() if machine[name]
    )
    return (
        f"Latency: of the model alone on one crop, without face detection, with one thread; "
        f"compare.csv and the page also have it with all threads. It is the median of "
        f"{result['rounds']} warm runs; the models take turns in one process. ONNX Runtime (its "
        f"threads do not spin between runs) and LiteRT run conversions of the .pb. "
        f"{machine['processor']}, {machine['cores']} cores, {releases}."
    )


def _missing_latencies(result: Mapping[str, Any]) -> list[str]:
    """Why a latency is missing; models with the same reason share a sentence."""
    reasons: dict[tuple[EngineName, str], list[str]] = {}
    for row in result["models"]:
        for engine, latency in (row["latency_ms"] or {}).items():
            if "error" in latency:
                reasons.setdefault((engine, latency["error"]), []).append(row["name"])
    return [
        f"No latency in {ENGINES[engine].title} of {', '.join(names)}: {error}"
        for (engine, error), names in reasons.items()
    ]


def _set_notes(result: Mapping[str, Any]) -> list[str]:
    """How many faces of each data set were measured, and why a model was not."""
    notes = []
    for label in result["sets"]:
        counts: dict[tuple[int, ...], str] = {}
        for row in result["models"]:
            figures = row["sets"][label]
            if "n" in figures:
                key = (figures["n"], figures["missed"], figures["skipped"])
                counts.setdefault(key, row["name"])
        for (n, missed, skipped), name in counts.items():
            whose = f" ({name})" if len(counts) > 1 else ""
            notes.append(
                f"{label}{whose}: {n} faces measured, {missed} missed because they have no box, "
                f"{skipped} skipped."
            )
        for row in result["models"]:
            if reason := row["sets"][label].get("reason"):
                notes.append(f"{row['name']} on {label}: {reason}")
    return notes
