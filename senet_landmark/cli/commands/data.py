"""Commands that make and inspect records: turn-views, build-records, inspect."""

import shlex
from collections.abc import Callable
from pathlib import Path

import tyro

from senet_landmark.cli.choices import BoxSource, DatasetName, PresetName
from senet_landmark.cli.common import print_skipped
from senet_landmark.config import Config, RecordsConfig
from senet_landmark.errors import InputError


def turn_views(
    root: Path,
    out: Path,
    views: int = 3,
    max_yaw: float = 75.0,
    step: float | None = None,
    seed: int = 0,
    workers: int = 0,
) -> None:
    """A 300W-LP tree of frontal photos -> a tree in which each face is also seen from the side.

    After an interruption, give the same command again: it goes on.

    For example:
      senet-landmark turn-views --root 300W_LP --out 300W_LP_turned
      senet-landmark build-records --root 300W_LP_turned --out records-turned

    Args:
      root: Folder of the tree; the photos NAME_0 in it are turned.
      out: Folder for the new tree, with copies of the photos.
      views: Turned views of each photo.
      max_yaw: Largest yaw, in degrees.
      step: Degrees from view to view; by default the views are spread at random up to max_yaw.
      seed: Seed of the random angles.
      workers: Processes; 0: one for each core.
    """
    from senet_landmark.data_tools.synthesis.turned_views import write_turned_views

    report = write_turned_views(
        root, out, views=views, max_yaw=max_yaw, step=step, seed=seed, workers=workers
    )
    details = f"; {report['views_present']} were there" if report["views_present"] else ""
    if report["views"]:
        low, median, high = report["yaw_degrees"]
        details += f"; |yaw| {low:.0f} to {high:.0f} degrees, median {median:.0f}"
    print(
        f"{report['views']} views of {report['photos']} photos in {report['seconds']} s -> {out}"
        f"{details}."
    )
    if report["not_turned_count"]:
        print(f"{report['not_turned_count']} copied without views; {out / 'report.json'} says why.")
    print_skipped(report["skipped"], out / "report.json")
    print(f"Look at {out / 'contact_sheet.png'}")


def make_build_records(default: Config) -> Callable[..., None]:
    """The `build-records` command; a preset gives the defaults of its options."""

    def build_records(
        root: Path,
        out: Path,
        dataset: DatasetName = "300w_lp",
        boxes: BoxSource = "landmarks",
        preset: PresetName = "senet",
        points: str = "auto",
        detector_model: Path | None = None,
        workers: int = 0,
        runner: str = "local",
        beam: str = "",
        records: RecordsConfig = default.records,
    ) -> None:
        """Photos and annotations -> sharded TFRecords, report.json and contact_sheet.png.

        After an interruption, give the same command again: it goes on.

        For example:
          senet-landmark build-records --root 300W_LP --out records
          senet-landmark build-records --root 300W_LP --out records-dlib --boxes dlib
          senet-landmark build-records --dataset ytf --root ytf --out ytf-records --records.test 0.2
          senet-landmark build-records --root 300W_LP --out records --runner DirectRunner

        Args:
          root: Folder of the data set, laid out as published.
          out: Folder for the records; it must not hold other records.
          dataset: Name of the data set; its file in data_tools/datasets/ describes the folder.
          boxes: Where face boxes come from. A face without a box from there gets the box of its
            landmarks.
          preset: Preset that gives the crop, the split and the size of the shards.
          points: Which annotation, where a data set has several; auto: the usual one. A wrong name
            lists them.
          detector_model: File of the detector: mmod_human_face_detector.dat for dlib_cnn,
            face_detection_yunet_2023mar.onnx for yunet; the others need none.
          workers: Processes; 0: one for each core.
          runner: local, or a runner of Apache Beam (pip install "senet_landmark[beam]"), such as
            DirectRunner, DataflowRunner, FlinkRunner or SparkRunner.
          beam: Options for that runner, as Beam writes them: --beam="--project=p --region=r"; by
            default none.
          records: Crops, split and shards.
        """
        from senet_landmark.runtime import start_tensorflow

        start_tensorflow()
        if runner == "local":
            from senet_landmark.data_tools.records.build_records import build_records as run

            report = run(
                dataset, root, out, records, boxes=boxes, detector_model=detector_model,
                points=points, workers=workers,
            )  # fmt: skip
        else:
            from senet_landmark.data_tools.records.beam import build_records_beam

            report = build_records_beam(
                dataset, root, out, records, boxes=boxes, detector_model=detector_model,
                points=points, runner=runner, options=shlex.split(beam),
            )  # fmt: skip
        splits = ", ".join(f"{name} {count}" for name, count in report["faces_by_split"].items())
        print(f"{report['faces']} faces ({splits}) in {report['seconds']} s -> {out}")
        if report["missed_count"]:
            print(f"{boxes} has no box for {report['missed_count']}; their landmarks gave it.")
        if report["duplicate_photos"]:
            across = len(report["duplicates_across_splits"])
            print(f"{report['duplicate_photos']} photos are there twice, {across} in two splits.")
        if report["joined_photos"]:
            print(
                f"{report['joined_photos']} photos in {len(report['joined'])} groups are copies of "
                "each other, or named so: each group is one identity, in one split."
            )
        print_skipped(report["skipped"], Path(out) / "report.json")
        print(f"Look at {Path(out) / 'contact_sheet.png'}, or: senet-landmark inspect {out}")

    return build_records


def inspect(
    records: tyro.conf.Positional[tuple[Path, ...]],
    out: Path = Path("inspection"),
    most: int = 24,
    workers: int = 0,
) -> None:
    """Records -> one page of pictures and figures, and a list of suspects.

    The page shows contact sheets, the mean face and its spread, and histograms of poses and boxes.
    Suspects are faces with points far from the mean shape or with mirrored indices, duplicate
    photos, identities in two splits, and more. Several folders are compared with each other.

    For example:
      senet-landmark inspect records --out inspection
      senet-landmark inspect records test-records --out inspection

    Args:
      records: Folders that build-records wrote.
      out: Folder for inspect.html, suspects.csv and inspect.json.
      most: Suspects of each kind that the page shows; suspects.csv has all.
      workers: Processes; 0: one for each core.
    """
    if not records:
        raise InputError("Give at least one folder of records.")
    from senet_landmark.runtime import start_tensorflow

    start_tensorflow()
    from senet_landmark.data_tools.inspection.inspect_records import inspect_records

    report = inspect_records(list(records), out, most=most, workers=workers)
    kinds = ", ".join(f"{kind} {count}" for kind, count in report["suspects"].items() if count)
    print(f"{report['faces']} faces. Suspects: {kinds or 'none'}.")
    print(f"Look at {Path(out) / 'inspect.html'}; all suspects are in {Path(out) / 'suspects.csv'}")
