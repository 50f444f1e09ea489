"""COCO keypoints: `landmarks.coco.json`.

Lin et al., "Microsoft COCO: Common Objects in Context" (ECCV 2014); the keys are those of
https://cocodataset.org/#format-data, and `score` that of results. Keypoints are 0-based pixels with
integers at the centres, boxes are measured from the photo's corner, both of the upright photo.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from senet_landmark.export.inference.annotation.lines import (
    Lines,
    as_json,
    is_inside,
    json_items,
    score_of,
)
from senet_landmark.export.inference.writers import photo_of, relative_path
from senet_landmark.face.outlines import edges, point_names
from senet_landmark.face.schemes import Scheme
from senet_landmark.io.annotation_tools import FACE, SCHEME, to_corner

CATEGORY = 1
VISIBLE, HIDDEN = 2, 1


def coco_json(lines: Lines, scheme: Scheme, out: Path, folder: Path = Path()) -> Iterator[str]:
    """`landmarks.coco.json`, piece by piece; a photo without a face is listed too.

    A point outside the photo is marked as one that cannot be seen (v = 1), the others as visible
    (v = 2).

    Args:
      lines: `photo_json` of each photo.
      scheme: scheme of the landmarks.
      out: folder of the file; the photos' paths in it are relative to this folder.
      folder: folder in which relative paths of `lines` start.
    """
    yield '{\n"info": {"description": "Predictions of senet_landmark"},\n'
    yield f'"categories": [{as_json(category(scheme))}],\n"images": ['
    yield from json_items(
        {
            "id": number,
            "file_name": relative_path(photo_of(line, folder), out),
            "width": line["width"],
            "height": line["height"],
        }
        for number, line in enumerate(lines(), 1)
    )
    yield '],\n"annotations": ['
    yield from json_items(_annotations(lines))
    yield "]\n}\n"


def category(scheme: Scheme) -> dict[str, Any]:
    """The category of a face: names of its points, and the lines between them, counted from 1."""
    return {
        "id": CATEGORY,
        "name": FACE,
        "supercategory": "person",
        "keypoints": point_names(scheme),
        "skeleton": [[one + 1, other + 1] for one, other in edges(scheme)],
        SCHEME: scheme.name,
    }


def _annotations(lines: Lines) -> Iterator[dict[str, Any]]:
    number = 0
    for image, line in enumerate(lines(), 1):
        for face in line["faces"]:
            number += 1
            yield {"id": number, "image_id": image, "category_id": CATEGORY, **_face(face, line)}


def _face(face: Mapping[str, Any], line: Mapping[str, Any]) -> dict[str, Any]:
    keypoints: list[float] = []
    for point in face["landmarks"]:
        keypoints += [*point, VISIBLE if is_inside(point, line) else HIDDEN]
    left, top, right, bottom = to_corner(face["box"]).round(2).tolist()
    width, height = round(right - left, 2), round(bottom - top, 2)
    fields = {
        "keypoints": keypoints,
        "num_keypoints": len(face["landmarks"]),
        "bbox": [left, top, width, height],
        "area": round(width * height, 2),
        "iscrowd": 0,
    }
    score = score_of(face)
    return fields if score is None else {**fields, "score": score}
