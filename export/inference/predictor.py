"""Photo -> faces with landmarks in photo pixels, from the frozen model alone."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from senet_landmark.detectors.registry import DETECTORS, FaceDetector, Find, make_detector
from senet_landmark.errors import InputError
from senet_landmark.export.engines.interface import EngineName
from senet_landmark.export.engines.registry import choose_engine, load_engine
from senet_landmark.export.inference.align import TEMPLATE_SIDE, align_face
from senet_landmark.export.inference.confidence import expected_errors, face_confidence, with_spread
from senet_landmark.face import geometry
from senet_landmark.face.attributes import get_attribute, split_probabilities
from senet_landmark.face.boxes import ANNOTATION, LANDMARKS, canonical_box
from senet_landmark.face.pose import pose_of
from senet_landmark.face.schemes import Scheme
from senet_landmark.frozen.contract import load_contract
from senet_landmark.frozen.models import find_model
from senet_landmark.io.images import decode_photo, read_photo

RECROP_IOU = (0.25, 0.9)
"""A face whose landmarks' box overlaps the one that it was cut out by so much (IoU) is cut out anew
by that of its landmarks: with more the box was good, with less the landmarks are none. Chosen on
validation faces, as are the passes (docs/lab_notebook.md, 12)."""

PASSES = 3
"""How often a face is looked at, at most, where nothing else is said."""

ColourOrder = Literal["RGB", "BGR"]

Photo = Path | str | bytes | np.ndarray
"""A path, an encoded photo, or uint8 [H, W, 3]."""


@dataclass(frozen=True)
class Face:
    """One face.

    Attributes:
      box: float64 [4], left, top, right, bottom in photo pixels, as detected or given.
      landmarks: float32 [K, 2], 0-based photo pixels; may lie outside the photo.
      score: the detector's score; NaN for a box that the caller gave.
      confidence: the model's probability that there is a face, 0 to 1 (`confidence.py`); NaN
        where its contract has no curve.
      uncertainty: float32 [K], the expected distance of each landmark from its true place, in photo
        pixels; NaN as with `confidence`.
      pose: float32 [3], yaw, pitch and roll in degrees (`senet_landmark.face.pose`), as the model
        predicts them or else as fitted to the landmarks; None where neither can be.
      attributes: attribute -> name of its most probable class, and that probability; empty where
        the model predicts none.
    """

    box: np.ndarray
    landmarks: np.ndarray
    score: float = float("nan")
    confidence: float = float("nan")
    uncertainty: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    pose: np.ndarray | None = None
    attributes: dict[str, tuple[str, float]] = field(default_factory=dict)


class Predictor:
    """A frozen model, loaded once, for any number of photos; from several threads at once, too.

    Args:
      model: path of a `.pb`, `.onnx` or `.tflite` with its `.json` beside it, or the name of one
        that ships. A `.pb` stands for what it was converted to as well.
      engine: what runs it; None: the fastest that is installed (`export/engines/registry.py`).
      detector: `dlib`, `dlib_cnn`, or a function of RGB uint8 [H, W, 3] that returns boxes [N, 4]
        and scores [N].
      detector_model: file of dlib's CNN detector, for `dlib_cnn`.
      passes: how often a face is looked at, at most: each time it is cut out anew by its
        landmarks, as long as the box was poor. 1: once.
      threads: processor cores for the faces of a photo; 0: all.

    Raises:
      InputError: model or contract is absent, damaged, or they do not belong together; or there is
        no such engine or detector.
    """

    def __init__(
        self,
        model: Path | str | None = None,
        engine: EngineName | None = None,
        *,
        detector: str | Find | FaceDetector = "dlib",
        detector_model: Path | None = None,
        passes: int = PASSES,
        threads: int = 0,
    ):
        if passes < 1:
            raise InputError(f"A predictor makes 1 pass or more, not {passes}.")
        self._path = find_model(model)
        self.contract = load_contract(self._path)
        self.engine = choose_engine(self._path, self.contract, engine).engine
        self._run = load_engine(self._path, self.contract, self.engine, threads)
        self._detector = make_detector(detector, detector_model)
        self._passes = passes

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
    def attribute_names(self) -> tuple[str, ...]:
        """The attributes that it predicts."""
        return self.contract.attribute_names

    @property
    def own_boxes(self) -> bool:
        """Whether it always brings boxes to those it was made for: no, without a source not."""
        return False

    @property
    def note(self) -> str:
        """What a reader of its figures must know: nothing."""
        return ""

    @property
    def detector_source(self) -> str | None:
        """What the boxes of `detect` are from, as `faces` takes it; None: that is not known."""
        return self._detector.box_source

    @overload
    def predict(
        self, photo: Photo, boxes: np.ndarray | None = None, *, order: ColourOrder = "RGB"
    ) -> list[Face]: ...

    @overload
    def predict(
        self, photo: list[Any], boxes: None = None, *, order: ColourOrder = "RGB"
    ) -> list[list[Face]]: ...

    def predict(
        self,
        photo: Photo | list[Any],
        boxes: np.ndarray | None = None,
        *,
        order: ColourOrder = "RGB",
    ) -> list[Face] | list[list[Face]]:
        """Finds the faces of a photo, and what the model says of them, all in one call of it.

        Args:
          photo: a path, an encoded photo (bytes), or uint8 [H, W, 3]; or a list of such.
          boxes: [N, 4], left, top, right, bottom in photo pixels, of one photo: instead of the
            detector's, tight about the landmarks, brows to chin.
          order: of an array's channels; that of OpenCV is BGR.

        Returns:
          Faces, best score first or in the order of `boxes`; empty where the detector finds none.
          Of a list: a list of them for each photo.

        Raises:
          InputError: a photo cannot be read, or a box has no area.
        """
        if isinstance(photo, list):
            if boxes is not None:
                raise InputError("Boxes are of one photo; give the photos of a list singly.")
            return [self.predict(one, order=order) for one in photo]
        pixels = as_rgb(photo, order)
        if boxes is not None:
            return self.faces(pixels, boxes, LANDMARKS)
        found, scores = self.detect(pixels)
        return self.faces(pixels, found, self._detector.box_source, scores)

    def detect(self, photo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The detector's boxes float64 [N, 4] in a photo RGB uint8 [H, W, 3], and scores [N]."""
        found, scores = self._detector.find(photo)
        return np.asarray(found, np.float64).reshape(-1, 4), np.asarray(scores, np.float64)

    def faces(
        self,
        photo: np.ndarray,
        boxes: np.ndarray,
        source: str | None,
        scores: np.ndarray | None = None,
    ) -> list[Face]:
        """The faces in given boxes; all args but `scores` as in `outputs`.

        Args:
          photo: RGB uint8 [H, W, 3].
          boxes: [N, 4] in photo pixels.
          source: what the boxes are from.
          scores: [N], the detector's.
        """
        boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
        found = self._outputs(photo, boxes, source, unsure=True)
        if scores is None:
            scores = np.full(len(boxes), np.nan)
        return [
            self._face(boxes[i], float(scores[i]), {name: of[i] for name, of in found.items()})
            for i in range(len(boxes))
        ]

    def _face(self, box: np.ndarray, score: float, outputs: dict[str, np.ndarray]) -> Face:
        attributes = {}
        if "attributes" in outputs:
            shares = split_probabilities(outputs["attributes"][None], self.contract.attribute_names)
            for name, (values,) in shares.items():
                best = int(values.argmax())
                attributes[name] = (get_attribute(name).classes[best], float(values[best]))
        landmarks = outputs["landmarks"]
        pose = outputs.get("pose")
        if pose is None:
            try:
                pose = np.array(pose_of(landmarks, self.scheme), np.float32)
            except ValueError:  # points that no head can have, or a scheme without such a fit
                pose = None
        return Face(
            box,
            landmarks,
            score,
            float(outputs["confidence"]),
            outputs["uncertainty"],
            pose,
            attributes,
        )

    def landmarks(self, photo: np.ndarray, boxes: np.ndarray, source: str | None) -> np.ndarray:
        """The `landmarks` of `outputs`, float32 [N, K, 2] in photo pixels; all else as there."""
        return self.outputs(photo, boxes, source)["landmarks"]

    def outputs(
        self, photo: np.ndarray, boxes: np.ndarray, source: str | None
    ) -> dict[str, np.ndarray]:
        """What the model says of the faces in given boxes, all in one call of it.

        Where the predictor makes several passes, the faces whose landmarks' box is far from that of
        the last look (`RECROP_IOU`) are cut out anew by it, in a further call.

        Args:
          photo: RGB uint8 [H, W, 3].
          boxes: float64 [N, 4] in photo pixels.
          source: what the boxes are from, a key of the contract's `box_corrections`: `dlib`, or
            `landmarks` for canonical boxes; `annotation` and other detectors count as canonical
            where the contract says nothing of them; None leaves the boxes as they are.

        Returns:
          `landmarks`, float32 [N, K, 2] in photo pixels; where the model has them `pose`, float32
          [N, 3], yaw, pitch and roll in degrees, and `attributes`, float32 [N, C], probabilities of
          the classes of each of the contract's `attribute_names`, one attribute after the other.

        Raises:
          InputError: the photo is not RGB uint8, the source is unknown, or a box has no area.
        """
        return self._outputs(photo, boxes, source, unsure=False)

    def _outputs(
        self, photo: np.ndarray, boxes: np.ndarray, source: str | None, unsure: bool
    ) -> dict[str, np.ndarray]:
        """As `outputs`; if `unsure` also `uncertainty` [N, K] in pixels and `confidence` [N]."""
        check_rgb(photo)
        none = geometry.BoxCorrection()
        known: dict[str | None, geometry.BoxCorrection] = {None: none}
        known |= dict.fromkeys((ANNOTATION, *DETECTORS), none)
        known.update(self.contract.box_corrections)
        if source not in known:
            names = ", ".join(name for name in known if name)
            raise InputError(f"The model knows boxes from {names}; not {source!r}.")
        if not len(boxes):
            return {
                name: np.zeros((0, *tensor.shape[1:]), np.float32)
                for name, tensor in self.contract.outputs.items()
                if name != "variance"
            }
        canonical = np.stack([geometry.correct_box(box, known[source]) for box in boxes])
        found = self._look(photo, canonical, unsure)
        boxes_of = dict(enumerate(canonical))  # index of a face -> the box of its last look
        for _ in range(self._passes - 1):
            own = {i: self._own_box(found["landmarks"][i], photo) for i in boxes_of}
            boxes_of = {
                i: box
                for i, box in own.items()
                if box is not None
                and RECROP_IOU[0] <= geometry.iou(box, boxes_of[i]) < RECROP_IOU[1]
            }
            if not boxes_of:
                break
            faces = list(boxes_of)
            again = self._look(photo, np.stack(list(boxes_of.values())), unsure)
            if unsure:  # what is no face comes to look like one in some box: a face does in each
                again["confidence"] = np.minimum(again["confidence"], found["confidence"][faces])
            for name, values in again.items():
                found[name][faces] = values
        return found

    def align(self, photo: Photo, face: Face, size: int = TEMPLATE_SIDE) -> np.ndarray:
        """The upright chip RGB uint8 [size, size, 3] of a face (`align_face`); its photo as RGB."""
        return align_face(as_rgb(photo), face.landmarks, self.scheme, size)

    def _own_box(self, landmarks: np.ndarray, photo: np.ndarray) -> np.ndarray | None:
        """`canonical_box`, if a crop can be cut by it."""
        box = self.canonical_box(landmarks)
        try:
            if box is not None:
                geometry.crop_box(box, self.contract.crop, (photo.shape[1], photo.shape[0]))
        except InputError:
            return None
        return box

    def canonical_box(self, landmarks: np.ndarray) -> np.ndarray | None:
        """The box by which a face of these landmarks [K, 2] is cut out; None: they are none."""
        try:
            return canonical_box(landmarks, self.scheme.name)
        except InputError:
            return None

    def _look(self, photo: np.ndarray, boxes: np.ndarray, unsure: bool) -> dict[str, np.ndarray]:
        """What the model says of canonical boxes, in photo pixels; as `_outputs`."""
        size = (photo.shape[1], photo.shape[0])
        regions = np.stack([geometry.crop_box(box, self.contract.crop, size) for box in boxes])
        transforms = [geometry.to_crop(region) for region in regions]
        crops = np.stack([geometry.warp(photo, t, self.contract.size) for t in transforms])
        spread = None
        if unsure:
            found, spread = with_spread(self._run, crops, self.scheme)
        else:
            found = self._run(crops)
        # Copies: some runtimes give arrays that must not be written to.
        found = {name: np.array(values, np.float32) for name, values in found.items()}
        found.pop("variance", None)
        moved = [
            geometry.apply(geometry.invert(transform), points)
            for transform, points in zip(transforms, found["landmarks"], strict=True)
        ]
        found["landmarks"] = np.stack(moved).astype(np.float32)
        if spread is not None:
            found["confidence"] = face_confidence(self.contract.confidence, spread)
            # Where a crop is not square, its side is the geometric mean of the two.
            sides = np.sqrt((regions[:, 2:] - regions[:, :2]).prod(1))
            errors = expected_errors(self.contract.expected_error, spread)
            found["uncertainty"] = (errors * sides[:, None]).astype(np.float32)
        return found


def as_rgb(photo: Photo, order: ColourOrder = "RGB") -> np.ndarray:
    """A photo as RGB uint8 [H, W, 3]: read, decoded, or with its channels in that order.

    Raises:
      InputError: it cannot be read, or is an array of another kind.
    """
    if isinstance(photo, bytes):
        return decode_photo(photo)
    if not isinstance(photo, np.ndarray):
        return read_photo(photo)
    check_rgb(photo)
    if order not in ("RGB", "BGR"):
        raise InputError(f"The order of colours is RGB or BGR, not {order!r}.")
    return photo if order == "RGB" else np.ascontiguousarray(photo[..., ::-1])


def check_rgb(photo: np.ndarray) -> None:
    """Raises InputError unless the array is uint8 [H, W, 3] and holds a pixel."""
    if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or not photo.size:
        raise InputError(f"A photo is uint8 [H, W, 3], not {photo.dtype} {photo.shape}.")
