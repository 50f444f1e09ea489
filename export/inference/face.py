"""A face in a photo, as the model predicts it."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from senet_landmark.errors import InputError
from senet_landmark.face.boxes import canonical_box
from senet_landmark.face.depth import landmarks_3d
from senet_landmark.face.expressions import Expression, expression_of
from senet_landmark.face.geometry import box_from_landmarks
from senet_landmark.face.pose import pose_of, pose_of_3d


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
