"""The tasks in Label Studio's JSON: their photo, and the faces that their regions make."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from senet_landmark.data_tools.datasets.reading.files import photo_at
from senet_landmark.errors import InputError
from senet_landmark.io.annotation_tools import HIDDEN, IMAGE, LOCAL_FILES, PHOTO, SCHEME
from senet_landmark.io.images import PHOTO_SUFFIXES

_UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the name of a photo that was uploaded."""
_UNSEEN = (HIDDEN, "occluded")
_MANY = "draw a rectangle round each face, and in the list of regions drag its points onto it"

Region = Mapping[str, Any]
"""One entry of a `result`."""


@dataclass(frozen=True)
class Task:
    """A task.

    Attributes:
      photo: file of the photo.
      scheme: name of the scheme in its data; empty without one.
      results: the regions that count.
      problem: why they cannot be used; else empty.
    """

    photo: Path
    scheme: str = ""
    results: tuple[Region, ...] = ()
    problem: str = ""


@dataclass
class Face:
    """The regions of a face.

    Attributes:
      rectangle: the region above its points; None: there is none.
      points: label -> its region.
      problem: why it is none; else empty.
    """

    rectangle: Region | None = None
    points: dict[str, Region] = field(default_factory=dict)
    problem: str = ""

    def add(self, region: Region) -> None:
        """Adds a point; two with one label are a problem."""
        label = label_of(region)
        if label in self.points:
            self.problem = f"it has two points {label!r}; delete one, or of several faces {_MANY}"
        self.points[label] = region


def tasks_in(content: Any, path: Path) -> list[Task]:
    """The tasks of a file's content; none if it is of another kind.

    One that nobody and no model has annotated, or with the numbers of its predictions alone, as
    exports have them, is left out.

    Raises:
      InputError: it is Label Studio's JSON-MIN.
    """
    listed = content if isinstance(content, list) else [content]
    tasks = [task for task in listed if isinstance(task, dict)]
    if any("annotation_id" in task and "lead_time" in task for task in tasks):
        raise InputError(
            f"{path}: is Label Studio's JSON-MIN, which does not tell which points belong "
            "together. Export JSON."
        )
    return [
        _task(task, path)
        for task in tasks
        if isinstance(task.get("data"), dict)
        and (_objects(task.get("annotations")) or _objects(task.get("predictions")))
    ]


def _task(task: Mapping[str, Any], path: Path) -> Task:
    data, number = task["data"], f"task {task['id']}: " if "id" in task else ""
    photo, scheme = _photo_of(path.parent, data), str(data.get(SCHEME, ""))
    if photo is None:
        return Task(path, problem=f"{number}its data names no photo")
    annotations = _objects(task.get("annotations"))
    done = [a for a in annotations if not a.get("was_cancelled")]
    if annotations and not done:
        return Task(photo, problem=f"{number}it was skipped in Label Studio")
    changed = [(bool(a.get("ground_truth")), str(a.get("updated_at", ""))) for a in done]
    if done:
        chosen = done[max(range(len(done)), key=changed.__getitem__)]
    else:
        chosen = (_objects(task.get("predictions")) or [{}])[-1]
    return Task(photo, scheme, tuple(_objects(chosen.get("result"))))


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _photo_of(folder: Path, data: Mapping[str, Any]) -> Path | None:
    """The photo of a task's data; None if it names none."""
    if isinstance(data.get(PHOTO), str) and os.path.isfile(photo_at(folder, data[PHOTO])):
        return photo_at(folder, data[PHOTO])
    texts = [data[IMAGE]] if isinstance(data.get(IMAGE), str) else data.values()
    names = [_path_in(text) for text in texts if isinstance(text, str)]
    if len(names) > 1:  # a photo among other data
        names = [name for name in names if Path(name).suffix.lower() in PHOTO_SUFFIXES]
    if not names or not names[0].strip("/"):
        return None
    if os.path.isfile(names[0]) and Path(names[0]).is_absolute():
        return Path(names[0])
    parts = [part for part in names[0].split("/") if part not in ("", ".", "..")]
    without = _UPLOADED.sub("", parts[-1], count=1)
    tails = [*(parts[start:] for start in range(len(parts))), [without]]
    for tail in tails:
        for above in (folder, folder / "images"):
            if os.path.isfile(above.joinpath(*tail)):
                return above.joinpath(*tail)
    return folder / without


def _path_in(text: str) -> str:
    """The path in an address, or the one that Label Studio's local files are asked for."""
    address = urlsplit(text)
    if address.path.endswith(LOCAL_FILES):
        asked = parse_qs(address.query, errors="surrogateescape").get("d", [""])[0]
        return f"/{asked.lstrip('/')}"
    if address.scheme and len(address.scheme) > 1:  # else a drive of Windows
        return unquote(address.path, errors="surrogateescape")
    if address.path.startswith("/data/"):
        return unquote(address.path, errors="surrogateescape")
    return text.replace("\\", "/")


def label_of(region: Region) -> str:
    """The label of a point; empty without one."""
    value = region["value"]
    labels = value.get("keypointlabels") or value.get("labels") or [""]
    return str(labels[0])


def faces_of(results: Iterable[Region]) -> tuple[list[Face], set[str]]:
    """The faces that regions make, and the ids of the points that cannot be seen.

    A point that belongs to none, or to more than one, is a face of its own with a problem.
    """
    regions = [region for region in results if isinstance(region.get("value"), dict)]
    hidden = {str(region.get("id")) for region in regions if _is_unseen(region["value"])}
    faces = {str(r.get("id")): Face(rectangle=r) for r in regions if _is_rectangle(r)}
    loose: list[Region] = []
    for region in filter(_is_point, regions):
        if region.get("parentID"):
            faces.setdefault(str(region["parentID"]), Face()).add(region)
        else:
            loose.append(region)
    if loose and not faces:
        faces[""] = Face()
        for region in loose:
            faces[""].add(region)
        loose = []
    lost = [region for region in loose if not _placed(region, list(faces.values()))]
    nowhere = [
        Face(problem=f"the point {label_of(region)!r} belongs to no face, or to several; {_MANY}")
        for region in lost
    ]
    return [*faces.values(), *nowhere], hidden


def _placed(region: Region, faces: list[Face]) -> bool:
    """Whether a point without a parent was added to the one face that it can belong to."""
    lacking = [face for face in faces if label_of(region) not in face.points]
    around = [face for face in lacking if face.rectangle and _holds(face.rectangle, region)]
    if len(around) != 1:
        return False
    around[0].add(region)
    return True


def _holds(rectangle: Region, point: Region) -> bool:
    around, value = rectangle["value"], point["value"]
    try:
        return all(
            0 <= float(value[axis]) - float(around[axis]) <= float(around[side])
            for axis, side in (("x", "width"), ("y", "height"))
        )
    except (KeyError, TypeError, ValueError):
        return False


def _is_rectangle(region: Region) -> bool:
    """Whether a region is a rectangle that can be a face's, with any label."""
    return region.get("type") in ("rectanglelabels", "rectangle") or (
        region.get("type") == "labels" and "height" in region["value"]
    )


def _is_point(region: Region) -> bool:
    value = region["value"]
    return region.get("type") == "keypointlabels" or (
        region.get("type") == "labels" and {"x", "y"} <= value.keys() and "height" not in value
    )


def _is_unseen(value: Mapping[str, Any]) -> bool:
    choices = value.get("choices")
    return isinstance(choices, list) and any(str(c).lower() in _UNSEEN for c in choices)
