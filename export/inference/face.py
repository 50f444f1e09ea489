"""A face in a photo, as the model predicts it, all faces of a photo, and which are kept."""

from __future__ import annotations

import math
import os
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from senet_landmark.errors import InputError
from senet_landmark.face.boxes import canonical_box
from senet_landmark.face.depth import landmarks_3d
from senet_landmark.face.expressions import Expression, expression_of
from senet_landmark.face.geometry import box_from_landmarks
from senet_landmark.face.pose import pose_of, pose_of_3d
from senet_landmark.io.images import ColourOrder, Photo, as_rgb, encode_png
from senet_landmark.visualisation.faces import DrawnFace, draw_face, draw_faces

MOST_SHOWN = 1000
"""Longer side in pixels to which a photo is reduced in a notebook, which stores the picture."""


@dataclass(frozen=True)
class Face:
    """One face in a photo.

    Attributes:
      box: float64 [4], left, top, right, bottom in photo pixels, from the detector or the caller.
      landmarks: float32 [K, 2], 0-based photo pixels; may lie outside the photo.
      score: the detector's score; NaN for a box that the caller gave.
      confidence: the model's probability that the box shows a face, 0 to 1 (`confidence.py`); NaN
        if the contract has no curve.
      uncertainty: float32 [K], the expected distance of each landmark from its true position, in
        photo pixels; NaN like `confidence`.
      known_pose: float32 [3], the pose that the model predicts, or that was read from a file.
      attributes: attribute -> (name of its most probable class, probability of this class); empty
        if the model predicts none.
      scheme: the scheme of the landmarks; None: unknown, and there is no pose but `known_pose`.
      depth: float32 [K], the landmarks' depth in photo pixels, growing away from the camera, 0 at
        their mean (`senet_landmark.face.depth`); None if the model predicts none.
    """

    box: np.ndarray
    landmarks: np.ndarray
    score: float = float("nan")
    confidence: float = float("nan")
    uncertainty: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    known_pose: np.ndarray | None = None
    attributes: dict[str, tuple[str, float]] = field(default_factory=dict)
    scheme: str | None = None
    depth: np.ndarray | None = None

    @property
    def landmarks_3d(self) -> np.ndarray | None:
        """float32 [K, 3], x, y and depth of the landmarks in photo pixels; None without depth."""
        return None if self.depth is None else landmarks_3d(self.landmarks, self.depth)

    @cached_property
    def pose_3d(self) -> np.ndarray | None:
        """float32 [3], yaw, pitch and roll in degrees, fitted to `landmarks_3d`.

        None without depth, or where the points fit no head.
        """
        points = self.landmarks_3d
        if points is None or self.scheme is None:
            return None
        try:
            return np.array(pose_of_3d(points, self.scheme), np.float32)
        except ValueError:
            return None

    @cached_property
    def pose(self) -> np.ndarray | None:
        """float32 [3], yaw, pitch and roll in degrees (`senet_landmark.face.pose`).

        It is `known_pose`, or else fitted to the landmarks when it is first asked for; None if
        neither is possible.
        """
        if self.known_pose is not None or self.scheme is None:
            return self.known_pose
        try:
            return np.array(pose_of(self.landmarks, self.scheme), np.float32)
        except ValueError:  # points that fit no head, or a scheme without a pose fit
            return None

    @cached_property
    def expression(self) -> Expression | None:
        """Aspect ratios of eyes and mouth, brow raise, smile width: see `Expression`.

        None where the scheme has no points of eyelids, lips and brows, or is unknown; and where the
        landmarks fit no head, or one that is turned away by more than 60 degrees.
        """
        if self.scheme is None:
            return None
        try:
            return expression_of(self.landmarks, self.scheme)
        except ValueError:  # an unknown scheme
            return None

    @cached_property
    def own_box(self) -> np.ndarray:
        """float64 [4], the box of the landmarks in photo pixels, tight from brows to chin.

        It is the `canonical_box` of the scheme, that of the points if the scheme is unknown, and
        `box` if the landmarks span none.
        """
        try:
            if self.scheme is None:
                return box_from_landmarks(self.landmarks)
            return canonical_box(self.landmarks, self.scheme)
        except InputError:
            return self.box

    def draw(self, photo: Photo, order: ColourOrder = "RGB") -> np.ndarray:
        """The photo with this face drawn on it: landmarks, box, confidence, pose, side view.

        Of several faces draw one after the other, or all with `Faces.draw`.

        Args:
          photo: the photo that the face was found in: a path, an encoded photo (bytes), or uint8
            [H, W, 3]. It is not changed.
          order: order of an array's channels; OpenCV's is BGR.

        Returns:
          RGB uint8 [H, W, 3], of the photo's size. The view of the landmarks from the side is
          there if they have `depth`.

        Raises:
          InputError: the photo cannot be read, or is an array of another type or shape.
        """
        return draw_face(as_rgb(photo, order), self._drawn)

    @property
    def _drawn(self) -> DrawnFace:
        return DrawnFace(self.landmarks, self.own_box, self.confidence, self.pose, self.depth)


class Faces(list[Face]):
    """The faces of one photo: a list, which a notebook shows as a picture.

    It knows its photo without keeping it in memory, so that the faces of many photos can be
    collected: of an array it has a weak reference, of a file its path.

    Args:
      faces: the faces.
      photo: their photo; None: unknown.
      order: order of an array's channels.
    """

    def __init__(
        self,
        faces: Iterable[Face] = (),
        photo: Photo | None = None,
        order: ColourOrder = "RGB",
    ):
        super().__init__(faces)
        self._order: ColourOrder = order
        self._array: weakref.ref[np.ndarray] | None = None
        self._source: Path | bytes | None = None
        if isinstance(photo, np.ndarray):
            self._array = weakref.ref(photo)
        elif photo is not None:
            self._source = photo if isinstance(photo, bytes) else Path(os.path.abspath(photo))

    def draw(self, photo: Photo | None = None, order: ColourOrder = "RGB") -> np.ndarray:
        """The picture that `senet-landmark predict` writes: all faces, with their numbers from 1.

        Args:
          photo: as in `Face.draw`; None: the photo that the faces were found in.
          order: order of an array's channels.

        Returns:
          RGB uint8; larger than the photo where its faces are small (`draw_faces`).

        Raises:
          InputError: as `Face.draw`; or the photo was an array that is no longer in memory.
        """
        return self._draw(self._pixels() if photo is None else as_rgb(photo, order))

    def _repr_png_(self) -> bytes | None:
        """The picture that a notebook shows; None without faces or photo: it then shows text."""
        if not self:
            return None
        try:
            return encode_png(self._draw(self._pixels(), MOST_SHOWN))
        except InputError:  # the photo is gone by now
            return None

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy, also in another process, knows the path or bytes of the photo, but no array."""
        return type(self), (list(self), self._source)

    def _draw(self, pixels: np.ndarray, most_side: float = math.inf) -> np.ndarray:
        return draw_faces(pixels, [face._drawn for face in self], most_side)

    def _pixels(self) -> np.ndarray:
        photo = self._array() if self._array else self._source
        if photo is None:
            raise InputError("The photo of these faces is not in memory; give it: draw(photo).")
        return as_rgb(photo, self._order)


def kept_faces(faces: Sequence[Face], max_faces: int = 0, min_confidence: float = 0.0) -> list[int]:
    """The indices of the faces that are kept, in their order.

    Args:
      faces: the faces of one photo or frame.
      max_faces: keep so many, those whose `own_box` has the largest area; 0: all.
      min_confidence: keep those whose `confidence` is at least this, before they are counted; 0:
        all, also those without a confidence.
    """

    def area(index: int) -> float:
        left, top, right, bottom = faces[index].own_box.tolist()
        return float((right - left) * (bottom - top))

    kept = [i for i, face in enumerate(faces) if not face.confidence < min_confidence]
    return sorted(sorted(kept, key=area, reverse=True)[: max_faces or None])


def check_kept(max_faces: int, min_confidence: float, has_confidence: bool) -> None:
    """Raises InputError where the arguments of `kept_faces` are out of range.

    Args:
      max_faces, min_confidence: as there.
      has_confidence: whether the model tells a confidence.
    """
    if max_faces < 0 or not 0 <= min_confidence <= 1:
        raise InputError(
            f"The largest number of faces is 0 or more, not {max_faces}, and the smallest "
            f"confidence is from 0 to 1, not {min_confidence}."
        )
    if min_confidence and not has_confidence:
        raise InputError(
            "This model tells no confidence of a face, so that there is no smallest one: leave out "
            "--min-confidence, or take a model with it, such as senet-68."
        )
