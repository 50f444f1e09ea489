"""CVAT's format, "CVAT for images 1.1", as CVAT exports it and `predict --write cvat` writes it.

    ROOT/NAME.xml       <image name width height> with a <skeleton> or <points> for each face
    ROOT/PHOTO          the image's name, beside the file, or in `images` or `images/SUBSET` there

Format: https://docs.cvat.ai/docs/manual/advanced/formats/format-cvat/. A skeleton has a point for
each landmark. The label of a point says which landmark it is, if it has a number (`jaw_00`, `1`),
else the order of the points. A point that is `outside` is unknown, one that is `occluded` cannot be
seen. `<points>` have all landmarks of a face, in their order. The number of points decides the
scheme. 68 points are `300w_68`, or what the end of the skeleton's label (`face_300w_68_3d`) or
`--points` says. Coordinates are pixels from the corner of the photo.

An XML file of another kind is passed over. Files whose name says test, and the subset `Test`, are
for testing. A photo has the size that its image tells, upright or as stored.
"""

import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

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
from senet_landmark.data_tools.datasets.reading.files import (
    files_with,
    refuse_entities,
    scheme_with,
)
from senet_landmark.data_tools.datasets.reading.point_names import indices_of
from senet_landmark.data_tools.datasets.samples import Entry, Sample
from senet_landmark.errors import InputError
from senet_landmark.face.schemes import SCHEMES, get_scheme
from senet_landmark.io.annotation_tools import from_corner
from senet_landmark.io.images import read_file

Names = Mapping[str, tuple[dict[str, int], int]]
"""Label of a skeleton -> `indices_of` the labels of its points."""


def entries(root: Path, points: str = "auto") -> Iterator[Entry]:
    """The faces of the `.xml` files in `root`."""
    return list_faces(root, points, files_with(root, ".xml"), _read)


def load(entry: Entry) -> Sample:
    """Reads one face. Raises InputError that names the file and the photo."""
    return load_face(entry, _read)


def size_of(entry: Entry) -> Size | None:
    """The size of an entry's photo, as its image has it."""
    return size_of_photo(entry, _read)


@kept
def _read(path: Path) -> AnnotatedFile:
    try:
        text = read_file(path).decode("utf-8-sig")
        refuse_entities(text, path)
        tree = ElementTree.fromstring(text)
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not whole XML ({error}).") from error
    if tree.tag != "annotations":
        return AnnotatedFile()
    if tree.find("track") is not None:
        raise InputError(
            f"{path}: has tracks, as CVAT for video. Export the task as CVAT for images 1.1."
        )
    names = _names(tree)
    photos: list[Path] = []
    faces: list[AnnotatedFace] = []
    for image in tree.iter("image"):
        subset = image.get("subset", "")
        images = path.parent / "images"
        folders = (path.parent, images, images / subset)
        photos.append(photo_in(folders, image.get("name", "")))
        shapes = [shape for shape in image if shape.tag in ("skeleton", "points")]
        faces += [_face(shape, photos[-1], image, names) for shape in shapes]
    return AnnotatedFile(photos, faces)


def _names(tree: ElementTree.Element) -> Names:
    """What the labels of all skeletons' points mean; of all, because a skeleton may lack points."""
    labels: dict[str, list[str]] = defaultdict(list)
    for skeleton in tree.iter("skeleton"):
        labels[skeleton.get("label", "")] += [point.get("label", "") for point in skeleton]
    return {
        label: indices_of(names, get_scheme(scheme).points if (scheme := _scheme_in(label)) else 0)
        for label, names in labels.items()
    }


def _scheme_in(label: str) -> str:
    """The scheme at the end of a skeleton's label; empty without one."""
    return next((name for name in SCHEMES if label == name or label.endswith(f"_{name}")), "")


def _face(
    shape: ElementTree.Element, photo: Path, image: ElementTree.Element, names: Names
) -> AnnotatedFace:
    label = shape.get("label", "")
    try:
        if not image.get("name"):
            raise InputError("its image has no name")
        if shape.tag == "points":
            landmarks = _points(shape)
            hidden = np.full(len(landmarks), shape.get("occluded") == "1")
        else:
            landmarks, hidden = _skeleton(shape, *names[label])
        scheme = scheme_named(_scheme_in(label), len(landmarks))
        scheme = scheme or scheme_with(len(landmarks), f"its {shape.tag} {label!r}")
    except InputError as error:
        return AnnotatedFace(photo, str(error).rstrip("."))
    return AnnotatedFace(
        photo,
        problem=no_landmarks(landmarks),
        scheme=scheme,
        landmarks=landmarks,
        hidden=hidden,
        size=size_from(image.get("width"), image.get("height")),
        subset=image.get("subset", ""),
    )


def _skeleton(
    skeleton: ElementTree.Element, indices: Mapping[str, int], count: int
) -> tuple[np.ndarray, np.ndarray]:
    """The points [K, 2] of a skeleton, NaN where they are outside, and which are occluded [K]."""
    landmarks, hidden = np.full((count, 2), np.nan), np.zeros(count, bool)
    given: set[int] = set()
    for point in skeleton.iter("points"):
        index = indices[point.get("label", "")]
        if index in given or index >= count:
            raise InputError(f"its point {point.get('label')!r} is one too many")
        given.add(index)
        if point.get("outside") != "1":
            landmarks[index] = _points(point)[0]
            hidden[index] = point.get("occluded") == "1"
    return landmarks, hidden


def _points(shape: ElementTree.Element) -> np.ndarray:
    """The points [N, 2] of a shape in 0-based pixels."""
    try:
        pairs = [pair.split(",") for pair in shape.get("points", "").split(";")]
        points = np.array(pairs, np.float64)
        if points.shape[1:] != (2,):
            raise ValueError("a point is x,y")
    except ValueError as error:
        raise InputError(f"its points hold something that is not a number ({error})") from error
    if not np.isfinite(points).all():
        raise InputError("its points hold NaN or infinity")
    return from_corner(points)
