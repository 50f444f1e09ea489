"""Measures the models that ship, and writes the figures where they stand: card, README, docs.

python benchmarks/shipped/card.py DATA OUT --ytf-records records-ytf --mtfl-records records-mtfl

DATA holds 300w/, ytf/, aflw2000_3d/ and london/. The records are made by `build-records --dataset
ytf --records.test 0.2`, whose training people are left out, and by `--dataset mtfl`, whose test
photos are measured. Tables that are there are written anew, row by row; what stands between them is
not touched.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from groups_of_people import errors_by_group, ratio
from senet_landmark.evaluation.metrics import normaliser
from senet_landmark.evaluation.statistics import bootstrap_interval
from senet_landmark.export.evaluation.face_sources import Photos, face_source_of
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.face.boxes import LANDMARKS
from senet_landmark.frozen.models import shipped_models
from senet_landmark.io.files import write_bytes

REPOSITORY = Path(__file__).resolve().parents[2]
CARD = REPOSITORY / "export" / "pretrained" / "README.md"
MODELS = ("senet-68", "senet-68-small", "senet-68-3d", "senet-68-attributes")
GROUPS = {
    "white": "white",
    "black": "black",
    "west_asian": "West Asian",
    "east_asian": "East Asian",
}
INNER = slice(17, 68)
"""300W's points without the contour, which follows the visible cheek in some sets and models, and
the true jaw in others. Where they differ, these points count."""

Figures = Mapping[tuple[str, str], Mapping[str, Any]]
"""(model, source of boxes) -> its figures on a set."""


def expected_and_true(model: str, dataset: str, root: Path, subset: str = "") -> np.ndarray:
    """The expected and the true error of each point, [2, N, K], in % of the eyes' distance.

    K is 68, or 51 where the model's contour is another than the data set's. Only faces whose subset
    begins with `subset`.
    """
    predictor, skipped = Predictor(model), []
    source = face_source_of(Photos(dataset, root), [LANDMARKS], None, skipped)
    points = slice(None) if predictor.scheme.name == source.scheme.name else INNER
    errors = []
    for annotated in (face for photo in source.photos() for face in photo):
        if not annotated.subset.startswith(subset):
            continue
        truth = annotated.truth
        (face,) = predictor.faces(annotated.photo, annotated.boxes[LANDMARKS][None], LANDMARKS)
        distance = np.linalg.norm(face.landmarks - truth, axis=1)
        eyes = normaliser(truth[None], source.scheme, "inter_ocular")
        errors.append(100 * np.stack([face.uncertainty, distance])[:, points] / eyes)
    assert not skipped
    return np.stack(errors, axis=1)


def change_rows(text: str, title: str, change: Callable[[list[str]], Sequence[str]]) -> str:
    """The text with the rows of one table changed.

    Args:
      text: Markdown.
      title: with which the table's first line begins; there is one such table.
      change: the cells of a row -> its new cells.

    Raises:
      ValueError: there is no such table, or there are several.
    """
    if text.count(f"\n{title}") != 1:
        raise ValueError(f"{text.count(title)} tables begin with {title!r}")
    start = text.index(f"\n{title}") + 1
    end = text.find("\n\n", start)
    first, rule, *rows = text[start:end].split("\n")
    changed = [
        "| " + " | ".join(change([cell.strip() for cell in row[1:-1].split("|")])) + " |"
        for row in rows
    ]
    changed = [re.sub(r"\|  (?=\|)", "| ", row) for row in changed]
    return text[:start] + "\n".join([first, rule, *changed]) + text[end:]


def error(figures: Mapping[str, Any]) -> str:
    """NME by the eye corners with its interval, and how many faces were missed."""
    ends = figures["interval_95"]
    ends = ends["nme_inter_ocular"] if isinstance(ends, dict) else ends
    within = " ({:.2f} to {:.2f})".format(*ends) if ends else ""
    missed = f", {figures['missed_faces']} missed" if figures.get("missed_faces") else ""
    return f"{figures['nme_inter_ocular']:.2f}%{within}{missed}"


def part_of(figures: Mapping[str, Any], group: str) -> Mapping[str, Any]:
    """The figures of a group as the tables name it: `all`, `yaw 0-30`, `smile: smiling`."""
    if group == "all":
        return figures
    if group.startswith("yaw "):
        return figures["by_yaw"].get(group[4:], {})
    attribute, name = group.split(": ")
    return figures["by_attribute"][attribute.replace(" ", "_")][name]


def section_of(card: str, model: str, sets: Mapping[str, Figures]) -> str:
    """The card with the table of one model's own section."""
    start = card.index(f"\n# {model}\n")
    end = card.index("\n# ", start + 1)
    names = {"HELEN test": "300w", "YouTube Faces, unseen people": "ytf"}
    names["MTFL test, five points"] = "mtfl"
    current = ""

    def change(cells: list[str]) -> list[str]:
        nonlocal current
        current = cells[0] or current
        figures = sets[names[current]]
        own = [
            part_of(figures[model, boxes], cells[1]) if (model, boxes) in figures else None
            for boxes in ("landmarks", "dlib")
        ]
        return [*cells[:2], f"{own[0]['n'] + own[0].get('missed_faces', 0):,}"] + [
            error(part) if part else "" for part in own
        ]

    part = change_rows(card[start:end], "| set | faces | n | landmarks' boxes", change)
    return card[:start] + part + card[end:]


def figures_in(folder: Path) -> Figures:
    """The figures of a set that `evaluate` wrote."""
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return {(entry["model"], entry["boxes"]): entry for entry in metrics["models"]}


def evaluated(out: Path, models: Sequence[str], *options: str | Path) -> None:
    """Runs `evaluate`, unless it has been."""
    if not (out / "table.md").exists():
        command = ["evaluate", "--model", *models, *options, "--out", out]
        subprocess.run([sys.executable, "-m", "senet_landmark", *map(str, command)], check=True)


def people(table: Path) -> Callable[[list[str]], list[str]]:
    """For the table of people by group."""
    errors = errors_by_group(table)

    def change(cells: list[str]) -> list[str]:
        group = next(key for key, name in GROUPS.items() if name == cells[0])
        row = []
        for model in MODELS:
            own = errors[model][group]
            ends = bootstrap_interval(own)
            row.append("{:.2f} ({:.2f} to {:.2f})".format(own.mean(), *ends or ()))
            if group != "white":
                beside = ratio(own, errors[model]["white"])
                row[-1] += "; {:.2f} ({:.2f} to {:.2f})".format(*beside)
        return [cells[0], str(len(errors[MODELS[0]][group])), *row]

    return change


def expected(data: Path) -> Callable[[list[str]], list[str]]:
    """For the table of the expected beside the true error."""
    found = {
        (model, where): expected_and_true(model, *of)
        for model in MODELS
        for where, of in {
            "HELEN": ("300w", data / "300w" / "helen" / "testset"),
            "aflw": ("csv", data / "aflw2000_3d", "exact yaw 0-30"),
        }.items()
    }
    last = ""

    def change(cells: list[str]) -> list[str]:
        nonlocal last
        last = "aflw" if "aflw" in cells[0] else "HELEN" if "HELEN" in cells[0] else last
        kind = next((k for k in ("contour", "51") if k in cells[0]), "all")
        row = []
        for model, cell in zip(MODELS, cells[1:], strict=True):
            errors = found[model, last]
            inner_only = errors.shape[2] == 51
            if not cell or (inner_only and kind != "51"):
                row.append("")
                continue
            points = {"all": slice(None), "contour": slice(0, 17), "51": INNER}[kind]
            own = errors if inner_only else errors[:, :, points]
            told, true = own[0].mean(), own[1].mean()
            row.append(f"{told:.2f} / {true:.2f} = {told / true:.2f}")
        return [cells[0], *row]

    return change


def main() -> None:
    """Measures what is not measured yet, and writes the three pages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path, help="folder of the evaluations; finished ones are kept")
    parser.add_argument("--ytf-records", type=Path, required=True)
    parser.add_argument("--mtfl-records", type=Path, required=True)
    options = parser.parse_args()
    data, out = options.data, options.out
    assert set(MODELS) == set(shipped_models())
    evaluated(
        out / "main", MODELS, "--on", f"300w={data / '300w' / 'helen' / 'testset'}",
        f"ytf={data / 'ytf'}", "--unseen-by", options.ytf_records, "--boxes", "landmarks", "dlib",
        "--peer", "dlib",
    )  # fmt: skip
    flat = [model for model in MODELS if model != "senet-68-3d"]  # its scheme has no eye centres
    evaluated(out / "mtfl", flat, "--on", f"records={options.mtfl_records}")
    for name in ("aflw2000_3d", "london"):
        evaluated(out / name, MODELS, "--on", f"csv={data / name}")
    sets = {name: figures_in(out / "main" / name) for name in ("300w", "ytf")}
    (mtfl,) = (out / "mtfl").glob("*/metrics.json")
    sets["mtfl"] = figures_in(mtfl.parent)
    turned = figures_in(out / "aflw2000_3d" / "csv")

    card = CARD.read_text(encoding="utf-8")
    for model in MODELS:
        card = section_of(card, model, sets)

    def summary(cells: list[str]) -> list[str]:
        of = {"HELEN": ("300w", "landmarks"), "the same": ("300w", "dlib")}
        name, boxes = next((v for k, v in of.items() if cells[0].startswith(k)), ("ytf", "dlib"))
        if "NME" not in cells[0] and "boxes" not in cells[0]:
            return cells
        texts = [
            re.sub(r"[\d.]+%", f"{sets[name][m, boxes]['nme_inter_ocular']:.2f}%", cell)
            for m, cell in zip(MODELS, cells[1:], strict=True)
        ]
        return [cells[0], *texts]

    def by_yaw(cells: list[str]) -> list[str]:
        parts = [turned[m, "landmarks"]["by_subset"][f"exact yaw {cells[0]}"] for m in MODELS]
        return [cells[0], str(parts[0]["n"]), *(f"{p['nme_bbox_size']:.2f}" for p in parts)]

    card = change_rows(card, "| | `senet-68`", summary)
    card = change_rows(card, "| yaw | n |", by_yaw)
    card = change_rows(card, "| group | n |", people(out / "london" / "csv" / "faces.csv"))
    card = change_rows(card, "| expected / true", expected(data))
    write_bytes(CARD, card.encode())

    def front(cells: list[str]) -> list[str]:
        found = re.match(r"`(senet-68[\w-]*)`|(dlib)", cells[0])
        model = (found[1] or "dlib-68") if found else ""
        texts = [
            error(sets[name][model, boxes]).split(",")[0]
            for name, boxes in (("300w", "landmarks"), ("300w", "dlib"), ("ytf", "dlib"))
        ]
        best = min(
            figures["nme_inter_ocular"] for (_, b), figures in sets["ytf"].items() if b == "dlib"
        )
        if sets["ytf"][model, "dlib"]["nme_inter_ocular"] == best:
            texts[2] = re.sub(r"^([\d.]+%)", r"**\1**", texts[2])
        return [*cells[:2], *texts]

    readme = REPOSITORY / "README.md"
    write_bytes(
        readme, change_rows(readme.read_text(encoding="utf-8"), "| model | file |", front).encode()
    )

    current = ""

    def by_size(cells: list[str]) -> list[str]:
        nonlocal current
        current = cells[0] or current
        row = []
        for model in ("senet-68", "senet-68-small", "dlib-68"):
            for boxes in ("landmarks", "dlib"):
                part = part_of(sets[current][model, boxes], cells[1])
                row.append(f"{part['nme_bbox_size']:.2f}" if part else "")
        return [*cells[:3], *row]

    page = REPOSITORY / "docs" / "evaluation.md"
    title = "| set | faces | n | senet-68, landmarks"
    write_bytes(page, change_rows(page.read_text(encoding="utf-8"), title, by_size).encode())


if __name__ == "__main__":
    main()
