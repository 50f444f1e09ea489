"""Photo -> faces with landmarks in photo pixels, from the frozen model alone."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data_tools import face_boxes
from export.contract import load_contract
from export.engines import EngineName, load_engine
from senet_landmark import geometry
from senet_landmark.attributes import get_attribute, split_probabilities
from senet_landmark.errors import InputError
from senet_landmark.images import read_photo
from senet_landmark.schemes import Scheme

PRETRAINED = Path(__file__).parent / "pretrained"
DEFAULT_MODEL = "senet-68"


@dataclass(frozen=True)
class Face:
    """One face.

    Attributes:
      box: float64 [4], left, top, right, bottom in photo pixels, as detected or given.
      landmarks: float32 [K, 2], 0-based photo pixels; may lie outside the photo.
      score: the detector's score; NaN for a box that the caller gave.
      pose: float32 [3], yaw, pitch and roll in degrees; None where the model predicts none.
      attributes: attribute -> name of its most probable class, and that probability; empty where
        the model predicts none.
    """

    box: np.ndarray
    landmarks: np.ndarray
    score: float = float("nan")
    pose: np.ndarray | None = None
    attributes: dict[str, tuple[str, float]] = field(default_factory=dict)


def find_model(model: Path | str | None = None) -> Path:
    """A model's path from a path, a name of `export/pretrained/`, or nothing for the default.

    Raises:
      InputError: there is neither such a file nor such a name.
    """
    name = str(model or DEFAULT_MODEL)
    shipped = PRETRAINED / f"{name}.pb"
    if shipped.is_file():
        return shipped
    if not Path(name).is_file():
        names = ", ".join(sorted(path.stem for path in PRETRAINED.glob("*.pb"))) or "none"
        raise InputError(
            f"{name}: no such model. Give the path of a .pb that `senet-landmark freeze` wrote, "
            f"or the name of one that ships with the package ({names})."
        )
    return Path(name)


class Predictor:
    """A frozen model, loaded once, for any number of photos.

    Args:
      model: path of a `.pb`, `.onnx` or `.tflite` with its `.json` beside it, or the name of one
        that ships.
      engine: what runs it; None: OpenCV for a `.pb`, and what fits the suffix of another file.

    Raises:
      InputError: model or contract is absent, damaged, or they do not belong together.
    """

    def __init__(self, model: Path | str | None = None, engine: EngineName | None = None):
        self._path = find_model(model)
        self.contract = load_contract(self._path)
        self._run = load_engine(self._path, self.contract, engine)

    @property
    def name(self) -> str:
        """What a report calls the model: its file's name, the suffix only where it is no `.pb`."""
        return self._path.stem if self._path.suffix == ".pb" else self._path.name

    @property
    def scheme(self) -> Scheme:
        """The scheme of its landmarks."""
        return self.contract.landmark_scheme

    @property
    def points(self) -> tuple[int, ...]:
        """Which landmarks of the scheme it predicts: all."""
        return tuple(range(self.scheme.points))

    @property
    def note(self) -> str:
        """What a reader of its figures must know."""
        return ""

    def predict(self, photo: Path | str | np.ndarray) -> list[Face]:
        """Finds the faces of a photo with dlib, and what the model says of them.

        Args:
          photo: a path, or RGB uint8 [H, W, 3].

        Returns:
          Faces, best score first; empty where the detector finds none.

        Raises:
          InputError: the photo cannot be read.
        """
        pixels = photo if isinstance(photo, np.ndarray) else read_photo(photo)
        boxes, scores = face_boxes.find_faces(pixels)
        outputs = self.outputs(pixels, boxes, face_boxes.DLIB)
        return [
            self._face(box, float(score), {name: of[index] for name, of in outputs.items()})
            for index, (box, score) in enumerate(zip(boxes, scores, strict=True))
        ]

    def _face(self, box: np.ndarray, score: float, outputs: dict[str, np.ndarray]) -> Face:
        attributes = {}
        if "attributes" in outputs:
            shares = split_probabilities(outputs["attributes"][None], self.contract.attribute_names)
            for name, (values,) in shares.items():
                best = int(values.argmax())
                attributes[name] = (get_attribute(name).classes[best], float(values[best]))
        return Face(box, outputs["landmarks"], score, outputs.get("pose"), attributes)

    def landmarks(self, photo: np.ndarray, boxes: np.ndarray, source: str | None) -> np.ndarray:
        """The `landmarks` of `outputs`, float32 [N, K, 2] in photo pixels; all else as there."""
        return self.outputs(photo, boxes, source)["landmarks"]

    def outputs(
        self, photo: np.ndarray, boxes: np.ndarray, source: str | None
    ) -> dict[str, np.ndarray]:
        """What the model says of the faces in given boxes, all in one call of it.

        Args:
          photo: RGB uint8 [H, W, 3].
          boxes: float64 [N, 4] in photo pixels.
          source: what the boxes are from, a key of the contract's `box_corrections`: `dlib`, or
            `landmarks` for canonical boxes; `annotation` counts as canonical where the contract
            says nothing of it; None leaves the boxes as they are.

        Returns:
          `landmarks`, float32 [N, K, 2] in photo pixels; where the model has them `pose`, float32
          [N, 3], yaw, pitch and roll in degrees, and `attributes`, float32 [N, C], probabilities of
          the classes of each of the contract's `attribute_names`, one attribute after the other.

        Raises:
          InputError: the photo is not RGB uint8, the source is unknown, or a box has no area.
        """
        if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or not photo.size:
            raise InputError(f"A photo is uint8 [H, W, 3] RGB, not {photo.dtype} {photo.shape}.")
        none = geometry.BoxCorrection()
        known: dict[str | None, geometry.BoxCorrection] = {None: none, face_boxes.ANNOTATION: none}
        known.update(self.contract.box_corrections)
        if source not in known:
            names = ", ".join(name for name in known if name)
            raise InputError(f"The model knows boxes from {names}; not {source!r}.")
        if not len(boxes):
            return {
                name: np.zeros((0, *tensor.shape[1:]), np.float32)
                for name, tensor in self.contract.outputs.items()
            }
        pairs = [
            geometry.crop_face(
                photo,
                geometry.correct_box(box, known[source]),
                self.contract.crop,
                self.contract.size,
            )
            for box in boxes
        ]
        found = self._run(np.stack([crop for crop, _ in pairs]))
        inverses = [geometry.invert(transform) for _, transform in pairs]
        moved = [geometry.apply(t, p) for t, p in zip(inverses, found["landmarks"], strict=True)]
        return {**found, "landmarks": np.stack(moved).astype(np.float32)}
