"""The whole pipeline on an embedded portrait: every step once, on faces that it makes itself."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from senet_landmark.data_tools.records.build_records import build_records
from senet_landmark.data_tools.synthesis.synthetic_tree import (
    portrait,
    portrait_path,
    write_synthetic,
)
from senet_landmark.errors import InputError
from senet_landmark.evaluation.metrics import nme
from senet_landmark.export.evaluation.evaluate import Photos, evaluate_models
from senet_landmark.export.freezing.freeze import freeze
from senet_landmark.export.inference.predict import predict_photos
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.face.geometry import box_from_landmarks
from senet_landmark.io.files import read_json, write_json
from senet_landmark.presets import get_preset
from senet_landmark.training.train import train

BEGUN = "quickstart.json"
"""File with the numbers of a call that is not finished."""


def quickstart(out: Path | str, *, faces: int = 400, minutes: float = 1.25) -> dict[str, Any]:
    """Makes faces, builds records, trains, freezes, evaluates on unseen faces, and predicts.

    Args:
      out: folder for all results; it must not exist yet, be empty, or hold what an interrupted call
        with the same numbers left, which then goes on.
      faces: number of faces for training and validation; a tenth as many are made for evaluation.
      minutes: minutes of training.

    Returns:
      `unseen`: metrics on the unseen faces; `portrait_nme`: NME in percent on the real portrait,
      from which the faces were made; `shipped_nme`: the same for the weights that ship, which were
      trained on real photos; `seconds`: time of the whole.

    Raises:
      InputError: `out` holds something else, or there are too few faces to hold one out.
    """
    began = time.monotonic()
    if faces < 2:
        raise InputError(f"The quickstart needs at least 2 faces, not {faces}.")
    out = Path(out)
    _claim(out, {"faces": faces, "minutes": minutes})
    config = get_preset("quickstart")
    config = replace(config, train=replace(config.train, minutes=minutes))
    model, tree, unseen = out / "model.pb", out / "300W_LP", out / "unseen"

    _say(1, f"{faces} synthetic faces in the layout of 300W-LP, {faces // 10} to test on")
    write_synthetic(tree, count=faces, seed=1)
    write_synthetic(unseen, count=max(faces // 10, 1), seed=2)
    _say(2, "records: build-records")
    if not (out / "records" / "report.json").exists():
        build_records("300w_lp", tree, out / "records", config.records)
    _say(3, f"{minutes:g} minutes of training: train")
    train(config, out / "records", out / "run")
    _say(4, "one frozen graph: freeze")
    frozen = freeze(out / "run", model)
    _say(5, "unseen faces: evaluate")
    metrics = evaluate_models([model], Photos("300w_lp", unseen), out / "evaluation")
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
        f"{metrics['n']} unseen synthetic faces, {portrait_nme:.1f}% on the real portrait; "
        f"{shipped_nme:.1f}% there by the weights that ship, trained on real photos.\n"
        f"Look at\n"
        f"  {out / 'records' / 'contact_sheet.png'}  the faces that it was trained on\n"
        f"  {out / 'predictions' / 'portrait_landmarks.jpg'}  the landmarks on a real photo\n"
        f"  {shipped_picture}  those of the weights that ship\n"
        f"  {frozen.model}  the model; try it: senet-landmark predict PHOTO --model {frozen.model}"
    )
    return {
        "unseen": metrics, "portrait_nme": portrait_nme, "shipped_nme": shipped_nme,
        "seconds": seconds,
    }  # fmt: skip


def _claim(out: Path, numbers: dict[str, float]) -> None:
    """Begins in an empty folder, or goes on where a call with the same numbers was interrupted."""
    begun = out / BEGUN
    if begun.exists() and read_json(begun) == numbers:
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: holds something already. Delete it or give another --out.")
    write_json(begun, numbers)


def _on_portrait(predictor: Predictor, out: Path) -> float:
    """Predicts on the portrait from which the faces are made; returns the NME in percent."""
    predict_photos([portrait_path()], out, predictor=predictor, overwrite=True)
    photo, truth = portrait()
    predicted = predictor.landmarks(photo, box_from_landmarks(truth)[None], "landmarks")
    return float(100 * nme(predicted, truth[None], predictor.scheme)[0])


def _say(number: int, what: str) -> None:
    print(f"\n[{number}/6] {what}", flush=True)
