"""`senet-landmark COMMAND`: each command is a function with a docstring; tyro derives the options.

Imports are inside each command, so that `--help` and `predict` start without TensorFlow.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from senet_landmark.config import (
    AugmentConfig,
    Config,
    LossConfig,
    NetworkConfig,
    ScheduleConfig,
    TrainConfig,
    get_preset,
)
from senet_landmark.errors import InputError

BoxSource = Literal["landmarks", "dlib"]
EngineName = Literal["opencv", "tensorflow"]
PresetName = Literal["senet", "senet_original", "quickstart"]
PointsName = Literal["auto", "pt2d", "pts_2d", "pts_3d"]


def build_records(
    root: Path,
    out: Path,
    dataset: str = "300w_lp",
    boxes: BoxSource = "landmarks",
    preset: PresetName = "senet",
    points: PointsName = "auto",
    workers: int = 0,
) -> None:
    """Photos and annotations -> sharded TFRecords, report.json and contact_sheet.png.

    An interrupted build goes on when the same command is given again.

    For example:
      senet-landmark build-records --root 300W_LP --out records
      senet-landmark build-records --root 300W_LP --out records-dlib --boxes dlib

    Args:
      root: Folder of the data set, laid out as published.
      out: Folder for the records; must not hold other records.
      dataset: Its name in data_tools/datasets/registry.py; a wrong one lists them.
      boxes: Where face boxes come from; dlib falls back to the landmarks where it finds no face.
      preset: Whose crops and split are made.
      points: Which of 300W-LP's annotations; auto: landmarks/ where it exists, pt2d otherwise.
      workers: Processes; 0: one a core.
    """
    from senet_landmark.runtime import start_tensorflow

    start_tensorflow()
    from data_tools.build_records import build_records as run

    report = run(
        dataset, root, out, get_preset(preset).records, boxes=boxes, points=points, workers=workers
    )
    splits = ", ".join(f"{name} {count}" for name, count in report["faces_by_split"].items())
    print(f"{report['faces']} faces ({splits}) in {report['seconds']} s -> {out}")
    if boxes == "dlib":
        print(f"dlib found no face in {report['detector_missed']}; their landmarks gave the box.")
    _print_skipped(report["skipped"], Path(out) / "report.json")
    print(f"Look at {Path(out) / 'contact_sheet.png'}")


def make_train(default: Config) -> Callable[..., None]:
    """The `train` command, its options' defaults being those of a preset."""

    def train(
        records: Path,
        run: Path,
        preset: PresetName = "senet",
        steps: int = default.train.steps,
        minutes: float = default.train.minutes,
        network: NetworkConfig = default.network,
        augment: AugmentConfig = default.augment,
        loss: LossConfig = default.loss,
        schedule: ScheduleConfig = default.schedule,
        train: Annotated[TrainConfig, tyro.conf.arg(name="loop")] = default.train,
    ) -> None:
        """Records -> checkpoints, config.json and TensorBoard events.

        The same command again resumes. Ctrl-C saves first.

        For example:
          senet-landmark train --records records --run run --minutes 25
          senet-landmark train --preset senet_original --records records --run run --steps 1000
          senet-landmark train --records records --run run-l2 --loss.name l2 --loop.batch-size 32

        Args:
          records: Folder that build-records made.
          run: Folder of the run; made if absent, gone on with otherwise.
          preset: Which recipe; every option below has its value as default.
          steps: Steps of the run.
          minutes: Minutes of the run, all sessions added up; 0: only steps end it.
          network: Which network.
          augment: Random changes of training faces.
          loss: Which loss.
          schedule: The learning rate.
          train: The training loop.
        """
        from senet_landmark.runtime import start_tensorflow

        start_tensorflow()
        from senet_landmark.train import train as start

        config = replace(
            default,
            preset=preset,
            network=network,
            augment=augment,
            loss=loss,
            schedule=schedule,
            train=replace(train, steps=steps, minutes=minutes),
        )
        result = start(config, records, run)
        ended = "Interrupted, saved" if result.interrupted else "Done"
        best = "none" if result.best_nme is None else f"{result.best_nme:.2f}%"
        print(
            f"{ended} at step {result.steps} after {result.minutes:.1f} minutes: "
            f"loss {result.loss:.4g}, best validation NME {best} (step {result.best_step})."
        )
        if not result.interrupted:
            print(f"Freeze it: senet-landmark freeze --run {run} --out model.pb")

    return train


def freeze(run: Path, out: Path, records: Path | None = None, batch_size: int = 0) -> None:
    """Best checkpoint -> one frozen .pb and its .json contract, checked on real crops.

    For example:
      senet-landmark freeze --run run --out model.pb

    Args:
      run: Folder of a training run.
      out: The .pb to write; the contract goes beside it.
      records: Records to check on, if not those of the run.
      batch_size: Faces that the graph takes at once; 0: any number.
    """
    from senet_landmark.runtime import start_tensorflow

    start_tensorflow()
    from export.freeze import freeze as start

    result = start(run, out, records=records, batch_size=batch_size)
    print(
        f"{result.model} ({result.megabytes:.2f} MB) and {result.contract}, from "
        f"{result.checkpoint}: equal to {result.difference:.1e} of the crop on "
        f"{result.faces} faces."
    )


def predict(
    photos: tyro.conf.Positional[tuple[Path, ...]],
    out: Path = Path("predictions"),
    model: str | None = None,
    engine: EngineName = "opencv",
) -> None:
    """Photos -> landmarks.json and pictures with the points drawn.

    For example:
      senet-landmark predict photo.jpg
      senet-landmark predict folder/ another.png --model model.pb --out out

    Args:
      photos: Photos, and folders that are searched through.
      out: Folder for landmarks.json and the pictures.
      model: A .pb that freeze wrote, or the name of one that ships; by default senet-68.
      engine: What runs the model; opencv does not need TensorFlow.
    """
    if not photos:
        raise InputError("Give at least one photo or folder.")
    if engine == "tensorflow":
        from senet_landmark.runtime import start_tensorflow

        start_tensorflow()
    from export.predict import predict_photos

    summary = predict_photos(list(photos), out, model=model, engine=engine)
    print(f"{summary['faces']} faces in {summary['photos']} photos -> {out}")
    for photo in summary["without_face"]:
        print(f"no face found: {photo}")
    _print_skipped(summary["skipped"])


def evaluate(
    root: Path,
    out: Path,
    dataset: str = "300w",
    model: str | None = None,
    boxes: BoxSource = "landmarks",
    points: PointsName = "auto",
    engine: EngineName = "opencv",
) -> None:
    """A frozen model on annotated photos -> metrics, printed and in metrics.json.

    For example:
      senet-landmark evaluate --model model.pb --dataset 300w --root 300w/helen/testset --out eval
      senet-landmark evaluate --model model.pb --root 300w/helen/testset --out eval --boxes dlib

    Args:
      root: Folder of the data set.
      out: Folder for metrics.json.
      dataset: Its name in data_tools/datasets/registry.py; a wrong one lists them.
      model: A .pb that freeze wrote, or the name of one that ships; by default senet-68.
      boxes: Tight boxes of the true landmarks, or dlib's detections.
      points: Which of 300W-LP's annotations.
      engine: What runs the model.
    """
    if engine == "tensorflow":
        from senet_landmark.runtime import start_tensorflow

        start_tensorflow()
    from export.evaluate import evaluate_model

    metrics = evaluate_model(model, dataset, root, out, boxes=boxes, points=points, engine=engine)
    print(f"n                 {metrics['n']}")
    print(f"nme_inter_ocular  {metrics['nme_inter_ocular']:.2f} %")
    print(f"missed_faces      {metrics['missed_faces']}")
    _print_skipped(metrics["skipped"], Path(out) / "metrics.json")


def quickstart(out: Path = Path("quickstart"), faces: int = 400, minutes: float = 1.25) -> None:
    """The whole pipeline on faces that it makes itself; about 3 minutes on 2 cores.

    Makes a small 300W-LP tree from one public-domain portrait, builds records, trains, freezes,
    evaluates on faces that training did not see, and predicts on the real portrait.

    For example:
      senet-landmark quickstart --out quickstart

    Args:
      out: Folder for everything it makes; must not exist yet.
      faces: Faces to make.
      minutes: Minutes of training.
    """
    from senet_landmark.runtime import start_tensorflow

    start_tensorflow()
    from senet_landmark.quickstart import quickstart as start

    start(out, faces=faces, minutes=minutes)


def _print_skipped(skipped: list[dict[str, str]], where: Path | None = None, most: int = 5) -> None:
    if not skipped:
        return
    print(f"Skipped {len(skipped)}:", file=sys.stderr)
    for skip in skipped[:most] if where else skipped:
        print(f"  {skip['reason']}", file=sys.stderr)
    if where and len(skipped) > most:
        print(f"  … all of them in {where}", file=sys.stderr)


def _preset_of(arguments: list[str]) -> Config:
    """The preset that the arguments name: its values are the defaults of the other options."""
    for index, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == "--preset":
            value = value if equals else "".join(arguments[index + 1 : index + 2])
            return get_preset(value)
    return get_preset("senet")


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit status: 0 done, 2 bad input, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        app = tyro.extras.SubcommandApp()
        commands: list[Callable[..., Any]] = [
            quickstart, build_records, make_train(_preset_of(arguments)), freeze, predict, evaluate,
        ]  # fmt: skip
        for command in commands:
            app.command(command)
        app.cli(prog="senet-landmark", description=_DESCRIPTION, args=arguments or ["--help"])
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"error: {place}{error.strerror or error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


_DESCRIPTION = (
    "Train a facial-landmark detector from your own data; run it anywhere as one frozen graph."
)

if __name__ == "__main__":
    sys.exit(main())
