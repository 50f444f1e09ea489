"""`senet-landmark predict`: photos and folders -> landmarks in files, and pictures of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from tqdm import tqdm

from senet_landmark.errors import InputError
from senet_landmark.export.inference import writers
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.export.inference.writers import PhotoFaces
from senet_landmark.io.images import find_photos, read_photo, write_picture
from senet_landmark.visualisation.drawing import draw_face

Format = Literal["json", "csv", "pts", "dlib"]
"""`landmarks.json`, `landmarks.csv`, a `.pts` for each face, dlib's `landmarks.xml`."""


def predict_photos(
    photos: list[Path],
    out: Path | str,
    *,
    predictor: Predictor | None = None,
    boxes: np.ndarray | None = None,
    write: Sequence[Format] = ("json",),
    pictures: bool = True,
    chip_size: int = 0,
) -> dict[str, Any]:
    """Finds faces and landmarks in photos and folders of photos.

    Args:
      photos: photos, and folders that are searched through.
      out: folder for the files of `write` and, for each photo with a face, `NAME_landmarks.jpg`
        with the points.
      predictor: the model; None: the one that ships.
      boxes: [N, 4], face boxes of the only photo, instead of a detector's.
      write: formats of the landmarks.
      pictures: whether the points are drawn.
      chip_size: side of the upright chips `NAME_chip_1.png` … that are cut of each face
        (`export/inference/align.py`); 0: none.

    Returns:
      {"photos": read, "faces": found, "without_face": [paths], "skipped": [{"photo", "reason"}]}.
      A photo that cannot be read is skipped, counted and named; the others go on.

    Raises:
      InputError: a path does not exist, a folder holds no photo, boxes are given for several
        photos, or no photo could be read.
    """
    out = Path(out)
    paths = find_photos(photos)
    if boxes is not None and len(paths) > 1:
        raise InputError(f"A face box is of one photo; {len(paths)} are given.")
    predictor = predictor or Predictor()
    results: list[PhotoFaces] = []
    summary: dict[str, Any] = {"photos": 0, "faces": 0, "without_face": [], "skipped": []}
    taken: set[str] = set()
    for path in tqdm(paths, unit="photo", disable=len(paths) < 2, dynamic_ncols=True):
        try:
            pixels = read_photo(path)
            faces = predictor.predict(pixels, boxes)
        except InputError as error:
            summary["skipped"].append({"photo": str(path), "reason": str(error)})
            continue
        summary["photos"] += 1
        summary["faces"] += len(faces)
        results.append(PhotoFaces(path, faces))
        if not faces:
            summary["without_face"].append(str(path))
            continue
        stem = _unique(path.stem, taken)
        if "pts" in write:
            writers.write_pts_files(out, stem, faces)
        for number, face in enumerate(faces, 1) if chip_size else ():
            chip = predictor.align(pixels, face, chip_size)
            write_picture(out / f"{stem}_chip_{number}.png", chip)
        if pictures:
            for face in faces:
                pixels = draw_face(pixels, face.box, face.landmarks)
            write_picture(out / f"{stem}_landmarks.jpg", pixels)
    if paths and not summary["photos"]:
        reasons = "; ".join(skip["reason"] for skip in summary["skipped"][:3])
        raise InputError(f"No photo could be read. {reasons}")
    if "json" in write:
        writers.write_landmarks_json(out, results)
    if "csv" in write:
        writers.write_landmarks_csv(out, results, predictor.scheme)
    if "dlib" in write:
        writers.write_dlib_xml(out, results)
    return summary


def _unique(stem: str, taken: set[str]) -> str:
    """What a photo's files begin with; those of one name in several folders get a number."""
    name, number = stem, 1
    while name in taken:
        number += 1
        name = f"{stem}_{number}"
    taken.add(name)
    return name
