"""Faces as JSON, CSV, iBUG `.pts`, dlib's objects and dlib's XML."""

import csv
import io
import math
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import dlib
import numpy as np

from senet_landmark.detectors.dlib_hog import dlib_rectangle
from senet_landmark.export.inference.predictor import Face
from senet_landmark.face.attributes import ATTRIBUTES, get_attribute
from senet_landmark.face.schemes import Scheme
from senet_landmark.io.columns import BOX, POSE
from senet_landmark.io.files import write_bytes, write_json
from senet_landmark.io.pts import write_pts


class PhotoFaces(NamedTuple):
    """A photo and its faces."""

    photo: Path
    faces: list[Face]


def face_json(face: Face) -> dict[str, Any]:
    """A face as in `landmarks.json`; unknown values are left out.

    `box`, `landmarks` and `uncertainty` in photo pixels to a hundredth; `score` of the detector;
    `confidence`, 0 to 1; `pose`: `yaw`, `pitch` and `roll` in degrees; `attributes`: attribute ->
    `class` and `probability`.
    """
    fields: dict[str, Any] = {
        "box": [round(float(v), 2) for v in face.box],
        "landmarks": np.round(face.landmarks.astype(np.float64), 2).tolist(),
    }
    for name, value in (("score", face.score), ("confidence", face.confidence)):
        if math.isfinite(value):
            fields[name] = round(value, 4)
    if face.uncertainty.size and np.isfinite(face.uncertainty).all():
        fields["uncertainty"] = np.round(face.uncertainty.astype(np.float64), 2).tolist()
    if face.pose is not None:
        angles = zip(POSE, face.pose, strict=True)
        fields["pose"] = {name: round(float(angle), 2) for name, angle in angles}
    if face.attributes:
        fields["attributes"] = {
            name: {"class": label, "probability": round(probability, 4)}
            for name, (label, probability) in face.attributes.items()
        }
    return fields


def write_landmarks_json(out: Path, photos: Sequence[PhotoFaces]) -> None:
    """`landmarks.json`: [{"image": path, "faces": [`face_json`]}]; `faces` may be empty."""
    entries = [
        {"image": str(photo), "faces": [face_json(face) for face in faces]}
        for photo, faces in photos
    ]
    write_json(out / "landmarks.json", entries)


def write_landmarks_csv(out: Path, photos: Sequence[PhotoFaces], scheme: Scheme) -> None:
    """`landmarks.csv`: one line for each face, as `data_tools/datasets/csv_files.py` reads it.

    So predictions can be inspected, corrected, and trained on. Paths are relative to `out`.
    """
    columns = ["photo", *BOX, "score", "confidence", *POSE]
    all_faces = [face for _, faces in photos for face in faces]
    attributes = [name for name in ATTRIBUTES if all_faces and name in all_faces[0].attributes]
    points = [f"{axis}{i}" for i in range(scheme.points) for axis in "xy"]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*columns, *attributes, *points])
    for photo, faces in photos:
        for face in faces:
            pose = [math.nan] * 3 if face.pose is None else face.pose.tolist()
            classes = [
                get_attribute(name).classes.index(face.attributes[name][0]) for name in attributes
            ]
            numbers = [*face.box, face.score, face.confidence, *pose]
            row = [f"{v:.4f}" if math.isfinite(v) else "" for v in numbers]
            coordinates = [f"{v:.2f}" for v in face.landmarks.ravel().tolist()]
            writer.writerow([_relative(photo, out), *row, *classes, *coordinates])
    write_bytes(out / "landmarks.csv", stream.getvalue().encode())


def write_dlib_xml(out: Path, photos: Sequence[PhotoFaces]) -> None:
    """`landmarks.xml`: dlib's own format, for its `imglab` and its shape predictor's training.

    Coordinates are whole pixels, because dlib reads no others. Paths are relative to `out`.
    """
    root = ElementTree.Element("dataset")
    images = ElementTree.SubElement(root, "images")
    for photo, faces in photos:
        image = ElementTree.SubElement(images, "image", file=_relative(photo, out))
        for face in faces:
            detection = full_object_detection(face)
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
    ElementTree.indent(root)
    write_bytes(
        out / "landmarks.xml", ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    )


def write_pts_files(out: Path, stem: str, faces: Sequence[Face]) -> None:
    """iBUG `.pts`, 1-based: `STEM.pts` of the first face, `STEM_2.pts` of the second, and so on."""
    for number, face in enumerate(faces, 1):
        name = f"{stem}.pts" if number == 1 else f"{stem}_{number}.pts"
        write_bytes(out / name, write_pts(face.landmarks).encode())


def full_object_detection(face: Face) -> Any:
    """The face as `dlib.full_object_detection`: whole pixels, a rectangle that includes its edges.

    It can replace a result of dlib's shape predictor, e.g. in `dlib.get_face_chip`.
    """
    points = dlib.points()
    for x, y in face.landmarks.tolist():
        points.append(dlib.point(round(x), round(y)))
    return dlib.full_object_detection(dlib_rectangle(face.box), points)


def _relative(photo: Path, out: Path) -> str:
    """The photo's path relative to the folder `out`; absolute if there is no relative path."""
    try:
        return Path(os.path.relpath(photo.resolve(), out.resolve())).as_posix()
    except ValueError:  # another drive on Windows
        return photo.resolve().as_posix()
