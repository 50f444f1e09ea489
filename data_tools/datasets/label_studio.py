"""Label Studio's JSON export, and the pre-annotations of `predict --write label-studio`.

    ROOT/NAME.json      a list of tasks: data, annotations, predictions
    ROOT/PHOTO          as `photo` of a task's data says, from the file's folder; else the longest
                        end of the image's path or address that is below ROOT or `images` there,
                        also without the eight letters that Label Studio puts before a name

Format: https://labelstud.io/guide/task_format. Of a task the annotation is read that is marked as
ground truth, else the one changed last; without annotations the last prediction. A task that was
skipped in Label Studio is skipped.

Points are regions of `KeyPointLabels`. The number in a label (`jaw_00`, `1`) says which landmark
it is; 68 are `300w_68`, or what `scheme` in the task's data or `--points` says. The points of a
face are those below one region, its rectangle, in the region tree (`parentID`). A point that is
below none belongs to the rectangle that it is in, if that is a single one without such a point.
Without a rectangle all points of a photo are one face. A landmark without a point is unknown. One
with the choice `hidden` (or `occluded`) for its region cannot be seen. Percents are of the photo's
size, and counted from its corner.

A JSON file of another kind is passed over. Files whose name says test are for testing.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from senet_landmark.data_tools.datasets.reading.annotated_faces import (
    AnnotatedFace,
    AnnotatedFile,
    Size,
    kept,
    list_faces,
    load_face,
    no_landmarks,
    scheme_named,
    size_from,
    size_of_photo,
)
from senet_landmark.data_tools.datasets.reading.files import files_with, scheme_with
from senet_landmark.data_tools.datasets.reading.label_studio_tasks import (
    Face,
    Region,
    Task,
    faces_of,
    tasks_in,
)
from senet_landmark.data_tools.datasets.reading.orientation import upright_size
from senet_landmark.data_tools.datasets.reading.point_names import indices_of, number_in
from senet_landmark.data_tools.datasets.samples import Entry, Sample
from senet_landmark.errors import InputError
from senet_landmark.face.schemes import SCHEMES
from senet_landmark.io.annotation_tools import from_corner
from senet_landmark.io.files import read_json
from senet_landmark.io.images import read_file


def entries(root: Path, points: str = "auto") -> Iterator[Entry]:
    """The faces of the `.json` files in `root`."""
    return list_faces(root, points, files_with(root, ".json"), _read)


def load(entry: Entry) -> Sample:
    """Reads one face. Raises InputError that names the file and the photo."""
    return load_face(entry, _read)


def size_of(entry: Entry) -> Size | None:
    """The size of an entry's photo, as Label Studio showed it."""
    return size_of_photo(entry, _read)


@kept
def _read(path: Path) -> AnnotatedFile:
    tasks = tasks_in(read_json(path), path)
    found = [(task, *faces_of(task.results)) for task in tasks]
    labels = [label for _, faces, _ in found for face in faces for label in face.points]
    if unnumbered := [label for label in labels if number_in(label) is None]:
        raise InputError(
            f"{path}: labels such as {unnumbered[0]!r} have no number, so which landmark is which "
            "cannot be known. Number the labels of the points from 0 on, as in jaw_00."
        )
    schemes = {task.scheme for task in tasks if task.scheme in SCHEMES}
    named = schemes.pop() if len(schemes) == 1 else ""
    indices, count = indices_of(labels, SCHEMES[named].points if named else 0)
    read: list[AnnotatedFace] = []
    for task, faces, hidden in found:
        if task.problem:
            read.append(AnnotatedFace(task.photo, task.problem))
        for face in faces:
            read.append(_face(task, face, hidden, indices, count))
    return AnnotatedFile([task.photo for task in tasks], read)


def _face(
    task: Task, face: Face, hidden: set[str], indices: Mapping[str, int], count: int
) -> AnnotatedFace:
    try:
        if face.problem:
            raise InputError(face.problem)
        if not face.points:
            raise InputError("its rectangle has no points below it")
        regions = list(face.points.values())
        if turned := [r for r in regions if r.get("image_rotation")]:
            raise InputError(f"it was turned by {turned[0]['image_rotation']} in Label Studio")
        size = _size(regions, task.photo)
        scheme = scheme_named(task.scheme, count) or scheme_with(count, "its photo's file")
        landmarks, unseen = np.full((count, 2), np.nan), np.zeros(count, bool)
        for label, region in face.points.items():
            if indices[label] >= count:
                raise InputError(f"its point {label!r} is none of {count}")
            landmarks[indices[label]] = _pixels(region["value"], ("x", "y"), size)
            unseen[indices[label]] = str(region.get("id")) in hidden
        box = _box(face.rectangle, size)
    except InputError as error:
        return AnnotatedFace(task.photo, str(error).rstrip("."))
    return AnnotatedFace(task.photo, no_landmarks(landmarks), scheme, landmarks, unseen, box, size)


def _size(regions: list[Region], photo: Path) -> Size:
    """The photo's size as Label Studio noted it, else as it is."""
    first = regions[0]
    size = size_from(first.get("original_width"), first.get("original_height"))
    if size is None:
        size = upright_size(read_file(photo))
    if size is None:
        raise InputError("the size of its photo is not known")
    return size


def _pixels(value: Mapping[str, Any], names: tuple[str, str], size: Size) -> np.ndarray:
    """(x, y) in 0-based pixels of two percents."""
    try:
        shares = np.array([float(value[name]) for name in names])
    except KeyError as error:
        raise InputError(f"one of its regions has no {error}") from error
    except (TypeError, ValueError) as error:
        raise InputError(f"a place holds something that is not a number ({error})") from error
    if not np.isfinite(shares).all():
        raise InputError("a place is NaN or infinity")
    return from_corner(shares / 100 * size)


def _box(rectangle: Region | None, size: Size) -> np.ndarray | None:
    """Left, top, right, bottom of a rectangle; None without one, or if it is turned."""
    if rectangle is None or rectangle["value"].get("rotation"):
        return None
    corner = _pixels(rectangle["value"], ("x", "y"), size)
    sides = _pixels(rectangle["value"], ("width", "height"), size) - from_corner(np.zeros(2))
    return np.concatenate([corner, corner + sides])
