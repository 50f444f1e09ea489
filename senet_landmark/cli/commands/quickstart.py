"""The whole pipeline, every step once: on faces that it makes from a portrait, or the user's."""

import sys
import time
from pathlib import Path
from typing import Any

from senet_landmark.cli.commands.model import print_figures
from senet_landmark.cli.common import print_skipped
from senet_landmark.data.records import load_records_info
from senet_landmark.data_tools.datasets.registry import list_entries
from senet_landmark.data_tools.records.build_records import build_records
from senet_landmark.data_tools.synthesis.synthetic_tree import (
    LAYOUTS,
    portrait,
    portrait_path,
    write_synthetic,
)
from senet_landmark.errors import InputError
from senet_landmark.evaluation.metrics import nme
from senet_landmark.export.evaluation.evaluate import evaluate_models
from senet_landmark.export.evaluation.face_sources import Photos, Records, seen_identities
from senet_landmark.export.freezing.freeze import freeze
from senet_landmark.export.inference.predict import predict_photos
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.face.geometry import box_from_landmarks
from senet_landmark.face.scheme_conversion import can_convert, convert, targets_of
from senet_landmark.face.schemes import get_scheme
from senet_landmark.io.files import read_json, write_json
from senet_landmark.presets import for_minutes, get_preset
from senet_landmark.training.train import train

BEGUN = "quickstart.json"
"""File with the values of a call that is not finished."""


def quickstart(
    out: Path | str,
    *,
    faces: int = 400,
    minutes: float = 1.25,
    preset: str = "quickstart",
    dataset: str = "300w_lp",
    root: Path | None = None,
) -> dict[str, Any]:
    """Makes faces, builds records, trains, freezes, evaluates on unseen faces, and predicts.

    Args:
      out: folder for all results; it must not exist yet, be empty, or hold what an interrupted call
        with the same values left, which then goes on.
      faces: number of faces for training and validation; a tenth as many are made for evaluation.
      minutes: minutes of training.
      preset: recipe of the records and the training.
      dataset: layout of the faces that are made, or data set at `root`.
      root: folder of the user's own data set; None: faces are made.

    Returns:
      `unseen`: metrics on the unseen faces; `portrait_nme`: NME in percent on the real portrait,
      from which the faces were made; `shipped_nme`: the same for the weights that ship, which were
      trained on real photos; `seconds`: time of the whole.

    Raises:
      InputError: `out` holds something else, there are too few faces to hold one out, no faces can
        be made in this layout, or `root` does not hold the data set.
      KeyboardInterrupt: Ctrl-C ended the training; the same call goes on.
    """
    began = time.monotonic()
    out = Path(out)
    config = for_minutes(get_preset(preset), minutes)
    if root is None:
        if faces < 2:
            raise InputError(f"The quickstart needs at least 2 faces, not {faces}.")
        if dataset not in LAYOUTS:
            raise InputError(
                f"Faces are made in the layouts of {' and '.join(LAYOUTS)}, not of {dataset}: give "
                "the --root of its folder."
            )
    else:
        list_entries(dataset, root)  # before anything is written
    _claim(
        out,
        {
            "faces": faces, "minutes": minutes, "preset": preset, "dataset": dataset,
            "root": str(root.resolve()) if root else "",
        },
    )  # fmt: skip
    model, records = out / "model.pb", out / "records"

    tree, apart = (root, None) if root else _make(out, dataset, faces)
    _say(2, "records: build-records")
    if not (records / "report.json").exists():
        report = build_records(dataset, tree, records, config.records)
        print_skipped(report["skipped"], records / "report.json")
    _say(3, f"{minutes:g} minutes of training: train --preset {preset}")
    result = train(config, records, out / "run")
    if result.interrupted:
        print(f"{out / 'run'}: saved; the same command goes on from there.", file=sys.stderr)
        raise KeyboardInterrupt
    _say(4, "one frozen graph: freeze")
    frozen = freeze(out / "run", model)
    _say(5, "unseen faces: evaluate")
    metrics = evaluate_models(
        [model], apart or unseen_faces(dataset, tree, records), out / "evaluation"
    )
    print_figures(metrics)
    print_skipped(metrics["skipped"], out / "evaluation" / "metrics.json")
    _say(6, "a real photo: predict")
    portrait_nme, shipped_nme = (
        _on_portrait(Predictor(weights), out / folder)
        for weights, folder in ((model, "predictions"), (None, "predictions-shipped"))
    )

    (out / BEGUN).unlink()
    seconds = time.monotonic() - began
    shipped_picture = out / "predictions-shipped" / "portrait_landmarks.jpg"
    print(
        f"\nDone in {seconds:.0f} s. NME (inter-ocular): {metrics['nme_inter_ocular']:.1f}% on "
        f"{metrics['n']} unseen {'' if root else 'synthetic '}faces, {portrait_nme:.1f}% on the "
        f"real portrait; {shipped_nme:.1f}% there by the weights that ship, trained on real "
        "photos.\n"
        f"Look at\n"
        f"  {records / 'contact_sheet.png'}  the faces that it was trained on\n"
        f"  {out / 'evaluation' / 'evaluation.html'}  the errors, also by pose and attribute\n"
        f"  {out / 'predictions' / 'portrait_landmarks.jpg'}  the landmarks on a real photo\n"
        f"  {shipped_picture}  those of the weights that ship\n"
        f"  {frozen.model}  the model; try it: senet-landmark predict PHOTO --model {frozen.model}"
    )
    return {
        "unseen": metrics, "portrait_nme": portrait_nme, "shipped_nme": shipped_nme,
        "seconds": seconds,
    }  # fmt: skip


def _make(out: Path, dataset: str, faces: int) -> tuple[Path, Photos | None]:
    """Makes a tree; also the faces to test on, where they are not a part of it as published."""
    apart = max(faces // 10, 1)
    _say(1, f"{faces} synthetic faces in the layout of {dataset}, {apart} to test on")
    tree = out / LAYOUTS[dataset]
    if dataset == "wflw":
        write_synthetic(tree, count=faces + apart, layout=dataset, test=apart, seed=1)
        return tree, None
    write_synthetic(tree, count=faces, layout=dataset, seed=1)
    write_synthetic(out / "unseen", count=apart, layout=dataset, seed=2)
    return tree, Photos(dataset, out / "unseen")


def unseen_faces(dataset: str, root: Path, records: Path) -> Photos | Records:
    """What to evaluate on: the photos that a data set publishes for testing, if it does.

    Args:
      dataset: name of the data set.
      root: its folder.
      records: the records that were made of it. Without a split `test` they are measured, on the
        faces that the training held out.
    """
    info = load_records_info(records)
    if "test" in info.splits:
        return Photos(dataset, root, left_out=seen_identities([records]))
    print(f"The data set publishes no faces for testing: those of the split {info.held_out}.")
    return Records(records, info.held_out)


def _claim(out: Path, values: dict[str, float | str]) -> None:
    """Begins in an empty folder, or goes on where a call with the same values was interrupted."""
    begun = out / BEGUN
    if begun.exists() and read_json(begun) == values:
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: holds something already. Delete it or give another --out.")
    write_json(begun, values)


def _on_portrait(predictor: Predictor, out: Path) -> float:
    """Predicts on the portrait from which the faces are made; returns the NME in percent."""
    predict_photos([portrait_path()], out, predictor=predictor, overwrite=True)
    photo, truth = portrait()
    predicted = predictor.landmarks(photo, box_from_landmarks(truth)[None], "landmarks")
    annotated, scheme = "300w_68", predictor.scheme.name
    # The most points that both can be brought to: 5 at least.
    common = next(name for name in targets_of(annotated) if can_convert(scheme, name))
    points = convert(predicted, scheme, common), convert(truth[None], annotated, common)
    return float(100 * nme(*points, get_scheme(common))[0])


def _say(number: int, what: str) -> None:
    print(f"\n[{number}/6] {what}", flush=True)
