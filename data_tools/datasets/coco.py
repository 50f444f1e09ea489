"""COCO keypoints: faces as COCO's tools, CVAT and `predict --write coco` write them.

    ROOT/NAME.json, ROOT/annotations/NAME.json     images, annotations, categories
    ROOT/PHOTO, ROOT/images/PHOTO, …               `file_name` of an image, from the file's folder,
                                                   ROOT, or `images` and the split's folder in it

Format: https://cocodataset.org/#format-data. An annotation has x, y and v of each keypoint, in
0-based pixels with integers at the centres. With v = 0 the point is unknown, with v = 1 it cannot
be seen. The names in the category say which landmark is which, if they have numbers (`jaw_00`,
`kpt-1`), else their order; how many they are decides the scheme. 68 points are `300w_68`, or what
the key `scheme` of the category or `--points` says. Crowds (`iscrowd`) are left out.

A JSON file of another kind is passed over. Files whose name says test are for testing. A photo has
the size that its image tells, upright or as stored.
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
    photo_in,
    scheme_named,
    size_from,
    size_of_photo,
)
from senet_landmark.data_tools.datasets.reading.files import files_with, scheme_with
from senet_landmark.data_tools.datasets.reading.point_names import indices_of
from senet_landmark.data_tools.datasets.samples import Entry, Sample
from senet_landmark.errors import InputError
from senet_landmark.io.annotation_tools import SCHEME, from_corner
from senet_landmark.io.files import read_json

ANNOTATIONS = "annotations"
"""Folder of the files in COCO as published; the photos are beside it."""


def entries(root: Path, points: str = "auto") -> Iterator[Entry]:
    """The faces of the files in `root` and in its folder `annotations`."""
    folders = [root, root / ANNOTATIONS]
    files = [file for folder in folders if folder.is_dir() for file in files_with(folder, ".json")]
    return list_faces(root, points, files, _read)


def load(entry: Entry) -> Sample:
    """Reads one annotation. Raises InputError that names the file and the photo."""
    return load_face(entry, _read)


def size_of(entry: Entry) -> Size | None:
    """The size of an entry's photo, as its image has it."""
    return size_of_photo(entry, _read)


@kept
def _read(path: Path) -> AnnotatedFile:
    content = read_json(path)
    if not isinstance(content, dict) or not {"images", "annotations"} <= content.keys():
        return AnnotatedFile()
    try:
        images = {image["id"]: image for image in content["images"]}
        categories = {category["id"]: category for category in content.get("categories", [])}
        annotations = [dict(annotation) for annotation in content["annotations"]]
    except (TypeError, KeyError, ValueError) as error:
        raise InputError(
            f"{path}: is not as COCO's files are: an image, category or annotation lacks its id or "
            f"is no object ({type(error).__name__}: {error})."
        ) from error
    if len(images) < len(content["images"]):
        raise InputError(f"{path}: two images have one id, so whose a face is cannot be known.")
    photos = {number: _photo_of(path, image) for number, image in images.items()}
    faces = [
        _face(path, annotation, images, photos, categories)
        for annotation in annotations
        if not annotation.get("iscrowd")
    ]
    return AnnotatedFile(list(photos.values()), faces)


def _photo_of(path: Path, image: Mapping[str, Any]) -> Path:
    above = path.parent.parent if path.parent.name == ANNOTATIONS else path.parent
    split = path.stem.rpartition("_")[2]  # train2017 of person_keypoints_train2017
    images = above / "images"
    folders = (path.parent, above, images, above / split, images / split)
    return photo_in(folders, str(image.get("file_name", "")))


def _face(
    path: Path,
    annotation: Mapping[str, Any],
    images: Mapping[Any, Mapping[str, Any]],
    photos: Mapping[Any, Path],
    categories: Mapping[Any, Mapping[str, Any]],
) -> AnnotatedFace:
    number = annotation.get("id")
    photo = path
    try:
        if (image := images.get(annotation["image_id"])) is None:
            raise InputError(f"its image {annotation['image_id']!r} is not in the file")
        if not image.get("file_name"):
            raise InputError(f"its image {annotation['image_id']!r} has no file_name")
        photo = photos[annotation["image_id"]]
        if (category := categories.get(annotation["category_id"])) is None:
            raise InputError(f"its category {annotation['category_id']!r} is not in the file")
        landmarks, hidden, scheme = _landmarks(annotation, category)
    except KeyError as error:
        return AnnotatedFace(photo, f"annotation {number}: it has no {error}")
    except (InputError, TypeError, ValueError, AttributeError) as error:
        return AnnotatedFace(photo, f"annotation {number}: {str(error).rstrip('.')}")
    return AnnotatedFace(
        photo,
        problem=no_landmarks(landmarks),
        scheme=scheme,
        landmarks=landmarks,
        hidden=hidden,
        box=_box(annotation.get("bbox")),
        size=size_from(image.get("width"), image.get("height")),
    )


def _landmarks(
    annotation: Mapping[str, Any], category: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray, str]:
    """Points [K, 2], which are hidden [K], and the scheme; InputError without the file's name."""
    names = [str(name) for name in category.get("keypoints", [])]
    count = len(names)
    if not count:
        raise InputError(f"its category {category.get('name')!r} has no keypoints")
    scheme = scheme_named(category.get(SCHEME), count)
    scheme = scheme or scheme_with(count, f"its category {category.get('name')!r}")
    values = annotation["keypoints"]
    if not isinstance(values, list):
        raise InputError("its keypoints are no list")
    if len(values) != 3 * count:
        raise InputError(
            f"it has {len(values)} numbers of keypoints; {count} keypoints need {3 * count}"
        )
    try:
        table = np.array(values, np.float64).reshape(count, 3)
    except (TypeError, ValueError) as error:
        raise InputError(f"its keypoints hold something that is not a number ({error})") from error
    seen = table[:, 2]
    if not np.isin(seen, (0, 1, 2)).all():
        raise InputError(f"a keypoint's v is {seen[~np.isin(seen, (0, 1, 2))][0]:g}, not 0, 1 or 2")
    if not np.isfinite(table[seen > 0]).all():
        raise InputError("its labelled keypoints hold NaN or infinity")
    landmarks, hidden = np.full((count, 2), np.nan), np.zeros(count, bool)
    indices, _ = indices_of(names, count)
    if len(indices) != count:
        raise InputError(f"its category {category.get('name')!r} names a keypoint twice")
    places = [indices[name] for name in names]
    landmarks[places] = np.where(seen[:, None] > 0, table[:, :2], np.nan)
    hidden[places] = seen == 1
    return landmarks, hidden, scheme


def _box(bbox: Any) -> np.ndarray | None:
    """Left, top, right, bottom of a `bbox`, which is left, top, width, height; None without one."""
    try:
        left, top, width, height = (float(value) for value in bbox)
    except (TypeError, ValueError):
        return None
    box = from_corner(np.array([left, top, left + width, top + height]))
    return box if np.isfinite(box).all() and width > 0 and height > 0 else None
