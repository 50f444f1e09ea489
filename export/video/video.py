"""`senet-landmark predict clip.mp4` or `0`: follows the faces in a video, a stream or a camera.

It writes
    NAME_landmarks.webm  the frames with box, landmarks and identity of each face. For a file: the
                         frames that could be read, at the file's mean rate. For a camera: frames
                         are repeated or left out, so that the video runs in real time.
                         It is VP8, which browsers play; where OpenCV does not write that, the next
                         of `encoders.py`, and NAME_landmarks.mp4 if that is an MP4
    NAME_landmarks.csv   a line for each face of each frame:

        frame              number of the frame, from 0
        time               time of the frame, in seconds
        identity           1, 2, … in order of appearance; the same in all frames
        left, top, right, bottom      the tight box of the landmarks, pixels of the frame
        confidence         the model's, 0 to 1; empty if its contract has no curve
        yaw, pitch, roll   degrees, signs as in `senet_landmark.face.pose`; empty where unknown
        eye_aspect_left, … the measures of the expression (`senet_landmark.face.expressions`), of
                           the landmarks before smoothing; empty where unknown; of models that have
                           the points
        x0, y0, x1, …      landmarks in 0-based pixels; smoothed, unless smoothing is off
        z0, z1, …          their depth in pixels (`senet_landmark.face.depth`), not smoothed; of
                           models that predict it

Both are written frame by frame, so that what was done stays after a kill (`results.py`).
"""

import contextlib
import csv
import io
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from senet_landmark.errors import InputError
from senet_landmark.export.inference.batch.inputs import Input, input_of
from senet_landmark.export.inference.batch.lines import WORK
from senet_landmark.export.inference.face import Face
from senet_landmark.export.inference.predict import predictor_settings
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.export.video.clip import Clip, Frame, camera_number, is_video
from senet_landmark.export.video.encoders import Encoder, choose_encoder
from senet_landmark.export.video.results import VideoResults, video_results
from senet_landmark.export.video.sequence import ImageSequence, is_sequence, sequence_input
from senet_landmark.export.video.smoothing import OneEuro
from senet_landmark.export.video.stream import VideoFile
from senet_landmark.export.video.tracking import TrackedFace, Tracker
from senet_landmark.face import geometry
from senet_landmark.face.expressions import MEASURES, can_measure
from senet_landmark.io.addresses import Limits, fetch_clip, file_name_of, is_web, kind_at, shown
from senet_landmark.io.columns import BOX, POSE
from senet_landmark.signals import stopping
from senet_landmark.visualisation.drawing import draw_box, draw_label, draw_points

__all__ = ["Clip", "camera_number", "draw_tracked", "is_video", "open_clip", "predict_video"]

MOST_REPEATS = 250
"""How often a camera's frame is repeated at most in the annotated video."""

COLOURS = (
    (250, 210, 40), (80, 200, 250), (250, 120, 200), (120, 240, 120), (250, 140, 60),
)  # fmt: skip
"""Colours of boxes, points and numbers; each identity takes the next one."""


def predict_video(
    source: Path | str | ImageSequence,
    out: Path | str,
    *,
    predictor: Predictor | None = None,
    smooth: bool = True,
    every: float = 0.5,
    seconds: float = 0.0,
    pictures: bool = True,
    overwrite: bool = False,
    place: Input | None = None,
    options: Mapping[str, Any] | None = None,
    fps: float = 0.0,
    limits: Limits = Limits(),
    quiet: bool = False,
) -> dict[str, Any]:
    """Follows the faces of a video, and writes a CSV by frame and an annotated video.

    Ctrl-C and SIGTERM end it after the current frame; the files are whole and hold all frames until
    then. A kill leaves a whole CSV too, and a WebM that plays up to about a second before. A video
    that was done to its end is passed over, one that was stopped is done again (`results.py`).

    Args:
      source: a video file, its http address, the pattern of an image sequence (`sequence.py`), or
        that sequence; or the number or device of a camera, or the address of a stream.
      out: folder for `NAME_landmarks.csv`, and `NAME_landmarks.webm` or `.mp4` (`encoders.py`).
      predictor: the predictor; None: that of the default model.
      smooth: write smoothed landmarks (`export/video/smoothing.py`).
      every: seconds from one detection to the next while no face is lost.
      seconds: stop after this time of the video; 0: at its end.
      pictures: write the annotated video.
      overwrite: do it again, and replace files that no run of `predict` wrote.
      place: the video among the inputs, for the name of its results; None: by its own name.
      options: the arguments of the predictor, for the record.
      fps: frames a second of an image sequence; 0: 25.
      limits: what is fetched from an address.
      quiet: no progress bar.

    Returns:
      {"frames": number read, "faces": number in all frames, "identities": number of different ones,
      "seconds": time of the last frame, "bad_frames": number that could not be decoded or used,
      "ended_early": whether the file ended before its reported duration, or the camera stopped,
      "interrupted": whether Ctrl-C or SIGTERM ended it, "before": whether an earlier call did it,
      "csv" and "video": paths of the files}.

    Raises:
      InputError: the file or camera is absent, is no video, or none of its frames can be read; the
        results cannot be written, or are there already of other options or by other hands; or a
        number is out of range.
    """
    if not (every > 0 and seconds >= 0):
        raise InputError(
            f"every must be above 0, and seconds 0 or more; not {every} and {seconds}."
        )
    # A clip is fetched only if it was not done before.
    address = source if isinstance(source, str) and is_web(source) else ""
    is_fetched = address and (place is not None or kind_at(address, limits) != "live")
    clip = None if is_fetched else open_clip(source, fps, limits)
    out = Path(out)
    encoder = choose_encoder() if pictures else None
    suffixes = ("_landmarks.csv", f"_landmarks{encoder.suffix}" if encoder else "")
    if clip and clip.is_camera:
        place = None
    elif place is None:
        if isinstance(clip, ImageSequence):
            place = sequence_input(clip.source)
        else:
            place = input_of(str(source))
    name = clip.name if clip else ""
    try:
        predictor = predictor or Predictor()
        settings = json.loads(
            json.dumps(
                {
                    **predictor_settings(predictor, options or {}),
                    "smooth": smooth, "every": every, "seconds": seconds, "pictures": pictures,
                    **({"fps": clip.rate} if isinstance(clip, ImageSequence) else {}),
                }
            )
        )  # fmt: skip
        with video_results(out, place, name, settings, suffixes, overwrite) as results:
            if results.before is None:
                clip = clip or _fetched(address, out / WORK, limits)
                tracker = Tracker(predictor, smooth=OneEuro() if smooth else None, every=every)
                summary = _follow(clip, tracker, predictor, results, encoder, seconds, quiet)
            else:
                summary = results.before
            files = {"csv": str(results.table), "video": str(results.video) if encoder else None}
            return {**summary, "before": results.before is not None, **files}
    except OSError as error:
        file = error.filename or out
        raise InputError(
            f"{clip.source if clip else shown(address)}: {file} cannot be written "
            f"({error.strerror}). The frames until then stay."
        ) from error
    finally:
        if clip:
            clip.close()


def open_clip(
    source: Path | str | ImageSequence, fps: float = 0.0, limits: Limits = Limits()
) -> Clip | ImageSequence:
    """A video, camera or stream, or the pictures of a pattern. Raises InputError as these do."""
    if isinstance(source, ImageSequence):
        return source
    return ImageSequence(str(source), fps) if is_sequence(source) else Clip(source, limits)


def _fetched(address: str, folder: Path, limits: Limits) -> Clip:
    """The clip at an http address, from a file in a folder for what is not finished."""
    path = folder / f"fetched{Path(file_name_of(address)).suffix}"
    fetch_clip(address, path, limits)
    try:
        return Clip(path)
    except InputError as error:
        raise InputError(f"{shown(address)}: is no video that OpenCV reads.") from error


def _follow(
    clip: Clip | ImageSequence,
    tracker: Tracker,
    predictor: Predictor,
    results: VideoResults,
    encoder: Encoder | None,
    seconds: float,
    quiet: bool,
) -> dict[str, Any]:
    """Reads, follows and writes frame by frame; keeps `results.summary` up to date."""
    summary = results.summary
    summary |= {
        "frames": 0, "faces": 0, "identities": 0, "bad_frames": 0, "seconds": 0.0,
        "ended_early": False, "interrupted": False,
    }  # fmt: skip
    unusable = 0
    with contextlib.ExitStack() as stack:
        stopped = stack.enter_context(stopping())
        rows = stack.enter_context(_rows(results.table_now, _landmark_columns(predictor)))
        annotated = (
            stack.enter_context(_annotated(results.video_now, encoder, clip)) if encoder else None
        )
        bar = tqdm(total=clip.frames or None, unit="frame", dynamic_ncols=True, disable=quiet)
        stack.callback(bar.close)
        for frame in clip:
            if stopped.is_set():
                break
            try:
                faces = tracker.update(frame.picture, frame.time)
            except (InputError, cv2.error):  # one bad frame does not end the video
                unusable += 1
                continue
            faces = [faces[index] for index in predictor.kept([f.face for f in faces])]
            rows(frame, faces)
            if annotated:
                annotated(frame.time, draw_tracked(frame.picture, faces))
            summary["frames"] += 1
            summary["faces"] += len(faces)
            summary["identities"] = max([summary["identities"], *(f.identity for f in faces)])
            summary["seconds"] = round(frame.time, 3)
            bar.update()
            if seconds and frame.time >= seconds:
                break
        summary["interrupted"] = stopped.is_set()
    summary["bad_frames"] = unusable + clip.bad_frames
    summary["ended_early"] = clip.ended_early
    if not summary["frames"]:
        if summary["interrupted"]:
            raise KeyboardInterrupt
        raise InputError(f"{clip.source}: not one frame of it can be read. Is it whole?")
    results.finished = clip.is_camera or not summary["interrupted"]
    return summary


def draw_tracked(picture: np.ndarray, faces: list[TrackedFace]) -> np.ndarray:
    """A copy of an RGB uint8 picture with box, landmarks and identity of each face."""
    for tracked in faces:
        box = tracked.face.box
        colour = COLOURS[(tracked.identity - 1) % len(COLOURS)]
        side = float(max(box[2:] - box[:2]))
        picture = draw_box(picture, box, colour, thickness=max(1, round(side / 150)))
        picture = draw_points(picture, tracked.smoothed, radius=max(1.0, side / 120))
        picture = draw_label(picture, str(tracked.identity), box[:2], side / 6, colour)
    return picture


def _landmark_columns(predictor: Predictor) -> list[str]:
    """The names of the columns that depend on the model."""
    measures = MEASURES if can_measure(predictor.scheme) else ()
    points = range(predictor.scheme.points)
    depths = [f"z{i}" for i in points] if predictor.contract.depth else []
    return [*measures, *(f"{axis}{i}" for i in points for axis in "xy"), *depths]


def _row(frame: Frame, tracked: TrackedFace) -> list[str | int]:
    face = tracked.face
    pose = [math.nan] * 3 if face.pose is None else face.pose.tolist()
    numbers = [*face.box.tolist(), face.confidence, *pose]
    return [
        frame.number,
        f"{frame.time:.4f}",
        tracked.identity,
        *(f"{v:.3f}" if math.isfinite(v) else "" for v in numbers),
        *_measures(face),
        *(f"{v:.2f}" for v in tracked.smoothed.ravel().tolist()),
        *(f"{v:.2f}" for v in (() if face.depth is None else face.depth.tolist())),
    ]


def _measures(face: Face) -> list[str]:
    """The values of `MEASURES`, empty where unknown; none if the model lacks the points."""
    if face.scheme is None or not can_measure(face.scheme):
        return []
    known = {} if face.expression is None else vars(face.expression)
    values = [known.get(name, math.nan) for name in MEASURES]
    return [f"{value:.4f}" if math.isfinite(value) else "" for value in values]


@contextlib.contextmanager
def _rows(path: Path, columns: list[str]) -> Iterator[Callable[[Frame, list[TrackedFace]], None]]:
    """Yields a function that appends the rows of a frame to a CSV, all or none of them."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    size = 0

    def append(rows: Iterable[Sequence[str | int]]) -> None:
        nonlocal size
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        data, written = text.getvalue().encode(), 0
        try:
            while written < len(data):
                written += os.write(file, data[written:])
        except OSError as error:
            os.ftruncate(file, size)
            raise OSError(error.errno, error.strerror, str(path)) from error
        size += written

    try:
        append([["frame", "time", "identity", *BOX, "confidence", *POSE, *columns]])
        yield lambda frame, faces: append(_row(frame, face) for face in faces)
        with contextlib.suppress(OSError):
            os.fsync(file)
    finally:
        os.close(file)


@contextlib.contextmanager
def _annotated(
    path: Path, encoder: Encoder, clip: Clip | ImageSequence
) -> Iterator[Callable[[float, np.ndarray], None]]:
    """Yields a function that writes (time, RGB picture) to a video (`stream.py`).

    All pictures get the size of the first one.
    """
    file: VideoFile | None = None
    size, written = (0, 0), 0

    def write(time: float, picture: np.ndarray) -> None:
        nonlocal file, size, written
        if file is None:
            size = (picture.shape[1], picture.shape[0])
            file = VideoFile(path, encoder, clip.rate, size)
        if (picture.shape[1], picture.shape[0]) != size:  # a stream may change its size
            whole = np.array([0, 0, picture.shape[1], picture.shape[0]]) - 0.5
            picture = geometry.warp(picture, geometry.to_crop(whole), size)
        repeats = 1
        if clip.is_camera:
            repeats = min(max(round(time * clip.rate) + 1 - written, 0), MOST_REPEATS)
        for _ in range(repeats):
            file.write(picture)
        written += repeats

    try:
        yield write
    finally:
        if file is not None:
            file.close()
