"""What is done with one photo of many: read, predict, write its files, make its line."""

import errno
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from senet_landmark.errors import InputError
from senet_landmark.export.inference.batch.lines import WORK, cannot_go_on, line_of
from senet_landmark.export.inference.face import Faces
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.export.inference.writers import photo_json, pts_files
from senet_landmark.face.boxes import check_boxes
from senet_landmark.io.addresses import Limits, fetch_photo, is_web
from senet_landmark.io.images import decode_photo
from senet_landmark.processes import KILLED, in_processes

_LASTING = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE}
"""Errors that do not concern one file alone: the next photo would have them too."""

PRELOAD = (__name__,)
"""Modules that worker processes need."""


@dataclass(frozen=True)
class Job:
    """What every photo of a run needs.

    Attributes:
      out: folder of the results.
      options: arguments of the `Predictor`, for processes that make their own.
      boxes: [N, 4], face boxes in place of a detector's; None: the detector's.
      pts, pictures: whether `.pts` files and pictures with the points are written.
      chip_size: side of the upright chips in pixels; 0: none.
      limits: what is fetched from addresses.
    """

    out: Path
    options: dict[str, Any] = field(default_factory=dict)
    boxes: np.ndarray | None = None
    pts: bool = False
    pictures: bool = True
    chip_size: int = 0
    limits: Limits = field(default_factory=Limits)

    @property
    def writes_files(self) -> bool:
        """Whether a photo has files of its own beside its line."""
        return self.pts or self.pictures or bool(self.chip_size)


class Task(NamedTuple):
    """One photo.

    Attributes:
      path: where it is read; an address is a text.
      image: its path as the line has it.
      name: beginning of the names of its files.
      replace: whether these files may be there already.
      address: how it is called where that is not its path.
    """

    path: Path | str
    image: str
    name: str
    replace: bool
    address: str = ""

    @property
    def called(self) -> str:
        """What messages call it."""
        return self.address or str(self.path)


class Outcome(NamedTuple):
    """What became of a photo.

    Attributes:
      task: the photo.
      line: its line; empty if it was skipped.
      faces: number of faces.
      reason: why it was skipped; empty if it was not.
      ends: whether nothing more can be written, so that the run must end.
    """

    task: Task
    line: bytes = b""
    faces: int = 0
    reason: str = ""
    ends: bool = False


def picture_of(name: str) -> str:
    """The picture with the points, in the folder of results."""
    return f"{name}_landmarks.jpg"


def make_predictor(options: dict[str, Any]) -> Predictor:
    """A predictor in this process; TensorFlow is started if its engine needs it."""
    if options.get("engine") == "tensorflow" and "tensorflow" not in sys.modules:
        from senet_landmark.runtime import start_tensorflow

        start_tensorflow()
    return Predictor(**options)


def read_file(path: Path | str, limits: Limits = Limits()) -> bytes | str:
    """The bytes of a photo's file or address, or the reason why it cannot be read."""
    try:
        return fetch_photo(str(path), limits) if is_web(path) else Path(path).read_bytes()
    except InputError as error:
        return str(error)
    except OSError as error:
        return f"{path}: cannot be read ({error.strerror})."
    except ValueError as error:
        return f"{path}: cannot be read ({error})."


def do_photo(predictor: Predictor, job: Job, task: Task, data: bytes | str) -> Outcome:
    """Predicts on one photo, and writes its files. Whatever is wrong with it ends in `reason`.

    Args:
      predictor: the predictor.
      job: what all photos of the run have in common.
      task: the photo.
      data: result of `read_file`.
    """
    if isinstance(data, str):
        return Outcome(task, reason=data)
    try:
        pixels = decode_photo(data, task.called)
        if job.boxes is not None:
            check_boxes(job.boxes, (pixels.shape[1], pixels.shape[0]), task.called)
        faces = predictor.predict(pixels, job.boxes)
        if faces and job.writes_files:
            files = _files(predictor, job, task.name, pixels, faces)
            if reason := _write(job.out, files, task.replace):
                return Outcome(task, reason=f"{task.called}: {reason}")
        # `lines.py` reads these two first, before it comes to the faces.
        fields: dict[str, Any] = {"image": task.image, "name": task.name}
        if faces and job.pictures:
            fields["picture"] = picture_of(task.name)
        fields |= photo_json(
            task.image,
            faces,
            model=predictor.name,
            scheme=predictor.scheme.name,
            size=(pixels.shape[1], pixels.shape[0]),
        )
        return Outcome(task, line_of(fields), len(faces))
    except InputError as error:
        return Outcome(task, reason=str(error))
    except OSError as error:
        if error.errno in _LASTING:
            return Outcome(task, reason=cannot_go_on(error.filename or job.out, error), ends=True)
        file = error.filename or job.out
        return Outcome(task, reason=f"{task.called}: {file} cannot be written ({error.strerror}).")
    except Exception as error:  # of a library, about this photo: the others must not suffer
        return Outcome(task, reason=f"{task.called}: fails ({type(error).__name__}: {error}).")


def _files(
    predictor: Predictor, job: Job, name: str, pixels: np.ndarray, faces: Faces
) -> dict[str, bytes]:
    """Name in the folder of results -> content."""
    files: dict[str, bytes] = {}
    if job.pts:
        files |= pts_files(name, faces)
    for number, face in enumerate(faces, 1) if job.chip_size else ():
        chip = predictor.align(pixels, face, job.chip_size)
        files[f"{name}_chip_{number}.png"] = _encoded(".png", chip)
    if job.pictures:
        files[picture_of(name)] = _encoded(".jpg", faces.draw(pixels))
    return files


def _encoded(suffix: str, rgb: np.ndarray) -> bytes:
    encoded, data = cv2.imencode(suffix, rgb[..., ::-1])
    if not encoded:
        raise ValueError(f"OpenCV could not encode a picture as {suffix}")
    return bytes(data)


def _write(out: Path, files: dict[str, bytes], replace: bool) -> str:
    """Writes the files, each whole; returns why none is written, or nothing."""
    if not replace:
        for name in files:
            if os.path.lexists(out / name):
                return (
                    f"{out / name} is there already, and predict did not write it; give another "
                    "--out, or --overwrite to replace it."
                )
    written: list[Path] = []
    for name, data in files.items():
        path = out / name
        temporary = out / WORK / f"{os.getpid()}-{threading.get_ident()}{path.suffix}"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, path)
            written.append(path)
        except OSError as error:
            error.filename, error.filename2 = str(path), None
            for half in (temporary, *([] if replace else written)):
                half.unlink(missing_ok=True)
            raise
    return ""


def in_this_process(
    tasks: Iterable[Task], predictor: Predictor, job: Job, stop: Callable[[], bool]
) -> Iterator[Outcome]:
    """The outcome of each photo, in order; while one is at work the files of the next are read."""
    tasks = iter(tasks)
    read = functools.partial(read_file, limits=job.limits)
    with ThreadPoolExecutor(1, thread_name_prefix="read") as reader:
        ahead = [(task, reader.submit(read, task.path)) for task in islice(tasks, 2)]
        while ahead and not stop():
            task, data = ahead.pop(0)
            ahead += [(t, reader.submit(read, t.path)) for t in islice(tasks, 1)]
            yield do_photo(predictor, job, task, data.result())


def in_workers(
    tasks: Iterator[Task], job: Job, workers: int, stop: Callable[[], bool]
) -> Iterator[Outcome]:
    """The outcome of each photo, as they are ready, from several processes (`in_processes`)."""

    def lost(task: Task) -> Outcome:
        return Outcome(task, reason=f"{task.called}: {KILLED}")

    results = in_processes(tasks, start_worker, job, workers, lost=lost, stop=stop, preload=PRELOAD)
    return (outcome for _, outcome in results)


def start_worker(job: Job) -> tuple[Callable[[Task], bytes | str], Callable[..., Outcome]]:
    """What a worker does with a photo: how it reads it, and what it does then."""
    predictor = make_predictor({**job.options, "threads": 1})
    read = functools.partial(read_file, limits=job.limits)
    return lambda task: read(task.path), functools.partial(do_photo, predictor, job)
