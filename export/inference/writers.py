"""Faces as JSON, CSV, iBUG `.pts`, dlib's objects and dlib's XML.

The files of many photos are made from lines, one a photo, as `landmarks.jsonl` has them, and piece
by piece, so that they never are in memory as a whole.
"""

import csv
import io
import json
import math
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import dlib
import numpy as np

from senet_landmark.detectors.dlib_hog import dlib_rectangle
from senet_landmark.errors import InputError
from senet_landmark.export.inference.face import Face
from senet_landmark.face.attributes import ATTRIBUTES, get_attribute
from senet_landmark.face.expressions import MEASURES, can_measure
from senet_landmark.face.schemes import Scheme
from senet_landmark.io.addresses import scheme_of
from senet_landmark.io.columns import BOX, POSE
from senet_landmark.io.files import write_bytes, written_whole
from senet_landmark.io.images import read_file, stored_form, stored_points
from senet_landmark.io.pts import write_pts

SCHEMA = Path(__file__).parent / "assets" / "landmarks.schema.json"
"""The JSON Schema of `landmarks.json`, of a line of `landmarks.jsonl`, and of the service's answer
(docs/formats.md)."""

VERSION = 1
"""`version` of a photo in JSON. It rises if a key changes its meaning, not for a new key."""


def face_json(face: Face) -> dict[str, Any]:
    """A face as in `landmarks.json`; unknown values are left out.

    `box`, that of the landmarks (`Face.own_box`), `detector_box`, where the face was looked for,
    `landmarks`, their `depth` and `uncertainty` in photo pixels to a hundredth; `score` of the
    detector; `confidence`, 0 to 1; `pose`: `yaw`, `pitch` and `roll` in degrees, and `pose_3d`, the
    same fitted to landmarks with depth; `expression`: the `MEASURES` of the landmarks as they are
    written; `attributes`: attribute -> `class` and `probability`.
    """
    fields: dict[str, Any] = {
        "box": _rounded(face.own_box),
        "detector_box": _rounded(face.box),
        "landmarks": _rounded(face.landmarks),
    }
    if face.depth is not None:
        fields["depth"] = _rounded(face.depth)
    for name, value in (("score", face.score), ("confidence", face.confidence)):
        if math.isfinite(value):
            fields[name] = round(value, 4)
    if face.uncertainty.size and np.isfinite(face.uncertainty).all():
        fields["uncertainty"] = _rounded(face.uncertainty)
    for name, pose in (("pose", face.pose), ("pose_3d", face.pose_3d)):
        if pose is not None:
            angles = zip(POSE, pose, strict=True)
            fields[name] = {axis: round(float(angle), 2) for axis, angle in angles}
    written = replace(face, landmarks=np.array(fields["landmarks"], np.float32))
    if written.expression is not None:
        measures = vars(written.expression).items()
        fields["expression"] = {n: round(v, 4) for n, v in measures if math.isfinite(v)}
    if face.attributes:
        fields["attributes"] = {
            name: {"class": label, "probability": round(probability, 4)}
            for name, (label, probability) in face.attributes.items()
        }
    return fields


def _rounded(values: np.ndarray) -> list[Any]:
    return np.round(np.asarray(values, np.float64), 2).tolist()


def face_from_json(fields: Mapping[str, Any], scheme: str | None = None) -> Face:
    """The inverse of `face_json`, as far as its digits go.

    Args:
      fields: a face; those of 0.2.0 have no `detector_box`, and their `box` is the detector's.
      scheme: the scheme of the landmarks, which the photo's fields have.
    """
    pose = fields.get("pose")
    attributes = fields.get("attributes", {})
    return Face(
        np.array(fields.get("detector_box", fields["box"]), np.float64),
        np.array(fields["landmarks"], np.float32).reshape(-1, 2),
        fields.get("score", math.nan),
        fields.get("confidence", math.nan),
        np.array(fields.get("uncertainty", ()), np.float32),
        None if pose is None else np.array([pose[name] for name in POSE], np.float32),
        {name: (value["class"], value["probability"]) for name, value in attributes.items()},
        scheme,
        np.array(fields["depth"], np.float32) if "depth" in fields else None,
    )


def photo_json(
    image: str | None, faces: Sequence[Face], *, model: str, scheme: str, size: tuple[int, int]
) -> dict[str, Any]:
    """A photo as in `landmarks.json` (`SCHEMA`).

    Args:
      image: the photo's path or name; None: unknown.
      faces: its faces.
      model: name of the model.
      scheme: name of the landmark scheme.
      size: width and height of the upright photo in pixels.
    """
    return {
        "image": image,
        "version": VERSION,
        "model": model,
        "scheme": scheme,
        "width": size[0],
        "height": size[1],
        "faces": [face_json(face) for face in faces],
    }


def landmarks_json(lines: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """`landmarks.json`, piece by piece: a list of `photo_json`; `faces` may be empty.

    Args:
      lines: the line of each photo, `photo_json` and what `predict` adds.
    """
    before = "[\n"
    for line in lines:
        entry = [dict(line)]
        # Indented as in the list that it becomes a part of.
        yield before + json.dumps(entry, indent=2, ensure_ascii=False)[2:-2]
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def landmarks_csv(
    lines: Iterable[Mapping[str, Any]], scheme: Scheme, out: Path, folder: Path = Path()
) -> Iterator[str]:
    """`landmarks.csv`, piece by piece: a row for each face.

    `data_tools/datasets/csv_files.py` reads it, so that predictions can be inspected, corrected,
    and trained on. The attributes, and whether there are depths, are those of the first face.

    Args:
      lines: `photo_json` of each photo.
      scheme: scheme of the landmarks.
      out: folder of the file; the photos' paths in it are relative to this folder.
      folder: folder in which relative paths of `lines` start.
    """
    measures = MEASURES if can_measure(scheme) else ()
    columns = ["photo", *BOX, "score", "confidence", *POSE, *measures]
    points = [f"{axis}{i}" for i in range(scheme.points) for axis in "xy"]
    attributes: list[str] | None = None
    depths: list[str] = []
    for line in lines:
        photo = relative_path(photo_of(line, folder), out) if line["faces"] else ""
        for fields in line["faces"]:
            face = face_from_json(fields)
            if attributes is None:
                attributes = [name for name in ATTRIBUTES if name in face.attributes]
                depths = [f"z{i}" for i in range(scheme.points) if face.depth is not None]
                yield _csv_row([*columns, *attributes, *points, *depths])
            pose = [math.nan] * 3 if face.pose is None else face.pose.tolist()
            classes = [
                get_attribute(name).classes.index(face.attributes[name][0])
                if name in face.attributes
                else ""
                for name in attributes
            ]
            numbers = [*face.box, face.score, face.confidence, *pose]
            row = [f"{v:.4f}" if math.isfinite(v) else "" for v in numbers]
            known_measures = fields.get("expression", {})
            row += [f"{known_measures[n]:.4f}" if n in known_measures else "" for n in measures]
            coordinates = [f"{v:.2f}" for v in face.landmarks.ravel().tolist()]
            if depths:
                known = [] if face.depth is None else face.depth.tolist()
                coordinates += [f"{v:.2f}" for v in known] or [""] * len(depths)
            yield _csv_row([photo, *row, *classes, *coordinates])
    if attributes is None:
        yield _csv_row([*columns, *points])


def _csv_row(values: Sequence[object]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerow(values)
    return stream.getvalue()


def dlib_xml(lines: Iterable[Mapping[str, Any]], out: Path, folder: Path = Path()) -> Iterator[str]:
    """`landmarks.xml`, piece by piece: for dlib's `imglab` and its shape predictor's training.

    Coordinates are whole pixels, because dlib reads no others, of the photo as stored, because dlib
    ignores the EXIF orientation. Arguments as of `landmarks_csv`.
    """
    yield "<?xml version='1.0' encoding='utf-8'?>\n<dataset>\n  <images>"
    empty = True
    for line in lines:
        empty = False
        photo = photo_of(line, folder)
        file = printable_xml(relative_path(photo, out))
        form = _stored_form(photo) if line["faces"] else (1, 0, 0)
        image = ElementTree.Element("image", file=file)
        for fields in line["faces"]:
            detection = full_object_detection(_as_stored(face_from_json(fields), form))
            box = ElementTree.SubElement(
                image,
                "box",
                top=str(detection.rect.top()),
                left=str(detection.rect.left()),
                width=str(detection.rect.width()),
                height=str(detection.rect.height()),
            )
            for number, part in enumerate(detection.parts()):
                name = f"{number:02d}"
                ElementTree.SubElement(box, "part", name=name, x=str(part.x), y=str(part.y))
        ElementTree.indent(image, level=2)
        yield "\n    " + ElementTree.tostring(image, encoding="unicode")
    yield "</images>\n</dataset>" if empty else "\n  </images>\n</dataset>"


def _stored_form(photo: Path | str) -> tuple[int, int, int]:
    """`stored_form` of a photo; that of one without orientation if it cannot be read any more."""
    try:
        return stored_form(read_file(photo))
    except InputError:
        return 1, 0, 0


def _as_stored(face: Face, form: tuple[int, int, int]) -> Face:
    """Box and landmarks of a face of the upright photo, in the pixels of the stored one."""
    if form[0] == 1:
        return face
    corners = stored_points(face.box.reshape(2, 2), form)
    box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    return replace(face, box=box, landmarks=stored_points(face.landmarks, form).astype(np.float32))


def write_landmarks_json(out: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Writes `landmarks_json` of the lines to `out/landmarks.json`, whole or not at all."""
    _write(out / "landmarks.json", landmarks_json(lines))


def write_landmarks_csv(
    out: Path, lines: Iterable[Mapping[str, Any]], scheme: Scheme, folder: Path = Path()
) -> None:
    """Writes `landmarks_csv` of the lines to `out/landmarks.csv`, whole or not at all."""
    _write(out / "landmarks.csv", landmarks_csv(lines, scheme, out, folder))


def write_dlib_xml(out: Path, lines: Iterable[Mapping[str, Any]], folder: Path = Path()) -> None:
    """Writes `dlib_xml` of the lines to `out/landmarks.xml`, whole or not at all."""
    _write(out / "landmarks.xml", dlib_xml(lines, out, folder))


def _write(path: Path, chunks: Iterable[str]) -> None:
    with written_whole(path) as temporary, open(temporary, "wb") as stream:
        stream.writelines(chunk.encode("utf-8", "backslashreplace") for chunk in chunks)


def pts_files(name: str, faces: Sequence[Face]) -> dict[str, bytes]:
    """iBUG `.pts`, 1-based: `NAME.pts` of the first face, `NAME_2.pts` of the second, and so on."""
    return {
        f"{name}.pts" if number == 1 else f"{name}_{number}.pts": write_pts(face.landmarks).encode()
        for number, face in enumerate(faces, 1)
    }


def write_pts_files(out: Path, stem: str, faces: Sequence[Face]) -> None:
    """Writes `pts_files` to the folder `out`."""
    for name, data in pts_files(stem, faces).items():
        write_bytes(out / name, data)


def full_object_detection(face: Face) -> Any:
    """The face as `dlib.full_object_detection`: whole pixels, a rectangle that includes its edges.

    It can replace a result of dlib's shape predictor, e.g. in `dlib.get_face_chip`.
    """
    points = dlib.points()
    for x, y in face.landmarks.tolist():
        points.append(dlib.point(round(x), round(y)))
    return dlib.full_object_detection(dlib_rectangle(face.box), points)


def photo_of(line: Mapping[str, Any], folder: Path) -> Path | str:
    """The photo of a line: its path, or its address as a text."""
    return line["image"] if scheme_of(line["image"]) else folder / line["image"]


def relative_path(photo: Path | str, out: Path) -> str:
    """The photo's path relative to the folder `out`; absolute if there is no relative path."""
    if isinstance(photo, str):
        return photo
    try:
        return Path(os.path.relpath(photo.resolve(), out.resolve())).as_posix()
    except ValueError:  # another drive on Windows
        return photo.resolve().as_posix()


def printable_xml(text: str) -> str:
    """XML has no form for bytes that are not UTF-8, nor for control characters: escaped."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
