"""The command predict."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from senet_landmark.cli.choices import DetectorName, EngineName, WriterName
from senet_landmark.cli.commands.predict_messages import (
    boxes_of,
    check_options,
    has_photos_only,
    may_be_many,
    name_of,
    note_unused,
    print_photos,
    print_video,
    save_events,
)
from senet_landmark.cli.commands.sources import (
    SourceOptions,
    Sources,
    limits_of,
    listed,
    sorted_sources,
)
from senet_landmark.cli.common import print_skipped
from senet_landmark.cli.messages import Messages, messages
from senet_landmark.cli.parser import Value
from senet_landmark.errors import InputError


@dataclass(frozen=True)
class PhotoOptions:
    """Options for photos."""

    write: tuple[WriterName, ...] = ()
    """Files to write: landmarks.json, landmarks.csv, a .pts for each face, landmarks.xml of dlib,
    or what COCO's tools, Label Studio and CVAT read; by default json. landmarks.jsonl, a line a
    photo, is always written. A video always has NAME_landmarks.csv, and no other."""
    align: int = 0
    """Also write upright pictures of the faces, this many pixels wide and high, for face
    recognition; 0: none."""
    box: tuple[float, ...] = ()
    """Left, top, right and bottom of the face, from brows to chin, in pixels. No detector runs
    then. For one photo only; eight numbers are two faces."""
    threads: int = 0
    """Processor cores for the faces of one photo; 0: all."""
    workers: int = 0
    """Processes, each with a photo at a time; 0: one for each core, if there are many photos."""
    overwrite: bool = False
    """Begin anew where results are already in OUT, and replace files that predict did not write;
    of videos, too."""
    runner: str = "local"
    """local, or a runner of Apache Beam (pip install "senet_landmark[beam]"), such as DirectRunner,
    DataflowRunner, FlinkRunner or SparkRunner."""
    beam: str = ""
    """Options for that runner, as Beam writes them: --beam="--project=p --region=r"."""


@dataclass(frozen=True)
class VideoOptions:
    """Options for videos and cameras."""

    smooth: bool = True
    """Take the jitter out of the landmarks."""
    every: float = 0.5
    """Seconds from one detection to the next; a lost face is looked for at once."""
    seconds: float = 0.0
    """Stop after this many seconds; 0: at the end of a video, and at Ctrl-C with a camera."""
    fps: float = 0.0
    """Frames a second of an image sequence; 0: 25. Several photos from standard input are the
    frames of a clip with it, and photos without."""
    events: Path | None = None
    """Also write the blinks and yawns of all videos to this file, a .csv or .json."""


def predict(
    sources: tyro.conf.Positional[Annotated[tuple[str, ...], Value("SOURCE [SOURCE ...]")]] = (),
    out: Path = Path("predictions"),
    model: Annotated[str | None, Value("MODEL")] = None,
    engine: EngineName | None = None,
    detector: DetectorName = "blazeface",
    detector_model: Path | None = None,
    min_face: float = 0.0,
    most_faces: int = 0,
    max_faces: int = 0,
    min_confidence: float = 0.0,
    passes: int = 3,
    pictures: bool = True,
    quiet: bool = False,
    log_file: Path | None = None,
    photos: Annotated[
        tyro.conf.OmitArgPrefixes[PhotoOptions], tyro.conf.arg(name="photo")
    ] = PhotoOptions(),
    videos: Annotated[
        tyro.conf.OmitArgPrefixes[VideoOptions], tyro.conf.arg(name="video")
    ] = VideoOptions(),
    given: Annotated[
        tyro.conf.OmitArgPrefixes[SourceOptions], tyro.conf.arg(name="source")
    ] = SourceOptions(),
) -> None:
    """Photos, videos, a camera -> landmarks in files, and pictures with the points drawn.

    After an interruption, give the same command again: it goes on. Photos that have their line in
    landmarks.jsonl are passed over.

    For example:
      senet-landmark predict photo.jpg
      senet-landmark predict folder/ another.png --model model.pb --out out
      senet-landmark predict photo.jpg --write json csv pts --align 112
      senet-landmark predict photo.jpg --box 120 80 310 290 --out boxed
      senet-landmark predict folder/ --no-pictures --write jsonl --workers 8
      senet-landmark predict clip.mp4
      senet-landmark predict clip.mp4 --events events.csv
      senet-landmark predict 0 --seconds 60
      senet-landmark predict "frames/frame_%04d.png" --fps 30
      senet-landmark predict https://example.org/photo.jpg rtsp://camera/stream
      cat photo.jpg | senet-landmark predict - --quiet

    Args:
      sources: Photos, videos, and folders of them with their subfolders; http, https and rtsp
        addresses; 0 or /dev/video0, the first camera; "frame_%04d.png" or "frames/*.png", the
        pictures of a clip; - is a photo, several photos or a clip from standard input.
      out: Folder for the results.
      model: A .pb that freeze wrote, or the name of a model that ships; by default senet-68.
      engine: Runtime for the model; by default the fastest that is installed.
      detector: How faces are found.
      detector_model: File of the detector: mmod_human_face_detector.dat for dlib_cnn,
        face_detection_yunet_2023mar.onnx for yunet; the others need none.
      min_face: Side of the smallest face, in pixels; 0: 40, with blazeface 2% of the photo's longer
        side where that is more.
      most_faces: Largest number of faces that the detector gives, best scores first, before the
        model refuses some; 0: any.
      max_faces: Of the faces that are found in a photo or frame, only so many, the largest; 0: all.
      min_confidence: Only faces with at least this confidence of the model, 0 to 1.
      passes: How often a face is cropped at most: where its box was poor, its landmarks give a
        better one and it is cropped again.
      pictures: Write each photo, and each video, with the points drawn.
      quiet: Print problems alone: no progress, no summary, no notes.
      log_file: File to which all messages are added with the time, and a line for each photo.
    """
    with messages(quiet, log_file) as say:
        sources = listed(sources, given.files_from)
        options: dict[str, Any] = {
            "model": model, "engine": engine, "detector": detector,
            "detector_model": detector_model, "passes": passes, "threads": photos.threads,
            "max_faces": max_faces, "min_confidence": min_confidence,
        }  # fmt: skip
        with sorted_sources(sources, given, videos.fps) as kinds:
            _predict(sources, kinds, out, options, (min_face, most_faces), pictures, say,
                     photos, videos, given)  # fmt: skip


def _predict(
    sources: tuple[str, ...],
    kinds: Sources,
    out: Path,
    options: dict[str, Any],
    search: tuple[float, int],
    pictures: bool,
    say: Messages,
    photos: PhotoOptions,
    videos: VideoOptions,
    given: SourceOptions,
) -> None:
    boxes = boxes_of(photos.box)
    _start_if_needed(options["engine"])
    from senet_landmark.detectors.interface import SearchOptions

    if photos.workers != 1 and photos.runner == "local" and may_be_many(sources):
        # First, so that it imports what workers need while this process does.
        from senet_landmark.processes import warm_up

        warm_up(["senet_landmark.export.inference.batch.work"])
    from senet_landmark.export.inference.batch.inputs import survey
    from senet_landmark.export.inference.predict import predict_photos
    from senet_landmark.export.inference.predictor import Predictor
    from senet_landmark.export.video.events import check_events
    from senet_landmark.export.video.video import is_video, predict_video
    from senet_landmark.io.folders import counted

    options["search"] = SearchOptions(*search)
    limits = limits_of(given)
    found = survey(kinds.paths, out, is_video)
    places = [*kinds.videos, *((video.path, video) for video in found.videos)]
    problems = kinds.problems + found.problems
    if found.left_out:
        say.note(f"left out of folders: {counted(found.left_out)}")
    if problems and not (found.photos or places):
        raise InputError(" ".join(problems))
    _check_options(photos, videos, len(found.photos), len(places), say)
    if boxes is not None:
        not_default = {
            "--detector": options["detector"] != "blazeface",
            "--detector-model": bool(options["detector_model"]),
            "--min-face": bool(search[0]), "--most-faces": bool(search[1]),
            "--max-faces": bool(options["max_faces"]),
            "--min-confidence": bool(options["min_confidence"]),
        }  # fmt: skip
        note_unused(not_default, "with --box, which takes the detector's place", say)
    failed = [{"photo": "", "reason": problem} for problem in problems]
    predictor = Predictor(**options) if places else None
    tables: dict[str, str] = {}
    if predictor and videos.events:
        check_events(videos.events, predictor.scheme, photos.overwrite)
    for video, place in places:
        try:
            summary = predict_video(
                video, out, predictor=predictor, smooth=videos.smooth, every=videos.every,
                seconds=videos.seconds, pictures=pictures, overwrite=photos.overwrite,
                place=place, options=options, fps=videos.fps, limits=limits, quiet=say.quiet,
            )  # fmt: skip
        except InputError as error:
            if len(places) == 1 and not (found.photos or failed):
                raise
            failed.append({"photo": name_of(video, place), "reason": str(error)})
            continue
        print_video(name_of(video, place), summary, place is None, say)
        tables[name_of(video, place)] = summary["csv"]
        if summary["interrupted"] and place is not None:
            save_events(videos.events, tables, say)
            print_skipped(failed, say=say.problem)
            raise KeyboardInterrupt
    problem = None
    try:
        save_events(videos.events, tables, say)
    except InputError as error:  # the photos are done all the same
        problem = error
    if len(failed) == len(places) + len(problems) and not found.photos:
        if not failed:
            raise InputError("What is given is what predict wrote; give photos or videos.")
        print_skipped(failed, say=say.problem)
        raise InputError("No video could be read.")
    if found.photos:
        try:
            summary = predict_photos(
                found.photos, out, predictor=options, boxes=boxes, write=photos.write or ("json",),
                pictures=pictures, chip_size=photos.align, workers=photos.workers,
                overwrite=photos.overwrite, run=_beam_run(photos), limits=limits, quiet=say.quiet,
            )  # fmt: skip
        except KeyboardInterrupt:
            say.result(f"What was done is in {out}; the same command goes on from there.")
            raise
        except InputError:
            print_skipped(failed, say=say.problem)
            raise
        print_photos(summary, out, boxes is not None, say)
        failed += summary["skipped"]
        if summary["skipped_count"] > len(summary["skipped"]):
            say.problem(f"Skipped {summary['skipped_count']} photos, the first are:")
    print_skipped(failed, say=say.problem)
    if problem:
        raise problem


def _check_options(
    photos: PhotoOptions, videos: VideoOptions, photo_count: int, video_count: int, say: Messages
) -> None:
    check_options(
        {
            "--write": has_photos_only(photos.write), "--align": bool(photos.align),
            "--box": bool(photos.box), "--workers": photos.workers > 1,
            "--runner": photos.runner != "local", "--beam": bool(photos.beam),
        },
        {
            "--no-smooth": not videos.smooth, "--every": videos.every != VideoOptions.every,
            "--seconds": bool(videos.seconds), "--fps": bool(videos.fps),
            "--events": videos.events is not None,
        },
        photo_count,
        video_count,
        say,
    )  # fmt: skip
    if photos.runner == "local":
        note_unused({"--beam": bool(photos.beam)}, "without --runner", say)
    else:
        note_unused({"--workers": bool(photos.workers)}, "with --runner", say)


def _beam_run(photos: PhotoOptions) -> Any:
    """How photos are run on Beam; None: in local processes."""
    if photos.runner == "local":
        return None
    from senet_landmark.export.inference.predict_beam import beam_run

    return beam_run(photos.runner, shlex.split(photos.beam))


def _start_if_needed(engine: str | None) -> None:
    """Starts TensorFlow in graph mode for the engine `tensorflow`; no other engine needs it."""
    if engine == "tensorflow":
        from senet_landmark.runtime import start_tensorflow

        start_tensorflow()
