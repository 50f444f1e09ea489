"""`senet-landmark predict`: photos and folders -> files of landmarks, and pictures."""

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
      photos: photos, and folders that are searched for photos.
      out: folder for the files of `write` and, for each photo with a face, `NAME_landmarks.jpg`
        with the points.
      predictor: the predictor; None: that of the default model.
      boxes: [N, 4], face boxes in pixels, in place of a detector's; for a single photo only.
      write: formats of the landmark files.
      pictures: whether to write pictures with the points.
      chip_size: side in pixels of the upright chips `NAME_chip_1.png` … of the faces
        (`export/inference/align.py`); 0: no chips.

    Returns:
      {"photos": number read, "faces": number found, "without_face": [paths],
      "skipped": [{"photo", "reason"}]}. A photo that cannot be read is skipped, and reported there.

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
    used_stems: set[str] = set()
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
        stem = _unique(path.stem, used_stems)
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


def _unique(stem: str, used: set[str]) -> str:
    """The beginning of a photo's result files; equal names from several folders get a number."""
    name, number = stem, 1
    while name in used:
        number += 1
        name = f"{stem}_{number}"
    used.add(name)
    return name
