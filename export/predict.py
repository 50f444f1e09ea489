"""`senet-landmark predict`: photos and folders -> landmarks.json and pictures."""

from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from export.engines.interface import EngineName
from export.predictor import Face, Predictor
from senet_landmark.drawing import draw_face
from senet_landmark.errors import InputError
from senet_landmark.files import write_json
from senet_landmark.images import find_photos, read_photo, write_picture


def predict_photos(
    photos: list[Path],
    out: Path | str,
    *,
    model: Path | str | None = None,
    engine: EngineName | None = None,
) -> dict[str, Any]:
    """Finds faces and landmarks in photos and folders of photos.

    Args:
      photos: photos, and folders that are searched through.
      out: folder for `landmarks.json` and, for each photo with a face, a picture with the points.
      model: path of a `.pb`, or the name of one that ships; None: the default.
      engine: what runs the model.

    Returns:
      {"photos": read, "faces": found, "without_face": [paths], "skipped": [{"photo", "reason"}]}.
      A photo that cannot be read is skipped, counted and named; the others go on.

    Raises:
      InputError: a path does not exist, a folder holds no photo, or no photo could be read.
    """
    out = Path(out)
    paths = find_photos(photos)
    predictor = Predictor(model, engine)
    results: list[dict[str, Any]] = []
    summary: dict[str, Any] = {"photos": 0, "faces": 0, "without_face": [], "skipped": []}
    names: set[str] = set()
    for path in tqdm(paths, unit="photo", disable=len(paths) < 2, dynamic_ncols=True):
        try:
            pixels = read_photo(path)
            faces = predictor.predict(pixels)
        except InputError as error:
            summary["skipped"].append({"photo": str(path), "reason": str(error)})
            continue
        summary["photos"] += 1
        summary["faces"] += len(faces)
        results.append({"image": str(path), "faces": [face_json(face) for face in faces]})
        if not faces:
            summary["without_face"].append(str(path))
            continue
        for face in faces:
            pixels = draw_face(pixels, face.box, face.landmarks)
        write_picture(out / _unique(path.stem, names), pixels)
    if paths and not summary["photos"]:
        reasons = "; ".join(skip["reason"] for skip in summary["skipped"][:3])
        raise InputError(f"No photo could be read. {reasons}")
    write_json(out / "landmarks.json", results)
    return summary


def face_json(face: Face) -> dict[str, Any]:
    """A face as in `landmarks.json`: `box` and `landmarks` in photo pixels to a hundredth.

    Where the model predicts them: `pose`, `yaw`, `pitch` and `roll` in degrees; `attributes`,
    attribute -> `class` and `probability`.
    """
    found: dict[str, Any] = {
        "box": [round(float(v), 2) for v in face.box],
        "landmarks": np.round(face.landmarks.astype(np.float64), 2).tolist(),
    }
    if face.pose is not None:
        angles = zip(("yaw", "pitch", "roll"), face.pose, strict=True)
        found["pose"] = {name: round(float(angle), 2) for name, angle in angles}
    if face.attributes:
        found["attributes"] = {
            name: {"class": label, "probability": round(share, 4)}
            for name, (label, share) in face.attributes.items()
        }
    return found


def _unique(stem: str, taken: set[str]) -> str:
    """A picture's name; photos of one name in several folders do not overwrite each other."""
    name, number = f"{stem}_landmarks.jpg", 1
    while name in taken:
        number += 1
        name = f"{stem}_{number}_landmarks.jpg"
    taken.add(name)
    return name
