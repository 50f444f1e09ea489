"""Photo -> faces with landmarks in photo pixels, with the frozen model alone."""

from pathlib import Path
from typing import Any, overload

import numpy as np

from senet_landmark.detectors.interface import Detections, Find, SearchOptions, whole_photo
from senet_landmark.detectors.registry import (
    DEFAULT_DETECTOR,
    DETECTORS,
    FaceDetector,
    default_corrections,
    make_detector,
)
from senet_landmark.errors import InputError
from senet_landmark.export.engines.interface import EngineName
from senet_landmark.export.engines.registry import choose_engine, load_engine
from senet_landmark.export.inference.align import TEMPLATE_SIDE, align_face
from senet_landmark.export.inference.face import Face, Faces, check_kept, kept_faces
from senet_landmark.export.inference.forward_pass import ForwardPass
from senet_landmark.export.inference.passes import Cropping, make_passes
from senet_landmark.face import geometry
from senet_landmark.face.attributes import get_attribute, split_probabilities
from senet_landmark.face.boxes import ANNOTATION, LANDMARKS, canonical_box, check_boxes
from senet_landmark.face.roll import roll_of
from senet_landmark.face.schemes import Scheme
from senet_landmark.frozen.contract import load_contract
from senet_landmark.frozen.models import find_model
from senet_landmark.io.images import ColourOrder, Photo, as_rgb, check_rgb

FACE_PROBABILITY = 0.95
"""Smallest probability of a face, by the score of an unsure detector and the model's confidence.
Chosen on training faces (docs/detectors.md)."""

PASSES = 3
"""Default of the largest number of forward passes for a face, chosen on validation faces
(docs/lab_notebook.md, 12)."""


class Predictor:
    """A frozen model, loaded once, for any number of photos. Several threads may use it at once.

    A model whose crop is taken of the whole photo (`CropSpec.of`) finds one face a photo. No
    detector is loaded for it and boxes do not matter: `detect` gives the photo's rectangle with
    score 1, every box that a method gets is replaced by this rectangle, and each face has one
    forward pass.

    Args:
      model: path of a `.pb`, `.onnx` or `.tflite` with its `.json` beside it, or the name of one
        that ships; None: the default model. For a `.pb` its conversions may run in its place.
      engine: the engine; None: the fastest that is installed (`export/engines/registry.py`).
      detector: a name in `senet_landmark.detectors.registry.DETECTORS` (docs/detectors.md), or a
        function of RGB uint8 [H, W, 3] that returns boxes [N, 4], scores [N], and, if it knows it,
        roll [N] in degrees.
      detector_model: the detector's file, for `dlib_cnn` and `yunet`.
      search: the smallest face and the most faces, for a detector given by its name.
      passes: largest number of forward passes for a face: as long as its box was poor, or it leans
        in its crop, it is cropped again by its landmarks. 1: it is cropped once.
      threads: processor cores for the faces of a photo; 0: all.
      max_faces: of the faces that are found in a photo, only so many, the largest; 0: all. Faces
        in boxes that the caller gives stay.
      min_confidence: only faces with at least this confidence, 0 to 1; boxes as above.

    Raises:
      InputError: model or contract is absent or damaged, or they do not belong together; the engine
        or the detector is unknown; a number is out of range; or the model tells no confidence.
    """

    def __init__(
        self,
        model: Path | str | None = None,
        engine: EngineName | None = None,
        *,
        detector: str | Find | FaceDetector = DEFAULT_DETECTOR,
        detector_model: Path | None = None,
        search: SearchOptions = SearchOptions(),
        passes: int = PASSES,
        threads: int = 0,
        max_faces: int = 0,
        min_confidence: float = 0.0,
    ):
        if passes < 1:
            raise InputError(f"A predictor makes 1 pass or more, not {passes}.")
        self._kept = (max_faces, min_confidence)
        self._path = find_model(model)
        self.contract = load_contract(self._path)
        check_kept(max_faces, min_confidence, self.contract.confidence is not None)
        self.engine = choose_engine(self._path, self.contract, engine).engine
        run = load_engine(self._path, self.contract, self.engine, threads)
        self._forward = ForwardPass(self.contract, run)
        self._whole_photo = self.contract.crop.of == "photo"
        if self._whole_photo:
            detector, passes = whole_photo, 1
        self._detector = make_detector(detector, detector_model, search)
        self._passes = passes
        # Kept, as its faces do not keep it: else `predict(photo[::2])` could not show its picture.
        self._last_photo: Photo | None = None

    @property
    def name(self) -> str:
        """The model's name in a report: its file's name, without the suffix `.pb`."""
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
    def attribute_names(self) -> tuple[str, ...]:
        """The attributes that it predicts."""
        return self.contract.attribute_names

    @property
    def own_boxes(self) -> bool:
        """Whether it always corrects boxes: no, not without a box source."""
        return False

    @property
    def note(self) -> str:
        """What a reader of its figures must know: nothing, so it is empty."""
        return ""

    @property
    def detector_source(self) -> str | None:
        """The `box_source` of the boxes that `detect` returns; None: unknown."""
        return self._detector.box_source

    @overload
    def predict(
        self,
        photo: Photo,
        boxes: np.ndarray | None = None,
        *,
        roll: np.ndarray | None = None,
        order: ColourOrder = "RGB",
    ) -> Faces: ...

    @overload
    def predict(
        self,
        photo: list[Any],
        boxes: None = None,
        *,
        roll: None = None,
        order: ColourOrder = "RGB",
    ) -> list[Faces]: ...

    def predict(
        self,
        photo: Photo | list[Any],
        boxes: np.ndarray | None = None,
        *,
        roll: np.ndarray | None = None,
        order: ColourOrder = "RGB",
    ) -> Faces | list[Faces]:
        """Finds the faces of a photo, and their landmarks and other outputs in one batch.

        Args:
          photo: a path, an encoded photo (bytes), or uint8 [H, W, 3]; or a list of such.
          boxes: [N, 4], left, top, right, bottom in photo pixels, in place of the detector's;
            tight around the landmarks, from brows to chin. For a single photo only.
          roll: [N], by how many degrees the faces in `boxes` lean (`faces`).
          order: order of an array's channels; OpenCV's is BGR.

        Returns:
          Faces, best score first or in the order of `boxes`; empty if the detector finds none. They
          are a list that draws itself (`Faces`). For a list of photos a list of faces for each.

        Raises:
          InputError: a photo cannot be read, or a box cannot show a face of it (`check_boxes`).
        """
        if isinstance(photo, list):
            if boxes is not None:
                raise InputError("Boxes are of one photo; give the photos of a list one by one.")
            return [self.predict(one, order=order) for one in photo]
        pixels = as_rgb(photo, order)
        self._last_photo = photo
        if boxes is not None:
            check_boxes(boxes, (pixels.shape[1], pixels.shape[0]))
            return Faces(self.faces(pixels, boxes, LANDMARKS, roll=roll), photo, order)
        detected = self.detect(pixels)
        faces = self.faces(
            pixels, detected.boxes, self._detector.box_source, detected.scores, detected.roll
        )
        return Faces(self.verified(faces), photo, order)

    def detect(self, photo: np.ndarray) -> Detections:
        """The faces that the detector finds in a photo RGB uint8 [H, W, 3]."""
        return self._detector.detect(photo)

    def verified(self, faces: list[Face]) -> list[Face]:
        """The faces from its detector that count (`is_verified`) and are `kept`, in their order."""
        faces = [face for face in faces if self.is_verified(face)]
        return [faces[index] for index in self.kept(faces)]

    def kept(self, faces: list[Face]) -> list[int]:
        """The indices of the faces that `max_faces` and `min_confidence` leave, in their order."""
        return kept_faces(faces, *self._kept)

    def is_verified(self, face: Face) -> bool:
        """Whether a face from its detector counts: the model, too, takes it for a face.

        Every face counts if the detector needs no model behind it (`DetectorSpec.sure_score`).
        A model without confidence refuses those that the detector is not sure of.
        """
        sure_score = self._detector.sure_score
        if sure_score is None:
            return True
        if np.isnan(face.confidence) or face.score >= sure_score:
            return face.score >= sure_score
        # Both are probabilities, taken as independent; as likely as not before.
        yes = face.score * face.confidence
        no = (1 - face.score) * (1 - face.confidence)
        return yes >= FACE_PROBABILITY * (yes + no)

    def faces(
        self,
        photo: np.ndarray,
        boxes: np.ndarray,
        box_source: str | None,
        scores: np.ndarray | None = None,
        roll: np.ndarray | None = None,
    ) -> list[Face]:
        """The faces in the given boxes.

        Args:
          photo: RGB uint8 [H, W, 3].
          boxes: [N, 4] in photo pixels.
          box_source: where the boxes come from, as in `outputs`.
          scores: [N], the detector's scores; None: unknown.
          roll: as in `outputs`.
        """
        boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
        outputs = self._outputs(photo, boxes, box_source, roll, with_confidence=True)
        boxes = self._crop_sources(photo, boxes)
        if scores is None:
            scores = np.full(len(boxes), np.nan)
        return [
            self._face(
                boxes[i], float(scores[i]), {name: rows[i] for name, rows in outputs.items()}
            )
            for i in range(len(boxes))
        ]

    def _face(self, box: np.ndarray, score: float, outputs: dict[str, np.ndarray]) -> Face:
        attributes = {}
        if "attributes" in outputs:
            probabilities = split_probabilities(
                outputs["attributes"][None], self.contract.attribute_names
            )
            for name, (values,) in probabilities.items():
                best = int(values.argmax())
                attributes[name] = (get_attribute(name).classes[best], float(values[best]))
        return Face(
            box,
            outputs["landmarks"],
            score,
            float(outputs["confidence"]),
            outputs["uncertainty"],
            outputs.get("pose"),
            attributes,
            self.scheme.name,
            outputs.get("depth"),
        )

    def landmarks(
        self,
        photo: np.ndarray,
        boxes: np.ndarray,
        box_source: str | None,
        roll: np.ndarray | None = None,
    ) -> np.ndarray:
        """The `landmarks` of `outputs`, float32 [N, K, 2] in photo pixels; arguments as there."""
        return self.outputs(photo, boxes, box_source, roll)["landmarks"]

    def outputs(
        self,
        photo: np.ndarray,
        boxes: np.ndarray,
        box_source: str | None,
        roll: np.ndarray | None = None,
    ) -> dict[str, np.ndarray]:
        """The model's outputs for the faces in the given boxes, all in one batch.

        With several passes, the faces whose landmarks' box differs from the box of their last crop,
        or that lean in it, are cropped again by their landmarks for another forward pass
        (`passes.py`). If they show no clear face, turned crops are tried. A model without maps
        knows no confidence here and tries none; `faces` does with every model.

        Args:
          photo: RGB uint8 [H, W, 3].
          boxes: float64 [N, 4] in photo pixels.
          box_source: where the boxes come from, a key of the contract's `box_corrections`: `dlib`,
            or `landmarks` for canonical boxes. Where the contract does not name a detector, the
            correction of its registry is used; where that has none, and for `annotation`, the boxes
            count as canonical. None: the boxes are not corrected.
          roll: float [N], by how many degrees each face leans clockwise, -180 to 180, from a
            detector or the last frame; NaN, and None for all: unknown. Errors of 20 degrees do no
            harm.

        Returns:
          `landmarks`, float32 [N, K, 2] in photo pixels. If the model has them, `depth`, float32
          [N, K], in the same pixels (`senet_landmark.face.depth`), `pose`, float32 [N, 3], yaw,
          pitch and roll in degrees, and `attributes`, float32 [N, C], probabilities of the classes
          of each of the contract's `attribute_names`, one attribute after the other.

        Raises:
          InputError: the photo is not RGB uint8, the box source is unknown, or a box has no area.
        """
        outputs = self._outputs(photo, boxes, box_source, roll, with_confidence=False)
        return {name: outputs[name] for name in self.contract.outputs if name != "variance"}

    def _outputs(
        self,
        photo: np.ndarray,
        boxes: np.ndarray,
        box_source: str | None,
        roll: np.ndarray | None,
        with_confidence: bool,
    ) -> dict[str, np.ndarray]:
        """`outputs`, with `uncertainty` [N, K] in pixels and `confidence` [N].

        Without `with_confidence` models without maps give neither.
        """
        check_rgb(photo)
        no_correction = geometry.BoxCorrection()
        corrections: dict[str | None, geometry.BoxCorrection] = {None: no_correction}
        corrections |= dict.fromkeys((ANNOTATION, *DETECTORS), no_correction)
        corrections.update(default_corrections())
        corrections.update(self.contract.box_corrections)
        if box_source not in corrections:
            names = ", ".join(name for name in corrections if name)
            raise InputError(f"The model knows boxes from {names}; not {box_source!r}.")
        if not len(boxes):
            return {
                name: np.zeros((0, *tensor.shape[1:]), np.float32)
                for name, tensor in self.contract.outputs.items()
                if name != "variance"
            }
        boxes = self._crop_sources(photo, np.asarray(boxes, np.float64))
        rolls = np.full(len(boxes), np.nan) if roll is None else np.asarray(roll, np.float64)
        if rolls.shape != (len(boxes),):
            raise InputError(f"{len(boxes)} boxes need as many rolls, not {rolls.shape}.")
        if self._whole_photo:
            box_source, rolls = None, np.full(len(boxes), np.nan)
        return make_passes(
            lambda crops: self._forward(photo, crops, with_confidence),
            boxes,
            rolls,
            corrections[box_source],
            Cropping(self.scheme.name, self.contract.crop, (photo.shape[1], photo.shape[0])),
            self._passes,
        )

    def _crop_sources(self, photo: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """What the crops of faces with boxes [N, 4] are taken of, [N, 4]."""
        spec, size = self.contract.crop, (photo.shape[1], photo.shape[0])
        sources = [geometry.crop_source(box, spec, size) for box in boxes]
        return np.array(sources).reshape(-1, 4)

    def align(self, photo: Photo, face: Face, size: int = TEMPLATE_SIDE) -> np.ndarray:
        """The upright chip of a face, RGB uint8 [size, size, 3] (`align_face`); arrays are RGB."""
        return align_face(as_rgb(photo), face.landmarks, self.scheme, size)

    def canonical_box(self, landmarks: np.ndarray) -> np.ndarray | None:
        """The box by which a face with landmarks [K, 2] is cropped; None if they span no box."""
        try:
            return canonical_box(landmarks, self.scheme.name)
        except InputError:
            return None

    def roll(self, landmarks: np.ndarray) -> float:
        """By how many degrees a face with landmarks [K, 2] leans, for `faces`; NaN if unknown."""
        try:
            return roll_of(landmarks, self.scheme.name)
        except ValueError:
            return float("nan")
