"""The interface of the package face-alignment 1.5, over a model of this project.

`from senet_landmark.compat import face_alignment` in place of `import face_alignment`. Neither
PyTorch nor its weights are needed; tensors are taken where a program has them.
"""

import glob
import os
import warnings
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from senet_landmark.compat.face_detection import FaceDetector, Finder
from senet_landmark.compat.images import as_array, as_photo
from senet_landmark.errors import InputError
from senet_landmark.export.inference.face import Face
from senet_landmark.export.inference.mirrored import with_mirrored
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.face.boxes import check_boxes
from senet_landmark.face.schemes import TRUE_JAW
from senet_landmark.frozen.contract import Contract, load_contract
from senet_landmark.frozen.models import find_model, shipped_models

NEAR = 0.05
"""A landmark's score is the probability that it is this near to its true position, as a share of
the face box's side."""

VISIBLE_CONTOUR = "300w_68"


class LandmarksType(IntEnum):
    """Which landmarks a `FaceAlignment` gives.

    `TWO_D`: x and y, along the visible contour. `TWO_HALF_D`: x and y of the points in space, along
    the true jaw. `THREE_D`: x, y and z. `_2D`, `_2halfD` and `_3D` are their names before 1.4.
    """

    TWO_D = 1
    TWO_HALF_D = 2
    THREE_D = 3
    _2D = 1
    _2halfD = 2
    _3D = 3


class NetworkSize(IntEnum):
    """The sizes of that package's networks: one. Here the model tells the size."""

    LARGE = 4


_NEEDS = {
    LandmarksType.TWO_D: "a model of 68 points with the visible contour (scheme 300w_68)",
    LandmarksType.TWO_HALF_D: f"a model of 68 points with the true jaw (scheme {TRUE_JAW})",
    LandmarksType.THREE_D: "a model of 68 points with depth",
}


class FaceAlignment:
    """`face_alignment.FaceAlignment` with a model of this project.

    Args:
      landmarks_type: what it gives: float32 [68, 2] a face, or [68, 3] (`LandmarksType`).
      device: one with cpu, cuda or mps in its name, as there; the model runs on the CPU.
      flip_input: whether the landmarks are the mean of those in the photo and in its mirror image.
      face_detector: `blazeface`, `dlib`, or another one of this project's; a function, as
        `Predictor` takes it; or `sfd`, `retinaface`, `scrfd` or `yunet`, in whose place BlazeFace
        works, because their weights are not here (`yunet` with its file is itself).
      face_detector_kwargs: `path_to_detector`, for detectors that need a file; the least score
        (`filter_threshold`, or as the detector calls it).
      network_size, dtype, verbose, compile, max_batch_size: without effect.
      model: the name of a model that ships, or the path of one; None: the first that ships and
        gives what `landmarks_type` asks for.

    Raises:
      InputError: the landmarks' type, the device or the detector is unknown, there is no such
        model, or it does not give what `landmarks_type` asks for.
    """

    def __init__(
        self,
        landmarks_type: LandmarksType | int,
        network_size: NetworkSize | int = NetworkSize.LARGE,
        device: Any = "cuda",
        dtype: Any = None,
        flip_input: bool = True,
        face_detector: str | Finder = "sfd",
        face_detector_kwargs: dict[str, Any] | None = None,
        verbose: bool = False,
        compile: bool = True,
        max_batch_size: int = 1,
        *,
        model: Path | str | None = None,
    ):
        if not any(name in str(device) for name in ("cpu", "cuda", "mps")):
            raise InputError(f"The device is cpu, cuda or mps, not {device!r}.")
        self.landmarks_type = _landmarks_type(landmarks_type)
        self.device, self.dtype, self.verbose = device, dtype, verbose
        self.flip_input, self.max_batch_size = flip_input, max_batch_size
        path = _model_for(self.landmarks_type, model)
        self.face_detector = FaceDetector(path, face_detector, face_detector_kwargs)
        self._predictor: Predictor = self.face_detector.predictor

    def get_landmarks(
        self,
        image_or_path: Any,
        detected_faces: Sequence[Any] | None = None,
        return_bboxes: bool = False,
        return_landmark_score: bool = False,
    ) -> Any:
        """As `get_landmarks_from_image`."""
        return self.get_landmarks_from_image(
            image_or_path, detected_faces, return_bboxes, return_landmark_score
        )

    def get_landmarks_from_image(
        self,
        image_or_path: Any,
        detected_faces: Sequence[Any] | None = None,
        return_bboxes: bool = False,
        return_landmark_score: bool = False,
    ) -> Any:
        """The landmarks of each face in an image.

        Args:
          image_or_path: a path, or RGB or grey values from 0 to 255 [H, W, 3] or [H, W], array or
            tensor. The points are in pixels of the file as stored, without its EXIF orientation.
          detected_faces: boxes [4], left, top, right, bottom, or [5] with the score, in place of
            the detector's; they count as boxes of `face_detector`.
          return_bboxes: whether the boxes are returned, too.
          return_landmark_score: whether the scores are returned, too: float32 [68], 0 to 1, the
            probability that a point is within 5% of the face box's side of its true position, by
            its expected error; NaN if the model has no calibration.

        Returns:
          A list of float32 [68, 2], x and y in pixels, or [68, 3] with z, in pixels, too, growing
          towards the camera, 0 at the mean of the points. None, with a warning, if there is no
          face. With one of the last two arguments the tuple (landmarks, scores, boxes), None what
          was not asked for; the boxes are `detected_faces`, or a list of float64 [5].

        Raises:
          InputError: the image cannot be read or is of another form (`as_photo`), or a box does not
            show a face of it.
        """
        photo = as_photo(image_or_path)
        if detected_faces is None:
            faces = self.face_detector.faces(photo)
            detected_faces = [self.face_detector.box_of(face) for face in faces]
        else:
            faces = self._faces_in(photo, detected_faces)
        if not faces:
            return _no_faces(return_bboxes or return_landmark_score)
        if self.flip_input:
            faces = with_mirrored(self._predictor, photo, faces)
        landmarks = [self._points(face) for face in faces]
        if not (return_bboxes or return_landmark_score):
            return landmarks
        scores = [_scores(face) for face in faces] if return_landmark_score else None
        return landmarks, scores, detected_faces if return_bboxes else None

    def get_landmarks_from_batch(
        self,
        image_batch: Any,
        detected_faces: Sequence[Any] | None = None,
        return_bboxes: bool = False,
        return_landmark_score: bool = False,
    ) -> Any:
        """The landmarks of the faces in several images of one size.

        Args:
          image_batch: [B, 3, H, W], RGB from 0 to 255, tensor or array.
          detected_faces: a list of boxes for each image, as in `get_landmarks_from_image`.
          return_bboxes, return_landmark_score: as there.

        Returns:
          For each image the points of all its faces, one face after the other, float32 [68 * N, 2]
          or [68 * N, 3]; an empty list where there is no face. Or the tuple, as there, of lists of
          B elements. None of an empty batch.
        """
        images = _images_of(image_batch)
        boxes = [None] * len(images) if detected_faces is None else detected_faces
        if len(boxes) != len(images):
            raise InputError(f"{len(images)} images need as many lists of boxes, not {len(boxes)}.")
        if not len(images):
            return _no_faces(return_bboxes or return_landmark_score)
        results = [
            self.get_landmarks_from_image(image.transpose(1, 2, 0), given, True, True)
            for image, given in zip(images, boxes, strict=True)
        ]
        landmarks: list[Any] = [
            [] if points is None else np.concatenate(points) for points, _, _ in results
        ]
        if not (return_bboxes or return_landmark_score):
            return landmarks
        scores = [of_points for _, of_points, _ in results] if return_landmark_score else None
        if detected_faces is None:
            detected_faces = [found or [] for _, _, found in results]
        return landmarks, scores, detected_faces if return_bboxes else None

    def get_landmarks_from_directory(
        self,
        path: str | os.PathLike[str],
        extensions: Sequence[str] = (".jpg", ".png"),
        recursive: bool = True,
        show_progress_bar: bool = True,
        return_bboxes: bool = False,
        return_landmark_score: bool = False,
    ) -> dict[str, Any]:
        """The landmarks of each face in each image of a folder.

        Args:
          path: the folder.
          extensions: how the names of its images end, in upper or lower case as given.
          recursive: whether the images of its subfolders are taken, too.
          show_progress_bar: whether there is one.
          return_bboxes, return_landmark_score: as in `get_landmarks_from_image`.

        Returns:
          Path of an image -> what `get_landmarks_from_image` returns for it; empty if there is
          none. An image that cannot be read has no face, and a warning says why.

        Raises:
          InputError: there is no such folder, or no extension was given.
        """
        if not os.path.isdir(path):
            raise InputError(f"{path}: no such folder.")
        if not extensions or isinstance(extensions, str):
            raise InputError("The extensions are a list such as ['.jpg', '.png'].")
        pattern = glob.escape(os.fspath(path)) + ("/**/*" if recursive else "/*")
        files = {
            file for end in extensions for file in glob.glob(pattern + end, recursive=recursive)
        }
        results: dict[str, Any] = {}
        for file in tqdm(sorted(files), disable=not show_progress_bar):
            try:
                results[file] = self.get_landmarks_from_image(
                    file,
                    return_bboxes=return_bboxes,
                    return_landmark_score=return_landmark_score,
                )
            except InputError as error:  # the other images do not suffer
                warnings.warn(str(error), stacklevel=2)
                results[file] = (
                    (None, None, None) if return_bboxes or return_landmark_score else None
                )
        return results

    def _faces_in(self, photo: np.ndarray, detected_faces: Sequence[Any]) -> list[Face]:
        if not len(detected_faces):
            return []
        boxes = _boxes_of(detected_faces)
        check_boxes(boxes, (photo.shape[1], photo.shape[0]), "The image")
        return self._predictor.faces(photo, boxes, self._predictor.detector_source)

    def _points(self, face: Face) -> np.ndarray:
        if self.landmarks_type != LandmarksType.THREE_D:
            return face.landmarks
        assert face.landmarks_3d is not None  # `_model_for`
        # That package's z grows towards the camera.
        return np.asarray(face.landmarks_3d * np.array([1, 1, -1], np.float32))


def _no_faces(as_tuple: bool) -> tuple[None, None, None] | None:
    warnings.warn("No faces were detected.", stacklevel=3)
    return (None, None, None) if as_tuple else None


def _landmarks_type(value: Any) -> LandmarksType:
    """The type of this module for one of that package's, of any version."""
    try:
        return LandmarksType(getattr(value, "value", value))
    except ValueError as error:
        names = ", ".join(f"LandmarksType.{one.name}" for one in LandmarksType)
        raise InputError(f"The landmarks' type is one of {names}, not {value!r}.") from error


def _gives(contract: Contract, landmarks_type: LandmarksType) -> bool:
    """Whether a model gives the landmarks of a type."""
    if landmarks_type == LandmarksType.TWO_D:
        return contract.scheme == VISIBLE_CONTOUR
    if landmarks_type == LandmarksType.TWO_HALF_D:
        return contract.scheme == TRUE_JAW
    return contract.scheme in (VISIBLE_CONTOUR, TRUE_JAW) and contract.depth is not None


def _model_for(landmarks_type: LandmarksType, model: Path | str | None) -> Path:
    """The model, or without one the first that ships and gives the landmarks of a type.

    Raises:
      InputError: there is none, or the model does not give them.
    """
    needs = f"LandmarksType.{landmarks_type.name} needs {_NEEDS[landmarks_type]}"
    how = (
        "Give one with FaceAlignment(…, model=…): a name, such as senet-68-3d, or the path of "
        "a .pb; `senet-landmark train --preset senet_3d` makes one with depth and the true jaw "
        "(docs/training.md). LandmarksType.TWO_D needs none."
    )
    for path in map(find_model, shipped_models() if model is None else [model]):
        contract = load_contract(path)
        if _gives(contract, landmarks_type):
            return path
    if model is None:
        raise InputError(f"{needs}, and none ships. {how}")
    depth = "with" if contract.depth else "without"
    raise InputError(f"{model}: gives {contract.scheme} {depth} depth, and {needs}. {how}")


def _boxes_of(detected_faces: Sequence[Any]) -> np.ndarray:
    """Boxes [4] or [5] as float64 [N, 4]."""
    try:
        boxes = np.stack([as_array(box).astype(np.float64) for box in detected_faces])
    except (TypeError, ValueError) as error:
        raise InputError(f"The detected faces are no boxes of numbers ({error}).") from error
    if boxes.ndim != 2 or boxes.shape[1] not in (4, 5):
        raise InputError(
            "A detected face is left, top, right, bottom, and perhaps a score, not an array "
            f"{list(boxes.shape[1:])}."
        )
    return boxes[:, :4]


def _images_of(image_batch: Any) -> np.ndarray:
    images = as_array(image_batch)
    if images.ndim != 4 or images.shape[1] != 3:
        raise InputError(f"A batch of images is [B, 3, H, W], not {list(images.shape)}.")
    return images


def _scores(face: Face) -> np.ndarray:
    """The scores of a face's landmarks, float32 [68] (`NEAR`).

    An error with equal normal distributions along x and y has a Rayleigh-distributed length, which
    is determined by its mean, the expected error.
    """
    side = np.sqrt(np.prod(face.own_box[2:] - face.own_box[:2]))
    share = np.maximum(face.uncertainty / side, 1e-6)
    return np.asarray(1 - np.exp(-np.pi / 4 * (NEAR / share) ** 2), np.float32)
